//! Commands that are ended from outside: Ctrl-C, a reader that leaves, a peer that leaves.

use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::thread;

use rustix::process::Signal;
use tofu::prelude::OpCode;
use tofu_testkit::{RawPeer, TempUdsPath};

use crate::send::greet;
use crate::tool::{LIMIT, Listen, finish, raw_listener, run, signal, start, tofu};

/// Answers everything up to the goodbye, and closes.
fn answer_to_the_end(mut peer: RawPeer) {
    while let Some(mut message) = peer.receive_frame(LIMIT).unwrap() {
        let reply = message.make_reply();
        peer.send_frame(&message).unwrap();
        if reply == Some(OpCode::ByeResponse) {
            return;
        }
    }
    panic!("it ended without a goodbye");
}

#[test]
fn a_listener_says_goodbye() {
    for which in [Signal::INT, Signal::TERM] {
        let listen = Listen::uds(&["--echo"]);
        let mut peer = RawPeer::connect(&listen.endpoint()).unwrap();
        peer.hello(&listen.endpoint()).unwrap();
        let hello = peer.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(hello.op_code(), OpCode::HelloResponse);
        listen.signal(which);
        answer_to_the_end(peer);
        assert_eq!(listen.end().text(), "");
    }
}

#[test]
fn a_sender_says_goodbye() {
    let (listener, _path) = raw_listener();
    let send = start(tofu(["send", &listener.endpoint().to_string()]));
    let mut peer = greet(&listener);
    let request = peer.receive_frame(LIMIT).unwrap().unwrap();
    assert_eq!(request.op_code(), OpCode::Request);
    signal(send.id(), Signal::INT);
    answer_to_the_end(peer);
    assert_eq!(finish(send).failed(130), "interrupted");
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let (listener, _path) = raw_listener();
    let send = start(tofu([
        "send",
        &listener.endpoint().to_string(),
        "--op=signal",
        "--timeout=60",
    ]));
    let mut peer = greet(&listener);
    // Nobody answers its goodbye.
    while peer.receive_frame(LIMIT).unwrap().unwrap().op_code() != OpCode::ByeRequest {}
    signal(send.id(), Signal::INT);
    signal(send.id(), Signal::TERM);
    assert_eq!(finish(send).failed(130), "interrupted twice");
}

#[test]
fn waiting_for_a_listener_can_be_ended() {
    let path = TempUdsPath::new().unwrap();
    let address = format!("uds|{}", path.as_path().display());
    let mut command = tofu(["send", &address, "--wait", "60s", "--body", "-"]);
    command.stdin(Stdio::piped());
    let send = start(command);
    // Before it is ready to be asked kindly, a signal kills it.
    wait_for_handlers(send.id());
    signal(send.id(), Signal::INT);
    assert_eq!(finish(send).failed(130), "interrupted");
}

/// Waits until the process catches SIGINT.
fn wait_for_handlers(pid: u32) {
    let is_caught = || {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
        let mask = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        u64::from_str_radix(mask.unwrap().trim(), 16).unwrap() & 1 << 1 != 0
    };
    tofu_testkit::wait_until(LIMIT, "a handler of SIGINT", is_caught);
}

#[test]
fn ping_sums_up() {
    let listen = Listen::echo();
    let mut ping = start(tofu(["ping", &listen.address, "--interval", "60s"]));
    let mut stdout = ping.stdout.take().unwrap();
    let mut shown = String::new();
    while !shown.contains("seq=1") {
        let mut piece = [0; 4096];
        let len = stdout.read(&mut piece).unwrap();
        assert_ne!(len, 0, "{shown}");
        shown += std::str::from_utf8(&piece[..len]).unwrap();
    }
    signal(ping.id(), Signal::INT);
    stdout.read_to_string(&mut shown).unwrap();
    assert!(
        shown.contains("\n1 sent, 1 answered, 0% lost, time "),
        "{shown}"
    );
    assert_eq!(finish(ping).text(), "");
}

