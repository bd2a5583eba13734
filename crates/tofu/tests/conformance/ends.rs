//! The end of a group and of an engine: what the application is told, what the peers see, and that
//! every wait and every post has an answer from then on.

use std::time::{Duration, Instant};

use tofu::engine::DestroyReport;
use tofu::prelude::*;

use crate::harness::{
    Build, LIMIT, Pair, Seen, Side, Transport, closed, exists, failed, from_peer, hello_to,
    on_both, refused_by, returned,
};
use crate::raw::{Blocked, Line, as_on_the_wire, fill_the_kernel, narrow_place};

on_both! {
    group_destroyed,
    group_destroyed_with_grace_sends_what_is_queued,
    group_destroyed_reports_what_was_not_sent,
    group_destroyed_reports_what_was_not_received,
    group_destroyed_reports_what_had_come_back,
    group_destroyed_beside_a_draining_channel,
    group_destroyed_while_connecting,
    group_destroyed_with_grace_while_connecting,
    posts_while_a_group_is_destroyed,
    posts_while_an_engine_is_shut_down,
    group_dropped,
    a_neighbour_group_lives_on,
    engine_shut_down,
    engine_shut_down_gives_back_what_was_not_sent,
    engine_shut_down_with_grace_sends_what_is_queued,
    engine_shut_down_while_connecting,
    engine_shut_down_from_two_threads,
    group_destroyed_behind_the_shutdown,
    engine_dropped,
}

/// How late an end with a deadline may be: a second is promised, and another one is the machine's.
const MARGIN: Duration = Duration::from_secs(2);

/// What posts to a destroyed group, or into it, answer.
#[track_caller]
fn assert_destroyed(side_engine: &Reactor, poster: &Poster, channel: ChannelNumber) {
    let posts = [
        Message::new(OpCode::Request).on(channel),
        hello_to(&anywhere()),
    ];
    for message in posts {
        let mut msg = side_engine.message().unwrap();
        *msg = message.clone();
        let (kind, back) = poster.post(msg).unwrap_err().into_parts();
        assert!(
            matches!(
                kind,
                PostErrorKind::InvalidChannelGroup | PostErrorKind::ChannelClosed
            ),
            "{kind:?}"
        );
        assert_eq!(*back, message);
    }
    let refused = poster.update_receiver(None).unwrap_err();
    assert_eq!(refused.kind(), PostErrorKind::InvalidChannelGroup);
}

/// Nobody gets there.
fn anywhere() -> Endpoint {
    Address::tcp_client("127.0.0.1", 1).into_endpoint()
}

/// A report of nothing lost.
#[track_caller]
fn assert_clean(report: &DestroyReport, channels: usize) {
    assert!(report.complete, "{report:?}");
    assert!(report.unsent.is_empty(), "{report:?}");
    assert_eq!(report.unreceived, 0, "{report:?}");
    assert_eq!(report.channels, channels, "{report:?}");
}

fn group_destroyed(transport: Transport) {
    let mut pair = Pair::connected(transport);
    pair.echo();
    let poster = pair.server.group.poster();
    let report = pair.server.group.destroy(LIMIT);
    // The listener and the channel.
    assert_clean(&report, 2);
    assert_eq!(pair.server.engine.channel_count(), 0);
    assert!(!pair.listening.path.as_ref().is_some_and(exists));
    assert_destroyed(&pair.server.engine, &poster, pair.at_server);
    let last_word = closed(pair.at_client, pair.id, Status::PEER_DISCONNECTED, false);
    pair.client.expect_last(&[last_word]);
    // The engine has not ended with it.
    let mut another = pair.server.engine.create().unwrap();
    another.update_receiver(None).unwrap();
    assert!(another.wait_receive(LIMIT).unwrap().is_some());
}

fn group_destroyed_with_grace_sends_what_is_queued(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let data = Message::new(OpCode::Signal).with_body(&[6; 50_000]);
    let posted: Vec<_> = (0..60)
        .map(|_| pair.client.post(data.clone().on(pair.at_client)))
        .collect();
    let report = pair.client.group.destroy(LIMIT);
    assert_clean(&report, 1);
    let mut expected: Vec<_> = posted
        .into_iter()
        .map(|message| from_peer(message.on(pair.at_server)))
        .collect();
    expected.push(closed(
        pair.at_server,
        pair.id,
        Status::PEER_DISCONNECTED,
        false,
    ));
    pair.server.expect_last(&expected);
}

