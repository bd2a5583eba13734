//! The calls of several threads against a core that takes its turns: posting against closing,
//! reuse of numbers, destruction and shutdown. Every accepted message must have its one outcome.

use std::time::Duration;

use shuttle::thread;
use tofu_addr::Address;
use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin, Status};

use super::explore;
use crate::core::testing::Net;
use crate::group::GroupSender;
use crate::msg::Msg;
use crate::options::Options;

fn message(op_code: OpCode, channel: ChannelNumber, id: u64) -> Msg {
    let mut message = Message::new(op_code);
    message.set_channel_number(channel);
    message.set_message_id(MessageId::new(id));
    Msg::from(message)
}

/// Two engines with one open channel; the initiator's number.
fn open() -> (Net, ChannelNumber) {
    let mut net = Net::new(&Options::default(), usize::MAX, usize::MAX);
    let channel = net.hello().channel_number;
    net.settle();
    assert!(net.receive(0).is_some(), "the HelloRequest");
    (net, channel)
}

/// Posts Signals with these ids from a thread of its own; returns those that were taken.
fn poster(
    sender: &GroupSender,
    channel: ChannelNumber,
    ids: std::ops::Range<u64>,
) -> thread::JoinHandle<Vec<u64>> {
    let sender = sender.clone();
    thread::spawn(move || {
        ids.filter(|&id| sender.post(message(OpCode::Signal, channel, id)).is_ok())
            .collect()
    })
}

/// What the initiating side got back, up to the channel's last word; nothing may follow it.
fn returned(net: &mut Net) -> (Vec<u64>, bool) {
    let (mut ids, mut closed) = (Vec::new(), false);
    while let Ok(Some(msg)) = net.sides[1].group.receive(Duration::ZERO) {
        assert!(!closed, "{msg:?} behind the last word");
        assert_eq!(msg.origin(), Origin::Engine);
        if msg.close_info().is_some() {
            closed = true;
        } else if msg.op_code() == OpCode::Signal {
            ids.push(msg.message_id().value());
        }
    }
    (ids, closed)
}

/// The ids of the Signals that the accepting side received.
fn delivered(net: &mut Net) -> Vec<u64> {
    let mut ids = Vec::new();
    while let Ok(Some(msg)) = net.sides[0].group.receive(Duration::ZERO) {
        if msg.origin() == Origin::Peer && msg.op_code() == OpCode::Signal {
            ids.push(msg.message_id().value());
        }
    }
    ids
}

/// Every message that was taken is delivered or returned, never both, in order. (Bytes that the
/// kernel had when a connection was reset may be lost; the memory's kernel loses none.)
fn assert_ledger(mut taken: Vec<u64>, mut delivered: Vec<u64>, returned: &[u64]) {
    delivered.extend(returned);
    taken.sort_unstable();
    delivered.sort_unstable();
    assert_eq!(taken, delivered);
}

#[test]
fn posts_from_two_threads_arrive_each_in_order() {
    explore(|| {
        let (mut net, channel) = open();
        let sender = net.sides[1].group.sender().clone();
        let threads = [
            poster(&sender, channel, 10..12),
            poster(&sender, channel, 20..22),
        ];
        net.turns(2);
        for thread in threads {
            assert_eq!(thread.join().unwrap().len(), 2);
        }
        net.settle();
        let ids = delivered(&mut net);
        for first in [10, 20] {
            let own: Vec<u64> = ids
                .iter()
                .copied()
                .filter(|id| id / 10 == first / 10)
                .collect();
            assert_eq!(own, [first, first + 1]);
        }
    });
}

#[test]
fn a_post_against_a_bye_signal_is_sent_returned_or_refused() {
    explore(|| {
        let (mut net, channel) = open();
        let sender = net.sides[1].group.sender().clone();
        let thread = poster(&sender, channel, 10..13);
        net.turns(1);
        sender.post(message(OpCode::ByeSignal, channel, 0)).unwrap();
        net.turns(1);
        let taken = thread.join().unwrap();
        net.settle();
        let mut back = Vec::new();
        let mut closed = false;
        while let Ok(Some(msg)) = net.sides[1].group.receive(Duration::ZERO) {
            assert!(!closed, "{msg:?} behind the last word");
            closed = msg.close_info().is_some();
            if msg.op_code() == OpCode::Signal && !closed {
                back.push(msg.message_id().value());
            }
        }
        assert!(closed);
        // A reset takes what lies in the pipe: what was neither delivered nor returned was sent.
        let delivered = delivered(&mut net);
        assert!(
            back.iter()
                .all(|id| taken.contains(id) && !delivered.contains(id))
        );
        assert!(delivered.iter().all(|id| taken.contains(id)));
        assert_eq!(net.sides[1].shared.send_budget.queued(), 0);
    });
}

