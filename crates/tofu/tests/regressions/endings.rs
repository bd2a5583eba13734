//! The end of a group, of an engine and of a channel that was not read for want of room: what had
//! come back, and what had been read, is lost nowhere.

use std::time::Duration;

use tofu::engine::{DestroyReport, Group};
use tofu::prelude::*;

use crate::harness::{Build, request, requests};
use crate::memory::{Driven, received, received_if_any};

/// An engine whose group has these messages in its inbox, and they came back: the peer took
/// nothing and has gone.
fn come_back(ids: std::ops::RangeInclusive<u64>) -> (Driven, Group) {
    let mut engine = Driven::new(Options::default());
    let mut group = engine.listening(1);
    let (channel, peer) = engine.accepted(&mut group, 1);
    peer.block();
    for id in ids {
        // Some travel by pointer, the others are encoded.
        let len = if id % 2 == 0 { 20_000 } else { 20 };
        let message = request(id, len).on(channel);
        group.sender().post(Msg::from(message)).unwrap();
    }
    engine.settle();
    let bye = Message::new(OpCode::ByeSignal).on(channel).id(100);
    group.sender().post(Msg::from(bye)).unwrap();
    engine.settle();
    assert_eq!(received(&mut group).message_id().value(), 100);
    (engine, group)
}

#[track_caller]
fn assert_unsent(report: &DestroyReport, ids: std::ops::RangeInclusive<u64>) {
    let unsent: Vec<_> = report
        .unsent
        .iter()
        .map(|msg| msg.message_id().value())
        .collect();
    assert_eq!(unsent, ids.collect::<Vec<_>>());
    assert!(!report.complete, "{report:?}");
}

/// Without the repair returned messages that the receiver had taken out of the inbox together with
/// the one it handed out, or that still lay there, were in no report.
#[test]
fn a_destroyed_group_reports_what_had_come_back_and_was_not_received() {
    let (mut engine, group) = come_back(1..=6);
    let mut destruction = group.begin_destroy(Duration::ZERO);
    engine.settle();
    let report = destruction.poll().expect("it is done");
    assert_unsent(&report, 1..=6);
    assert_eq!(report.unreceived, 0);
}

/// Part of the same: what had come back before goes in front of what comes back by the destruction.
#[test]
fn a_destroyed_group_reports_what_came_back_in_its_order() {
    let mut engine = Driven::new(Options::default());
    let mut group = engine.listening(1);
    let (first, first_peer) = engine.accepted(&mut group, 1);
    let (second, second_peer) = engine.accepted(&mut group, 1);
    for (channel, peer, ids) in [(first, &first_peer, 1..=3), (second, &second_peer, 4..=6)] {
        peer.block();
        for id in ids {
            let message = request(id, 20).on(channel);
            group.sender().post(Msg::from(message)).unwrap();
        }
    }
    engine.settle();
    let bye = Message::new(OpCode::ByeSignal).on(first).id(100);
    group.sender().post(Msg::from(bye)).unwrap();
    engine.settle();
    assert_eq!(received(&mut group).message_id().value(), 100);
    let mut destruction = group.begin_destroy(Duration::ZERO);
    engine.settle();
    assert_unsent(&destruction.poll().expect("it is done"), 1..=6);
}

/// Without the repair a group that was destroyed after its engine had been shut down reported
/// nothing of what the shutdown had left in its inbox.
#[test]
fn a_group_destroyed_after_the_shutdown_reports_what_that_had_given_back() {
    let (mut engine, group) = come_back(1..=6);
    engine.handle.request_shutdown(Duration::ZERO);
    engine.turn();
    assert!(engine.driver.finished().is_some());
    drop(engine);
    let report = group.destroy(Duration::MAX);
    assert_unsent(&report, 1..=6);
}

/// Without the repair a destruction that was asked for when the engine had looked at its list for
/// the last time waited a second for nothing, and reported nothing of what the shutdown had left.
#[test]
fn a_destruction_that_the_ending_engine_does_not_see_is_reported() {
    let (mut engine, group) = come_back(1..=6);
    engine.handle.request_shutdown(Duration::ZERO);
    engine.turn();
    assert!(engine.driver.finished().is_some());
    let mut destruction = group.begin_destroy(Duration::MAX);
    assert!(destruction.poll().is_none(), "the engine has not ended");
    drop(engine);
    let report = destruction.poll().expect("the engine has ended");
    assert_unsent(&report, 1..=6);
}

/// A channel of which one frame fits into the inbox and two more were read, and whose peer takes
/// nothing of what is posted.
fn not_read(options: Options) -> (Driven, Group, ChannelNumber) {
    let mut engine = Driven::new(options.inbox_messages(1));
    let mut group = engine.listening(1);
    let (channel, peer) = engine.accepted(&mut group, 1);
    peer.block();
    peer.send(&requests([1, 2, 3], 20));
    let message = request(9, 20).on(channel);
    group.sender().post(Msg::from(message)).unwrap();
    engine.settle();
    let stats = engine.handle.stats();
    assert_eq!((stats.messages_received, stats.queued_messages), (2, 1));
    (engine, group, channel)
}

/// The three frames come, then this comes back, then the channel's last word.
#[track_caller]
fn expect_frames_then(group: &mut Group, back: &[u64]) -> Status {
    for id in 1..=3 {
        let msg = received(group);
        assert_eq!((msg.origin(), msg.message_id().value()), (Origin::Peer, id));
    }
    for id in back {
        let msg = received(group);
        assert_eq!(msg.origin(), Origin::Engine);
        assert_eq!(msg.message_id().value(), *id);
    }
    let last_word = received(group);
    let info = last_word.close_info().expect("the last word");
    assert_eq!(
        info.partial_frame_bytes, 0,
        "whole frames are no part of one"
    );
    assert_eq!(info.messages_received, 4);
    assert!(received_if_any(group).is_none());
    info.cause.status()
}

/// Without the repair whole frames that were read and waited for room were dropped by the write
/// stall, and told as bytes of a frame that the peer had not finished.
#[test]
fn frames_that_wait_for_room_are_delivered_when_the_write_stall_ends_the_channel() {
    let stall = Duration::from_secs(60);
    let (mut engine, mut group, _) = not_read(Options::default().write_stall_timeout(stall));
    engine.pass(stall);
    engine.settle();
    let why = expect_frames_then(&mut group, &[9]);
    assert_eq!(why, Status::WRITE_STALL_TIMEOUT);
}

/// The same by the application's own ByeSignal.
#[test]
fn frames_that_wait_for_room_are_delivered_when_a_bye_signal_ends_the_channel() {
    let (mut engine, mut group, channel) = not_read(Options::default());
    let bye = Message::new(OpCode::ByeSignal).on(channel).id(100);
    group.sender().post(Msg::from(bye)).unwrap();
    engine.settle();
    let why = expect_frames_then(&mut group, &[100, 9]);
    assert_eq!(why, Status::CHANNEL_CLOSED);
}

/// The same by the group's end, which counts them.
#[test]
fn frames_that_wait_for_room_are_counted_when_the_group_is_destroyed() {
    let (mut engine, group, _) = not_read(Options::default());
    let mut destruction = group.begin_destroy(Duration::ZERO);
    engine.settle();
    let report = destruction.poll().expect("it is done");
    assert_eq!(report.unreceived, 3, "{report:?}");
    assert_unsent(&report, 9..=9);
}
