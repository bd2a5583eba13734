//! A peer that does not take what there is for it.

use std::time::{Duration, Instant};

use tofu::prelude::*;

use crate::harness::{Build, SHORT, Side, Transport, assert_waited, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

const LEN: usize = 20_000;

on_both! {
    write_stall_timeout_of_one_who_does_not_read,
    write_stall_timeout_is_survived_by_a_shorter_pause,
    write_stall_timeout_is_survived_by_one_who_reads_slowly,
    write_stall_timeout_does_not_run_without_data,
    write_stall_timeout_runs_on_while_the_inbox_is_full,
}

fn stuck(transport: Transport, timeout: Duration) -> (Side, Line, Vec<u64>, Place) {
    let options = Options::default().write_stall_timeout(timeout);
    let mut side = Side::start(options.send_queue_messages(20));
    let place = Place::narrow(transport);
    let line = Line::dialed(&side, &place);
    let ids = line.fill(&side, 1, LEN);
    side.take_ready_notices();
    (side, line, ids, place)
}

/// The queue comes back, in order; what the kernel has taken wholly does not.
fn write_stall_timeout_of_one_who_does_not_read(transport: Transport) {
    let start = Instant::now();
    let (mut side, mut line, ids, _place) = stuck(transport, SHORT * 2);
    let lively = Place::new(transport);
    let mut other = Line::dialed(&side, &lively);
    let why = Status::WRITE_STALL_TIMEOUT;
    let last = ids.len() as u64;
    let sent = side.expect_rest_back(&line, last, LEN, why) - 1;
    assert!(last - sent > 10, "{sent} of {last}");
    let info = side.expect_closed(line.channel, why);
    assert_waited(start, SHORT * 2);
    assert_eq!(info.messages_sent, 1 + sent);
    let stats = side.stats();
    assert_eq!((stats.timeouts, stats.messages_returned), (1, last - sent));
    assert_eq!((stats.queued_messages, stats.queued_bytes), (0, 0));
    other.echo(&mut side);
    side.expect_nothing();
    // None of it is told twice: the peer finds what was sent, at most.
    let (frames, _) = line.raw.receive_all(SHORT);
    for (frame, id) in frames.iter().zip(1..) {
        assert_eq!(frame.message_id().value(), id);
        assert!(id <= sent, "told twice");
    }
}

fn write_stall_timeout_is_survived_by_a_shorter_pause(transport: Transport) {
    let (mut side, mut line, ids, _place) = stuck(transport, SHORT * 4);
    for part in ids.chunks(ids.len() / 2 + 1) {
        side.pass(SHORT * 2);
        line.expect_ids(part.to_vec());
    }
    side.expect_notice(line.channel, &Notice::SendQueueReady);
    line.echo(&mut side);
    assert_eq!(side.stats().timeouts, 0);
}

/// It takes a little all the time, and never pauses for anything like the timeout.
fn write_stall_timeout_is_survived_by_one_who_reads_slowly(transport: Transport) {
    let timeout = SHORT * 2;
    let (mut side, mut line, ids, _place) = stuck(transport, timeout);
    let start = Instant::now();
    let mut ids = ids.into_iter();
    while start.elapsed() < timeout * 3 {
        line.expect_ids(ids.next());
        side.pass(timeout / 5);
    }
    line.expect_ids(ids);
    side.expect_notice(line.channel, &Notice::SendQueueReady);
    line.echo(&mut side);
}

/// An idle channel is not stalled, however long.
fn write_stall_timeout_does_not_run_without_data(transport: Transport) {
    let mut side = Side::start(Options::default().write_stall_timeout(SHORT));
    let place = Place::new(transport);
    let mut line = Line::dialed(&side, &place);
    line.says(&side, request(1, 1));
    side.pass(SHORT * 3);
    line.echo(&mut side);
    side.expect_nothing();
}

/// It waits for the peer to take, not to send. What was read of the peer before is not lost.
fn write_stall_timeout_runs_on_while_the_inbox_is_full(transport: Transport) {
    let options = Options::default().inbox_messages(2);
    let mut side = Side::start(options.write_stall_timeout(SHORT * 2));
    let place = Place::narrow(transport);
    let line = Line::dialed(&side, &place);
    line.raw.send(&requests(1..=5, 10)).unwrap();
    side.turn();
    let clogged = line.clog(&side);
    let last = clogged + 20;
    for id in clogged + 1..=last {
        side.post(request(id, 60_000).on(line.channel));
    }
    side.pass(SHORT * 3);
    for id in 1..=5 {
        side.expect_peer(line.channel, &request(id, 10));
    }
    let why = Status::WRITE_STALL_TIMEOUT;
    side.expect_rest_back(&line, last, 60_000, why);
    let info = side.expect_closed(line.channel, why);
    assert_eq!(info.messages_received, 5);
    side.expect_nothing();
}
