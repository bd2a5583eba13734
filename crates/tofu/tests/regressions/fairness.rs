//! Channels that wait for room beside each other: each has its turn, and waiting costs no work.

use std::time::Duration;

use tofu::engine::Group;
use tofu::prelude::*;

use crate::harness::{Build, request, requests};
use crate::memory::{Driven, MemoryPeer, received_if_any};

/// Channels of one group, and the peers at their other ends.
struct Crowd {
    engine: Driven,
    group: Group,
    lines: Vec<(ChannelNumber, MemoryPeer)>,
}

impl Crowd {
    fn new(count: usize, options: Options) -> Crowd {
        let mut engine = Driven::new(options);
        let mut group = engine.listening(1);
        let lines = (0..count).map(|_| engine.accepted(&mut group, 1)).collect();
        Crowd {
            engine,
            group,
            lines,
        }
    }

    /// The next message of a peer. When there is none, the engine goes on until it would sleep; then
    /// there must be one.
    #[track_caller]
    fn next(&mut self) -> Msg {
        self.next_if_any().unwrap_or_else(|| {
            self.engine.settle();
            let next = self.next_if_any();
            next.unwrap_or_else(|| panic!("it sleeps: {:?}", self.engine.handle.stats()))
        })
    }

    fn next_if_any(&mut self) -> Option<Msg> {
        loop {
            let msg = received_if_any(&mut self.group)?;
            if msg.origin() == Origin::Peer {
                return Some(msg);
            }
            assert_eq!(msg.origin(), Origin::Engine, "{msg:?}");
        }
    }
}

/// How many messages of the others are received before the first of the last channel, when all
/// others send without end.
fn wait_of_the_last(others: usize, options: Options, at_once: bool) -> usize {
    let mut crowd = Crowd::new(others + 1, options);
    for (_, peer) in &crowd.lines[..others] {
        peer.send(&requests(1..=200, 0));
    }
    let (last, peer) = &crowd.lines[others];
    peer.send(&requests([1], 0));
    let last = *last;
    for count in 0.. {
        if crowd.next().channel_number() == last {
            return count;
        }
        if at_once {
            crowd.engine.settle();
        }
    }
    unreachable!()
}

/// Each of the others may use all the room there is, twice, before the last has its turn.
#[track_caller]
fn assert_fair(room: usize, options: &Options) {
    for others in [1, 2, 3, 4, 5, 7, 9] {
        for at_once in [false, true] {
            let wait = wait_of_the_last(others, options.clone(), at_once);
            assert!(
                wait <= 2 * others * room,
                "{wait} messages of {others} others came first, engine at once: {at_once}"
            );
        }
    }
}

/// Without the repair the channel that was the first to find the inbox full took all the room that
/// the receiver made, and was the first to find it full again: the others were never read.
#[test]
fn channels_that_wait_for_the_inbox_have_their_turns() {
    for room in [1, 2, 4] {
        assert_fair(room, &Options::default().inbox_messages(room));
    }
}

/// The same where the pool is what there is not enough of.
#[test]
fn channels_that_wait_for_the_pool_have_their_turns() {
    for room in [1, 2, 4] {
        let options = Options::default().pool_initial(1);
        assert_fair(room, &options.pool_maximum(room * 2));
    }
}

/// Without the repair channels that had ended while they waited used up the looks that were taken at
/// the line behind them: who waited there was never read again.
#[test]
fn a_channel_that_waits_behind_ended_ones_is_read() {
    let options = Options::default().pool_initial(1).pool_maximum(4);
    let mut crowd = Crowd::new(9, options);
    let hold = |_| crowd.engine.handle.message().unwrap();
    let held: Vec<_> = (0..4).map(hold).collect();
    for (_, peer) in &crowd.lines {
        peer.send(&requests([1], 0));
    }
    crowd.engine.settle();
    let (last, _) = crowd.lines.pop().expect("there are nine");
    for (channel, _) in &crowd.lines {
        let bye = Message::new(OpCode::ByeSignal).on(*channel).id(2);
        crowd.group.sender().post(Msg::from(bye)).unwrap();
    }
    crowd.engine.settle();
    while received_if_any(&mut crowd.group).is_some() {}
    drop(held);
    assert_eq!(crowd.next().channel_number(), last);
}

/// Groups of one channel each, whose peers have sent more than there is room for.
struct Groups {
    engine: Driven,
    groups: Vec<Group>,
    _peers: Vec<MemoryPeer>,
}

