//! The group's inbox: what counts against its limits, and what a refusal gives back.

use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{Line, Side, Transport, on_both, requests};

on_both! {
    large_messages_count_against_the_inbox,
    hellos_count_against_the_inbox,
    what_one_group_has_no_room_for_is_not_held_at_the_cost_of_others,
    a_refused_update_keeps_what_is_beside_the_message,
    an_update_of_a_destroyed_group_keeps_what_is_beside_the_message,
}

const ROOM: usize = 4;

/// Without the repair only small frames counted: large ones went on coming until the bytes or the
/// pool stopped them.
fn large_messages_count_against_the_inbox(transport: Transport) {
    let mut side = Side::start(Options::default().inbox_messages(ROOM));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    // Cut by the reads, so that they are gathered one by one.
    line.raw.send(&requests(1..=6, 60_000)).unwrap();
    side.turn();
    assert_eq!(side.stats().messages_received, 1 + ROOM as u64);
    for id in 1..=6 {
        assert_eq!(side.next().message_id().value(), id);
    }
    side.expect_nothing();
}

/// Without the repair HelloRequests did not count: whoever only connected could fill the inbox of a
/// group that does not receive.
fn hellos_count_against_the_inbox(transport: Transport) {
    let mut side = Side::start(Options::default().inbox_messages(ROOM));
    let listening = side.listen(transport);
    let _raw: Vec<_> = (0..8)
        .map(|_| {
            let raw = RawPeer::connect(&listening.endpoint).unwrap();
            raw.hello(&listening.endpoint).unwrap();
            raw
        })
        .collect();
    side.turn();
    assert_eq!(side.stats().messages_received, ROOM as u64);
    for _ in 0..8 {
        assert_eq!(side.next().op_code(), OpCode::HelloRequest);
    }
    side.expect_nothing();
}

/// Without the repair one read brought far more than there was room for, and what was held of it used
/// up what the engine may hold: a group that does not receive kept all others from being read.
fn what_one_group_has_no_room_for_is_not_held_at_the_cost_of_others(transport: Transport) {
    let options = Options::default().receive_budget(50_000);
    let mut stuck = Side::start(options.inbox_messages(1));
    let listening = stuck.listen(transport);
    let line = Line::accepted(&mut stuck, &listening);
    let mut lively = stuck.beside();
    let elsewhere = lively.listen(transport);
    let mut other = Line::accepted(&mut lively, &elsewhere);
    line.raw.send(&requests(1..=1_000, 50)).unwrap();
    stuck.turn();
    for _ in 0..10 {
        other.echo(&mut lively);
    }
    for id in 1..=1_000 {
        assert_eq!(stuck.next().message_id().value(), id);
    }
}

/// The HelloRequest of a peer: the message beside which the engine tells who sent it.
fn hello(side: &mut Side, transport: Transport) -> (RawPeer, Msg) {
    let listening = side.listen(transport);
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    let hello = side.next();
    assert!(hello.peer().is_some());
    (raw, hello)
}

/// Without the repair a message that `update_receiver` refused came back without its sender's
/// address and credentials.
fn a_refused_update_keeps_what_is_beside_the_message(transport: Transport) {
    let mut side = Side::start(Options::default().inbox_updates(1));
    let (_raw, hello) = hello(&mut side, transport);
    let (before, peer) = ((*hello).clone(), hello.peer().cloned());
    side.group.update_receiver(None).unwrap();
    let error = side.group.update_receiver(Some(hello)).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::QueueFull);
    let back = error.into_message();
    assert_eq!((*back).clone(), before);
    assert_eq!(back.peer().cloned(), peer);
}

/// The same where the group was destroyed meanwhile.
fn an_update_of_a_destroyed_group_keeps_what_is_beside_the_message(transport: Transport) {
    let mut side = Side::start(Options::default());
    let (_raw, hello) = hello(&mut side, transport);
    let poster = side.group.poster();
    assert_eq!(side.group.destroy(Duration::ZERO).channels, 2);
    let error = poster.update_receiver(Some(hello)).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::InvalidChannelGroup);
    assert!(error.into_message().peer().is_some());
}
