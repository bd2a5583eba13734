//! What a channel's send queue holds, and what happens to one message more.

use std::thread::JoinHandle;

use tofu::prelude::*;

use crate::harness::{Build, Side, Transport, request};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    send_queue_messages_one_more_is_refused,
    send_queue_messages_of_one,
    send_queue_bytes_one_more_is_refused,
    send_queue_bytes_an_empty_queue_takes_any_message,
    send_queue_messages_no_refusal_no_notice,
    send_queue_messages_posted_by_many_at_once,
}

/// Filled, refused, told of room and filled again; the peer has everything, once and in order.
fn episodes(transport: Transport, options: Options, len: usize, queued: usize) {
    let mut side = Side::start(options);
    let (stuck, lively) = (Place::narrow(transport), Place::new(transport));
    let mut line = Line::dialed(&side, &stuck);
    let mut other = Line::dialed(&side, &lively);
    let mut next = 1;
    for _ in 0..2 {
        let ids = line.fill(&side, next, len);
        next += ids.len() as u64;
        assert!(side.take_ready_notices() < ids.len(), "one each at most");
        let before = side.stats();
        let info = side.info(line.channel).unwrap();
        assert_eq!(info.queued_messages, queued);
        assert_eq!(info.queued_bytes, queued * (16 + len));
        assert_eq!(before.queued_messages, queued);
        for _ in 0..5 {
            let refused = side.refused(&request(next, len).on(line.channel));
            assert_eq!(refused, PostErrorKind::QueueFull);
        }
        let stats = side.stats();
        assert_eq!(stats.posts_refused, before.posts_refused + 5);
        assert_eq!(
            stats.posts_refused_queue_full,
            before.posts_refused_queue_full + 5
        );
        other.echo(&mut side);
        side.expect_nothing();
        line.expect_ids(ids);
        side.expect_notice(line.channel, &Notice::SendQueueReady);
        line.says(&side, request(next, len));
        next += 1;
        side.expect_nothing();
    }
    assert_eq!(side.stats().queued_messages, 0);
    assert_eq!(side.stats().queued_bytes, 0);
    assert_eq!(side.stats().messages_returned, 0);
}

fn send_queue_messages_one_more_is_refused(transport: Transport) {
    episodes(
        transport,
        Options::default().send_queue_messages(6),
        30_000,
        6,
    );
}

fn send_queue_messages_of_one(transport: Transport) {
    episodes(
        transport,
        Options::default().send_queue_messages(1),
        30_000,
        1,
    );
}

/// Four frames of 30016 bytes fit, the fifth does not; a small one still would.
fn send_queue_bytes_one_more_is_refused(transport: Transport) {
    let options = Options::default().send_queue_bytes(150_000);
    episodes(transport, options.clone(), 30_000, 4);
    let side = Side::start(options);
    let place = Place::narrow(transport);
    let line = Line::dialed(&side, &place);
    let ids = line.fill(&side, 1, 30_000);
    let next = ids.len() as u64 + 1;
    side.post(request(next, 100).on(line.channel));
    let refused = side.refused(&request(next, 30_000).on(line.channel));
    assert_eq!(refused, PostErrorKind::QueueFull);
}

fn send_queue_bytes_an_empty_queue_takes_any_message(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_bytes(1));
    let place = Place::narrow(transport);
    let mut line = Line::dialed(&side, &place);
    let ids = line.fill(&side, 1, 65_535);
    assert_eq!(side.stats().queued_messages, 1);
    let refused = side.refused(&Message::new(OpCode::Signal).on(line.channel));
    assert_eq!(refused, PostErrorKind::QueueFull, "not even the smallest");
    side.take_ready_notices();
    line.expect_ids(ids);
    side.expect_notice(line.channel, &Notice::SendQueueReady);
    side.expect_nothing();
}

/// A queue that was full to the last message, and refused none.
fn send_queue_messages_no_refusal_no_notice(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(500));
    let place = Place::narrow(transport);
    let mut line = Line::dialed(&side, &place);
    for id in 1..=500 {
        side.post(request(id, 1_000).on(line.channel));
    }
    line.expect_ids(1..=500);
    side.expect_nothing();
    assert_eq!(side.stats().posts_refused, 0);
}

/// Never more than there may be, and each that was taken gets there once, in its poster's order.
fn send_queue_messages_posted_by_many_at_once(transport: Transport) {
    const QUEUE: usize = 10;
    let side = Side::start(Options::default().send_queue_messages(QUEUE));
    let place = Place::narrow(transport);
    let mut line = Line::dialed(&side, &place);
    let threads: Vec<_> = (1..=4_u64)
        .map(|thread| {
            let (poster, channel) = (side.group.poster(), line.channel);
            std::thread::spawn(move || {
                let mut taken = Vec::new();
                for id in thread * 1_000..thread * 1_000 + 300 {
                    let message = request(id, 5_000).on(channel);
                    match poster.post(Msg::from(message)) {
                        Ok(_) => taken.push(id),
                        Err(error) => assert_eq!(error.kind(), PostErrorKind::QueueFull),
                    }
                }
                taken
            })
        })
        .collect();
    while !threads.iter().all(JoinHandle::is_finished) {
        assert!(side.stats().queued_messages <= QUEUE);
    }
    let mut taken: Vec<Vec<u64>> = threads
        .into_iter()
        .map(|thread| thread.join().unwrap())
        .collect();
    let count: usize = taken.iter().map(Vec::len).sum();
    assert!((QUEUE..1_200).contains(&count), "{count}");
    for ids in &mut taken {
        ids.reverse();
    }
    for _ in 0..count {
        let id = line.receive_id();
        let poster = usize::try_from(id / 1_000 - 1).unwrap();
        assert_eq!(taken[poster].pop(), Some(id));
    }
    line.expect_nothing_more(&side);
}

/// Nothing is queued beyond a ByeSignal, which passes a full queue; all comes back in order.
#[test]
fn send_queue_messages_let_a_bye_signal_pass() {
    let mut side = Side::start(Options::default().send_queue_messages(4));
    let place = Place::narrow(Transport::Tcp);
    let line = Line::dialed(&side, &place);
    let ids = line.fill(&side, 1, 30_000);
    side.take_ready_notices();
    let signal = side.post(Message::new(OpCode::ByeSignal).on(line.channel).id(77));
    side.expect_back(&signal, Status::CHANNEL_CLOSED);
    for &id in &ids[ids.len() - 4..] {
        let posted = request(id, 30_000).on(line.channel);
        side.expect_back(&posted, Status::CHANNEL_CLOSED);
    }
    side.expect_closed(line.channel, Status::CHANNEL_CLOSED);
    assert_eq!(side.stats().messages_returned, 5);
    side.expect_nothing();
}
