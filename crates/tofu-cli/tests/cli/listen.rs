//! `tofu listen`: what it prints, whom it answers, when it ends.

use std::process::Stdio;

use serde_json::{Value, json};
use tofu::prelude::OpCode;
use tofu_testkit::{RawPeer, TempUdsPath};

use crate::tool::{LIMIT, Listen, finish, run, run_with, start, tofu};

fn send(listen: &Listen, options: &[&str]) {
    let ended = run(&[&["send", &listen.address], options].concat());
    assert_eq!((ended.code, &*ended.stderr), (0, ""));
}

#[test]
fn the_bound_address_comes_first_and_beside_the_messages() {
    let listen = Listen::at("tcp|127.0.0.1|0", &["--count", "1", "--raw"]);
    assert!(listen.address.starts_with("tcp|127.0.0.1|"));
    assert_ne!(listen.address, "tcp|127.0.0.1|0");
    send(&listen, &["--op", "signal", "--body", "hi"]);
    assert_eq!(listen.end().text(), "hi");
}

#[test]
fn text_is_for_people() {
    let listen = Listen::uds(&["--count", "2"]);
    send(
        &listen,
        &["--op", "signal", "--body", "one\ntwo", "-H", "kind=test"],
    );
    assert_eq!(
        run_with(
            &["send", &listen.address, "--op=signal", "-b-"],
            b"\x00\xff"
        )
        .code,
        0
    );
    assert_eq!(
        listen.end().text(),
        "Signal channel 2 id 2, 11 bytes of text headers, 7 bytes of body\n    kind: test\n    \
         one\n    two\nSignal channel 3 id 2, 2 bytes of body\n    \
         00 ff                                            ..\n"
    );
}

#[test]
fn json_is_for_programs() {
    let listen = Listen::uds(&["--json", "--count", "2"]);
    send(
        &listen,
        &["--op", "signal", "--body", "ü", "-H", "a=1", "-H", "a=2"],
    );
    assert_eq!(
        run_with(&["send", &listen.address, "--op=signal", "-b-"], b"\xff").code,
        0
    );
    let ended = listen.end();
    let lines: Vec<Value> = ended
        .text()
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let headers = json!([{"name": "a", "value": "1"}, {"name": "a", "value": "2"}]);
    assert_eq!(
        lines,
        [
            json!({"op": "Signal", "channel": 2, "id": 2, "more": false, "status": "success",
                "headers": headers, "body": "ü"}),
            json!({"op": "Signal", "channel": 3, "id": 2, "more": false, "status": "success",
                "headers": [], "body_hex": "ff"}),
        ]
    );
}

#[test]
fn a_line_comes_as_soon_as_its_message() {
    let mut listen = Listen::uds(&["--raw"]);
    for body in ["first\n", "second\n"] {
        send(&listen, &["--op", "signal", "--body", body]);
        assert_eq!(listen.line(), body);
    }
}

#[test]
fn hello_and_bye_are_shown_on_demand() {
    let listen = Listen::uds(&["--all", "--json", "--count", "2"]);
    send(&listen, &["--op", "signal"]);
    send(&listen, &["--op", "signal"]);
    let ended = listen.end();
    let ops = ended.text().lines().map(|line| {
        let line: Value = serde_json::from_str(line).unwrap();
        line["op"].as_str().unwrap().to_owned()
    });
    let ops: Vec<String> = ops.collect();
    // The second goodbye may come after the end.
    assert_eq!(
        ops[..5],
        [
            "HelloRequest",
            "Signal",
            "ByeRequest",
            "HelloRequest",
            "Signal"
        ]
    );
}

#[test]
fn a_long_message_counts_once() {
    let listen = Listen::uds(&["--raw", "--count", "1", "--echo"]);
    let body = "x".repeat(150_000);
    let file_path = TempUdsPath::new().unwrap();
    std::fs::write(file_path.as_path(), &body).unwrap();
    let file = format!("@{}", file_path.as_path().display());
    let mut send = tofu(["send", &listen.address, "--body", &file]);
    send.stdout(Stdio::null());
    let mut send = send.spawn().unwrap();
    assert!(listen.end().text() == body);
    assert!(send.wait().unwrap().success());
    std::fs::remove_file(file_path.as_path()).unwrap();
}

#[test]
fn decode_reads_what_it_prints() {
    let mut listen = Listen::uds(&["--hex", "--count", "2"]);
    let mut decode = tofu(["decode", "--json"]);
    decode.stdin(Stdio::from(listen.take_stdout()));
    let decode = start(decode);
    send(
        &listen,
        &["--op", "signal", "--body", "through", "-H", "a=b"],
    );
    send(&listen, &["--op", "signal", "--body", "a pipe"]);
    let ended = finish(decode);
    let lines: Vec<&str> = ended.text().lines().collect();
    assert_eq!(lines.len(), 2);
    assert!(
        lines[0].starts_with(r#"{"offset":0,"op":"Signal","#),
        "{}",
        lines[0]
    );
    assert!(lines[0].ends_with(r#""headers":[{"name":"a","value":"b"}],"body":"through"}"#));
    assert!(lines[1].starts_with(r#"{"offset":28,"#), "{}", lines[1]);
    assert_eq!(listen.end().text(), "");
}

#[test]
fn a_hostile_peer_disturbs_nobody() {
    let listen = Listen::uds(&["--raw", "--count", "1"]);
    let peer = RawPeer::connect(&listen.endpoint()).unwrap();
    peer.send(&[0xff; 100]).unwrap();
    let mut silent = RawPeer::connect(&listen.endpoint()).unwrap();
    silent.hello(&listen.endpoint()).unwrap();
    let hello = silent.receive_frame(LIMIT).unwrap().unwrap();
    assert_eq!(hello.op_code(), OpCode::HelloResponse);
    send(&listen, &["--op", "signal", "--body", "fine"]);
    // The one that is still there is told; it need not answer for longer than it is there.
    let bye = silent.receive_frame(LIMIT).unwrap().unwrap();
    assert_eq!(bye.op_code(), OpCode::ByeRequest);
    drop(silent);
    assert_eq!(listen.end().text(), "fine");
}

#[test]
fn verbose_tells_who_comes_and_goes() {
    let listen = Listen::uds(&["--verbose", "--count", "1"]);
    send(&listen, &["--op", "signal"]);
    let ended = listen.end();
    assert_eq!(ended.code, 0);
    let lines: Vec<&str> = ended.stderr.lines().collect();
    assert_eq!(lines.len(), 2, "{lines:?}");
    assert!(
        lines[0].starts_with("channel 2: hello from uds|"),
        "{lines:?}"
    );
    assert_eq!(lines[1], "channel 2: left in good order");
}
