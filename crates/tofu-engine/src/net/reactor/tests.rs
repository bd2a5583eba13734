//! The whole engine over the kernel, where the event loop itself is what is tested.

use super::*;
use crate::msg::{Msg, Report};
use crate::net::testing::DEADLINE;
use crate::{Group, Reactor};
use std::fs;
use std::path::Path;
use std::time::Duration;
use tofu_addr::Address;
use tofu_msg::{ChannelNumber, OpCode, Status};

#[cfg(target_os = "linux")] // Elsewhere nothing says what a thread is doing.
mod asleep;

mod wakers;

/// A listener that is ready.
fn listen(engine: &Reactor, group: &mut Group, path: &Path) -> ChannelNumber {
    let mut welcome = engine.message().unwrap();
    Address::uds_server(path).format(&mut welcome).unwrap();
    let number = group.sender().post(welcome).unwrap().channel_number;
    let ready = next(group);
    assert_eq!(ready.report(), Some(Report::ListenerReady));
    assert_eq!(ready.channel_number(), number);
    number
}

fn close(engine: &Reactor, group: &Group, number: ChannelNumber) {
    let mut bye = engine.message().unwrap();
    bye.set_op_code(OpCode::ByeSignal);
    bye.set_channel_number(number);
    group.sender().post(bye).unwrap();
}

fn next(group: &mut Group) -> Msg {
    group.receive(DEADLINE).unwrap().expect("a message in time")
}

/// Waits for the notice that the file of a listener is lost.
fn assert_told(group: &mut Group, listener: ChannelNumber) {
    let lost = Instant::now();
    let notice = next(group);
    assert!(lost.elapsed() <= Duration::from_secs(6));
    assert_eq!(notice.report(), Some(Report::UdsPathGone));
    assert_eq!(notice.status(), Status::UDS_PATH_GONE);
    assert_eq!(notice.channel_number(), listener);
}

#[test]
fn a_lost_socket_file_is_told_once_and_our_own_removing_it_never() {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create_group().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [lost, kept, last] = ["lost", "kept", "last"].map(|name| folder.path().join(name));
    let losing = listen(&engine, &mut group, &lost);
    fs::remove_file(&lost).unwrap();
    assert_told(&mut group, losing);

    let keeping = listen(&engine, &mut group, &kept);
    for number in [keeping, losing] {
        close(&engine, &group, number);
        let closed = std::iter::repeat_with(|| next(&mut group))
            .inspect(|msg| assert_ne!(msg.report(), Some(Report::UdsPathGone)))
            .find(|msg| msg.report() == Some(Report::ChannelClosed));
        assert_eq!(closed.map(|msg| msg.channel_number()), Some(number));
    }
    assert!(!kept.exists());
    // What the kernel had to tell of those is taken before this one is ready.
    listen(&engine, &mut group, &last);
}
