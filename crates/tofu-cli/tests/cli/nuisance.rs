//! Peers that never fall silent and never answer: nothing they send may keep a command from its
//! end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::send::greet;
use crate::tool::{Ended, LIMIT, finish, raw_listener, start, tofu};

/// A Signal about nothing, as often as it is taken, until the peer has left.
fn flood(peer: &RawPeer, has_left: &AtomicBool) {
    let mut message = Message::new(OpCode::Signal);
    message.set_message_id(MessageId::new(1_000_000));
    let mut frames = Vec::new();
    for _ in 0..100 {
        message.encode_into(&mut frames);
    }
    while !has_left.load(Ordering::SeqCst) && peer.send(&frames).is_ok() {}
}

/// Runs a command against a peer that may greet, takes everything, answers nothing, and floods.
fn meet_flood(arguments: &[&str], greets: bool) -> Ended {
    let (listener, _path) = raw_listener();
    let address = listener.endpoint().to_string();
    let child = start(tofu([&[arguments[0], &address], &arguments[1..]].concat()));
    let mut peer = match greets {
        true => greet(&listener),
        false => listener.accept(LIMIT).unwrap(),
    };
    let sender = peer.try_clone().unwrap();
    let has_left = Arc::new(AtomicBool::new(false));
    let is_over = Arc::clone(&has_left);
    let flooding = thread::spawn(move || flood(&sender, &is_over));
    let taking = thread::spawn(move || while let Ok(Some(_)) = peer.receive_frame(LIMIT) {});
    let ended = finish(child);
    has_left.store(true, Ordering::SeqCst);
    flooding.join().unwrap();
    taking.join().unwrap();
    ended
}

#[test]
fn a_flood_is_no_answer() {
    thread::scope(|scope| {
        for (command, greets) in [
            (&["ping", "-c1", "--timeout=1s"][..], true),
            (&["ping", "-c1", "--timeout=1s"], false),
            (&["perf", "--count=1", "--timeout=1s"], true),
            (&["send", "--timeout=1s"], true),
            (&["send", "--op=signal", "--timeout=1s"], true),
        ] {
            scope.spawn(move || {
                let ended = meet_flood(command, greets);
                assert_eq!(ended.code, 4, "{command:?}: {ended:?}");
            });
        }
    });
}
