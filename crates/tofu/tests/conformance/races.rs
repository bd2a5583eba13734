//! Two things at once: what is posted in the same breath as the opening of its channel, and what
//! ends a channel while the other end does something too. Whichever comes first, every message has
//! one outcome, and both sides agree about it.

use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::{Random, TempUdsPath, seed};

use crate::face::Face;
use crate::harness::{
    Build, LIMIT, MARGIN, Pair, Seen, Side, Transport, closed, failed, from_peer, hello_to,
    on_both, place, returned,
};
use crate::raw::{as_on_the_wire, full_line};

on_both! {
    bye_signal_behind_a_failing_hello,
    bye_signal_behind_a_failing_welcome,
    bye_signal_behind_a_hello,
    both_say_bye_signal,
    bye_signal_against_bye_request,
    destroy_against_shutdown,
}

const RUNS: usize = 100;

/// Posts; none if the channel was closed already.
fn try_post(side: &Side, message: &Message) -> bool {
    match side.group.post(side.pooled(message.clone())) {
        Ok(_) => true,
        Err(refused) => {
            assert_eq!(refused.status(), Status::CHANNEL_CLOSED);
            assert_eq!(**refused.message(), *message);
            false
        }
    }
}

/// Gives the engine more or less time.
fn hesitate(random: &mut Random) {
    for _ in 0..random.below(3) * random.below(2000) {
        std::hint::spin_loop();
    }
}

/// The Hello fails at once: the ByeSignal comes too late or is what closes the channel; or the
/// channel fails on its way to it, and the signal goes first among what comes back.
fn bye_signal_behind_a_failing_hello(_: Transport) {
    let mut random = Random::new(seed());
    let path = TempUdsPath::new().unwrap();
    let endpoint = Address::uds_client(&path).into_endpoint();
    let mut side = Side::start(Options::default());
    for run in 0..RUNS {
        let hello = side.hello(&endpoint);
        let (channel, id) = (hello.channel_number(), hello.message_id());
        let request = Message::new(OpCode::Request).on(channel).id(77);
        hesitate(&mut random);
        let requested = try_post(&side, &request);
        hesitate(&mut random);
        let signal = Message::new(OpCode::ByeSignal).on(channel).id(88);
        let signalled = try_post(&side, &signal);
        println!("run {run}: request taken {requested}, ByeSignal taken {signalled}");
        let first = side.next();
        let why = first.status();
        let mut expected = Vec::new();
        if signalled {
            expected.push(returned(signal, why));
        }
        expected.push(failed(hello, why));
        if requested {
            expected.push(returned(request, why));
        }
        expected.push(closed(channel, id, why, false));
        assert!(
            why == Status::UDS_PATH_NOT_FOUND || signalled && why == Status::CHANNEL_CLOSED,
            "{first:?}"
        );
        assert_eq!(Seen::of(&first), expected[0]);
        side.expect_last(&expected[1..]);
    }
}

fn bye_signal_behind_a_failing_welcome(transport: Transport) {
    let mut random = Random::new(seed());
    let mut holder = Side::start(Options::default());
    let listening = holder.listen(transport);
    let address = Address::listen_on(listening.endpoint.clone());
    let mut side = Side::start(Options::default());
    for _ in 0..RUNS {
        let mut welcome = Message::default();
        address.format(&mut welcome).unwrap();
        let welcome = side.post(welcome);
        let (channel, id) = (welcome.channel_number(), welcome.message_id());
        hesitate(&mut random);
        let signal = Message::new(OpCode::ByeSignal).on(channel).id(88);
        let signalled = try_post(&side, &signal);
        let first = side.next();
        let why = first.status();
        let mut expected = vec![failed(welcome, why), closed(channel, id, why, false)];
        if signalled {
            expected.insert(0, returned(signal, why));
        }
        assert_eq!(Seen::of(&first), expected[0]);
        side.expect_last(&expected[1..]);
    }
}

