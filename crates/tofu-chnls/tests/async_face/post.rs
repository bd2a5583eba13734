//! `post_async`: waiting for room, giving it up at any poll, and what ends the waiting.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use async_executor::LocalExecutor;
use futures_lite::future::block_on;
use tofu_chnls::{ChannelGroup, Msg, Options, PostAsync, PostError, PostErrorKind, Reactor};
use tofu_msg::{ChannelNumber, OpCode};
use tofu_testkit::Random;

use crate::kit::{Bell, LEN, Line, QUEUE, dial, expect_ids, next_id, signal};

#[test]
fn where_there_is_room_nothing_waits() {
    let line = Line::new(Options::default());
    let bell = Bell::new();
    let mut future = line.group.post_async(line.signal(line.channel, 1));
    let Poll::Ready(Ok(header)) = bell.poll(&mut future) else {
        panic!("there is room");
    };
    assert_eq!(header.channel_number, line.channel);
    assert_eq!(bell.count(), 0);
    bell.expect_let_go();
    assert!(bell.poll(&mut future).is_pending(), "it has been ready");
    assert!(future.into_message().is_none());
}

#[test]
fn a_post_waits_for_room_and_is_sent_behind_the_others() {
    let (mut line, next) = Line::full();
    let bell = Bell::new();
    let poster = line.group.poster();
    let mut future = poster.post_async(line.signal(line.channel, next));
    assert!(bell.poll(&mut future).is_pending());
    assert!(bell.poll(&mut future).is_pending(), "polled for nothing");
    assert_eq!(bell.count(), 0);
    line.expect_ids(1..next);
    bell.wait(0);
    assert!(bell.poll(&mut future).is_ready());
    line.expect_ids([next]);
    line.turn();
    assert!(
        line.group.wait_receive(Duration::ZERO).unwrap().is_none(),
        "no notice"
    );
}

/// Posts are given up at random polls: as a whole, or with the message kept and posted again.
#[test]
fn a_post_that_is_dropped_at_any_poll_is_not_sent_and_holds_up_nobody() {
    const MESSAGES: u64 = 400;
    let mut random = Random::new(tofu_testkit::seed());
    let line = Line::new(Options::default());
    let mut peer = line.peer.try_clone().unwrap();
    let reader = std::thread::spawn(move || expect_ids(&mut peer, 1..=MESSAGES));
    let bell = Bell::new();
    for id in 1..=MESSAGES {
        let mut kept = None;
        loop {
            let fresh = || line.signal(line.channel, id);
            let mut future = line.group.post_async(kept.take().unwrap_or_else(fresh));
            if poll_some(&bell, &mut future, random.below(4)).is_some() {
                break;
            }
            if random.below(2) == 0 {
                kept = future.into_message();
                assert!(kept.is_some(), "it was not posted");
            }
        }
    }
    reader.join().unwrap();
    line.turn();
    bell.expect_let_go();
    assert_eq!(line.queued(line.channel), 0);
}

/// Polls at most so often, each time after a wake-up.
fn poll_some(bell: &Arc<Bell>, future: &mut PostAsync<'_>, times: u64) -> Option<()> {
    for _ in 0..times {
        let before = bell.count();
        if let Poll::Ready(posted) = bell.poll(future) {
            posted.unwrap();
            return Some(());
        }
        bell.wait(before);
    }
    None
}

#[test]
fn all_who_wait_are_served_and_one_that_gives_up_holds_up_nobody() {
    let (mut line, next) = Line::full();
    let group = &line.group;
    let waiting = 3 * QUEUE as u64;
    let bell = Bell::new();
    let mut given_up: Vec<_> = (0..3)
        .map(|_| group.post_async(line.signal(line.channel, 999)))
        .collect();
    assert!(bell.poll(&mut given_up[0]).is_pending());
    let executor = LocalExecutor::new();
    let post = |id: u64| executor.spawn(group.post_async(line.signal(line.channel, id)));
    let mut tasks: Vec<_> = (next..next + waiting / 2).map(post).collect();
    while executor.try_tick() {}
    assert!(bell.poll(&mut given_up[1]).is_pending());
    tasks.extend((next + waiting / 2..next + waiting).map(post));
    while executor.try_tick() {}
    assert!(bell.poll(&mut given_up[2]).is_pending());
    // One before room is made, one in between, and one that is woken and then not polled again.
    drop(given_up.remove(0));
    let peer = &mut line.peer;
    expect_ids(peer, 1..next);
    drop(given_up.remove(0));
    let reader = {
        let mut peer = peer.try_clone().unwrap();
        std::thread::spawn(move || -> BTreeSet<u64> {
            (0..waiting).map(|_| next_id(&mut peer)).collect()
        })
    };
    for task in tasks {
        block_on(executor.run(task)).unwrap();
    }
    let ids = reader.join().unwrap();
    assert!(ids.into_iter().eq(next..next + waiting));
    drop(given_up);
    line.turn();
    bell.expect_let_go();
}