impl Groups {
    fn new(count: u16, options: Options) -> Groups {
        let mut engine = Driven::new(options);
        let ports = 1..=count;
        let mut groups: Vec<_> = ports.clone().map(|port| engine.listening(port)).collect();
        let peers: Vec<_> = ports
            .zip(&mut groups)
            .map(|(port, group)| engine.accepted(group, port).1)
            .collect();
        for peer in &peers {
            peer.send(&requests(1..=100, 0));
        }
        engine.settle();
        Groups {
            engine,
            groups,
            _peers: peers,
        }
    }

    /// Which group the next so many messages came to; each group is looked at in its turn.
    fn turns(&mut self, count: usize) -> Vec<usize> {
        let mut turns = Vec::new();
        while turns.len() < count {
            let before = turns.len();
            for (index, group) in self.groups.iter_mut().enumerate() {
                while let Some(msg) = received_if_any(group) {
                    if msg.origin() == Origin::Peer {
                        turns.push(index);
                    }
                }
                self.engine.settle();
            }
            assert!(turns.len() > before, "nothing comes any more");
        }
        turns.truncate(count);
        turns
    }
}

/// Without the repair the pool's room was offered to the groups always in the same order: those at
/// its end were never read.
#[test]
fn groups_that_wait_for_the_pool_have_their_turns() {
    for (count, maximum) in [(3, 2), (5, 2), (8, 2), (8, 4), (8, 8)] {
        let options = Options::default().pool_initial(1).pool_maximum(maximum);
        let mut groups = Groups::new(count, options);
        let turns = groups.turns(usize::from(count) * 20);
        for group in 0..usize::from(count) {
            let share = turns.iter().filter(|turn| **turn == group).count();
            assert!(share >= 5, "group {group} had {share} of {turns:?}");
        }
    }
}

/// Without the repair every message that returned to an exhausted pool set all waiting channels in
/// motion, only to stop again: a thousand times the work for a thousand channels.
#[test]
fn a_returned_message_sets_only_so_many_channels_in_motion_as_it_makes_room_for() {
    const CHANNELS: usize = 60;
    const EACH: u64 = 5;
    const MESSAGES: u64 = CHANNELS as u64 * EACH;
    let limits = [
        Options::default().pool_initial(1).pool_maximum(8),
        Options::default().inbox_messages(4),
    ];
    for options in limits {
        for held in [0, 2] {
            let mut crowd = Crowd::new(CHANNELS, options.clone());
            for (_, peer) in &crowd.lines {
                peer.send(&requests(1..=EACH, 0));
            }
            let mut holding = std::collections::VecDeque::new();
            for _ in 0..MESSAGES {
                holding.push_back(crowd.next());
                if holding.len() > held {
                    holding.pop_front();
                }
                crowd.engine.settle();
            }
            let stats = crowd.engine.handle.stats();
            let pauses = stats.pauses_pool_empty + stats.pauses_inbox_full;
            let most = 2 * MESSAGES + CHANNELS as u64;
            assert!(pauses <= most, "{pauses} pauses for {MESSAGES} messages");
            let most = 10 * MESSAGES;
            assert!(stats.turns <= most, "{} turns", stats.turns);
        }
    }
}

/// The ids of what a group of eight channels had not sent, in the order of its report.
fn unsent_of_eight() -> Vec<u64> {
    let mut crowd = Crowd::new(8, Options::default());
    for (id, (channel, peer)) in (1..).zip(&crowd.lines) {
        peer.block();
        let message = Msg::from(request(id, 10).on(*channel));
        crowd.group.sender().post(message).unwrap();
    }
    crowd.engine.settle();
    let mut destruction = crowd.group.begin_destroy(Duration::ZERO);
    crowd.engine.settle();
    let report = destruction.poll().expect("it is done");
    let ids = report.unsent.iter().map(|msg| msg.message_id().value());
    ids.collect()
}

/// Without the repair the order in which groups had their turns and channels were ended was that of
/// a hash table, another one in each run: no run of a simulation could be had again by its seed.
#[test]
fn the_same_happens_in_the_same_order_in_every_run() {
    let run = || {
        let options = Options::default().pool_initial(1).pool_maximum(2);
        let turns = Groups::new(6, options).turns(60);
        (turns, unsent_of_eight())
    };
    let first = run();
    for _ in 0..5 {
        assert_eq!(run(), first);
    }
}
