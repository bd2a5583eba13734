//! The pool's maximum: what counts against it, who stops reading for it, and who is told.

use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{
    Build, LIMIT, Line, Place, Side, Transport, frame, hello_to, on_both, request, requests,
};

on_both! {
    what_a_peer_does_not_take_leaves_the_pool_to_others,
    answers_that_a_peer_does_not_take_leave_the_pool_to_others,
    a_group_with_room_is_read_beside_one_that_does_not_receive,
    a_hello_counts_against_the_room_of_the_read_that_brings_it,
    nothing_is_said_of_a_channel_that_the_application_does_not_know,
    an_empty_pool_is_told_again_after_a_large_message,
    a_connection_on_which_nothing_has_come_does_not_find_the_pool_empty,
}

/// Large messages: they are queued by pointer, as they are.
const LARGE: usize = 20_000;

/// Queues so much for the peer that the kernel takes no more and this many stay.
#[track_caller]
fn queue(side: &Side, line: &Line, stay: usize) {
    for id in 1.. {
        if side.stats().queued_messages >= stay {
            return;
        }
        assert!(id < 10_000, "the kernel takes everything");
        side.post(request(id, LARGE).on(line.channel));
        side.turn();
    }
}

/// Without the repair messages queued for a peer that does not read counted as the application's:
/// a few such peers stopped all reading, for as long as the write stall timeout.
fn what_a_peer_does_not_take_leaves_the_pool_to_others(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let listening = side.listen(transport);
    let stuck = Line::accepted(&mut side, &listening);
    let mut honest = Line::accepted(&mut side, &listening);
    queue(&side, &stuck, 20);
    assert_eq!(side.stats().pool_in_use, 0);
    for _ in 0..10 {
        honest.echo(&mut side);
    }
    side.expect_nothing();
}

/// The same for messages that were received, which count against their group's share of the pool.
fn answers_that_a_peer_does_not_take_leave_the_pool_to_others(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let listening = side.listen(transport);
    let stuck = Line::accepted(&mut side, &listening);
    let mut honest = Line::accepted(&mut side, &listening);
    queue(&side, &stuck, 1);
    for id in 1..=20 {
        stuck.raw.send_frame(&request(id, LARGE)).unwrap();
        let mut msg = side.next();
        assert_eq!(msg.message_id().value(), id, "{msg:?}");
        msg.make_reply().unwrap();
        side.group.post(msg).unwrap();
    }
    assert!(side.stats().queued_messages > 20);
    for _ in 0..10 {
        honest.echo(&mut side);
    }
    side.expect_nothing();
}

/// Without the repair a channel that found the pool used up was never read again while more than
/// three quarters of it stayed in use, with frames of another group that does not receive among
/// them: its own group took everything, gave everything back, and waited for ever.
fn a_group_with_room_is_read_beside_one_that_does_not_receive(transport: Transport) {
    let mut stuck = Side::start(Options::default().pool_initial(1).pool_maximum(8));
    let listening = stuck.listen(transport);
    let line = Line::accepted(&mut stuck, &listening);
    let mut lively = stuck.beside();
    let elsewhere = lively.listen(transport);
    let other = Line::accepted(&mut lively, &elsewhere);
    // Three are held, four wait unfetched, which leaves one.
    let held: Vec<_> = (0..3).map(|_| stuck.engine.message().unwrap()).collect();
    line.raw.send(&requests(1..=4, 9)).unwrap();
    stuck.turn();
    assert_eq!(stuck.stats().pool_in_use, 7);
    other.raw.send(&requests(1..=10, 9)).unwrap();
    for id in 1..=10 {
        assert_eq!(lively.next_of_peer().message_id().value(), id);
    }
    drop(held);
}

/// Without the repair a HelloRequest came on top of the frames that there was room for: with a
/// small pool a group that does not receive took it all, and no other was ever read.
fn a_hello_counts_against_the_room_of_the_read_that_brings_it(transport: Transport) {
    let mut stuck = Side::start(Options::default().pool_initial(1).pool_maximum(2));
    let listening = stuck.listen(transport);
    let mut lively = stuck.beside();
    let elsewhere = lively.listen(transport);
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    let mut bytes = frame(&hello_to(&listening.endpoint, 3));
    bytes.extend(requests(1..=2, 9));
    raw.send(&bytes).unwrap();
    stuck.turn();
    assert_eq!(stuck.stats().pool_in_use, 1, "the group's half");
    Line::accepted(&mut lively, &elsewhere).echo(&mut lively);
    assert_eq!(stuck.next().op_code(), OpCode::HelloRequest);
    for id in 1..=2 {
        assert_eq!(stuck.next_of_peer().message_id().value(), id);
    }
}

/// Without the repair the notice was about channel 0, for a connection had found the pool empty
/// that had not said Hello.
fn nothing_is_said_of_a_channel_that_the_application_does_not_know(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(2));
    let listening = side.listen(transport);
    let held: Vec<_> = (0..2).map(|_| side.engine.message().unwrap()).collect();
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    side.turn();
    side.expect_nothing();
    assert_eq!(side.stats().pauses_pool_empty, 1);
    drop(held);
    assert_eq!(side.next().op_code(), OpCode::HelloRequest);
}

/// Without the repair the first notice was the last: only small messages ended an episode.
fn an_empty_pool_is_told_again_after_a_large_message(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(4));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let mut is_told = false;
    for id in 1..=3 {
        // It has been begun, and is gathered by itself.
        let bytes = frame(&request(id, LARGE));
        line.raw.send(&bytes[..100]).unwrap();
        side.turn();
        let held: Vec<_> = (0..4).map(|_| side.engine.message().unwrap()).collect();
        line.raw.send(&bytes[100..]).unwrap();
        if !is_told {
            let notice = side.next();
            assert_eq!(notice.status(), Status::POOL_EMPTY, "{notice:?}");
            assert_eq!(notice.channel_number(), line.channel);
        }
        side.expect_nothing();
        drop(held);
        assert_eq!(side.next_of_peer().message_id().value(), id);
        // While they came back one by one, the pool may have been empty once more, behind the message.
        // That has been told then.
        side.turn();
        is_told = false;
        while let Some(again) = side.group.wait_receive(Duration::ZERO).unwrap() {
            assert_eq!(again.status(), Status::POOL_EMPTY, "{again:?}");
            is_told = true;
        }
    }
}

/// Without the repair a connection that had just been made stopped for want of messages, and told
/// so, although nothing had come for which it needed one.
fn a_connection_on_which_nothing_has_come_does_not_find_the_pool_empty(transport: Transport) {
    let mut side = Side::start(Options::default().pool_initial(1).pool_maximum(2));
    let place = Place::new(transport);
    let held: Vec<_> = (0..2).map(|_| side.engine.message().unwrap()).collect();
    let mut hello = Msg::from(hello_to(place.listener.endpoint(), 3));
    hello.set_channel_number(ChannelNumber::UNASSIGNED);
    side.group.post(hello).unwrap();
    let mut raw = place.listener.accept(LIMIT).unwrap();
    let received = raw.receive_frame(LIMIT).unwrap();
    assert_eq!(received.map(|it| it.op_code()), Some(OpCode::HelloRequest));
    side.expect_nothing();
    assert_eq!(side.stats().pauses_pool_empty, 0);
    drop(held);
}
