//! The end of a group, of an engine and of a channel that was not read for want of room: what had
//! come back, and what had been read, is lost nowhere.

use std::time::Duration;

use tofu::engine::{DestroyReport, Group};
use tofu::prelude::*;

use crate::harness::{Build, request, requests};
use crate::memory::{Driven, received, received_if_any};

/// An engine with a group of three channels whose peers take nothing. What was posted to the first
/// has come back and was taken out of the inbox together with the ByeSignal that was handed out: 1
/// and 2. What was posted to the second has come back and lies in the inbox, its ByeSignal first: 3
/// to 5. What was posted to the third is queued: 6 and 7.
fn come_back() -> (Driven, Group) {
    let mut engine = Driven::new(Options::default());
    let mut group = engine.listening(1);
    let channels = [(); 3].map(|()| {
        let (channel, peer) = engine.accepted(&mut group, 1);
        peer.block();
        channel
    });
    for (channel, ids) in channels.into_iter().zip([[1, 2], [4, 5], [6, 7]]) {
        for id in ids {
            // Some travel by pointer, the others are encoded.
            let len = if id % 2 == 0 { 20_000 } else { 20 };
            post(&group, request(id, len).on(channel));
        }
    }
    engine.settle();
    post(&group, bye_signal(100).on(channels[0]));
    engine.settle();
    assert_eq!(received(&mut group).message_id().value(), 100);
    post(&group, bye_signal(3).on(channels[1]));
    engine.settle();
    (engine, group)
}

fn post(group: &Group, message: Message) {
    group.sender().post(Msg::from(message)).unwrap();
}

fn bye_signal(id: u64) -> Message {
    Message::new(OpCode::ByeSignal).id(id)
}

/// All of it is in the report, in its order.
#[track_caller]
fn assert_all_unsent(report: &DestroyReport) {
    let unsent = report.unsent.iter().map(|msg| msg.message_id().value());
    assert_eq!(unsent.collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!(report.unreceived, 0);
    assert!(!report.complete, "{report:?}");
}

/// Without the repair returned messages that had not been received were in no report.
#[test]
fn a_destroyed_group_reports_what_had_come_back() {
    let (mut engine, group) = come_back();
    let mut destruction = group.begin_destroy(Duration::ZERO);
    engine.settle();
    assert_all_unsent(&destruction.poll().expect("it is done"));
}

/// The same for a group that is destroyed after its engine was shut down.
#[test]
fn a_group_destroyed_after_the_shutdown_reports_what_had_come_back() {
    let (mut engine, group) = come_back();
    engine.handle.request_shutdown(Duration::ZERO);
    engine.turn();
    assert!(engine.driver.finished().is_some());
    drop(engine);
    assert_all_unsent(&group.destroy(Duration::MAX));
}

/// Without the repair a destruction that was asked for when the engine had looked at its list for
/// the last time waited a second for nothing, and reported nothing of what the shutdown had left.
#[test]
fn a_destruction_that_the_ending_engine_does_not_see_is_reported() {
    let (mut engine, group) = come_back();
    engine.handle.request_shutdown(Duration::ZERO);
    engine.turn();
    assert!(engine.driver.finished().is_some());
    let mut destruction = group.begin_destroy(Duration::MAX);
    assert!(destruction.poll().is_none(), "the engine has not ended");
    drop(engine);
    assert_all_unsent(&destruction.poll().expect("the engine has ended"));
}

/// A channel of which one frame fits into the inbox and two more were read, and whose peer takes
/// nothing of what is posted.
fn not_read(options: Options) -> (Driven, Group, ChannelNumber) {
    let mut engine = Driven::new(options.inbox_messages(1));
    let mut group = engine.listening(1);
    let (channel, peer) = engine.accepted(&mut group, 1);
    peer.block();
    peer.send(&requests([1, 2, 3], 20));
    post(&group, request(9, 20).on(channel));
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
    post(&group, bye_signal(100).on(channel));
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
    let unsent: Vec<_> = report.unsent.iter().map(|msg| msg.message_id()).collect();
    assert_eq!(unsent, [MessageId::new(9)]);
}
