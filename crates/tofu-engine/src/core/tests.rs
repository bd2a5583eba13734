//! The core as a whole, over memory: streams cut at every byte, endings, deadlines.

use std::cell::RefCell;
use std::io;
use std::rc::Rc;
use std::time::Duration;

use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin, Status};

use crate::core::channel::Channel;
use crate::core::engine::{Core, Readiness, Socket};
use crate::core::testing::{MemoryTransport, Net};
use crate::core::transport::Token;
use crate::options::Options;
use crate::shared::Arc;
use crate::shared::pool::Allocation;

/// A conversation's messages with bodies that are small, large and empty.
fn messages(channel: ChannelNumber) -> Vec<Message> {
    [
        (OpCode::Request, 0),
        (OpCode::Signal, 3),
        (OpCode::Request, 100),
        (OpCode::Signal, 1),
    ]
    .into_iter()
    .enumerate()
    .map(|(index, (op_code, len))| {
        let mut message = Message::new(op_code);
        message.set_channel_number(channel);
        message.set_message_id(MessageId::new(index as u64 + 10));
        message
            .text_headers_mut()
            .append("Index", index.to_string())
            .unwrap();
        message.body_mut().append(&vec![7; len]).unwrap();
        message
    })
    .collect()
}

/// Large frames begin at 64 bytes, so that both kinds are cut.
fn options() -> Options {
    Options::default().large_message(64)
}

fn conversation_arrives_whole(read_limit: usize, write_limit: usize) {
    let mut net = Net::new(&options(), read_limit, write_limit);
    let channel = net.hello().channel_number;
    let sent = messages(channel);
    for message in &sent {
        net.post(1, message.clone());
    }
    net.turns(1200);
    let hello = net.receive(0).unwrap();
    assert_eq!(hello.op_code(), OpCode::HelloRequest);
    for message in &sent {
        let received = net.receive(0).expect("every message arrives");
        assert_eq!(received.op_code(), message.op_code());
        assert_eq!(received.origin(), Origin::Peer);
        assert_eq!(received.message_id(), message.message_id());
        assert_eq!(received.channel_number(), hello.channel_number());
        assert_eq!(
            received.text_headers().as_bytes(),
            message.text_headers().as_bytes()
        );
        assert_eq!(received.body().as_bytes(), message.body().as_bytes());
    }
    assert!(net.receive(0).is_none());
    let registry = &net.sides[1].shared.registry;
    let idle = registry
        .with(channel, |outbox| outbox.is_settled())
        .unwrap();
    assert!(idle, "nothing is counted as queued any more");
    assert_eq!(net.sides[1].shared.send_budget.queued(), 0);
}

#[test]
fn a_conversation_cut_at_every_byte_arrives_whole() {
    for limit in 1..=300 {
        conversation_arrives_whole(limit, usize::MAX);
        conversation_arrives_whole(usize::MAX, limit);
    }
    conversation_arrives_whole(1, 1);
}

#[test]
fn tiny_limits_deliver_everything_in_order() {
    let tiny = Options::default()
        .pool_maximum(1)
        .inbox_messages(1)
        .turn_messages(1)
        .turn_bytes(1)
        .large_message(1);
    for options in [tiny.clone(), tiny.large_message(1000)] {
        let mut net = Net::new(&options, 7, 11);
        let channel = net.hello().channel_number;
        for message in messages(channel) {
            net.post(1, message);
        }
        let mut ids = Vec::new();
        for _ in 0..1000 {
            net.turns(1);
            while let Some(msg) = net.receive(0) {
                if msg.origin() == Origin::Peer {
                    ids.push((msg.op_code(), msg.body().len()));
                }
            }
        }
        let expected = [
            (OpCode::HelloRequest, 0),
            (OpCode::Request, 0),
            (OpCode::Signal, 3),
            (OpCode::Request, 100),
            (OpCode::Signal, 1),
        ];
        assert_eq!(ids, expected);
    }
}

#[test]
fn a_handshake_that_does_not_come_ends_in_silence() {
    let mut net = Net::new(&Options::default(), usize::MAX, 0);
    net.hello();
    net.settle();
    net.pass(Duration::from_secs(11));
    net.settle();
    assert!(net.receive(0).is_none(), "the application never knew it");
    let hello = net.receive(1).unwrap();
    assert_eq!(
        (hello.op_code(), hello.origin()),
        (OpCode::HelloResponse, Origin::Engine)
    );
    assert_eq!(hello.status(), Status::PEER_DISCONNECTED);
    assert_eq!(net.receive(1).unwrap().status(), Status::CHANNEL_CLOSED);
}

