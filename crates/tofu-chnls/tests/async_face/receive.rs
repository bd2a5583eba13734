//! `receive` and the stream: nothing lost by whatever is dropped, and woken by whatever ends it.

use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use futures_lite::StreamExt;
use futures_lite::future::block_on;
use tofu_chnls::{Ampe, EngineError, Msg, Options, Reactor};
use tofu_msg::{Origin, Status};
use tofu_testkit::Random;

use crate::kit::{Bell, LIMIT, Line, say};

fn id(received: Result<Msg, EngineError>) -> u64 {
    let msg = received.unwrap();
    assert_eq!(msg.origin(), Origin::Peer, "{msg:?}");
    msg.message_id().value()
}

#[test]
fn a_task_that_found_nothing_is_woken_once_something_comes() {
    let mut line = Line::new(Options::default());
    let bell = Bell::new();
    let mut future = line.group.receive();
    assert!(bell.poll(&mut future).is_pending());
    assert!(bell.poll(&mut future).is_pending(), "polled for nothing");
    assert_eq!(bell.count(), 0);
    say(&line.peer, 1..=2);
    bell.wait(0);
    let Poll::Ready(first) = bell.poll(&mut future) else {
        panic!("woken for nothing");
    };
    assert_eq!(id(first), 1);
    assert_eq!(id(block_on(line.group.receive())), 2);
}

#[test]
fn of_several_tasks_the_last_that_polled_is_woken() {
    let mut line = Line::new(Options::default());
    let (first, last) = (Bell::new(), Bell::new());
    let mut future = line.group.receive();
    assert!(first.poll(&mut future).is_pending());
    assert!(last.poll(&mut future).is_pending());
    say(&line.peer, 1..=1);
    last.wait(0);
    assert_eq!(first.count(), 0);
    first.expect_let_go();
    assert!(last.poll(&mut future).is_ready());
}

/// The peer speaks while futures are made, polled and dropped at random; threads' calls between.
#[test]
fn what_is_dropped_at_any_poll_loses_nothing() {
    const MESSAGES: u64 = 3000;
    let mut random = Random::new(tofu_testkit::seed());
    let mut line = Line::new(Options::default());
    let peer = line.peer.try_clone().unwrap();
    let speaker = std::thread::spawn(move || say(&peer, 1..=MESSAGES));
    let bell = Bell::new();
    let mut next = 1;
    while next <= MESSAGES {
        let before = bell.count();
        let received = match random.below(8) {
            0 => line.group.wait_receive(Duration::ZERO).unwrap().map(Ok),
            1 => {
                let timeout = Duration::from_micros(random.below(50));
                line.group.wait_receive(timeout).unwrap().map(Ok)
            }
            2 => Some(block_on(line.group.receive())),
            3 => {
                drop(line.group.receive());
                None
            }
            _ => {
                let mut future = line.group.receive();
                match bell.poll(&mut future) {
                    Poll::Ready(received) => Some(received),
                    Poll::Pending if random.below(2) == 0 => None,
                    Poll::Pending => {
                        bell.wait(before);
                        None
                    }
                }
            }
        };
        if let Some(received) = received {
            assert_eq!(id(received), next);
            next += 1;
        }
    }
    speaker.join().unwrap();
    line.turn();
    assert!(line.group.wait_receive(Duration::ZERO).unwrap().is_none());
}

#[test]
fn a_long_run_gives_way_to_others_and_goes_on() {
    let mut line = Line::new(Options::default());
    say(&line.peer, 1..=300);
    let first = line.group.wait_receive(LIMIT).unwrap();
    assert!(first.is_some());
    let bell = Bell::new();
    let (mut received, mut gave_way) = (1, 0);
    while received < 300 {
        let before = bell.count();
        match bell.poll(&mut line.group.receive()) {
            Poll::Ready(_) => received += 1,
            Poll::Pending => {
                gave_way += usize::from(bell.count() > before);
                bell.wait(before);
            }
        }
    }
    assert!(gave_way <= 2, "every 128 messages: {gave_way}");
    assert!(line.group.wait_receive(Duration::ZERO).unwrap().is_none());
}

#[test]
fn an_update_wakes_the_task() {
    let mut line = Line::new(Options::default());
    let poster = line.group.poster();
    let bell = Bell::new();
    let mut future = line.group.receive();
    assert!(bell.poll(&mut future).is_pending());
    poster.update_receiver(None).unwrap();
    bell.wait(0);
    let msg = block_on(future).unwrap();
    assert_eq!(msg.status(), Status::RECEIVER_UPDATE);
}

#[test]
fn the_end_of_the_engine_wakes_the_task_and_ends_the_stream() {
    let mut line = Line::new(Options::default());
    say(&line.peer, 1..=1);
    let bell = Bell::new();
    block_on(line.group.receive()).unwrap();
    assert!(bell.poll(&mut line.group.receive()).is_pending());
    let report = line.engine.shutdown(Duration::ZERO);
    assert!(report.complete);
    bell.wait(0);
    let closed = block_on(line.group.receive()).unwrap();
    assert_eq!(closed.status(), Status::CHANNEL_CLOSED);
    for _ in 0..3 {
        let ended = block_on(line.group.receive());
        assert!(matches!(ended, Err(EngineError::ShutdownStarted)));
    }
    assert!(block_on(line.group.next()).is_none());
}

#[test]
fn a_failure_is_told_and_then_the_stream_ends() {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create().unwrap();
    let bell = Bell::new();
    assert!(bell.poll(&mut group.receive()).is_pending());
    engine.plant_panic();
    bell.wait(0);
    let failed = block_on(group.next());
    assert!(matches!(failed, Some(Err(EngineError::ProcessingFailed))));
    assert!(block_on(group.next()).is_none());
    assert!(block_on(group.receive()).is_err());
}

#[test]
fn the_stream_hands_out_what_comes_in_its_order() {
    let mut line = Line::new(Options::default());
    say(&line.peer, 1..=500);
    let ids: Vec<u64> = block_on(async {
        let stream = pin!(&mut line.group);
        stream.take(500).map(id).collect().await
    });
    assert!(ids.into_iter().eq(1..=500));
}

#[test]
fn a_group_that_is_gone_keeps_no_task() {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create().unwrap();
    let bell = Bell::new();
    assert!(bell.poll(&mut group.receive()).is_pending());
    let poster = group.poster();
    drop(group);
    bell.expect_let_go();
    assert!(poster.update_receiver(None).is_err());
}
