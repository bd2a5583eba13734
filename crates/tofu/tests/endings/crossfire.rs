//! Both ends post to each other, and both engines are shut down, one soon after the other.

use std::collections::{HashMap, HashSet};
use std::thread::JoinHandle;
use std::time::Duration;

use tofu::engine::Report;
use tofu::prelude::*;
use tofu_testkit::{Random, seed};

use crate::ledger::{Arrivals, Ledger, note};
use crate::traffic::{CHANNELS, End, LIMIT, Posted, assert_content, connected, post_from};

const RUNS: u64 = 30;
const THREADS: u64 = 4;

/// What one end's receiver saw until the end was told.
#[derive(Debug, Default)]
struct Account {
    returned: Arrivals,
    received: Arrivals,
    /// By last word: how many messages were wholly in the kernel, and how many were delivered.
    closed: HashMap<ChannelNumber, (u64, u64)>,
}

/// Receives at one end until its engine has ended.
fn account(mut group: ChannelGroup) -> Account {
    let mut account = Account::default();
    loop {
        let Ok(msg) = group.wait_receive(LIMIT) else {
            return account;
        };
        let msg = msg.expect("the end in time");
        let channel = msg.channel_number();
        let is_over = account.closed.contains_key(&channel);
        assert!(!is_over, "behind its last word: {msg:?}");
        assert_ne!(msg.origin(), Origin::Local, "{msg:?}");
        if let Some(info) = msg.close_info() {
            let counts = (info.messages_sent, info.messages_received);
            account.closed.insert(channel, counts);
        } else if msg.origin() == Origin::Peer {
            assert_content(&msg);
            note(&mut account.received, channel, msg.message_id());
        } else if msg.report() == Some(Report::Returned) {
            assert_content(&msg);
            note(&mut account.returned, channel, msg.message_id());
        }
    }
}

/// The books of one direction.
fn assert_direction(
    sender: &Account,
    receiver: &Account,
    names: &HashMap<ChannelNumber, ChannelNumber>,
    posters: Vec<JoinHandle<Posted>>,
) {
    let mut ledger = Ledger {
        returned: sender.returned.clone(),
        ..Ledger::default()
    };
    for poster in posters {
        ledger.posted.extend(poster.join().unwrap().taken);
    }
    for (there, ids) in &receiver.received {
        let (here, _) = names.iter().find(|(_, other)| *other == there).unwrap();
        ledger.delivered.insert(*here, ids.clone());
    }
    ledger.assert_consistent();
    for (here, there) in names {
        let posted = ledger.posted.values().filter(|channel| *channel == here);
        let returned = ledger.returned.get(here).map_or(0, Vec::len) as u64;
        let delivered = ledger.delivered.get(here).map_or(0, Vec::len) as u64;
        // The Hello, or the answer to it, is not in the books.
        let (sent, _) = sender.closed[here];
        assert_eq!(posted.count() as u64, sent - 1 + returned, "on {here}");
        let (_, received) = receiver.closed[there];
        assert_eq!(received, delivered + 1, "on {there}");
        assert!(delivered < sent, "on {here}");
    }
}

fn end_after(engine: Reactor, pause: Duration, grace: Duration) -> JoinHandle<()> {
    std::thread::spawn(move || {
        std::thread::sleep(pause);
        engine.shutdown(grace);
    })
}

fn run(number: u64, random: &mut Random) {
    let limit = 1 + usize::try_from(random.below(200)).unwrap();
    let options = Options::default().send_queue_messages(limit);
    let (near, far, _path) = connected(number, options.pool_maximum(64 + limit));
    let (near_names, far_names) = (near.names(&far), far.names(&near));
    let near_posters = post_from(0..THREADS, &near, random.next_u64());
    let far_posters = post_from(THREADS..2 * THREADS, &far, random.next_u64());
    let mut ending = |end: End| {
        let pause = Duration::from_micros(random.below(5000));
        let grace = Duration::from_millis(random.below(3) * 20);
        let receiver = std::thread::spawn(move || account(end.group));
        (end_after(end.engine, pause, grace), receiver)
    };
    let (near_end, near) = ending(near);
    let (far_end, far) = ending(far);
    let (near, far) = (near.join().unwrap(), far.join().unwrap());
    near_end.join().unwrap();
    far_end.join().unwrap();
    let listener = far
        .closed
        .keys()
        .filter(|channel| !far_names.contains_key(channel));
    assert_eq!(listener.count(), 1);
    let ended: HashSet<_> = near.closed.keys().collect();
    assert_eq!(ended.len(), CHANNELS);
    assert_direction(&near, &far, &near_names, near_posters);
    assert_direction(&far, &near, &far_names, far_posters);
}

#[test]
fn both_ends_are_shut_down() {
    let mut random = Random::new(seed());
    for number in 0..RUNS {
        println!("run {number}");
        run(number, &mut random);
    }
}
