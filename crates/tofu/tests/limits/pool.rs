//! The pool: what it holds, what it stops at, and who is told once.

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{Build, Listening, Side, Transport, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    pool_maximum_counts_what_waits_in_the_inbox,
    pool_maximum_stops_reading_until_messages_return,
    pool_maximum_counts_large_messages,
    pool_maximum_does_not_count_what_waits_to_be_sent,
    pool_maximum_of_one,
    pool_maximum_half_of_it_for_a_group,
    pool_maximum_episodes_are_told_once,
}

#[test]
fn pool_initial_is_there_and_pool_only_never_creates() {
    let side = Side::start(Options::default().pool_initial(3).pool_maximum(10));
    assert_eq!(side.stats().pool_free, 3);
    let pool_only = || side.engine.get(Allocation::PoolOnly).unwrap();
    let taken: Vec<_> = (0..3).map(|_| pool_only().unwrap()).collect();
    assert!(pool_only().is_none());
    let fresh = side.engine.get(Allocation::Always).unwrap().unwrap();
    assert!(pool_only().is_none());
    let stats = side.stats();
    assert_eq!((stats.pool_in_use, stats.pool_free), (4, 0));
    drop((taken, fresh));
    let stats = side.stats();
    assert_eq!((stats.pool_in_use, stats.pool_free), (0, 4));
    assert!(pool_only().is_some());
}

#[test]
fn pool_initial_is_never_more_than_the_maximum() {
    let side = Side::start(Options::default().pool_initial(9).pool_maximum(2));
    assert_eq!(side.stats().pool_free, 2);
    let side = Side::start(Options::default().pool_initial(0));
    assert!(side.engine.get(Allocation::PoolOnly).unwrap().is_none());
    assert!(side.engine.get(Allocation::Always).unwrap().is_some());
}

#[test]
fn pool_maximum_bounds_what_is_kept_and_never_refuses() {
    let side = Side::start(Options::default().pool_initial(1).pool_maximum(4));
    let taken: Vec<_> = (0..10).map(|_| side.engine.message().unwrap()).collect();
    assert_eq!(side.stats().pool_in_use, 10);
    drop(taken);
    let stats = side.stats();
    assert_eq!((stats.pool_in_use, stats.pool_free), (0, 4));
}

/// What the unused hold counts; one that is much larger than its part keeps nothing.
#[test]
fn pool_bytes_bound_what_is_kept() {
    let options = Options::default().pool_initial(0).pool_maximum(100);
    let side = Side::start(options.pool_bytes(10_000));
    let with_body = |len: usize| side.pooled(Message::default().with_body(&vec![1; len]));
    let taken: Vec<_> = (0..8).map(|_| with_body(3_000)).collect();
    assert!(taken.iter().all(|msg| msg.capacity() >= 3_000));
    drop(taken);
    let stats = side.stats();
    assert_eq!(stats.pool_free, 3);
    assert!((9_000..=10_000).contains(&stats.kept_bytes), "{stats:?}");
    // Large ones give up their buffers and are kept like that.
    drop((0..8).map(|_| with_body(60_000)).collect::<Vec<_>>());
    let kept = side.stats().pool_free;
    assert!((4..=11).contains(&kept), "{kept}");
    let free = std::iter::from_fn(|| side.engine.get(Allocation::PoolOnly).unwrap());
    let free: Vec<_> = free.collect();
    let held: usize = free.iter().map(|msg| msg.capacity()).sum();
    assert!(held <= 10_000, "{held}");
    assert_eq!(side.stats().kept_bytes, 0, "all of it was taken");
}

fn pool_maximum_counts_what_waits_in_the_inbox(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(1..=20, 9)).unwrap();
    side.turn();
    let stats = side.stats();
    assert_eq!(stats.pool_in_use, 4, "the group's half");
    assert_eq!(stats.messages_received, 1 + 4);
    assert!(stats.pauses_pool_empty >= 1);
    assert_eq!(stats.pauses_inbox_full, 0);
    expect_all(&mut side, &line, 1..=20);
    assert_eq!(side.stats().pool_in_use, 0);
}

/// The peer's requests with these ids come in order, and notices between them: never two without
/// a message between.
#[track_caller]
fn expect_all(side: &mut Side, line: &Line, ids: impl IntoIterator<Item = u64>) -> usize {
    let mut notices = 0;
    let mut told_last = false;
    let mut ids = ids.into_iter().peekable();
    while let Some(&id) = ids.peek() {
        let msg = side.next();
        if msg.origin() == Origin::Engine {
            assert_eq!(msg.status(), Status::POOL_EMPTY, "{msg:?}");
            assert_eq!(msg.channel_number(), line.channel);
            assert!(!told_last, "told twice");
            notices += 1;
        } else {
            assert_eq!(msg.channel_number(), line.channel);
            assert_eq!(msg.message_id().value(), id);
            ids.next();
        }
        told_last = msg.origin() == Origin::Engine;
    }
    notices
}

