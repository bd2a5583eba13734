//! Engines, groups, listeners and connections made and ended by many threads at once. A binary of
//! its own, so that all threads and descriptors of the process are its own.

#![cfg(test)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::{
    Random, Task, TempUdsPath, descriptor_count, run_tasks, seed, thread_count, wait_until,
};

const ENGINES: usize = 4;
const THREADS: usize = 8;
const ROUNDS: u64 = 4;
const LIMIT: Duration = Duration::from_secs(20);

fn next(group: &mut ChannelGroup) -> Msg {
    let msg = group.wait_receive(LIMIT).unwrap();
    msg.expect("a message in time")
}

/// The next message of this op code; before it may come what was still to be said about channels
/// that ended: last words and returned ByeSignals.
fn next_of(group: &mut ChannelGroup, op_code: OpCode) -> Msg {
    loop {
        let msg = next(group);
        let is_of_the_past = msg.close_info().is_some() || msg.op_code() == OpCode::ByeSignal;
        if !is_of_the_past {
            assert_eq!(msg.op_code(), op_code, "{msg:?}");
            return msg;
        }
        assert_eq!(msg.origin(), Origin::Engine, "{msg:?}");
    }
}

fn listen(engine: &Reactor, group: &mut ChannelGroup, address: &Address) -> Endpoint {
    let mut welcome = engine.message().unwrap();
    address.format(&mut welcome).unwrap();
    group.post(welcome).unwrap();
    let ready = next_of(group, OpCode::WelcomeResponse);
    assert_eq!(ready.status(), Status::SUCCESS, "{ready:?}");
    Address::parse(&ready).unwrap().into_endpoint()
}

fn connect(engine: &Reactor, group: &ChannelGroup, endpoint: &Endpoint) -> ChannelNumber {
    let mut hello = engine.message().unwrap();
    let address = Address::connect_to(endpoint.clone());
    address.format(&mut hello).unwrap();
    group.post(hello).unwrap().channel_number
}

/// What comes is answered.
fn reply(group: &mut ChannelGroup, op_code: OpCode) {
    let mut msg = next_of(group, op_code);
    msg.make_reply().unwrap();
    group.post(msg).unwrap();
}

fn post(engine: &Reactor, group: &ChannelGroup, op_code: OpCode, channel: ChannelNumber) {
    let mut msg = engine.message().unwrap();
    msg.set_op_code(op_code);
    msg.set_channel_number(channel);
    group.post(msg).unwrap();
}

/// A life of a server group on one engine and a client group on another.
fn converse(server: &Reactor, client: &Reactor, random: &mut Random) {
    let path = TempUdsPath::new().unwrap();
    let address = match random.below(2) {
        0 => Address::tcp_server("127.0.0.1", 0),
        _ => Address::uds_server(&path),
    };
    let (mut servers, mut clients) = (server.create().unwrap(), client.create().unwrap());
    let endpoint = listen(server, &mut servers, &address);
    for _ in 0..1 + random.below(3) {
        let channel = connect(client, &clients, &endpoint);
        reply(&mut servers, OpCode::HelloRequest);
        next_of(&mut clients, OpCode::HelloResponse);
        post(client, &clients, OpCode::Request, channel);
        reply(&mut servers, OpCode::Request);
        next_of(&mut clients, OpCode::Response);
        match random.below(3) {
            0 => {}
            1 => post(client, &clients, OpCode::ByeSignal, channel),
            _ => {
                post(client, &clients, OpCode::ByeRequest, channel);
                reply(&mut servers, OpCode::ByeRequest);
                next_of(&mut clients, OpCode::ByeResponse);
                let last_word = next(&mut clients);
                let info = last_word.close_info().expect("the channel's last word");
                assert!(info.confirmed, "{info:?}");
            }
        }
        if random.below(3) == 0 {
            // The returned ByeSignals and last words are left to the group's end.
            break;
        }
        drain(&mut clients);
    }
    end(servers, random);
    end(clients, random);
    assert!(
        path.symlink_metadata().is_err(),
        "the socket file is gone with its listener"
    );
}

/// Takes what is queued: a ByeSignal's return, last words.
fn drain(group: &mut ChannelGroup) {
    while let Some(msg) = group.wait_receive(Duration::ZERO).unwrap() {
        assert_eq!(msg.origin(), Origin::Engine, "{msg:?}");
    }
}

fn end(group: ChannelGroup, random: &mut Random) {
    let grace = Duration::from_millis(random.below(3) * 100);
    let report = group.destroy(grace);
    // Nothing else is under way: a ByeSignal may have had nobody to come back to.
    let mut unsent = report.unsent.iter();
    assert!(
        unsent.all(|msg| msg.op_code() == OpCode::ByeSignal),
        "{report:?}"
    );
}

/// An engine of one's own, used a little or not at all, shut down or dropped.
fn own_engine(random: &mut Random) {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create().unwrap();
    if random.below(2) == 0 {
        listen(&engine, &mut group, &Address::tcp_server("127.0.0.1", 0));
    }
    match random.below(3) {
        0 => drop(engine),
        1 => drop(group),
        _ => assert!(engine.shutdown(LIMIT).complete),
    }
}

#[test]
fn everything_at_once() {
    let seed = seed();
    let threads = thread_count().unwrap();
    let descriptors = descriptor_count().unwrap();
    let start = Instant::now();
    for round in 0..ROUNDS {
        let engines: Vec<_> = (0..ENGINES)
            .map(|_| Reactor::start(Options::default()).unwrap())
            .collect();
        let engines = Arc::new(engines);
        let tasks = (0..ENGINES * THREADS).map(|number| -> Task {
            let engines = Arc::clone(&engines);
            let mut random = Random::new(seed ^ round << 32 ^ number as u64);
            Box::new(move || {
                let (server, client) = (number % ENGINES, (number / 2) % ENGINES);
                own_engine(&mut random);
                for _ in 0..3 {
                    converse(&engines[server], &engines[client], &mut random);
                }
            })
        });
        run_tasks(LIMIT, tasks.collect()).unwrap();
        for engine in engines.iter() {
            wait_until(LIMIT, "the last channels to go", || {
                engine.channel_count() == 0
            });
            assert!(engine.shutdown(LIMIT).complete);
        }
    }
    println!("{ROUNDS} rounds in {:?}", start.elapsed());
    assert_eq!(thread_count().unwrap(), threads);
    assert_eq!(descriptor_count().unwrap(), descriptors);
}