#[test]
fn perf_tells_what_it_has() {
    let (listener, _path) = raw_listener();
    let perf = start(tofu(["perf", &listener.endpoint().to_string(), "--json"]));
    let mut peer = greet(&listener);
    // It has begun to measure when the user has seen enough.
    let mut request = peer.receive_frame(LIMIT).unwrap().unwrap();
    assert_eq!(request.make_reply(), Some(OpCode::Response));
    signal(perf.id(), Signal::INT);
    peer.send_frame(&request).unwrap();
    answer_to_the_end(peer);
    let ended = finish(perf);
    assert!(
        ended
            .text()
            .contains(r#""latency":{"window":1,"requests":"#),
        "{ended:?}"
    );
    assert!(!ended.text().contains("throughput"), "{ended:?}");
}

#[test]
fn a_reader_that_leaves_is_told_of_in_one_line() {
    let mut listen = Listen::uds(&["--raw"]);
    drop(listen.take_stdout());
    let ended = run(&["send", &listen.address, "--op", "signal", "--body", "lost"]);
    // The goodbye may have been answered before the end of the reader was noticed, or crossed.
    assert!(matches!(ended.code, 0 | 5), "{ended:?}");
    assert_eq!(
        listen.end().failed(7),
        "standard output was closed by its reader"
    );
}

#[test]
fn every_command_minds_its_reader() {
    let listen = Listen::echo();
    let address = listen.address.as_str();
    let long = "x".repeat(65535);
    let commands: [&[&str]; 6] = [
        &["send", address, "--body", &long],
        &["ping", address, "--interval", "0", "--count", "3"],
        &["perf", address, "--count", "3"],
        &["completions", "bash"],
        &["man"],
        &["--help"],
    ];
    for arguments in commands {
        let (reader, writer) = UnixStream::pair().unwrap();
        drop(reader);
        let mut command = tofu(arguments);
        command.stdout(OwnedFd::from(writer)).stderr(Stdio::piped());
        let ended = finish(command.spawn().unwrap());
        assert_eq!(
            ended.failed(7),
            "standard output was closed by its reader",
            "{arguments:?}"
        );
    }
}

#[test]
fn a_peer_that_leaves_is_told_of() {
    let (listener, _path) = raw_listener();
    let address = listener.endpoint().to_string();
    // Its input never ends, and still it notices.
    let mut command = tofu(["send", &address, "--body", "-"]);
    command.stdin(Stdio::piped());
    let mut send = start(command);
    let stdin = send.stdin.take();
    drop(greet(&listener));
    let ended = finish(send);
    let line = ended.failed(5);
    let expected = format!("the connection to {address} was lost: peer_disconnected: ");
    assert!(line.starts_with(&expected), "{line}");
    drop(stdin);

    let ping = start(tofu(["ping", &address]));
    drop(greet(&listener));
    let ended = finish(ping);
    assert!(ended.failed(5).starts_with(&expected));
    let shown = String::from_utf8_lossy(&ended.stdout);
    assert!(shown.contains("\n1 sent, 0 answered, 100% lost"), "{shown}");
}

#[test]
fn a_goodbye_of_the_peer_is_no_answer() {
    let listen = Listen::uds(&[]);
    let mut command = tofu(["send", &listen.address, "--timeout", "60s"]);
    command.stdin(Stdio::null());
    let mut listen = listen;
    let send = start(command);
    listen.line();
    listen.signal(Signal::INT);
    let ended = finish(send);
    assert!(
        ended
            .failed(5)
            .ends_with(" was lost: the peer said goodbye"),
        "{ended:?}"
    );
    assert_eq!(listen.end().code, 0);
}

/// Runs a command against a peer that greets and is silent then.
fn meet_silence(command: &'static str, option: &'static str, what: &str) {
    let (listener, _path) = raw_listener();
    let address = listener.endpoint().to_string();
    // As long as the greeting may take, and not longer than a test should.
    let child = start(tofu([command, &address, option, "--timeout", "1s"]));
    let _peer = greet(&listener);
    let expected = format!("no answer to {what} from {address} within 1s");
    assert_eq!(finish(child).failed(4), expected);
}

#[test]
fn silence_is_told_of_in_time() {
    thread::scope(|scope| {
        scope.spawn(|| meet_silence("send", "--op=request", "the Request"));
        scope.spawn(|| meet_silence("send", "--op=signal", "the goodbye"));
        scope.spawn(|| meet_silence("perf", "--count=1", "a request"));
    });
}

#[test]
fn a_peer_that_does_not_even_greet_is_told_of() {
    let (listener, _path) = raw_listener();
    let address = listener.endpoint().to_string();
    let send = start(tofu(["send", &address, "--timeout", "1s"]));
    let _peer = listener.accept(LIMIT).unwrap();
    let ended = finish(send);
    let line = ended.failed(4);
    let expected = format!("{address} did not greet back: hello_response_timeout: ");
    assert!(line.starts_with(&expected), "{line}");
}