/// What the application holds counts as well, wherever it has it from.
fn pool_maximum_stops_reading_until_messages_return(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(4));
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    let mut held: Vec<_> = (0..4).map(|_| side.engine.message().unwrap()).collect();
    line.raw.send(&requests(1..=9, 9)).unwrap();
    let msg = side.expect_notice(line.channel, &Notice::PoolEmpty);
    assert_eq!(msg.status(), Status::POOL_EMPTY);
    assert_eq!(msg.cause().unwrap().status(), Status::POOL_EMPTY);
    for _ in 0..10 {
        side.expect_nothing();
    }
    let stats = side.stats();
    assert_eq!((stats.messages_received, stats.pool_in_use), (1, 4));
    // Sending needs no pool; what is posted is not the application's any more.
    let msg = held.pop().unwrap();
    drop(msg);
    expect_all(&mut side, &line, 1..=9);
    line.says(&side, request(77, 7));
    drop(held);
    line.echo(&mut side);
}

/// As exactly as small ones.
fn pool_maximum_counts_large_messages(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let listening = side.listen(transport);
    let Line { channel, raw } = Line::accepted(&mut side, &listening);
    let sender = std::thread::spawn(move || {
        raw.send(&requests(1..=20, 30_000)).unwrap();
        raw
    });
    while side.stats().pauses_pool_empty == 0 {
        side.turn();
    }
    side.turn();
    assert_eq!(side.stats().pool_in_use, 4, "the group's half");
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    let mut line = Line { channel, raw };
    expect_all(&mut side, &line, 1..=20);
    line.raw = sender.join().unwrap();
    side.take_pool_notices();
    line.echo(&mut side);
}

/// Peers that take nothing do not stop those who send.
fn pool_maximum_does_not_count_what_waits_to_be_sent(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(4));
    let place = Place::narrow(transport);
    let stuck = Line::dialed(&side, &place);
    let clogged = stuck.clog(&side);
    for id in clogged + 1..clogged + 20 {
        side.post(request(id, 60_000).on(stuck.channel));
        side.post(request(id, 10).on(stuck.channel));
    }
    assert!(side.stats().queued_messages > 20);
    assert_eq!(side.stats().pool_in_use, 0);
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    line.echo(&mut side);
    line.raw.send(&requests(1..=50, 9)).unwrap();
    expect_all(&mut side, &line, 1..=50);
}

fn pool_maximum_of_one(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(1));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(1..=100, 9)).unwrap();
    expect_all(&mut side, &line, 1..=100);
}

/// Everything of one group's half is held, by its inbox or by its application.
fn stuck_group(side: &mut Side, transport: Transport) -> (Listening, Line, Vec<Msg>) {
    let listening = side.listen(transport);
    let line = Line::accepted(side, &listening);
    line.raw.send(&requests(1..=50, 9)).unwrap();
    let mut held = Vec::new();
    while held.len() < 4 {
        let msg = side.next();
        if msg.origin() == Origin::Peer {
            held.push(msg);
        }
    }
    side.turn();
    (listening, line, held)
}

fn pool_maximum_half_of_it_for_a_group(transport: Transport) {
    let mut stuck = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let (_listening, line, held) = stuck_group(&mut stuck, transport);
    let mut lively = stuck.beside();
    let elsewhere = lively.listen(transport);
    let mut other = Line::accepted(&mut lively, &elsewhere);
    for _ in 0..20 {
        other.echo(&mut lively);
    }
    other.raw.send(&requests(1..=40, 9)).unwrap();
    expect_all(&mut lively, &other, 1..=40);
    assert_eq!(stuck.stats().pool_in_use, 4);
    drop(held);
    expect_all(&mut stuck, &line, 5..=50);
    lively.take_pool_notices();
    lively.expect_nothing();
}

impl Side {
    /// A last pause may be told of behind the last message.
    fn take_pool_notices(&mut self) {
        self.turn();
        while let Some(msg) = self.group.wait_receive(std::time::Duration::ZERO).unwrap() {
            assert_eq!(msg.status(), Status::POOL_EMPTY, "{msg:?}");
        }
    }
}

/// Several channels of the group pause, and more comes in: one notice, until something is
/// delivered again.
fn pool_maximum_episodes_are_told_once(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let listening = side.listen(transport);
    let lines: Vec<_> = (0..3)
        .map(|_| Line::accepted(&mut side, &listening))
        .collect();
    for round in 0..3 {
        let held: Vec<_> = (0..8).map(|_| side.engine.message().unwrap()).collect();
        for part in 0..3 {
            for line in &lines {
                line.raw.send(&requests([part], 9)).unwrap();
            }
            side.turn();
        }
        let notice = side.next();
        assert_eq!(notice.status(), Status::POOL_EMPTY, "round {round}");
        side.expect_nothing();
        drop(held);
        let mut received = 0;
        while received < 9 {
            received += usize::from(side.next().origin() == Origin::Peer);
        }
        side.take_pool_notices();
    }
    side.expect_nothing();
}
