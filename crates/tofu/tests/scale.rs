//! A thousand connections between two engines of one process: every request is answered, one
//! thread for each engine does it, and nothing is left behind. A binary of its own, so that all
//! threads and descriptors of the process are its own.

#![cfg(test)]

use std::collections::HashMap;
use std::time::Duration;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tofu::prelude::*;
use tofu_testkit::{descriptor_count, thread_count, threads_named, wait_until};

const CONNECTIONS: usize = 1000;
const ECHOES: u64 = 100;
const LIMIT: Duration = Duration::from_secs(30);

fn next(group: &mut ChannelGroup) -> Msg {
    let msg = group.wait_receive(LIMIT).unwrap();
    msg.expect("a message in time")
}

/// Each connection has two descriptors here, and many systems begin with 1024.
fn allow_descriptors(wanted: u64) {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_none_or(|current| current >= wanted) {
        return;
    }
    let current = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// Listens on the address; its real endpoint and its channel.
fn listen(engine: &Reactor, group: &mut ChannelGroup) -> (Endpoint, ChannelNumber) {
    let mut welcome = engine.message().unwrap();
    let address = Address::tcp_server("127.0.0.1", 0);
    address.format(&mut welcome).unwrap();
    group.post(welcome).unwrap();
    let ready = next(group);
    assert_eq!(ready.status(), Status::SUCCESS, "{ready:?}");
    let endpoint = Address::parse(&ready).unwrap().into_endpoint();
    (endpoint, ready.channel_number())
}

/// Answers everything until the last connection has been closed by its peer.
fn serve(mut group: ChannelGroup) -> ChannelGroup {
    let mut closed = 0;
    while closed < CONNECTIONS {
        let mut msg = next(&mut group);
        match msg.close_info() {
            Some(info) => {
                assert_eq!(info.cause.status(), Status::SUCCESS, "{info:?}");
                // The Hello, the requests, the Bye.
                assert_eq!(info.messages_received, ECHOES + 2);
                assert_eq!(info.messages_sent, ECHOES + 2);
                closed += 1;
            }
            None => {
                assert_eq!(msg.origin(), Origin::Peer, "{msg:?}");
                msg.make_reply().unwrap();
                group.post(msg).unwrap();
            }
        }
    }
    group
}

fn connect_all(engine: &Reactor, group: &mut ChannelGroup, to: &Endpoint) -> Vec<ChannelNumber> {
    let address = Address::connect_to(to.clone());
    let channels: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let mut hello = engine.message().unwrap();
            address.format(&mut hello).unwrap();
            group.post(hello).unwrap().channel_number
        })
        .collect();
    for _ in 0..CONNECTIONS {
        let response = next(group);
        assert_eq!(response.op_code(), OpCode::HelloResponse, "{response:?}");
        assert_eq!(response.origin(), Origin::Peer, "{response:?}");
    }
    channels
}

fn body(channel: ChannelNumber, round: u64) -> Vec<u8> {
    format!("{round} on {channel}").into_bytes()
}

/// One request on each channel, and its answer.
fn echo_round(engine: &Reactor, group: &mut ChannelGroup, channels: &[ChannelNumber], round: u64) {
    let mut asked = HashMap::new();
    for &channel in channels {
        let mut request = engine.message().unwrap();
        request.set_channel_number(channel);
        let bytes = body(channel, round);
        request.body_mut().append(&bytes).unwrap();
        let header = group.post(request).unwrap();
        asked.insert(channel, header.message_id);
    }
    for _ in channels {
        let answer = next(group);
        assert_eq!(answer.op_code(), OpCode::Response, "{answer:?}");
        let channel = answer.channel_number();
        assert_eq!(
            asked.remove(&channel),
            Some(answer.message_id()),
            "{answer:?}"
        );
        assert_eq!(answer.body().as_bytes(), body(channel, round));
    }
    assert!(asked.is_empty());
}

fn close_all(engine: &Reactor, group: &mut ChannelGroup, channels: &[ChannelNumber]) {
    for &channel in channels {
        let mut bye = engine.message().unwrap();
        bye.set_op_code(OpCode::ByeRequest);
        bye.set_channel_number(channel);
        group.post(bye).unwrap();
    }
    let (mut answered, mut closed) = (0, 0);
    while closed < channels.len() {
        let msg = next(group);
        match msg.close_info() {
            Some(info) => {
                assert!(info.confirmed, "{info:?}");
                closed += 1;
            }
            None => {
                assert_eq!(msg.op_code(), OpCode::ByeResponse, "{msg:?}");
                answered += 1;
            }
        }
    }
    assert_eq!(answered, channels.len());
}

#[test]
fn a_thousand_connections() {
    allow_descriptors(4096);
    let threads = thread_count().unwrap();
    let descriptors = descriptor_count().unwrap();
    let server = Reactor::start(Options::default()).unwrap();
    let client = Reactor::start(Options::default()).unwrap();
    let (mut servers, mut clients) = (server.create().unwrap(), client.create().unwrap());
    let (endpoint, listener) = listen(&server, &mut servers);
    let while_idle = descriptor_count().unwrap();
    let serving = std::thread::spawn(move || serve(servers));
    let channels = connect_all(&client, &mut clients, &endpoint);
    assert_eq!(client.channel_count(), CONNECTIONS);
    assert_eq!(server.channel_count(), CONNECTIONS + 1, "with the listener");
    for round in 0..ECHOES {
        echo_round(&client, &mut clients, &channels, round);
    }
    assert_eq!(threads_named("tofu-reactor").unwrap(), 2);
    // The engines' and the one that serves.
    assert_eq!(thread_count().unwrap(), threads + 3);
    close_all(&client, &mut clients, &channels);
    let mut servers = serving.join().unwrap();
    assert_eq!(client.channel_count(), 0);
    assert_eq!(server.channel_count(), 1, "the listener");
    wait_until(LIMIT, "the connections' descriptors to go", || {
        descriptor_count().unwrap() == while_idle
    });
    let mut signal = server.message().unwrap();
    signal.set_op_code(OpCode::ByeSignal);
    signal.set_channel_number(listener);
    servers.post(signal).unwrap();
    assert_eq!(next(&mut servers).op_code(), OpCode::ByeSignal);
    assert!(next(&mut servers).close_info().is_some());
    assert_eq!(server.channel_count(), 0);
    assert!(server.shutdown(LIMIT).complete && client.shutdown(LIMIT).complete);
    assert_eq!(thread_count().unwrap(), threads);
    drop((server, client, servers, clients));
    assert_eq!(descriptor_count().unwrap(), descriptors);
}
