//! Facts about the kernel that the engine is built on, seen from outside.

use std::fs;
use std::os::unix::fs::symlink;
use std::os::unix::net::UnixListener;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::{RawPeer, TempUdsPath};

use crate::child::{child_of, run_alone};
use crate::harness::{Build, SHORT, Side, Transport, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    data_before_a_reset_are_read,
    data_before_a_reset_are_read_however_late,
}

/// No event tells that a place in the backlog is free: it is tried again.
#[test]
fn a_full_uds_backlog_is_tried_again() {
    let mut side = Side::start(Options::default());
    let place = Place::new(Transport::Uds);
    let filler = place.fill_backlog();
    let hello = side.hello(place.endpoint());
    side.post(request(5, 5).on(hello.channel_number()));
    side.pass(SHORT);
    side.expect_nothing();
    drop(filler);
    drop(place.accept());
    let mut line = Line {
        channel: hello.channel_number(),
        raw: place.accept(),
    };
    line.expect_ids([hello.message_id().value(), 5]);
    line.echo(&mut side);
}

/// Alone in a network with a single port: whoever connects to it meets himself there.
#[test]
fn a_socket_that_meets_itself_is_refused() {
    if let Some(port) = child_of("SELF_CONNECT") {
        let mut side = Side::start(Options::default());
        let address = Address::tcp_client("127.0.0.1", port.parse().unwrap());
        let hello = side.hello(&address.into_endpoint());
        side.expect_back(&hello, Status::CONNECT_FAILED);
        side.expect_closed(hello.channel_number(), Status::CONNECT_FAILED);
        assert_eq!(side.stats().connects_failed, 1);
        return;
    }
    run_alone(
        "echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range",
        "kernel::a_socket_that_meets_itself_is_refused",
        ("SELF_CONNECT", "40000"),
    );
}

fn data_before_a_reset_are_read(transport: Transport) {
    const LAST: u64 = 200;
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(1..=LAST, 100)).unwrap();
    line.raw.reset().unwrap();
    for id in 1..=LAST {
        side.expect_peer(line.channel, &request(id, 100));
    }
    let info = side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    assert_eq!(info.messages_received, 1 + LAST);
    side.expect_nothing();
}

/// The reset is there long before there is room for what came before it.
fn data_before_a_reset_are_read_however_late(transport: Transport) {
    const LAST: u64 = 400;
    let mut side = Side::start(Options::default().inbox_messages(3));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(1..=LAST, 100)).unwrap();
    side.turn();
    // What is posted now finds a peer that is gone.
    line.raw.reset().unwrap();
    side.turn();
    let _ = side.group.post(side.pooled(request(9, 9).on(line.channel)));
    side.turn();
    for id in 1..=LAST {
        side.expect_peer(line.channel, &request(id, 100));
    }
    let mut last = side.next();
    if last.message_id().value() == 9 {
        assert_eq!(last.status(), Status::PEER_DISCONNECTED, "{last:?}");
        last = side.next();
    }
    let cause = last.close_info().map(|info| info.cause.status());
    assert_eq!(cause, Some(Status::PEER_DISCONNECTED), "{last:?}");
    side.expect_nothing();
}

/// Listening on a path fails for this reason, and what is there stays.
#[track_caller]
fn expect_listen_fails(path: &TempUdsPath, why: Status) {
    let before = fs::symlink_metadata(path).unwrap();
    let mut side = Side::start(Options::default());
    let mut welcome = Message::default();
    Address::uds_server(path).format(&mut welcome).unwrap();
    let posted = side.post(welcome);
    let (notice, msg) = side.expect_engine(posted.channel_number());
    assert_eq!(notice, Notice::ListenFailed);
    assert_eq!(msg.status(), why, "{msg:?}");
    side.expect_closed(posted.channel_number(), why);
    drop(side);
    let after = fs::symlink_metadata(path).unwrap();
    assert_eq!(before.file_type(), after.file_type());
    assert_eq!(before.modified().unwrap(), after.modified().unwrap());
}

#[test]
fn a_socket_file_that_is_stale_is_used_again() {
    let path = TempUdsPath::new().unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(path.exists());
    let mut side = Side::start(Options::default());
    let (_, endpoint) = side.listen_on(&Address::uds_server(&path));
    let raw = RawPeer::connect(&endpoint).unwrap();
    Line::greeted(&mut side, &endpoint, raw).echo(&mut side);
}

#[test]
fn a_socket_file_that_is_alive_is_left_alone() {
    let path = TempUdsPath::new().unwrap();
    let holder = UnixListener::bind(&path).unwrap();
    expect_listen_fails(&path, Status::ADDRESS_IN_USE);
    holder.set_nonblocking(true).unwrap();
    RawPeer::connect_uds(&path).unwrap();
}

#[test]
fn a_regular_file_in_the_place_of_a_socket_is_left_alone() {
    let path = TempUdsPath::new().unwrap();
    fs::write(&path, b"precious").unwrap();
    expect_listen_fails(&path, Status::LISTEN_FAILED);
    assert_eq!(fs::read(&path).unwrap(), b"precious");
}

/// Not even one that points to a stale socket, or to nothing.
#[test]
fn a_symlink_in_the_place_of_a_socket_is_left_alone() {
    let target = TempUdsPath::new().unwrap();
    for stale in [true, false] {
        if stale {
            drop(UnixListener::bind(&target).unwrap());
        }
        let path = TempUdsPath::new().unwrap();
        symlink(&target, &path).unwrap();
        expect_listen_fails(&path, Status::LISTEN_FAILED);
        assert_eq!(target.exists(), stale);
        let _ = fs::remove_file(&target);
    }
}

/// What `act` does to the file is told of; it says whether something is there that is not ours.
fn path_gone(act: impl FnOnce(&TempUdsPath) -> bool) {
    let mut side = Side::start(Options::default());
    let path = TempUdsPath::new().unwrap();
    let (channel, endpoint) = side.listen_on(&Address::uds_server(&path));
    let raw = RawPeer::connect(&endpoint).unwrap();
    let mut line = Line::greeted(&mut side, &endpoint, raw);
    let start = Instant::now();
    let stays = act(&path);
    let msg = side.expect_notice(channel, &Notice::UdsPathGone);
    assert!(start.elapsed() < Duration::from_secs(6));
    assert_eq!(msg.status(), Status::UDS_PATH_GONE);
    // Who is in stays in.
    line.echo(&mut side);
    side.expect_nothing();
    side.post(Message::new(OpCode::ByeSignal).on(channel));
    side.expect_engine(channel);
    side.expect_closed(channel, Status::CHANNEL_CLOSED);
    line.echo(&mut side);
    assert_eq!(path.exists(), stays);
}

#[test]
fn a_socket_file_that_is_removed_is_told_of() {
    path_gone(|path| {
        fs::remove_file(path).unwrap();
        false
    });
}

/// The one that took its place is not ours to remove.
#[test]
fn a_socket_file_that_is_replaced_is_told_of() {
    path_gone(|path| {
        let aside = path.with_extension("new");
        drop(UnixListener::bind(&aside).unwrap());
        fs::rename(&aside, path).unwrap();
        true
    });
}