fn group_destroyed_reports_what_was_not_sent(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    let posted = fill_the_kernel(&mut side, line.channel);
    let grace = Duration::from_millis(50);
    let start = Instant::now();
    let report = side.group.destroy(grace);
    let waited = start.elapsed();
    assert!(waited >= grace && waited < grace + MARGIN, "{waited:?}");
    assert!(!report.complete);
    assert!(!report.unsent.is_empty());
    let kept = &posted[posted.len() - report.unsent.len()..];
    for (unsent, posted) in report.unsent.iter().zip(kept) {
        assert_eq!(
            Seen::of(unsent),
            returned(posted.clone(), Status::CHANNEL_CLOSED)
        );
    }
    assert!(report.bytes_unconfirmed > 0);
    assert_eq!(side.engine.channel_count(), 0);
}

/// What had been delivered and nobody fetched is counted.
fn group_destroyed_reports_what_was_not_received(transport: Transport) {
    let mut pair = Pair::connected(transport);
    for size in [0, 1, 20_000, 1, 0, 30_000, 2, 3] {
        let request = Message::new(OpCode::Request).with_body(&vec![4; size]);
        pair.client.post(request.on(pair.at_client));
    }
    pair.client.turn();
    pair.server.turn();
    for _ in 0..3 {
        pair.server.next();
    }
    let report = pair.server.group.destroy(Duration::ZERO);
    assert_eq!(report.unreceived, 5, "{report:?}");
    let last_word = closed(pair.at_client, pair.id, Status::PEER_DISCONNECTED, false);
    pair.client.expect_last(&[last_word]);
}

/// Given back before, and not received: they are the application's all the same.
fn group_destroyed_reports_what_had_come_back(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    let posted = fill_the_kernel(&mut side, line.channel);
    drop(line.raw);
    tofu_testkit::wait_until(LIMIT, "the channel to end", || {
        side.engine.channel_count() == 0
    });
    side.turn();
    let report = side.group.destroy(Duration::ZERO);
    assert!(!report.unsent.is_empty());
    let kept = &posted[posted.len() - report.unsent.len()..];
    for (unsent, posted) in report.unsent.iter().zip(kept) {
        let back = returned(posted.clone(), Status::PEER_DISCONNECTED);
        assert_eq!(Seen::of(unsent), back);
    }
}

/// One channel waits for its peer's end, the other cannot send: the report is there in time.
fn group_destroyed_beside_a_draining_channel(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    let mut draining = Line::dialed(&side, &place);
    draining.peer_says(&mut side, Message::new(OpCode::ByeRequest).id(5));
    draining.says(&side, Message::new(OpCode::ByeResponse).id(5));
    let posted = fill_the_kernel(&mut side, line.channel);
    let grace = Duration::from_millis(100);
    let start = Instant::now();
    let report = side.group.destroy(grace);
    assert!(start.elapsed() < grace + MARGIN);
    assert!(!report.unsent.is_empty() && report.unsent.len() <= posted.len());
    assert_eq!(report.channels, 2, "{report:?}");
    assert_eq!(side.engine.channel_count(), 0);
}

fn group_destroyed_while_connecting(transport: Transport) {
    let blocked = Blocked::new(transport);
    let side = Side::start(Options::default());
    let hello = side.hello(blocked.place.endpoint());
    let request = side.post(Message::new(OpCode::Request).on(hello.channel_number()));
    let report = side.group.destroy(Duration::ZERO);
    let unsent: Vec<_> = report.unsent.iter().map(Seen::of).collect();
    assert_eq!(
        unsent,
        [
            failed(hello, Status::CHANNEL_CLOSED),
            returned(request, Status::CHANNEL_CLOSED)
        ]
    );
    assert!(!report.complete);
    assert_eq!(side.engine.channel_count(), 0);
}

/// The connection is made within the time given, and everything gets out.
fn group_destroyed_with_grace_while_connecting(transport: Transport) {
    let blocked = Blocked::new(transport);
    let side = Side::start(Options::default());
    let hello = side.hello(blocked.place.endpoint());
    let request = side.post(Message::new(OpCode::Request).on(hello.channel_number()));
    side.turn();
    let destroying = std::thread::spawn(move || side.group.destroy(LIMIT));
    let place = blocked.unblock();
    let mut raw = place.listener.accept(LIMIT).unwrap();
    let (received, end) = raw.receive_all(LIMIT);
    assert_eq!(received, [as_on_the_wire(hello), as_on_the_wire(request)]);
    assert_eq!(end, tofu_testkit::End::Eof);
    drop(raw);
    assert_clean(&destroying.join().unwrap(), 1);
}

/// A line that is full, and a message for it.
fn full_line(transport: Transport) -> (Side, Line, Vec<Message>) {
    let mut side = Side::start(Options::default().send_queue_messages(4));
    let line = Line::dialed(&side, &narrow_place(transport));
    let posted = fill_the_kernel(&mut side, line.channel);
    (side, line, posted)
}