#[test]
fn a_post_against_a_shutdown_has_its_outcome() {
    explore(|| {
        let (mut net, channel) = open();
        let sender = net.sides[1].group.sender().clone();
        let thread = poster(&sender, channel, 10..13);
        net.sides[1].shared.registry.close();
        let grace = Duration::from_secs(1);
        net.sides[1]
            .shared
            .worklist
            .add(|work| work.shutdown = Some(grace));
        net.turns(2);
        let taken = thread.join().unwrap();
        net.settle();
        let (back, closed) = returned(&mut net);
        assert!(closed);
        assert_ledger(taken, delivered(&mut net), &back);
    });
}

#[test]
fn an_opening_against_a_shutdown_is_refused_or_answered() {
    explore(|| {
        let (mut net, _) = open();
        let sender = net.sides[1].group.sender().clone();
        let opener = thread::spawn(move || {
            let mut hello = Message::default();
            Address::tcp_client("memory", 1).format(&mut hello).unwrap();
            sender
                .post(Msg::from(hello))
                .ok()
                .map(|header| header.channel_number)
        });
        let shared = crate::sync::Arc::clone(&net.sides[1].shared);
        shared.registry.close();
        shared
            .worklist
            .add(|work| work.shutdown = Some(Duration::ZERO));
        net.turns(2);
        let opened = opener.join().unwrap();
        net.settle();
        shared.end(Status::SHUTDOWN_STARTED);
        let mut last_words = Vec::new();
        while let Ok(Some(msg)) = net.sides[1].group.receive(Duration::ZERO) {
            if msg.close_info().is_some() {
                last_words.push(msg.channel_number());
            }
        }
        assert_eq!(last_words.len(), 1 + usize::from(opened.is_some()));
        if let Some(number) = opened {
            assert!(last_words.contains(&number), "{number} had no last word");
        }
        assert_eq!(shared.registry.alive(), 0);
    });
}

#[test]
fn posts_and_openings_against_a_destruction_are_reported_or_refused() {
    explore(|| {
        let (mut net, channel) = open();
        let sender = net.sides[1].group.sender().clone();
        let thread = poster(&sender, channel, 10..12);
        let opener = thread::spawn(move || {
            let mut hello = Message::default();
            Address::tcp_client("memory", 1).format(&mut hello).unwrap();
            sender.post(Msg::from(hello)).is_ok()
        });
        let shared = crate::sync::Arc::clone(&net.sides[1].shared);
        let fresh = crate::group::Group::new(
            shared.create_group().unwrap(),
            crate::sync::Arc::clone(&shared),
        );
        let group = std::mem::replace(&mut net.sides[1].group, fresh);
        let mut destruction = group.begin_destroy(Duration::ZERO);
        net.turns(2);
        let taken = thread.join().unwrap();
        let _opened: bool = opener.join().unwrap();
        net.settle();
        let report = destruction.poll().expect("the group is gone");
        let back: Vec<u64> = report
            .unsent
            .iter()
            .filter(|msg| msg.op_code() == OpCode::Signal)
            .map(|msg| msg.message_id().value())
            .collect();
        assert_ledger(taken, delivered(&mut net), &back);
        assert_eq!(shared.registry.alive(), 0);
        assert_eq!(shared.send_budget.queued(), 0);
    });
}

#[test]
fn a_post_to_a_number_in_its_next_life_is_refused() {
    explore(|| {
        let (mut net, channel) = open();
        let sender = net.sides[1].group.sender().clone();
        let thread = poster(&sender, channel, 10..13);
        sender.post(message(OpCode::ByeSignal, channel, 0)).unwrap();
        net.turns(2);
        // The number begins its next life in another group, whatever the poster is doing.
        let shared = crate::sync::Arc::clone(&net.sides[1].shared);
        let other = shared.create_group().unwrap();
        shared.registry.with(channel, |outbox| {
            outbox.open(crate::shared::outbox::Role::Initiator, other.id, None);
        });
        let taken = thread.join().unwrap();
        let settled = shared.registry.with(channel, |outbox| outbox.is_settled());
        assert_eq!(
            settled,
            Some(true),
            "nothing of the old group lies in the new life"
        );
        net.settle();
        let delivered = delivered(&mut net);
        assert!(delivered.iter().all(|id| taken.contains(id)));
    });
}