#[test]
fn a_frame_that_is_not_finished_ends_its_channel() {
    let mut net = Net::new(&Options::default(), usize::MAX, usize::MAX);
    let channel = net.hello().channel_number;
    net.settle();
    net.receive(0).unwrap();
    net.world.borrow_mut().write_limit = 20;
    net.post(1, messages(channel).remove(2));
    net.turns(6);
    net.world.borrow_mut().write_limit = 0;
    net.pass(Duration::from_secs(31));
    net.settle();
    let closed = net.receive(0).unwrap();
    let info = closed.close_info().unwrap();
    assert_eq!(info.cause.status(), Status::FRAME_TIMEOUT);
    assert!(info.partial_frame_bytes > 0);
}

#[test]
fn what_a_peer_sent_before_it_ended_is_delivered_before_the_last_word() {
    let mut net = Net::new(&Options::default(), 5, usize::MAX);
    let channel = net.hello().channel_number;
    for message in messages(channel) {
        net.post(1, message);
    }
    net.turns(3);
    let shared = Arc::clone(&net.sides[1].shared);
    shared
        .worklist
        .add(|work| work.shutdown = Some(Duration::from_secs(1)));
    net.turns(200);
    let mut received = 0;
    let mut closed = None;
    for _ in 0..500 {
        net.turns(1);
        match net.receive(0) {
            Some(msg) if msg.close_info().is_some() => closed = Some(msg),
            Some(_) if closed.is_none() => received += 1,
            Some(msg) => panic!("{msg:?} behind the last word"),
            None => {}
        }
    }
    let closed = closed.expect("the last word comes");
    assert_eq!(received, 5);
    assert_eq!(
        closed.close_info().unwrap().cause.status(),
        Status::PEER_DISCONNECTED
    );
    assert!(net.receive(0).is_none());
}

/// A message of this kind on the channel, with a body of so many bytes.
fn message(op_code: OpCode, channel: ChannelNumber, id: u64, len: usize) -> Message {
    let mut message = Message::new(op_code);
    message.set_channel_number(channel);
    message.set_message_id(MessageId::new(id));
    message.body_mut().append(&vec![7; len]).unwrap();
    message
}

#[test]
fn an_answer_goes_out_whole_though_the_peer_that_confirmed_has_ended() {
    let mut net = Net::new(&Options::default(), usize::MAX, usize::MAX);
    let (raw, channel) = net.raw_hello();
    net.post(0, message(OpCode::ByeRequest, channel, 5, 0));
    net.settle();
    assert_eq!(raw.heard()[0].op_code(), OpCode::ByeRequest);
    raw.say(&message(OpCode::ByeRequest, channel, 6, 0));
    net.settle();
    assert_eq!(net.receive(0).unwrap().op_code(), OpCode::ByeRequest);

    net.world.borrow_mut().write_limit = 10;
    net.post(0, message(OpCode::ByeResponse, channel, 6, 300));
    net.turns(1);
    raw.say(&message(OpCode::ByeResponse, channel, 5, 0));
    raw.end();
    net.turns(5);
    assert!(raw.heard().is_empty(), "it is on its way");
    net.turns(200);

    let answer = raw.heard().remove(0);
    assert_eq!(answer.op_code(), OpCode::ByeResponse);
    assert_eq!(answer.body().as_bytes(), [7; 300]);
    assert_eq!(net.receive(0).unwrap().op_code(), OpCode::ByeResponse);
    let closed = net.receive(0).unwrap();
    let info = closed.close_info().unwrap();
    assert_eq!(info.cause.status(), Status::SUCCESS);
    assert!(info.confirmed);
}

#[test]
fn what_the_system_does_not_take_comes_back() {
    let outcomes: [fn() -> io::Result<usize>; 2] =
        [|| Ok(0), || Err(io::ErrorKind::OutOfMemory.into())];
    for outcome in outcomes {
        let mut net = Net::new(&Options::default(), usize::MAX, usize::MAX);
        let (raw, channel) = net.raw_hello();
        net.world.borrow_mut().write_outcome = Some(outcome);
        net.post(0, message(OpCode::Request, channel, 5, 300));
        net.settle();
        let back = net.receive(0).unwrap();
        assert_eq!(back.message_id().value(), 5);
        assert_eq!(back.status(), Status::SEND_FAILED);
        assert_eq!(back.body().as_bytes(), [7; 300]);
        let closed = net.receive(0).unwrap();
        assert_eq!(
            closed.close_info().unwrap().cause.status(),
            Status::SEND_FAILED
        );
        assert!(raw.heard().is_empty());
    }
}

type Spoil = fn(&mut Core<MemoryTransport>, Token);

