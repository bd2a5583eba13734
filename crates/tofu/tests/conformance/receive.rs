//! `wait_receive`, `update_receiver` and the channel numbers.

use std::collections::{HashSet, VecDeque};
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::{TempUdsPath, wait_until};

use crate::face::Face;
use crate::harness::{
    Build, LIMIT, Pair, Seen, Side, Transport, closed, failed, from_peer, on_both, update,
};
use crate::raw::Line;

on_both! {
    first_in_first_out,
    a_timeout_of_zero_takes_what_is_queued,
    a_peer_forges_no_engine,
    a_returned_message_can_be_used_again,
    numbers_are_exhausted,
}

#[test]
fn update_receiver_none() {
    let mut side = Side::start(Options::default());
    side.group.update_receiver(None).unwrap();
    let msg = side.next();
    assert_eq!(msg.op_code(), OpCode::Signal);
    assert_eq!(msg.origin(), Origin::Local);
    assert_eq!(msg.status(), Status::RECEIVER_UPDATE);
    assert_eq!(msg.channel_number(), ChannelNumber::UNASSIGNED);
    assert_eq!(msg.message_id(), MessageId::UNASSIGNED);
    assert!(msg.text_headers().is_empty() && msg.body().is_empty());
    assert!(matches!(Incoming::from(msg), Incoming::Update(_)));
    side.expect_nothing();
}

#[test]
fn update_receiver_message() {
    let mut side = Side::start(Options::default());
    let poster = side.group.poster();
    // Any message: nothing of it is judged.
    for op_code in OpCode::ALL {
        let message = Message::new(op_code)
            .on(ChannelNumber::new(333))
            .with_status(Status::new(99))
            .with_more()
            .with_header("name", "value")
            .with_body(b"body");
        let pooled = side.pooled(message.clone());
        poster.update_receiver(Some(pooled)).unwrap();
        side.expect_last(&[update(message)]);
    }
}

/// One that was received goes through again, and what the engine said beside it is gone.
#[test]
fn update_receiver_with_a_received_message() {
    let mut side = Side::start(Options::default());
    let path = TempUdsPath::new().unwrap();
    let hello = side.hello(&Address::uds_client(&path).into_endpoint());
    let (channel, id) = (hello.channel_number(), hello.message_id());
    let back = side.next();
    assert!(back.cause().is_some());
    let message = (*back).clone();
    side.group.update_receiver(Some(back)).unwrap();
    let why = Status::UDS_PATH_NOT_FOUND;
    side.expect_last(&[closed(channel, id, why, false), update(message)]);
}

#[test]
fn update_receiver_has_a_limit() {
    let mut side = Side::start(Options::default().inbox_updates(3));
    let message = |id| {
        Message::new(OpCode::Request)
            .id(id)
            .with_status(Status::new(5))
    };
    for round in 0..2 {
        for id in 1..=3 {
            let msg = side.pooled(message(id));
            side.group.update_receiver(Some(msg)).unwrap();
        }
        let msg = side.pooled(message(4));
        let (kind, back) = side
            .group
            .update_receiver(Some(msg))
            .unwrap_err()
            .into_parts();
        assert_eq!(
            (kind, &*back),
            (PostErrorKind::QueueFull, &message(4)),
            "{round}"
        );
        for id in 1..=3 {
            side.expect(&[update(message(id))]);
        }
    }
    side.expect_nothing();
}

fn first_in_first_out(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let mut expected = Vec::new();
    for round in 0..5 {
        for size in [0, 10, 9000, 65_535, 1] {
            let message = Message::new(OpCode::Signal).with_body(&vec![round; size]);
            let posted = pair.client.post(message.on(pair.at_client));
            expected.push(from_peer(posted.on(pair.at_server)));
        }
        pair.client.turn();
        pair.server.turn();
        pair.server.group.update_receiver(None).unwrap();
        expected.push(update(Message::new(OpCode::Signal)));
    }
    // Where an update stands among the peer's messages is a matter of time.
    let (updates, messages): (Vec<_>, Vec<_>) = expected
        .into_iter()
        .partition(|seen| seen.message.origin() == Origin::Local);
    let mut seen = Vec::new();
    while seen.len() < updates.len() + messages.len() {
        seen.push(Seen::of(&pair.server.next()));
    }
    seen.retain(|seen| seen.message.origin() == Origin::Peer);
    assert_eq!(seen, messages);
    pair.expect_nothing();
}

