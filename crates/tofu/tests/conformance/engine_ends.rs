//! The end of an engine: what is queued is handed out, then every wait and every post has the same
//! answer, at once and every time.

use std::time::{Duration, Instant};

use tofu::prelude::*;

use crate::face::Face;
use crate::harness::{
    Build, LIMIT, MARGIN, Pair, Seen, Side, Transport, anywhere, closed, exists, failed, from_peer,
    hello_to, on_both, refused_by, returned,
};
use crate::raw::{
    Blocked, Line, assert_all_sent, fill_the_kernel, full_line, narrow_place, refused_at_last,
};

on_both! {
    engine_shut_down,
    engine_shut_down_gives_back_what_was_not_sent,
    engine_shut_down_with_grace_sends_what_is_queued,
    engine_shut_down_while_connecting,
    engine_shut_down_from_two_threads,
    posts_while_an_engine_is_shut_down,
    engine_dropped,
}

/// From here on everything is answered at once, and always the same.
#[track_caller]
fn assert_ended(engine: &Reactor, group: &mut ChannelGroup, channel: ChannelNumber) {
    for timeout in [Duration::ZERO, LIMIT, Duration::MAX, Duration::ZERO] {
        let start = Instant::now();
        let error = group.receive_within(timeout).unwrap_err();
        assert!(matches!(error, EngineError::ShutdownStarted), "{error:?}");
        assert!(start.elapsed() < MARGIN / 2);
    }
    let posts = [
        Message::new(OpCode::Request).on(channel),
        Message::new(OpCode::ByeSignal).on(channel),
        hello_to(&anywhere()),
    ];
    for message in posts {
        assert_eq!(
            refused_by(group, Msg::from(message)),
            Status::SHUTDOWN_STARTED
        );
    }
    let update = Message::new(OpCode::Signal).id(3);
    let error = group
        .update_receiver(Some(Msg::from(update.clone())))
        .unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::ShutdownStarted);
    assert_eq!(*error.into_message(), update);
    assert!(matches!(
        engine.message(),
        Err(EngineError::ShutdownStarted)
    ));
    assert!(matches!(engine.create(), Err(EngineError::ShutdownStarted)));
    assert_eq!(engine.channel_count(), 0);
}

fn engine_shut_down(transport: Transport) {
    let mut pair = Pair::connected(transport);
    pair.echo();
    // What is queued in the inbox is handed out before the end is told.
    let early = pair
        .client
        .post(Message::new(OpCode::Request).on(pair.at_client));
    let first = pair
        .server
        .post(Message::new(OpCode::Request).on(pair.at_server));
    pair.client.expect(&[from_peer(first.on(pair.at_client))]);
    pair.server.turn();
    let report = pair.server.engine.shutdown(LIMIT);
    assert_eq!((report.channels, report.unsent), (2, 0), "{report:?}");
    assert!(report.complete, "{report:?}");
    let mut rest = Vec::new();
    while let Ok(Some(msg)) = pair.server.group.receive_within(LIMIT) {
        rest.push(Seen::of(&msg));
    }
    let listening = &pair.listening;
    let listener = closed(
        listening.channel,
        listening.id,
        Status::SHUTDOWN_STARTED,
        false,
    );
    let place = rest.iter().position(|seen| *seen == listener);
    rest.remove(place.expect("the listener's last word"));
    assert_eq!(
        rest,
        [
            from_peer(early.on(pair.at_server)),
            pair.server_closed(Status::SHUTDOWN_STARTED, false)
        ]
    );
    assert!(!pair.listening.path.as_ref().is_some_and(exists));
    assert_ended(&pair.server.engine, &mut pair.server.group, pair.at_server);
    let last_word = pair.client_closed(Status::PEER_DISCONNECTED, false);
    pair.client.expect_last(&[last_word]);
    assert_eq!(
        pair.server.engine.shutdown(LIMIT),
        report,
        "every call has the same"
    );
}

fn engine_shut_down_gives_back_what_was_not_sent(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    let posted = fill_the_kernel(&mut side, line.channel);
    let grace = Duration::from_millis(50);
    let start = Instant::now();
    let report = side.engine.shutdown(grace);
    let waited = start.elapsed();
    assert!(waited < grace + MARGIN, "{waited:?}");
    assert!(!report.complete, "{report:?}");
    let unsent = side.expect_unsent(&posted, Status::SHUTDOWN_STARTED);
    assert_eq!((report.channels, report.unsent), (1, unsent));
    side.expect(&[line.closed(Status::SHUTDOWN_STARTED, false)]);
    assert_ended(&side.engine, &mut side.group, line.channel);
}

