//! A group is destroyed while eight threads post to it.

use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::{Random, seed};

use crate::ledger::{Ledger, count, note};
use crate::traffic::{CHANNELS, LIMIT, MARGIN, Traffic};

const RUNS: u64 = 50;

fn run(number: u64, random: &mut Random) -> Ledger {
    let options =
        Options::default().send_queue_messages(1 + usize::try_from(random.below(200)).unwrap());
    let traffic = Traffic::start(number, options);
    let posters = traffic.post_from_all(random.next_u64());
    // The group's neighbour in the same engine notices nothing.
    let mut neighbour = traffic.near.engine.create().unwrap();
    std::thread::sleep(Duration::from_micros(random.below(5000)));
    let grace = Duration::from_millis(random.below(3) * 20);
    let start = Instant::now();
    let report = traffic.near.group.destroy(grace);
    assert!(start.elapsed() < grace + MARGIN);
    assert_eq!(report.channels, CHANNELS);
    assert_eq!(traffic.near.engine.channel_count(), 0);
    let mut ledger = Ledger::default();
    for msg in &report.unsent {
        assert_eq!(msg.origin(), Origin::Engine, "{msg:?}");
        assert_eq!(msg.status(), Status::CHANNEL_CLOSED, "{msg:?}");
        note(&mut ledger.returned, msg.channel_number(), msg.message_id());
    }
    for poster in posters {
        let posted = poster.join().unwrap();
        let why = [Status::CHANNEL_CLOSED, Status::INVALID_CHANNEL_GROUP];
        assert!(why.contains(&posted.end), "{:?}", posted.end);
        ledger.posted.extend(posted.taken);
    }
    ledger.delivered = traffic.peer.join().unwrap();
    ledger.assert_clean();
    neighbour.update_receiver(None).unwrap();
    let msg = neighbour.wait_receive(LIMIT).unwrap();
    assert_eq!(msg.map(|msg| msg.origin()), Some(Origin::Local));
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