#[test]
fn a_timeout_gives_none_in_its_time() {
    let mut side = Side::start(Options::default());
    for timeout in [Duration::ZERO, Duration::from_millis(50)] {
        let start = Instant::now();
        assert!(side.group.receive_within(timeout).unwrap().is_none());
        let waited = start.elapsed();
        assert!(
            waited >= timeout && waited < timeout + LIMIT / 4,
            "{waited:?}"
        );
    }
}

fn a_timeout_of_zero_takes_what_is_queued(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let received = |server: &Side| server.engine.stats().messages_received;
    let before = received(&pair.server);
    for _ in 0..3 {
        let request = Message::new(OpCode::Request).on(pair.at_client);
        pair.client.post(request);
    }
    wait_until(LIMIT, "the requests to be read", || {
        received(&pair.server) == before + 3
    });
    pair.server.turn();
    for _ in 0..3 {
        let msg = pair.server.group.receive_within(Duration::ZERO).unwrap();
        assert_eq!(msg.unwrap().op_code(), OpCode::Request);
    }
    assert!(
        pair.server
            .group
            .receive_within(Duration::ZERO)
            .unwrap()
            .is_none()
    );
}

#[test]
fn an_endless_wait_ends_with_a_message() {
    let mut side = Side::start(Options::default());
    let poster = side.group.poster();
    let (ready, is_ready) = std::sync::mpsc::channel();
    let late = std::thread::spawn(move || {
        is_ready.recv_timeout(LIMIT).unwrap();
        poster.update_receiver(None).unwrap();
    });
    ready.send(()).unwrap();
    assert!(side.group.receive_within(Duration::MAX).unwrap().is_some());
    late.join().unwrap();
}

/// Whatever status a peer sends, its messages are its messages.
fn a_peer_forges_no_engine(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    for status in 0..=255 {
        let signal = Message::new(OpCode::Signal).with_status(Status::new(status));
        line.raw.send_frame(&signal).unwrap();
        let msg = side.next();
        assert_eq!(Seen::of(&msg), from_peer(signal.on(line.channel)));
        assert!(matches!(Incoming::from(msg), Incoming::Peer(_)));
    }
    side.expect_nothing();
}

/// The smallest pool there is.
#[test]
fn a_pool_of_one() {
    let options = Options::default().pool_initial(1).pool_maximum(1);
    let engine = Reactor::start(options).unwrap();
    let first = engine.get(Allocation::Always).unwrap().unwrap();
    assert!(engine.get(Allocation::PoolOnly).unwrap().is_none());
    let second = engine.get(Allocation::Always).unwrap().unwrap();
    engine.put(first);
    let first = engine.get(Allocation::PoolOnly).unwrap();
    assert_eq!(*first.expect("it is back"), Message::default());
    drop(second);
    assert!(engine.get(Allocation::PoolOnly).unwrap().is_some());
}

/// Whatever a message was used for, the next to get it finds it as new.
#[test]
fn a_message_that_was_put_is_as_new() {
    let engine = Reactor::start(Options::default().pool_initial(1).pool_maximum(1)).unwrap();
    let mut msg = engine.message().unwrap();
    *msg = Message::new(OpCode::ByeRequest)
        .on(ChannelNumber::new(9))
        .id(9)
        .with_status(Status::new(9))
        .with_more()
        .with_header("a", "b")
        .with_body(&[1; 60_000]);
    msg.set_origin(Origin::Peer);
    drop(msg);
    let msg = engine.get(Allocation::PoolOnly).unwrap().unwrap();
    assert_eq!(*msg, Message::default());
    assert!(msg.cause().is_none() && msg.close_info().is_none() && msg.peer().is_none());
}