fn channel_at(core: &mut Core<MemoryTransport>, token: Token) -> &mut Channel<MemoryTransport> {
    match core.table.get_mut(token) {
        Some(Socket::Channel(channel)) => channel,
        _ => panic!("{token:?} is no channel"),
    }
}

/// What the check says when something has been changed behind its back.
fn noticed(spoil: Spoil) -> String {
    let mut net = Net::new(&Options::default(), usize::MAX, usize::MAX);
    let _raw = net.raw_hello();
    let core = &mut net.sides[0].core;
    let tokens = core.table.tokens();
    let is_channel = |at: &Token| matches!(core.table.get_mut(*at), Some(Socket::Channel(_)));
    let token = tokens.into_iter().find(is_channel).unwrap();
    core.check_invariants().unwrap();
    spoil(core, token);
    core.check_invariants().unwrap_err()
}

/// A check that never finds anything proves nothing.
#[test]
fn what_does_not_hold_is_noticed() {
    let cases: [(&str, Spoil); 7] = [
        ("nothing to deliver", |core, at| {
            channel_at(core, at).undelivered = true;
        }),
        ("without a stream", |core, at| {
            channel_at(core, at).stream = None;
        }),
        ("the ready list", |core, at| {
            channel_at(core, at).queued ^= true;
        }),
        ("leads to", |core, at| {
            channel_at(core, at).number = ChannelNumber::MAX;
        }),
        ("bytes are held", |core, at| {
            channel_at(core, at).counted_held = 1;
        }),
        ("no member of its group", |core, at| {
            let group = channel_at(core, at).group;
            core.desk.groups.get_mut(group).unwrap().members.remove(&at);
        }),
        ("the send budget says 5", |core, _| {
            core.desk.shared.send_budget.draw(5, 0);
        }),
    ];
    for (text, spoil) in cases {
        let said = noticed(spoil);
        assert!(said.contains(text), "{said}");
    }
}

#[test]
fn the_pool_is_looked_at_again_also_when_watching_began_behind_a_look() {
    let options = Options::default().pool_initial(0).pool_maximum(4096);
    let mut net = Net::new(&options, usize::MAX, usize::MAX);
    net.settle();
    let shared = Arc::clone(&net.sides[0].shared);
    let share = shared.pool.open_share();
    let exhaust = || {
        let held: Vec<_> = (0..4096)
            .map(|_| shared.pool.get(Allocation::Always).unwrap())
            .collect();
        assert_eq!(shared.pool.room(share), 0);
        held
    };
    for _ in 0..3 {
        let held = exhaust();
        let core = &mut net.sides[0].core;
        // The turn in which watching begins has a time that is older than the watching itself.
        let began = net.now;
        let mut at = core.next_deadline().expect("a look is due");
        while at > began && core.next_deadline() == Some(at) {
            core.turn(at);
            match core.next_deadline() {
                None => break,
                Some(next) => at = next,
            }
        }
        assert!(at >= began.after(Duration::from_millis(1)));
        net.now = at;
        drop(held);
    }
}

#[test]
fn what_is_posted_while_much_is_read_goes_out_before_all_is_read() {
    const TALKERS: usize = 6;
    let mut net = Net::new(&Options::default(), usize::MAX, usize::MAX);
    let talkers: Vec<_> = (0..TALKERS).map(|_| net.raw_hello().0).collect();
    let (listener, number) = net.raw_hello();
    let mut signal = Message::new(OpCode::Signal);
    signal.body_mut().append(&[7; 1000]).unwrap();
    for talker in &talkers {
        (0..60).for_each(|_| talker.say(&signal));
    }
    signal.set_channel_number(number);
    // Behind the listener the talkers came first; the one that only listens is not ready.
    let tokens = net.world.borrow().tokens[0][1..=TALKERS].to_vec();
    let read_all = |net: &mut Net| {
        for &token in &tokens {
            let readable = Readiness {
                readable: true,
                ..Readiness::default()
            };
            net.sides[0].core.event(token, readable);
        }
        net.sides[0].core.turn(net.now);
    };
    // A stream that has just given something says once that it has no more.
    read_all(&mut net);
    let sender = net.sides[0].group.sender().clone();
    let heard = Rc::new(RefCell::new(Vec::new()));
    let noted = Rc::clone(&heard);
    net.world.borrow_mut().on_read = Some(Box::new(move || {
        if noted.borrow().is_empty() {
            sender.post(signal.clone().into()).unwrap();
        }
        noted.borrow_mut().push(listener.heard().len());
    }));
    read_all(&mut net);
    let heard = heard.borrow();
    assert_eq!(heard.len(), 2 * TALKERS, "each until it had no more");
    assert_eq!(heard.iter().sum::<usize>(), 1, "in the same turn");
    assert_eq!(heard[..2], [0, 0], "but not before much had been read");
}
