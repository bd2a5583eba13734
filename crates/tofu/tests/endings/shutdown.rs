//! An engine is shut down while eight threads post.

use std::time::{Duration, Instant};

use tofu::engine::Report;
use tofu::prelude::*;
use tofu_testkit::{Random, seed};

use crate::ledger::{Ledger, count, note};
use crate::traffic::{CHANNELS, LIMIT, MARGIN, Traffic};

const RUNS: u64 = 50;

/// The group's receiver: takes what comes until the end is told; the last words must be the last.
fn receive_to_the_end(group: &mut ChannelGroup, ledger: &mut Ledger) -> Vec<(ChannelNumber, u64)> {
    let mut sent = Vec::new();
    loop {
        let msg = match group.wait_receive(LIMIT) {
            Ok(msg) => msg.expect("the end in time"),
            Err(error) => {
                assert!(matches!(error, EngineError::ShutdownStarted), "{error:?}");
                return sent;
            }
        };
        let channel = msg.channel_number();
        assert_eq!(msg.origin(), Origin::Engine, "{msg:?}");
        assert!(
            sent.iter().all(|(closed, _)| *closed != channel),
            "behind its last word: {msg:?}"
        );
        if let Some(info) = msg.close_info() {
            assert_eq!(info.cause.status(), Status::SHUTDOWN_STARTED, "{info:?}");
            sent.push((channel, info.messages_sent));
        } else if msg.report() == Some(Report::Returned) {
            assert_eq!(msg.status(), Status::SHUTDOWN_STARTED, "{msg:?}");
            note(&mut ledger.returned, channel, msg.message_id());
        }
    }
}

fn run(number: u64, random: &mut Random) -> Ledger {
    let options =
        Options::default().send_queue_messages(1 + usize::try_from(random.below(200)).unwrap());
    let mut traffic = Traffic::start(number, options);
    let posters = traffic.post_from_all(random.next_u64());
    let mut ledger = Ledger::default();
    let engine = traffic.near.engine.clone();
    let grace = Duration::from_millis(random.below(3) * 20);
    let pause = Duration::from_micros(random.below(5000));
    let group = &mut traffic.near.group;
    let (report, sent) = std::thread::scope(|scope| {
        let shutdown = scope.spawn(move || {
            std::thread::sleep(pause);
            let start = Instant::now();
            let report = engine.shutdown(grace);
            assert!(start.elapsed() < grace + MARGIN);
            report
        });
        let sent = receive_to_the_end(group, &mut ledger);
        (shutdown.join().unwrap(), sent)
    });
    for poster in posters {
        let posted = poster.join().unwrap();
        assert_eq!(posted.end, Status::SHUTDOWN_STARTED);
        ledger.posted.extend(posted.taken);
    }
    ledger.delivered = traffic.peer.join().unwrap();
    ledger.assert_clean();
    assert_eq!(sent.len(), CHANNELS);
    for (channel, sent) in sent {
        // The HelloRequest is one of them.
        let delivered = ledger.delivered.get(&channel).map_or(0, Vec::len);
        assert_eq!(sent, 1 + delivered as u64);
    }
    let returned = count(&ledger.returned);
    assert_eq!(
        (report.channels, report.unsent),
        (CHANNELS, returned),
        "{report:?}"
    );
    ledger
}

#[test]
fn under_traffic() {
    let mut random = Random::new(seed());
    let (mut returned, mut delivered) = (0, 0);
    for number in 0..RUNS {
        println!("run {number}");
        let ledger = run(number, &mut random);
        returned += count(&ledger.returned);
        delivered += count(&ledger.delivered);
    }
    println!("{returned} were given back, {delivered} were delivered");
    assert!(returned > 0 && delivered > 0);
}

/// Every update that was taken is received before the end is told.
#[test]
fn under_updates() {
    for _ in 0..RUNS {
        let engine = Reactor::start(Options::default()).unwrap();
        let mut group = engine.create().unwrap();
        let posters: Vec<_> = (0..4)
            .map(|_| {
                let poster = group.poster();
                std::thread::spawn(move || {
                    let mut taken = 0;
                    loop {
                        match poster.update_receiver(None) {
                            Ok(()) => taken += 1,
                            Err(refused) if refused.kind() == PostErrorKind::QueueFull => {
                                std::thread::yield_now();
                            }
                            Err(refused) => {
                                assert_eq!(refused.kind(), PostErrorKind::ShutdownStarted);
                                return taken;
                            }
                        }
                    }
                })
            })
            .collect();
        let mut received = 0;
        while received < 100 {
            assert!(group.wait_receive(LIMIT).unwrap().is_some());
            received += 1;
        }
        let closing = std::thread::spawn(move || engine.shutdown(Duration::ZERO));
        while let Ok(msg) = group.wait_receive(LIMIT) {
            assert_eq!(msg.expect("the end in time").origin(), Origin::Local);
            received += 1;
        }
        closing.join().unwrap();
        let taken: usize = posters
            .into_iter()
            .map(|poster| poster.join().unwrap())
            .sum();
        assert_eq!(received, taken);
    }
}