/// Who may be used from which thread is in the types.
#[test]
fn what_may_be_shared() {
    fn shared<T: Send + Sync>() {}
    fn cloned<T: Clone + Send + Sync + 'static>() {}
    cloned::<Reactor>();
    cloned::<Poster>();
    shared::<ChannelGroup>();
    shared::<Msg>();
    shared::<PostError>();
    shared::<EngineError>();
    let engine: Box<dyn Ampe> = Box::new(Reactor::start(Options::default()).unwrap());
    let mut group = engine.create().unwrap();
    let message = engine.message().unwrap();
    group.update_receiver(Some(message)).unwrap();
    assert!(group.receive_within(LIMIT).unwrap().is_some());
    assert!(engine.destroy(group, LIMIT).complete);
    assert!(engine.shutdown(LIMIT).complete);
}

/// A HelloRequest that came back is addressed anew and posted again until somebody listens.
fn a_returned_message_can_be_used_again(transport: Transport) {
    let mut server = Side::start(Options::default());
    let listening = server.listen(transport);
    let mut client = Side::start(Options::default());
    let absent = TempUdsPath::new().unwrap();
    let mut hello = client.pooled(
        Message::default()
            .with_header("kept", "yes")
            .with_body(b"kept"),
    );
    for _ in 0..5 {
        Address::uds_client(&absent).format(&mut hello).unwrap();
        client.group.post(hello).unwrap();
        hello = client.next();
        assert_eq!(hello.status(), Status::UDS_PATH_NOT_FOUND);
        assert!(client.next().close_info().is_some());
    }
    let address = Address::connect_to(listening.endpoint);
    address.format(&mut hello).unwrap();
    let expected = (*hello).clone();
    let header = client.group.post(hello).unwrap();
    let received = server.next();
    let expected = expected.on(received.channel_number()).id(header.message_id);
    assert_eq!(Seen::of(&received), from_peer(expected));
}

/// Three thousand channels come and go; each number stays away while a thousand others pass.
#[test]
fn numbers_are_free_again_and_rest_first() {
    let mut side = Side::start(Options::default());
    let kept = side.listen(Transport::Tcp).channel;
    let path = TempUdsPath::new().unwrap();
    let endpoint = Address::uds_client(&path).into_endpoint();
    let mut recent = VecDeque::new();
    let mut all = HashSet::new();
    for _ in 0..3000 {
        let hello = side.hello(&endpoint);
        let (channel, id) = (hello.channel_number(), hello.message_id());
        assert!(channel != kept && !recent.contains(&channel), "{channel}");
        recent.push_back(channel);
        all.insert(channel);
        if recent.len() > 1000 {
            recent.pop_front();
        }
        let why = Status::UDS_PATH_NOT_FOUND;
        side.expect(&[failed(hello, why), closed(channel, id, why, false)]);
    }
    // A server appears at last.
    let mut server = Side::start(Options::default());
    let mut welcome = Message::default();
    Address::uds_server(&path).format(&mut welcome).unwrap();
    server.post(welcome);
    assert_eq!(server.next().status(), Status::SUCCESS);
    side.hello(&endpoint);
    assert_eq!(server.next().op_code(), OpCode::HelloRequest);
    assert!(
        all.len() < 1100,
        "{} numbers: none was free again",
        all.len()
    );
    assert_eq!(side.engine.channel_count(), 2, "the listener and this one");
}

fn numbers_are_exhausted(transport: Transport) {
    let mut side = Side::start(Options::default().channels(2));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let mut hello = Message::default();
    let address = Address::connect_to(listening.endpoint.clone());
    address.format(&mut hello).unwrap();
    assert_eq!(side.refused(hello.clone()), Status::CHANNELS_EXHAUSTED);
    // Nor is anybody else let in.
    let mut raw = tofu_testkit::RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    let (nothing, end) = raw.receive_all(LIMIT);
    assert!(
        nothing.is_empty() && end != tofu_testkit::End::Timeout,
        "{end:?}"
    );
    side.expect_nothing();
    let last_word = line.closed(Status::PEER_DISCONNECTED, false);
    drop(line.raw);
    side.expect_last(&[last_word]);
    Line::accepted(&mut side, &listening);
}
