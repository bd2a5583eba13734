//! `tofu send`: bodies of all lengths there and back, and peers of all kinds.

use std::io::Write;
use std::process::Stdio;
use std::thread;
use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::{Random, RawListener, RawPeer, TempUdsPath, seed};

use crate::tool::{LIMIT, Listen, finish, raw_listener, run, run_with, start, tofu};

/// Accepts a connection and answers its greeting.
pub(crate) fn greet(listener: &RawListener) -> RawPeer {
    let mut peer = listener.accept(LIMIT).unwrap();
    let mut hello = peer.receive_frame(LIMIT).unwrap().unwrap();
    assert_eq!(hello.make_reply(), Some(OpCode::HelloResponse));
    peer.send_frame(&hello).unwrap();
    peer
}

#[test]
fn bodies_of_every_length_come_back() {
    let listen = Listen::echo();
    let mut random = Random::new(seed());
    for len in [0, 1, 65535, 65536, 131_070, 3_000_000] {
        let body = random.bytes(len);
        let ended = run_with(&["send", &listen.address, "--body", "-"], &body);
        assert_eq!((ended.code, &*ended.stderr), (0, ""));
        assert!(
            ended.stdout == body,
            "{len} bytes: {} came back",
            ended.stdout.len()
        );
    }
}

#[test]
fn a_file_is_a_body() {
    let listen = Listen::uds(&["--echo", "--count", "1"]);
    let file = concat!("@", env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
    let ended = run(&["send", &listen.address, "--body", file]);
    assert_eq!(ended.text(), include_str!("../../Cargo.toml"));
}

#[test]
fn one_tool_feeds_the_other() {
    let listen = Listen::uds(&["--echo", "--count", "2"]);
    let mut first = start(tofu(["send", &listen.address, "--body", "round and round"]));
    let mut second = tofu(["send", &listen.address, "--body", "-"]);
    second.stdin(Stdio::from(first.stdout.take().unwrap()));
    assert_eq!(finish(start(second)).text(), "round and round");
    assert_eq!(finish(first).text(), "");
    assert_eq!(listen.end().code, 0);
}

#[test]
fn the_answer_has_other_forms_too() {
    let listen = Listen::uds(&["--echo"]);
    let send = ["send", &listen.address, "--body", "hi", "--header", "k=v"];
    let ended = run(&[&send[..], &["--json"]].concat());
    let expected = r#"{"op":"Response","channel":1,"id":2,"more":false,"status":"success","headers":[{"name":"k","value":"v"}],"body":"hi"}"#;
    assert_eq!(ended.text(), format!("{expected}\n"));
    let ended = run(&[&send[..], &["--hex"]].concat());
    assert_eq!(
        ended.text(),
        "000101000000000000000002000500026b3a760d0a6869\n"
    );
}

/// A server of the simplest kind answers each message by itself, also the parts of a long one.
#[test]
fn every_answer_to_every_part_is_printed() {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create().unwrap();
    let path = TempUdsPath::new().unwrap();
    let mut welcome = engine.message().unwrap();
    Address::uds_server(&path).format(&mut welcome).unwrap();
    group.post(welcome).unwrap();
    let service = thread::spawn(move || {
        while let Ok(Some(message)) = group.wait_receive(Duration::MAX) {
            if let Incoming::Peer(mut message) = Incoming::from(message) {
                message.make_reply();
                group.post(message).ok();
            }
        }
    });
    let address = format!("uds|{}", path.as_path().display());
    let body: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
    let ended = run_with(&["send", &address, "--wait=5s", "--body=-"], &body);
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
    assert!(ended.stdout == body);
    engine.shutdown(Duration::from_secs(1));
    service.join().unwrap();
}

#[test]
fn it_waits_for_a_listener_to_come() {
    let path = TempUdsPath::new().unwrap();
    let address = format!("uds|{}", path.as_path().display());
    let send = start(tofu(["send", &address, "--wait", "60s", "--body", "late"]));
    let listen = Listen::at(&address, &["--echo", "--count", "1"]);
    assert_eq!(finish(send).text(), "late");
    assert_eq!(listen.end().code, 0);
}

#[test]
fn what_else_the_peer_says_is_no_answer() {
    let (listener, _path) = raw_listener();
    let address = listener.endpoint().to_string();
    let send = start(tofu(["send", &address, "--body", "?"]));
    let mut peer = greet(&listener);
    let mut request = peer.receive_frame(LIMIT).unwrap().unwrap();
    let mut other = Message::new(OpCode::Response);
    other.set_message_id(MessageId::new(77));
    other.body_mut().append(b"of another question").unwrap();
    peer.send_frame(&other).unwrap();
    let mut progress = Message::new(OpCode::Signal);
    progress.set_message_id(request.message_id());
    progress.body_mut().append(b"half done").unwrap();
    peer.send_frame(&progress).unwrap();
    request.make_reply();
    request.body_mut().replace(b"answer").unwrap();
    peer.send_frame(&request).unwrap();
    let mut bye = peer.receive_frame(LIMIT).unwrap().unwrap();
    assert_eq!(bye.make_reply(), Some(OpCode::ByeResponse));
    peer.send_frame(&bye).unwrap();
    drop(peer);
    assert_eq!(finish(send).text(), "answer");
}

/// The answer to the first part is not that to all.
#[test]
fn a_long_request_wants_all_its_answers() {
    let (listener, _path) = raw_listener();
    let address = listener.endpoint().to_string();
    let mut command = tofu(["send", &address, "--body", "-"]);
    command.stdin(Stdio::piped());
    let mut send = start(command);
    let mut stdin = send.stdin.take().unwrap();
    let mut peer = greet(&listener);
    stdin.write_all(&vec![b'x'; 65536]).unwrap();
    let mut first = peer.receive_frame(LIMIT).unwrap().unwrap();
    assert!(first.more());
    first.make_reply();
    peer.send_frame(&first).unwrap();
    drop(stdin);
    let last = peer.receive_frame(LIMIT).unwrap().unwrap();
    assert!(!last.more());
    drop(peer);
    let ended = finish(send);
    assert!(ended.failed(5).contains(" was lost: "), "{ended:?}");
}