/// Waits until this post is refused for another reason than a full queue.
#[track_caller]
fn refused_at_last(poster: &Poster, message: &Message) -> PostErrorKind {
    let mut kind = PostErrorKind::QueueFull;
    tofu_testkit::wait_until(LIMIT, "the end to begin", || {
        let refused = poster.post(Msg::from(message.clone())).unwrap_err();
        kind = refused.kind();
        assert_eq!(**refused.message(), *message);
        kind != PostErrorKind::QueueFull
    });
    kind
}

/// The peer reads, and has all that was posted before the end began.
#[track_caller]
fn assert_all_sent(line: &mut Line, posted: Vec<Message>) {
    let (received, end) = line.raw.receive_all(LIMIT);
    let sent: Vec<_> = posted.into_iter().map(as_on_the_wire).collect();
    assert!(received == sent, "{} of {}", received.len(), sent.len());
    assert_eq!(end, tofu_testkit::End::Eof);
}

/// While the last is being sent nothing more is taken.
fn posts_while_a_group_is_destroyed(transport: Transport) {
    let (side, mut line, posted) = full_line(transport);
    let poster = side.group.poster();
    let engine = side.engine.clone();
    let destroying = std::thread::spawn(move || side.group.destroy(LIMIT));
    let request = Message::new(OpCode::Request).on(line.channel);
    let kind = refused_at_last(&poster, &request);
    assert!(!destroying.is_finished());
    assert!(
        matches!(
            kind,
            PostErrorKind::ChannelClosed | PostErrorKind::InvalidChannelGroup
        ),
        "{kind:?}"
    );
    let hello = poster.post(Msg::from(hello_to(&anywhere())));
    assert_eq!(
        hello.unwrap_err().kind(),
        PostErrorKind::InvalidChannelGroup
    );
    assert_all_sent(&mut line, posted);
    drop(line);
    assert_clean(&destroying.join().unwrap(), 1);
    drop(engine);
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

fn group_dropped(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let poster = pair.client.group.poster();
    drop(pair.client.group);
    let last_word = closed(pair.at_server, pair.id, Status::PEER_DISCONNECTED, false);
    pair.server.expect_last(&[last_word]);
    assert_destroyed(&pair.client.engine, &poster, pair.at_client);
    assert_eq!(pair.client.engine.channel_count(), 0);
}

fn a_neighbour_group_lives_on(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let doomed = Side {
        engine: pair.client.engine.clone(),
        group: pair.client.engine.create().unwrap(),
    };
    let hello = doomed.hello(&pair.listening.endpoint);
    let at_server = pair.server.next().channel_number();
    assert_clean(&doomed.group.destroy(LIMIT), 1);
    let last_word = closed(
        at_server,
        hello.message_id(),
        Status::PEER_DISCONNECTED,
        false,
    );
    pair.server.expect_last(&[last_word]);
    pair.echo();
    pair.expect_nothing();
}

/// From here on everything is answered at once, and always the same.
#[track_caller]
fn assert_ended(engine: &Reactor, group: &mut ChannelGroup, channel: ChannelNumber) {
    for timeout in [Duration::ZERO, LIMIT, Duration::MAX, Duration::ZERO] {
        let start = Instant::now();
        let error = group.wait_receive(timeout).unwrap_err();
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
    while let Ok(Some(msg)) = pair.server.group.wait_receive(LIMIT) {
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

/// What the shutdown left in the inbox, and nobody received, is in the group's report.
fn group_destroyed_behind_the_shutdown(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    let posted = fill_the_kernel(&mut side, line.channel);
    line.raw
        .send_frame(&Message::new(OpCode::Request).id(1))
        .unwrap();
    line.raw
        .send_frame(&Message::new(OpCode::Request).id(2))
        .unwrap();
    side.expect(&[from_peer(
        Message::new(OpCode::Request).id(1).on(line.channel),
    )]);
    side.turn();
    let unsent = side.engine.shutdown(Duration::ZERO).unsent;
    let start = Instant::now();
    let report = side.group.destroy(LIMIT);
    assert!(start.elapsed() < MARGIN / 2, "nothing to wait for");
    assert_eq!(report.unreceived, 1, "{report:?}");
    assert_eq!(report.unsent.len(), unsent);
    let kept = &posted[posted.len() - unsent..];
    for (unsent, posted) in report.unsent.iter().zip(kept) {
        let back = returned(posted.clone(), Status::SHUTDOWN_STARTED);
        assert_eq!(Seen::of(unsent), back);
    }
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
    while let Ok(Some(msg)) = group.wait_receive(LIMIT) {
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
        group.wait_receive(Duration::MAX).unwrap();
        started.send(()).unwrap();
        let error = group.wait_receive(Duration::MAX).unwrap_err();
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
