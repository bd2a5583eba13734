//! The end of a group: what its application is told, what the peers see, and what is answered from
//! then on.

use std::time::{Duration, Instant};

use tofu::engine::DestroyReport;
use tofu::prelude::*;

use crate::face::Face;
use crate::harness::{
    Build, LIMIT, MARGIN, Pair, Seen, Side, Transport, anywhere, closed, exists, failed, from_peer,
    hello_to, on_both, returned,
};
use crate::raw::{
    Blocked, Line, as_on_the_wire, assert_all_sent, fill_the_kernel, full_line, narrow_place,
    refused_at_last,
};

on_both! {
    group_destroyed,
    group_destroyed_with_grace_sends_what_is_queued,
    group_destroyed_reports_what_was_not_sent,
    group_destroyed_reports_what_was_not_received,
    group_destroyed_reports_what_had_come_back,
    group_destroyed_beside_a_draining_channel,
    group_destroyed_while_connecting,
    group_destroyed_with_grace_while_connecting,
    group_destroyed_behind_the_shutdown,
    posts_while_a_group_is_destroyed,
    group_dropped,
    a_neighbour_group_lives_on,
}

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
    assert!(another.receive_within(LIMIT).unwrap().is_some());
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
