//! What the options say about the sockets themselves, read back from them.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::{PidfdFlags, PidfdGetfdFlags, getpid, pidfd_getfd, pidfd_open};
use socket2::{SockAddr, Socket};
use tofu::prelude::*;
use tofu_testkit::TempUdsPath;

use crate::child::{child_of, run_alone};
use crate::harness::{Listening, Side, Transport};
use crate::peers::{Line, Place};

/// Another descriptor of the socket of this process that has these ports, `None` being any.
fn socket_with(own: Option<u16>, peers: u16) -> Socket {
    let this_process = pidfd_open(getpid(), PidfdFlags::empty()).unwrap();
    let is_it = |socket: &Socket| {
        let port = |address: std::io::Result<SockAddr>| Some(address.ok()?.as_socket()?.port());
        let local = port(socket.local_addr());
        port(socket.peer_addr()) == Some(peers) && (own.is_none() || local == own)
    };
    let mut sockets = fs::read_dir("/proc/self/fd").unwrap().filter_map(|entry| {
        let entry = entry.ok()?;
        let link = fs::read_link(entry.path()).ok()?;
        link.to_str()?.strip_prefix("socket:")?;
        let number = entry.file_name().to_str()?.parse().ok()?;
        let descriptor = pidfd_getfd(&this_process, number, PidfdGetfdFlags::empty()).ok()?;
        Some(Socket::from(descriptor))
    });
    let found = sockets.find(is_it);
    found.unwrap_or_else(|| panic!("no socket connects {own:?} to {peers}"))
}

fn port(endpoint: &Endpoint) -> u16 {
    match endpoint {
        Endpoint::Tcp { port, .. } => *port,
        Endpoint::Uds(_) => panic!("{endpoint} is no port"),
    }
}

/// The engine's ends of a connection that was accepted and of one that was made.
fn ends(options: Options) -> [Socket; 2] {
    let mut side = Side::start(options);
    let listening = side.listen(Transport::Tcp);
    let line = Line::accepted(&mut side, &listening);
    let peer = side.info(line.channel).unwrap().peer.unwrap().endpoint;
    let accepted = socket_with(Some(port(&listening.endpoint)), port(&peer));
    let place = Place::new(Transport::Tcp);
    let _dialed = Line::dialed(&side, &place);
    [accepted, socket_with(None, port(place.endpoint()))]
}

#[test]
fn keepalive_idle_interval_and_probes() {
    let options = Options::default()
        .keepalive_idle(Duration::from_secs(77))
        .keepalive_interval(Duration::from_millis(12_001))
        .keepalive_probes(5);
    for socket in ends(options) {
        assert!(socket.keepalive().unwrap());
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 77);
        let interval = socket.tcp_keepalive_interval().unwrap();
        assert_eq!(interval.as_secs(), 13, "whole seconds");
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 5);
        assert!(socket.tcp_nodelay().unwrap());
    }
}

/// In a network whose one link goes down. (With a user timeout, that takes the probes' place.)
#[test]
fn keepalive_probes_find_out_that_a_peer_is_gone() {
    if child_of("UNREACHABLE").is_none() {
        let test = "socket_options::keepalive_probes_find_out_that_a_peer_is_gone";
        return run_alone("true", test, ("UNREACHABLE", ""));
    }
    let second = Duration::from_secs(1);
    let options = Options::default()
        .keepalive_idle(second)
        .keepalive_interval(second)
        .keepalive_probes(1)
        .write_stall_timeout(Duration::MAX);
    let mut side = Side::start(options);
    let listening = side.listen(Transport::Tcp);
    let line = Line::accepted(&mut side, &listening);
    let down = Command::new("ip")
        .args(["link", "set", "lo", "down"])
        .status();
    assert!(down.unwrap().success());
    let start = Instant::now();
    side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    let elapsed = start.elapsed();
    assert!(elapsed > second && elapsed < second * 5, "{elapsed:?}");
}

#[test]
fn keepalive_idle_off() {
    let options = Options::default().keepalive_idle(Duration::MAX);
    for socket in ends(options) {
        assert!(!socket.keepalive().unwrap());
    }
}

#[test]
fn keepalive_interval_by_default() {
    for socket in ends(Options::default()) {
        assert_eq!(socket.tcp_keepalive_time().unwrap().as_secs(), 30);
        assert_eq!(socket.tcp_keepalive_interval().unwrap().as_secs(), 10);
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 3);
    }
}

#[test]
fn keepalive_probes_out_of_range_are_brought_in() {
    let options = Options::default().keepalive_probes(100_000);
    for socket in ends(options) {
        assert_eq!(socket.tcp_keepalive_retries().unwrap(), 127);
    }
}

/// Never below the write stall and a margin, for it must exceed the pauses to be survived.
#[test]
fn tcp_user_timeout_is_above_the_write_stall() {
    let seconds = Duration::from_secs;
    for (asked, stall, expected) in [
        (seconds(75), seconds(60), Some(seconds(75))),
        (seconds(200), seconds(60), Some(seconds(200))),
        (seconds(1), seconds(60), Some(seconds(75))),
        (seconds(75), seconds(100), Some(seconds(115))),
        (seconds(75), Duration::MAX, None),
        (Duration::MAX, seconds(60), None),
    ] {
        let options = Options::default().tcp_user_timeout(asked);
        for socket in ends(options.write_stall_timeout(stall)) {
            let set = socket.tcp_user_timeout().unwrap();
            let set = set.filter(|timeout| !timeout.is_zero());
            assert_eq!(set, expected, "{asked:?} and {stall:?}");
        }
    }
}

#[test]
fn uds_mode_of_the_socket_file() {
    for (mode, expected) in [
        (0o600, 0o600),
        (0o660, 0o660),
        (0o666, 0o666),
        (0o777, 0o777),
        (0o4622, 0o622),
    ] {
        let mut side = Side::start(Options::default().uds_mode(mode));
        let path = TempUdsPath::new().unwrap();
        side.listen_on(&Address::uds_server(&path));
        let set = path.metadata().unwrap().permissions().mode();
        assert_eq!(set & 0o7777, expected, "{mode:o}");
    }
    let mut side = Side::start(Options::default());
    let Listening { endpoint, .. } = side.listen(Transport::Uds);
    let Endpoint::Uds(tofu::addr::UdsName::File(path)) = endpoint else {
        panic!("{endpoint} is no file")
    };
    let set = path.metadata().unwrap().permissions().mode();
    assert_eq!(set & 0o7777, 0o600, "by default only its owner");
}
