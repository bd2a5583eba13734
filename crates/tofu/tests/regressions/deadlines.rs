//! Deadlines against what has arrived in time: an engine that was kept from running (stopped, or
//! on a loaded machine) finds both at once.

use std::time::Duration;

use tofu::engine::Group;
use tofu::prelude::*;

use crate::harness::{Build, frame, hello_to, request, requests};
use crate::memory::{Driven, MemoryPeer, place, received, received_if_any};

/// A timeout, and twice as long a time in which the engine does not run.
const TIMEOUT: Duration = Duration::from_secs(1);
const STOPPED: Duration = Duration::from_secs(2);

fn accepted(options: Options) -> (Driven, Group, ChannelNumber, MemoryPeer) {
    let mut engine = Driven::new(options);
    let mut group = engine.listening(1);
    let (channel, peer) = engine.accepted(&mut group, 1);
    (engine, group, channel, peer)
}

/// The engine runs again, and finds its timeout long over.
#[track_caller]
fn runs_again(engine: &mut Driven) {
    engine.pass(STOPPED);
    engine.settle();
    assert_eq!(engine.handle.stats().timeouts, 0);
}

/// Without the repair the bye timeout was judged before the ByeResponse that lay in the kernel: the
/// channel ended unconfirmed, although the peer had answered in time.
#[test]
fn a_bye_response_that_has_arrived_is_read_before_the_bye_timeout_is_judged() {
    let (mut engine, mut group, channel, peer) = accepted(Options::default().bye_timeout(TIMEOUT));
    let bye = Message::new(OpCode::ByeRequest).on(channel).id(5);
    group.sender().post(Msg::from(bye)).unwrap();
    engine.settle();
    peer.send_frame(&Message::new(OpCode::ByeResponse).id(5));
    runs_again(&mut engine);
    assert_eq!(received(&mut group).op_code(), OpCode::ByeResponse);
    let last_word = received(&mut group);
    assert!(last_word.close_info().unwrap().confirmed, "{last_word:?}");
}

/// Without the repair the frame timeout closed the channel of a frame that was whole by then.
#[test]
fn the_rest_of_a_frame_that_has_arrived_is_read_before_the_frame_timeout_is_judged() {
    for len in [100, 20_000] {
        let options = Options::default().frame_timeout(TIMEOUT);
        let (mut engine, mut group, _, peer) = accepted(options);
        let bytes = requests([2], len);
        peer.send(&bytes[..50]);
        engine.settle();
        peer.send(&bytes[50..]);
        runs_again(&mut engine);
        assert_eq!(received(&mut group).body().len(), len);
        assert!(received_if_any(&mut group).is_none());
    }
}

/// Without the repair the handshake timeout turned away a connection whose Hello was there.
#[test]
fn a_hello_that_has_arrived_is_read_before_the_handshake_timeout_is_judged() {
    let mut engine = Driven::new(Options::default().handshake_timeout(TIMEOUT));
    let mut group = engine.listening(1);
    let peer = engine.connected(1);
    peer.send(&frame(&hello_to(&place(1), 0)));
    runs_again(&mut engine);
    assert_eq!(received(&mut group).op_code(), OpCode::HelloRequest);
    assert_eq!(engine.handle.stats().handshakes_failed, 0);
}

/// Without the repair the write stall closed a channel whose peer was taking data again.
#[test]
fn room_that_the_peer_has_made_is_used_before_the_write_stall_is_judged() {
    let options = Options::default().write_stall_timeout(TIMEOUT);
    let (mut engine, mut group, channel, peer) = accepted(options);
    peer.block();
    let message = request(2, 100).on(channel);
    group.sender().post(Msg::from(message.clone())).unwrap();
    engine.settle();
    peer.unblock();
    runs_again(&mut engine);
    assert_eq!(peer.received(), message.frame_len());
    assert!(received_if_any(&mut group).is_none());
}

/// Without the repair the kernel was asked for room of which it had not told only when the write
/// stall had passed; what it took then counted as taken by the peer just now, and a peer that had
/// long been cut off was given up after twice the timeout.
#[test]
fn the_write_stall_counts_from_about_when_the_peer_last_took_something() {
    const STALL: Duration = Duration::from_secs(4);
    const STEP: Duration = Duration::from_millis(100);
    let options = Options::default().write_stall_timeout(STALL);
    let (mut engine, mut group, channel, peer) = accepted(options);
    peer.block();
    for id in [2, 3] {
        let message = request(id, 100).on(channel);
        group.sender().post(Msg::from(message)).unwrap();
    }
    engine.settle();
    engine.pass(STEP);
    engine.settle();
    peer.take_quietly(10);
    let mut passed = Duration::ZERO;
    let last_word = loop {
        assert!(passed < STALL * 3, "not given up");
        engine.pass(STEP);
        engine.settle();
        passed += STEP;
        let msg = received_if_any(&mut group);
        if let Some(msg) = msg.filter(|msg| msg.close_info().is_some()) {
            break msg;
        }
    };
    let cause = last_word.close_info().unwrap().cause.status();
    assert_eq!(cause, Status::WRITE_STALL_TIMEOUT);
    let latest = STALL + Duration::from_millis(1500);
    assert!(STALL <= passed && passed <= latest, "{passed:?}");
}
