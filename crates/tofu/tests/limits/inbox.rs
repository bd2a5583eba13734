//! What waits in a group's inbox: from peers, which pauses reading, and from the application
//! itself. Nothing is said of a full inbox, and nothing is lost.

use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::TempUdsPath;

use crate::harness::{Build, Side, Transport, request, requests};
use crate::peers::Line;
use crate::run::on_both;

on_both! {
    inbox_messages_pause_reading,
    inbox_messages_bind_one_group,
    inbox_messages_let_the_engine_speak,
    inbox_bytes_pause_reading,
    inbox_bytes_of_large_messages,
    inbox_bytes_of_many_channels_at_once,
}

/// Messages delivered on a line, its HelloRequest not counted.
fn delivered(side: &Side, hellos: u64) -> u64 {
    side.stats().messages_received - hellos
}

fn inbox_messages_pause_reading(transport: Transport) {
    const LAST: u64 = 300;
    let mut side = Side::start(Options::default().inbox_messages(7));
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(1..=LAST, 50)).unwrap();
    side.turn();
    side.turn();
    assert_eq!(delivered(&side, 1), 7);
    assert_eq!(side.stats().pauses_inbox_full, 1);
    for id in 1..=LAST {
        side.expect_peer(line.channel, &request(id, 50));
    }
    side.expect_nothing();
    line.echo(&mut side);
    assert_eq!(side.stats().pauses_pool_empty, 0);
}

fn inbox_messages_bind_one_group(transport: Transport) {
    let mut stuck = Side::start(Options::default().inbox_messages(3));
    let listening = stuck.listen(transport);
    let line = Line::accepted(&mut stuck, &listening);
    line.raw.send(&requests(1..=50, 50)).unwrap();
    stuck.turn();
    let mut lively = stuck.beside();
    let elsewhere = lively.listen(transport);
    let mut other = Line::accepted(&mut lively, &elsewhere);
    for _ in 0..20 {
        other.echo(&mut lively);
    }
    for id in 1..=50 {
        stuck.expect_peer(line.channel, &request(id, 50));
    }
    stuck.expect_nothing();
    lively.expect_nothing();
}

/// Notices, returned messages and last words pass; they need no room.
fn inbox_messages_let_the_engine_speak(transport: Transport) {
    let mut side = Side::start(Options::default().inbox_messages(1));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(1..=5, 50)).unwrap();
    side.turn();
    assert_eq!(delivered(&side, 1), 1);
    let nowhere = TempUdsPath::new().unwrap();
    let hello = side.hello(Address::uds_client(&nowhere).endpoint());
    side.turn();
    assert_eq!(delivered(&side, 1), 1);
    side.expect_peer(line.channel, &request(1, 50));
    side.expect_back(&hello, Status::UDS_PATH_NOT_FOUND);
    side.expect_closed(hello.channel_number(), Status::UDS_PATH_NOT_FOUND);
    for id in 2..=5 {
        side.expect_peer(line.channel, &request(id, 50));
    }
}

/// What is held counts: one read more than the limit at most.
fn inbox_bytes_pause_reading(transport: Transport) {
    const LIMIT_BYTES: usize = 100_000;
    const LAST: u64 = 500;
    let mut side = Side::start(Options::default().inbox_bytes(LIMIT_BYTES));
    let listening = side.listen(transport);
    let Line { channel, raw } = Line::accepted(&mut side, &listening);
    let sender = std::thread::spawn(move || {
        raw.send(&requests(1..=LAST, 1_000)).unwrap();
        raw
    });
    while side.stats().pauses_inbox_full == 0 {
        side.turn();
    }
    side.turn();
    let held = usize::try_from(delivered(&side, 1)).unwrap() * 1_016;
    assert!(held > LIMIT_BYTES / 2, "{held}");
    assert!(held < LIMIT_BYTES + 2 * 64 * 1024, "{held}");
    for id in 1..=LAST {
        side.expect_peer(channel, &request(id, 1_000));
    }
    let mut line = Line {
        channel,
        raw: sender.join().unwrap(),
    };
    line.echo(&mut side);
    side.expect_nothing();
}

/// What the first brings in the same turn counts for the second.
fn inbox_bytes_of_many_channels_at_once(transport: Transport) {
    let mut side = Side::start(Options::default().inbox_bytes(100_000));
    let listening = side.listen(transport);
    let lines: Vec<_> = (0..30)
        .map(|_| Line::accepted(&mut side, &listening))
        .collect();
    for line in &lines {
        line.raw.send(&requests(1..=2, 60_000)).unwrap();
    }
    let mut received = 0;
    while received < 60 {
        side.turn();
        let held = (delivered(&side, 30) - received) * 60_000;
        assert!(held <= 100_000 + 60_000, "{held}");
        // All that is there, which makes room for everybody at once.
        while let Some(msg) = side.group.wait_receive(Duration::ZERO).unwrap() {
            assert_eq!(msg.body().len(), 60_000);
            received += 1;
        }
    }
}

fn inbox_bytes_of_large_messages(transport: Transport) {
    const LAST: u64 = 20;
    let mut side = Side::start(Options::default().inbox_bytes(100_000));
    let listening = side.listen(transport);
    let Line { channel, raw } = Line::accepted(&mut side, &listening);
    let sender = std::thread::spawn(move || {
        raw.send(&requests(1..=LAST, 60_000)).unwrap();
        raw
    });
    while side.stats().pauses_inbox_full == 0 {
        side.turn();
    }
    side.turn();
    assert_eq!(delivered(&side, 1), 2, "the second reaches the limit");
    for id in 1..=LAST {
        side.expect_peer(channel, &request(id, 60_000));
    }
    drop(sender.join().unwrap());
    side.expect_closed(channel, Status::PEER_DISCONNECTED);
}

#[test]
fn inbox_updates_one_more_is_refused() {
    let mut side = Side::start(Options::default().inbox_updates(3).inbox_messages(1));
    let update = |id: u64| Message::new(OpCode::Request).id(id).with_body(b"update");
    for id in 1..=3 {
        let msg = side.pooled(update(id));
        side.group.update_receiver(Some(msg)).unwrap();
    }
    for poster in [side.group.poster(), side.group.poster()] {
        let error = poster
            .update_receiver(Some(side.pooled(update(4))))
            .unwrap_err();
        assert_eq!(error.kind(), PostErrorKind::QueueFull);
        assert_eq!(**error.message(), update(4), "changed by the refusal");
    }
    let error = side.group.update_receiver(None).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::QueueFull);
    // Another group has its own, and peers' messages are no updates.
    side.beside().group.update_receiver(None).unwrap();
    let listening = side.engine.create().map(drop);
    listening.unwrap();
    for id in 1..=3 {
        let msg = side.next();
        assert_eq!(msg.origin(), Origin::Local);
        assert_eq!(msg.status(), Status::RECEIVER_UPDATE);
        assert_eq!(msg.message_id().value(), id);
    }
    side.group
        .update_receiver(Some(side.pooled(update(5))))
        .unwrap();
    assert_eq!(side.next().message_id().value(), 5);
}