/// Somebody listens: either the Hello came back and nobody heard it, or it was heard and did not
/// come back.
fn bye_signal_behind_a_hello(transport: Transport) {
    let mut random = Random::new(seed());
    let why = Status::CHANNEL_CLOSED;
    let mut server = Side::start(Options::default());
    let listening = server.listen(transport);
    let mut client = Side::start(Options::default());
    let (mut unheard, mut heard) = (0, 0);
    for run in 0..RUNS {
        let mut endpoint = listening.endpoint.clone();
        if let (Endpoint::Tcp { host, .. }, 0) = (&mut endpoint, run % 2) {
            // A name has to be looked up first.
            "localhost".clone_into(host);
        }
        let hello = client.hello(&endpoint);
        let (channel, id) = (hello.channel_number(), hello.message_id());
        hesitate(&mut random);
        let signal = Message::new(OpCode::ByeSignal).on(channel).id(88);
        let signal = client.post(signal);
        client.expect(&[returned(signal, why)]);
        let second = client.next();
        if second.close_info().is_none() {
            assert_eq!(Seen::of(&second), failed(hello, why));
            client.expect_last(&[closed(channel, id, why, false)]);
            unheard += 1;
            continue;
        }
        assert_eq!(Seen::of(&second), closed(channel, id, why, false));
        client.expect_nothing();
        // A reset may overtake the Hello, which was in the kernel: then nobody has heard it either.
        server.turn();
        if let Some(msg) = server.group.receive_within(LIMIT / 100).unwrap() {
            let at_server = msg.channel_number();
            assert_eq!(Seen::of(&msg), from_peer(hello.on(at_server)));
            let cause = Status::PEER_DISCONNECTED;
            server.expect(&[closed(at_server, id, cause, false)]);
            heard += 1;
        }
    }
    println!("{unheard} came back, {heard} were heard");
    server.expect_nothing();
    assert_eq!(server.engine.channel_count(), 1, "the listener");
}

/// On each side its own ByeSignal comes back, or it was refused because the other's came first.
fn both_say_bye_signal(transport: Transport) {
    let mut pair = Pair::connected(transport);
    for run in 0..RUNS {
        if run > 0 {
            again(&mut pair);
        }
        let by_client = Message::new(OpCode::ByeSignal).on(pair.at_client).id(5);
        let by_server = Message::new(OpCode::ByeSignal).on(pair.at_server).id(6);
        let clients = try_post(&pair.client, &by_client);
        let servers = try_post(&pair.server, &by_server);
        assert!(clients, "nobody had closed it before");
        ends_by(&mut pair.client, &by_client, clients, pair.id);
        ends_by(&mut pair.server, &by_server, servers, pair.id);
    }
}

/// The signal, if it was taken, comes back and the channel has ended by it or by the peer.
#[track_caller]
fn ends_by(side: &mut Side, signal: &Message, was_taken: bool, id: MessageId) {
    let channel = signal.channel_number();
    let mut cause = Status::PEER_DISCONNECTED;
    if was_taken {
        let back = side.next();
        cause = back.status();
        assert_eq!(Seen::of(&back), returned(signal.clone(), cause));
    }
    let possible = [Status::PEER_DISCONNECTED, Status::CHANNEL_CLOSED];
    assert!(possible.contains(&cause), "{cause:?}");
    side.expect_last(&[closed(channel, id, cause, false)]);
}

/// A new channel between the same two.
fn again(pair: &mut Pair) {
    let hello = pair.client.hello(&pair.listening.endpoint);
    pair.at_client = hello.channel_number();
    pair.id = hello.message_id();
    pair.at_server = pair.server.next().channel_number();
}