fn engine_shut_down_with_grace_sends_what_is_queued(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let data = Message::new(OpCode::Request).with_body(&[6; 60_000]);
    let posted: Vec<_> = (0..60)
        .map(|_| pair.client.post(data.clone().on(pair.at_client)))
        .collect();
    let report = pair.client.engine.shutdown(LIMIT);
    assert!(report.complete && report.unsent == 0, "{report:?}");
    let last_word = pair.client_closed(Status::SHUTDOWN_STARTED, false);
    pair.client.expect(&[last_word]);
    assert_ended(&pair.client.engine, &mut pair.client.group, pair.at_client);
    let mut expected: Vec<_> = posted
        .into_iter()
        .map(|message| from_peer(message.on(pair.at_server)))
        .collect();
    expected.push(pair.server_closed(Status::PEER_DISCONNECTED, false));
    pair.server.expect_last(&expected);
}

fn engine_shut_down_while_connecting(transport: Transport) {
    let why = Status::SHUTDOWN_STARTED;
    let blocked = Blocked::new(transport);
    let mut side = Side::start(Options::default());
    let hello = side.hello(blocked.place.endpoint());
    let (channel, id) = (hello.channel_number(), hello.message_id());
    let request = side.post(Message::new(OpCode::Request).on(channel));
    let report = side.engine.shutdown(Duration::ZERO);
    assert_eq!((report.channels, report.unsent), (1, 2));
    side.expect(&[
        failed(hello, why),
        returned(request, why),
        closed(channel, id, why, false),
    ]);
    assert_ended(&side.engine, &mut side.group, channel);
}

/// The first call counts, and both have its report.
fn engine_shut_down_from_two_threads(transport: Transport) {
    let pair = Pair::connected(transport);
    let reports = std::thread::scope(|scope| {
        let calls = [Duration::ZERO, LIMIT / 20].map(|grace| {
            let engine = &pair.server.engine;
            scope.spawn(move || engine.shutdown(grace))
        });
        calls.map(|call| call.join().unwrap())
    });
    assert_eq!(reports[0], reports[1]);
    assert_eq!((reports[0].channels, reports[0].unsent), (2, 0));
}

fn posts_while_an_engine_is_shut_down(transport: Transport) {
    let (side, mut line, posted) = full_line(transport);
    let poster = side.group.poster();
    let engine = side.engine.clone();
    let closing = std::thread::spawn(move || engine.shutdown(LIMIT));
    let request = Message::new(OpCode::Request).on(line.channel);
    let kind = refused_at_last(&poster, &request);
    assert!(!closing.is_finished());
    assert_eq!(kind, PostErrorKind::ShutdownStarted);
    let hello = poster.post(Msg::from(hello_to(&anywhere())));
    assert_eq!(hello.unwrap_err().kind(), PostErrorKind::ShutdownStarted);
    assert_all_sent(&mut line, posted);
    drop(line);
    let report = closing.join().unwrap();
    assert!(report.complete && report.unsent == 0, "{report:?}");
}

/// The last clone of the engine's handle is the engine's end.
fn engine_dropped(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let clone = pair.server.engine.clone();
    drop(pair.server.engine);
    pair.server.engine = clone;
    pair.echo();
    let Side { engine, mut group } = pair.server;
    let poster = group.poster();
    drop(engine);
    let mut last_words = Vec::new();
    while let Ok(Some(msg)) = group.receive_within(LIMIT) {
        last_words.push(msg.channel_number());
        assert_eq!(
            msg.close_info().unwrap().cause.status(),
            Status::SHUTDOWN_STARTED
        );
    }
    last_words.sort();
    assert_eq!(last_words, [pair.listening.channel, pair.at_server]);
    let message = Message::new(OpCode::Request).on(pair.at_server);
    let error = poster.post(Msg::from(message)).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::ShutdownStarted);
    let last_word = closed(pair.at_client, pair.id, Status::PEER_DISCONNECTED, false);
    pair.client.expect_last(&[last_word]);
}

#[test]
fn a_blocked_receiver_is_woken_by_the_shutdown() {
    let side = Side::start(Options::default());
    let mut group = side.engine.create().unwrap();
    let poster = group.poster();
    let (started, start) = std::sync::mpsc::channel();
    let receiver = std::thread::spawn(move || {
        // One message tells that it is there, the second wait has nothing to wait for.
        group.receive_within(Duration::MAX).unwrap();
        started.send(()).unwrap();
        let error = group.receive_within(Duration::MAX).unwrap_err();
        (error.status(), Instant::now())
    });
    poster.update_receiver(None).unwrap();
    start.recv_timeout(LIMIT).unwrap();
    let before = Instant::now();
    side.engine.shutdown(Duration::ZERO);
    let (status, woken) = receiver.join().unwrap();
    assert_eq!(status, Status::SHUTDOWN_STARTED);
    assert!(woken.duration_since(before) < MARGIN);
}

/// Messages outlive their engine.
#[test]
fn messages_outlive_their_engine() {
    let side = Side::start(Options::default());
    let mut held = side.pooled(Message::new(OpCode::Request).with_body(b"still here"));
    side.engine.shutdown(Duration::ZERO);
    assert_eq!(held.body().as_bytes(), b"still here");
    held.body_mut().append(b"!").unwrap();
    side.engine.put(held);
    drop(side);
}