#[test]
fn room_on_one_channel_wakes_nobody_who_waits_on_another() {
    let (mut line, next) = Line::full();
    let (other, mut peer, _path) = dial(&line.engine, &line.group);
    let next_there = line.fill(other);
    let (here, there) = (Bell::new(), Bell::new());
    let mut first = line.group.post_async(line.signal(line.channel, next));
    let mut second = line.group.post_async(line.signal(other, next_there));
    assert!(here.poll(&mut first).is_pending());
    assert!(there.poll(&mut second).is_pending());
    expect_ids(&mut peer, 1..next_there);
    there.wait(0);
    assert!(there.poll(&mut second).is_ready());
    line.turn();
    assert_eq!(here.count(), 0);
    expect_ids(&mut line.peer, 1..next);
    here.wait(0);
    assert!(here.poll(&mut first).is_ready());
}

/// A post waits on a full channel, then `end` is done; why it is refused. Its message comes back as it was.
#[track_caller]
fn refused_after(end: impl FnOnce(Line)) -> PostErrorKind {
    let (line, next) = Line::full();
    let poster = line.group.poster();
    let message = line.signal(line.channel, next);
    let before = (*message).clone();
    let bell = Bell::new();
    let mut future = poster.post_async(message);
    assert!(bell.poll(&mut future).is_pending());
    end(line);
    bell.wait(0);
    let error: PostError = block_on(future).unwrap_err();
    assert_eq!(**error.message(), before);
    bell.expect_let_go();
    error.kind()
}

#[test]
fn the_end_of_the_channel_ends_the_wait() {
    let mut line = None;
    let kind = refused_after(|full| {
        let mut signal = signal(&full.engine, full.channel, 0, 0);
        signal.set_op_code(OpCode::ByeSignal);
        full.group.post(signal).unwrap();
        line = Some(full);
    });
    assert_eq!(kind, PostErrorKind::ChannelClosed);
}

#[test]
fn the_end_of_the_peer_ends_the_wait() {
    let mut kept: Option<(Reactor, ChannelGroup)> = None;
    let kind = refused_after(|full| {
        kept = Some((full.engine, full.group));
        full.peer.reset().unwrap();
    });
    assert_eq!(kind, PostErrorKind::ChannelClosed);
}

#[test]
fn the_end_of_the_group_ends_the_wait() {
    let kind = refused_after(|full| drop(full.group.destroy(Duration::ZERO)));
    assert!(
        matches!(
            kind,
            PostErrorKind::InvalidChannelGroup
                | PostErrorKind::ChannelClosed
                | PostErrorKind::ShutdownStarted
        ),
        "{kind:?}"
    );
}

#[test]
fn the_end_of_the_engine_ends_the_wait() {
    let kind = refused_after(|full| {
        full.engine.shutdown(Duration::ZERO);
    });
    assert_eq!(kind, PostErrorKind::ShutdownStarted);
    let kind = refused_after(|full| full.engine.plant_panic());
    assert!(
        matches!(
            kind,
            PostErrorKind::ProcessingFailed | PostErrorKind::ShutdownStarted
        ),
        "{kind:?}"
    );
}

#[test]
fn what_post_refuses_is_refused_at_once() {
    let line = Line::new(Options::default());
    let mut nowhere: Msg = line.signal(line.channel, 1);
    nowhere.set_channel_number(ChannelNumber::new(77));
    let error = block_on(line.group.post_async(nowhere)).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::InvalidChannelNumber);
    assert_eq!(error.message().body().len(), LEN);
}