fn bye_signal_against_bye_request(transport: Transport) {
    let mut random = Random::new(seed());
    let mut pair = Pair::connected(transport);
    for run in 0..RUNS {
        if run > 0 {
            again(&mut pair);
        }
        let bye = Message::new(OpCode::ByeRequest).on(pair.at_client).id(5);
        let bye = pair.client.post(bye);
        hesitate(&mut random);
        let signal = Message::new(OpCode::ByeSignal).on(pair.at_server).id(6);
        let signal = pair.server.post(signal);
        // The server's ByeSignal has overtaken the ByeRequest, or not.
        let mut msg = pair.server.next();
        if msg.op_code() == OpCode::ByeRequest {
            assert_eq!(Seen::of(&msg), from_peer(bye.clone().on(pair.at_server)));
            msg = pair.server.next();
        }
        assert_eq!(Seen::of(&msg), returned(signal, Status::CHANNEL_CLOSED));
        let last_word = pair.server_closed(Status::CHANNEL_CLOSED, false);
        pair.server.expect_last(&[last_word]);
        // The client's ByeRequest got into the kernel, or came back.
        let mut msg = pair.client.next();
        if msg.op_code() == OpCode::ByeRequest {
            assert_eq!(Seen::of(&msg), returned(bye, Status::PEER_DISCONNECTED));
            msg = pair.client.next();
        }
        let last_word = pair.client_closed(Status::PEER_DISCONNECTED, false);
        assert_eq!(Seen::of(&msg), last_word);
        pair.client.expect_nothing();
    }
}

/// A group is destroyed in the same breath as its channels are opened: what had been taken is in
/// the report, or was heard.
#[test]
fn destroyed_behind_its_openings() {
    let mut random = Random::new(seed());
    let mut server = Side::start(Options::default());
    let (address, _path) = place(Transport::Tcp);
    let mut welcome = Message::default();
    address.format(&mut welcome).unwrap();
    server.post(welcome);
    let endpoint = Address::parse(&server.next()).unwrap().into_endpoint();
    let client = Side::start(Options::default());
    for _ in 0..RUNS {
        let doomed = Side {
            engine: client.engine.clone(),
            group: client.engine.create().unwrap(),
        };
        let hello = doomed.post(hello_to(&endpoint));
        let request = Message::new(OpCode::Request).on(hello.channel_number());
        let request = doomed.post(request);
        hesitate(&mut random);
        let report = doomed.group.destroy(Duration::ZERO);
        assert_eq!(report.channels, 1, "{report:?}");
        let unsent: Vec<_> = report.unsent.iter().map(|msg| msg.message_id()).collect();
        let all = [hello.message_id(), request.message_id()];
        assert!(all.ends_with(&unsent), "{unsent:?}");
        for expected in &all[..all.len() - unsent.len()] {
            let msg = server.next();
            assert_eq!(msg.message_id(), *expected, "{msg:?}");
        }
        if unsent.len() < all.len() {
            assert!(server.next().close_info().is_some());
        }
        server.expect_nothing();
    }
}

/// The group is given all the time, and the engine none: the destruction ends with the engine, and
/// what was not sent is in its report.
fn destroy_against_shutdown(transport: Transport) {
    let mut random = Random::new(seed());
    for _ in 0..20 {
        let (side, mut line, posted) = full_line(transport);
        let Side { engine, group } = side;
        let start = Instant::now();
        let destroying = std::thread::spawn(move || group.destroy(LIMIT));
        hesitate(&mut random);
        engine.shutdown(Duration::ZERO);
        let report = destroying.join().unwrap();
        assert!(start.elapsed() < 2 * MARGIN, "{:?}", start.elapsed());
        let (received, _) = line.raw.receive_all(LIMIT);
        let sent: Vec<_> = posted.iter().cloned().map(as_on_the_wire).collect();
        assert!(sent.starts_with(&received));
        let unsent: Vec<_> = report.unsent.iter().map(|msg| msg.message_id()).collect();
        let rest = &posted[received.len()..];
        let rest: Vec<_> = rest.iter().map(Message::message_id).collect();
        assert_eq!(unsent, rest, "{} received", received.len());
    }
}
