//! `reserve`: room that is held, used and given back.

use std::task::Poll;
use std::time::Duration;

use futures_lite::future::block_on;
use tofu_chnls::{Options, PostErrorKind};
use tofu_msg::{ChannelNumber, HEADER_LEN, OpCode};
use tofu_testkit::Random;

use crate::kit::{Bell, LEN, Line, QUEUE, dial, expect_ids, signal};

const FRAME: usize = HEADER_LEN + LEN;

#[test]
fn what_is_reserved_counts_as_queued_and_is_not_refused() {
    let mut line = Line::new(Options::default());
    let permits: Vec<_> = (0..QUEUE)
        .map(|_| block_on(line.group.reserve(line.channel, FRAME)).unwrap())
        .collect();
    assert_eq!(line.queued(line.channel), QUEUE);
    assert_eq!(line.engine.stats().queued_bytes, QUEUE * FRAME);
    let error = line.group.post(line.signal(line.channel, 9)).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::QueueFull);
    for (permit, id) in permits.into_iter().zip(1..) {
        permit.post(line.signal(line.channel, id)).unwrap();
    }
    expect_ids(&mut line.peer, 1..=QUEUE as u64);
    line.turn();
    assert_eq!(line.engine.stats().queued_messages, 0);
    assert_eq!(line.engine.stats().queued_bytes, 0);
    // The refused post is told of room, once.
    let mut notices = 0;
    while line.group.wait_receive(Duration::ZERO).unwrap().is_some() {
        notices += 1;
    }
    assert_eq!(notices, 1);
}

#[test]
fn a_permit_that_is_dropped_makes_room_for_those_who_wait() {
    let line = Line::new(Options::default());
    let mut permits: Vec<_> = (0..QUEUE)
        .map(|_| block_on(line.group.reserve(line.channel, FRAME)).unwrap())
        .collect();
    let bell = Bell::new();
    let mut post = line.group.post_async(line.signal(line.channel, 1));
    let mut reserve = line.group.reserve(line.channel, FRAME);
    assert!(bell.poll(&mut post).is_pending());
    assert!(bell.poll(&mut reserve).is_pending());
    permits.truncate(QUEUE / 2);
    bell.wait(1);
    assert!(bell.poll(&mut post).is_ready());
    assert!(bell.poll(&mut reserve).is_ready());
    drop(permits);
    bell.expect_let_go();
}

/// The budget of all channels is held by permits of one; another waits for it.
#[test]
fn the_engines_budget_given_back_by_a_permit_wakes_who_waits_elsewhere() {
    let line = Line::new(Options::default().send_budget(4 * FRAME));
    let (other, mut peer, _path) = dial(&line.engine, &line.group);
    let first = block_on(line.group.reserve(other, 16)).unwrap();
    let permits: Vec<_> = (0..4)
        .map(|_| block_on(line.group.reserve(line.channel, FRAME - 16)).unwrap())
        .collect();
    let bell = Bell::new();
    let mut post = line.group.post_async(line.signal(other, 1));
    assert!(bell.poll(&mut post).is_pending());
    line.turn();
    assert_eq!(bell.count(), 0);
    drop(permits);
    bell.wait(0);
    assert!(bell.poll(&mut post).is_ready());
    expect_ids(&mut peer, [1]);
    drop(first);
}

#[test]
fn a_wait_that_is_dropped_at_any_poll_leaves_nothing_behind() {
    const MESSAGES: u64 = 200;
    let mut random = Random::new(tofu_testkit::seed());
    let line = Line::new(Options::default());
    let mut peer = line.peer.try_clone().unwrap();
    let reader = std::thread::spawn(move || expect_ids(&mut peer, 1..=MESSAGES));
    let bell = Bell::new();
    let mut id = 1;
    while id <= MESSAGES {
        let mut future = line.group.reserve(line.channel, FRAME);
        for _ in 0..random.below(4) {
            let before = bell.count();
            match bell.poll(&mut future) {
                Poll::Pending => bell.wait(before),
                // A permit may be dropped as well.
                Poll::Ready(_) if random.below(3) == 0 => break,
                Poll::Ready(permit) => {
                    permit.unwrap().post(line.signal(line.channel, id)).unwrap();
                    id += 1;
                    break;
                }
            }
        }
    }
    reader.join().unwrap();
    line.turn();
    assert_eq!(line.engine.stats().queued_messages, 0);
    assert_eq!(line.engine.stats().queued_bytes, 0);
    bell.expect_let_go();
}

#[test]
fn a_permit_is_for_its_channel_and_its_length() {
    let (line, next) = Line::full();
    let (other, _peer, _path) = dial(&line.engine, &line.group);
    let permit = block_on(line.group.reserve(other, FRAME)).unwrap();
    let error = permit.post(line.signal(line.channel, next)).unwrap_err();
    assert!(matches!(error.kind(), PostErrorKind::NotAllowed(_)));
    let permits: Vec<_> = (0..QUEUE)
        .map(|_| block_on(line.group.reserve(other, HEADER_LEN)).unwrap())
        .collect();
    let mut results = Vec::new();
    for (permit, len) in permits.into_iter().zip([1, 0, 0, 0]) {
        let result = permit.post(signal(&line.engine, other, 1, len));
        results.push(result.map(drop).map_err(|error| error.kind()));
    }
    assert_eq!(
        results,
        [Err(PostErrorKind::QueueFull), Ok(()), Ok(()), Ok(())]
    );
}

#[test]
fn a_channel_that_ends_takes_the_room_along() {
    let line = Line::new(Options::default());
    let permits: Vec<_> = (0..2)
        .map(|_| block_on(line.group.reserve(line.channel, FRAME)).unwrap())
        .collect();
    let mut bye = signal(&line.engine, line.channel, 0, 0);
    bye.set_op_code(OpCode::ByeSignal);
    line.group.post(bye).unwrap();
    line.turn();
    for permit in permits {
        let error = permit.post(line.signal(line.channel, 1)).unwrap_err();
        assert_eq!(error.kind(), PostErrorKind::ChannelClosed);
    }
    assert_eq!(line.engine.stats().queued_bytes, 0);
    let kind = block_on(line.group.reserve(line.channel, FRAME)).unwrap_err();
    assert_eq!(kind, PostErrorKind::ChannelClosed);
    let nowhere = ChannelNumber::new(77);
    let kind = block_on(line.group.reserve(nowhere, FRAME)).unwrap_err();
    assert_eq!(kind, PostErrorKind::InvalidChannelNumber);
}

#[test]
fn a_wait_for_room_ends_with_the_engine() {
    let (line, _) = Line::full();
    let bell = Bell::new();
    let mut future = line.group.reserve(line.channel, FRAME);
    assert!(bell.poll(&mut future).is_pending());
    line.engine.shutdown(Duration::ZERO);
    bell.wait(0);
    assert_eq!(
        block_on(future).unwrap_err(),
        PostErrorKind::ShutdownStarted
    );
}
