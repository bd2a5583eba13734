//! The engine's notices: once per episode, and what they announce comes true.

use std::ops::RangeInclusive;
use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::face::Face;
use crate::harness::{
    Build, LIMIT, Seen, Side, Transport, from_peer, notice, on_both, place, update,
};
use crate::raw::{Line, RawPlace, fill_the_kernel, frame, narrow_place};

on_both! {
    send_queue_ready_once_per_episode,
    a_queue_that_was_never_full_tells_nothing,
    a_queue_is_full_by_its_bytes,
    pool_empty_once_per_episode_and_reading_resumes,
    an_empty_pool_is_told_once_for_all_channels,
    an_empty_pool_is_one_groups_own,
    an_emptied_pool_resumes_beside_a_stuck_group,
    what_is_queued_to_send_is_not_of_the_pool,
    a_full_inbox_pauses_reading_without_a_word,
    notices_pass_a_full_inbox,
}

fn send_queue_ready_once_per_episode(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(8));
    let place = narrow_place(transport);
    let mut line = Line::dialed(&side, &place);
    for _ in 0..3 {
        let posted = fill_the_kernel(&mut side, line.channel);
        let more = Message::new(OpCode::Signal).on(line.channel);
        for _ in 0..5 {
            assert_eq!(side.refused(more.clone()), Status::QUEUE_FULL);
        }
        side.expect_nothing();
        for _ in &posted {
            line.raw.receive_frame(LIMIT).unwrap().unwrap();
        }
        side.expect_last(&[notice(line.channel, line.id, Status::SEND_QUEUE_READY)]);
        line.says(&side, more.id(1));
    }
    side.expect_nothing();
}

fn a_queue_that_was_never_full_tells_nothing(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(64));
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(&side, &place);
    for _ in 0..60 {
        side.post(Message::new(OpCode::Signal).on(line.channel));
    }
    for _ in 0..60 {
        line.raw.receive_frame(LIMIT).unwrap().unwrap();
    }
    side.expect_nothing();
}

/// An empty queue takes any one message, however large, and no other beside it.
fn a_queue_is_full_by_its_bytes(transport: Transport) {
    let limit = 30_000;
    let mut side = Side::start(Options::default().send_queue_bytes(limit));
    let place = narrow_place(transport);
    let mut line = Line::dialed(&side, &place);
    let mut posted = fill_the_kernel(&mut side, line.channel);
    // One of 20 KB is in the queue, or what is left of one.
    let small = Message::new(OpCode::Signal).on(line.channel).id(7);
    let fitting = small.clone().with_body(&vec![0; limit - 20_016 - 16]);
    let one_more = small.clone().with_body(&vec![0; limit - 20_016 - 16 + 1]);
    assert_eq!(side.refused(one_more), Status::QUEUE_FULL);
    posted.push(side.post(fitting));
    assert_eq!(side.refused(small), Status::QUEUE_FULL);
    for _ in &posted {
        line.raw.receive_frame(LIMIT).unwrap().unwrap();
    }
    side.expect_last(&[notice(line.channel, line.id, Status::SEND_QUEUE_READY)]);
    line.says(&side, Message::new(OpCode::Signal).with_body(&[0; 65_535]));
    side.expect_nothing();
}

fn feed(id: u64) -> Message {
    Message::new(OpCode::Request).id(id).with_body(b"feed")
}

/// Frames with these ids, for a line whose HelloRequest was 1.
fn requests(ids: RangeInclusive<u64>) -> Vec<u8> {
    ids.flat_map(|id| frame(&feed(id))).collect()
}

/// With a pool of four, two of them this group's share, and one held by the HelloRequest.
fn pool_empty_once_per_episode_and_reading_resumes(transport: Transport) {
    const LAST: u64 = 20;
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(4));
    let listening = side.listen(transport);
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    let hello = side.next();
    let (channel, id) = (hello.channel_number(), hello.message_id());
    let request = |id| from_peer(feed(id).on(channel));
    let pool_empty = notice(channel, id, Status::POOL_EMPTY);
    raw.send(&requests(2..=LAST / 2)).unwrap();
    let first = side.next();
    assert_eq!(Seen::of(&first), request(2));
    side.expect_last(std::slice::from_ref(&pool_empty));
    // Whatever else comes: this episode has been told.
    raw.send(&requests(LAST / 2 + 1..=LAST)).unwrap();
    side.expect_nothing();
    side.expect_nothing();
    drop((hello, first));
    let mut next = 3;
    let mut told_last = true;
    while next <= LAST {
        let msg = side.next();
        let is_told = Seen::of(&msg) == pool_empty;
        if !is_told {
            assert_eq!(Seen::of(&msg), request(next));
            next += 1;
        }
        assert!(
            !(is_told && told_last),
            "told twice, and no message between"
        );
        told_last = is_told;
    }
    while side
        .group
        .receive_within(Duration::ZERO)
        .unwrap()
        .is_some_and(|msg| {
            assert_eq!(Seen::of(&msg), pool_empty);
            true
        })
    {}
}

/// Five channels have something, and there is room for nothing: one notice.
fn an_empty_pool_is_told_once_for_all_channels(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(16));
    let listening = side.listen(transport);
    let lines: Vec<_> = (0..5)
        .map(|_| Line::accepted(&mut side, &listening))
        .collect();
    // Eight are this group's share.
    lines[0].raw.send(&requests(2..=30)).unwrap();
    let held: Vec<_> = (0..8).map(|_| side.next()).collect();
    assert!(
        held.iter()
            .all(|msg| msg.channel_number() == lines[0].channel)
    );
    for line in &lines[1..] {
        line.raw.send(&requests(2..=9)).unwrap();
    }
    side.expect_last(&[notice(lines[0].channel, lines[0].id, Status::POOL_EMPTY)]);
    side.expect_nothing();
    drop(held);
    let mut received = 8;
    while received < 29 + 4 * 8 {
        received += usize::from(side.next().origin() == Origin::Peer);
    }
}

/// The stuck group's share is used up; another group of the same engine goes on.
fn an_empty_pool_is_one_groups_own(transport: Transport) {
    let mut stuck = Side::start(Options::default().pool_initial(1).pool_maximum(4));
    let listening = stuck.listen(transport);
    let line = Line::accepted(&mut stuck, &listening);
    line.raw.send(&requests(2..=9)).unwrap();
    let mut held = Vec::new();
    while held
        .last()
        .is_none_or(|msg: &Msg| msg.status() != Status::POOL_EMPTY)
    {
        held.push(stuck.next());
    }
    stuck.expect_nothing();
    let mut lively = Side {
        engine: stuck.engine.clone(),
        group: stuck.engine.create().unwrap(),
    };
    let listening = lively.listen(transport);
    let mut other = Line::accepted(&mut lively, &listening);
    for id in 10..40 {
        other.peer_says(&mut lively, Message::new(OpCode::Request).id(id));
        other.says(&lively, Message::new(OpCode::Response).id(id));
    }
    lively.expect_nothing();
    stuck.expect_nothing();
}

/// The pool is used up by the application and by a group that does not receive; what the
/// application puts back is enough for the other group.
fn an_emptied_pool_resumes_beside_a_stuck_group(transport: Transport) {
    let mut stuck = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let listening = stuck.listen(transport);
    let engine = stuck.engine.clone();
    let line = Line::accepted(&mut stuck, &listening);
    let group = engine.create().unwrap();
    let mut lively = Side { engine, group };
    let listening = lively.listen(transport);
    let other = Line::accepted(&mut lively, &listening);
    let held: Vec<_> = (0..4).map(|_| lively.engine.message().unwrap()).collect();
    line.raw.send(&requests(2..=9)).unwrap();
    stuck.turn();
    other.raw.send(&requests(2..=30)).unwrap();
    lively.turn();
    drop(held);
    for id in 2..=30 {
        let mut msg = lively.next();
        while msg.status() == Status::POOL_EMPTY {
            msg = lively.next();
        }
        assert_eq!(Seen::of(&msg), from_peer(feed(id).on(other.channel)));
    }
}

/// Large messages both ways, more than both pools hold: each side can read while it sends.
fn what_is_queued_to_send_is_not_of_the_pool(transport: Transport) {
    const COUNT: u64 = 60;
    let options = || Options::default().pool_initial(1).pool_maximum(8);
    let mut server = Side::start(options());
    let listening = server.listen(transport);
    let mut client = Side::start(options());
    let at_client = client.hello(&listening.endpoint).channel_number();
    let at_server = server.next().channel_number();
    let large = |id| Message::new(OpCode::Signal).id(id).with_body(&[8; 60_000]);
    for id in 1..=COUNT {
        client.post(large(id).on(at_client));
        server.post(large(id).on(at_server));
    }
    for id in 1..=COUNT {
        for (side, channel) in [(&mut server, at_server), (&mut client, at_client)] {
            let mut msg = side.next();
            while msg.status() == Status::POOL_EMPTY {
                msg = side.next();
            }
            assert_eq!(Seen::of(&msg), from_peer(large(id).on(channel)));
        }
    }
}

fn a_full_inbox_pauses_reading_without_a_word(transport: Transport) {
    const LAST: u64 = 200;
    let mut side = Side::start(Options::default().inbox_messages(4));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(2..=LAST)).unwrap();
    side.turn();
    for id in 2..=LAST {
        side.expect(&[from_peer(feed(id).on(line.channel))]);
    }
    side.expect_nothing();
}

/// Updates, returned messages and last words need no room.
fn notices_pass_a_full_inbox(transport: Transport) {
    let mut side = Side::start(Options::default().inbox_messages(1).pool_maximum(1));
    let listening = side.listen(transport);
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    raw.send(&requests(2..=5)).unwrap();
    let hello = side.next();
    side.turn();
    for id in 1..=10 {
        let message = Message::new(OpCode::Signal).id(id);
        side.group
            .update_receiver(Some(Msg::from(message)))
            .unwrap();
    }
    let (address, _path) = place(transport);
    let mut welcome = Message::default();
    address.format(&mut welcome).unwrap();
    side.post(welcome);
    side.turn();
    let mut updates = 0;
    while updates < 10 {
        let msg = side.next();
        if msg.origin() == Origin::Local {
            updates += 1;
            let expected = Message::new(OpCode::Signal).id(updates);
            assert_eq!(Seen::of(&msg), update(expected));
        } else {
            assert_ne!(
                msg.op_code(),
                OpCode::WelcomeResponse,
                "overtook the updates"
            );
        }
    }
    while side.next().op_code() != OpCode::WelcomeResponse {}
    drop(hello);
}
