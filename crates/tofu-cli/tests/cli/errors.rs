//! What is wrong is said in one line that names the value, with the status that is promised.

use std::io::Write;

use tofu::prelude::OpCode;
use tofu_testkit::{RawListener, RawPeer, TempUdsPath, free_tcp_port};

use crate::send::greet;
use crate::tool::{LIMIT, Listen, finish, raw_listener, run, start, tofu};

/// A command line, its status, and what its line has to hold.
type Case<'a> = (&'a [&'a str], i32, &'a [&'a str]);

#[track_caller]
fn check(cases: &[Case<'_>]) {
    for (arguments, code, parts) in cases {
        let ended = run(arguments);
        let line = ended.failed(*code);
        for part in *parts {
            assert!(
                line.contains(part),
                "{arguments:?}: {part:?} is not in {line:?}"
            );
        }
        assert_eq!(ended.stdout, b"", "{arguments:?}");
    }
}

#[test]
fn wrong_addresses() {
    let long = format!("uds|/{}", "x".repeat(200));
    check(&[
        (&[], 2, &["a command is missing"]),
        (&["lisen"], 2, &["'lisen'", "'listen'"]),
        (&["send"], 2, &["<ADDRESS>"]),
        (
            &["send", "udp|a|1"],
            2,
            &["'udp|a|1'", "neither tcp| nor uds|"],
        ),
        (&["send", "tcp|a|70000"], 2, &["'tcp|a|70000'", "the port"]),
        (
            &["send", "tcp|a|0"],
            2,
            &["'tcp|a|0'", "port 0 is only for listening"],
        ),
        (&["send", "tcp||1"], 2, &["'tcp||1'", "empty"]),
        (
            &["listen", "tcp|127.0.0.1"],
            2,
            &["'tcp|127.0.0.1'", "parts"],
        ),
        (&["listen", &long], 2, &["'uds|/xx", "201 bytes"]),
    ]);
}

#[test]
fn wrong_options() {
    check(&[
        (&["listen", "uds|a", "--count", "0"], 2, &["'0'", "--count"]),
        (
            &["listen", "uds|a", "--json", "--hex"],
            2,
            &["--json", "--hex"],
        ),
        (
            &["send", "uds|a", "--header", "a"],
            2,
            &["'a'", "NAME=VALUE"],
        ),
        (
            &["send", "uds|a", "--header", "a\n=b c\n"],
            2,
            &["--header"],
        ),
        (
            &["send", "uds|a", "--timeout", "0"],
            2,
            &["'0'", "--timeout"],
        ),
        (&["send", "uds|a", "--timeout", "5x"], 2, &["'5x'", "unit"]),
        (
            &["ping", "uds|a", "--size", "65536"],
            2,
            &["'65536'", "--size"],
        ),
        (&["perf", "uds|a", "--window", "0"], 2, &["'0'", "--window"]),
        (
            &["perf", "uds|a", "--count=1", "--duration=1s"],
            2,
            &["--count", "--duration"],
        ),
        (&["decode", "--hex", "--raw"], 2, &["--hex", "--raw"]),
        (&["completions", "cmd"], 2, &["'cmd'", "bash"]),
        (&["man", "lisen"], 2, &["\"lisen\""]),
    ]);
}

#[test]
fn too_many_text_headers() {
    let header = format!("a={}", "b".repeat(40_000));
    let twice = ["send", "uds|a", "-H", &header, "-H", &header];
    check(&[(&twice, 2, &["text headers of 80008 bytes exceed 65535"])]);
}

#[test]
fn places_where_nobody_listens() {
    let port = free_tcp_port().unwrap();
    let refused = format!("tcp|127.0.0.1|{port}");
    let path = TempUdsPath::new().unwrap();
    let absent = format!("uds|{}", path.as_path().display());
    for command in ["send", "ping", "perf"] {
        check(&[
            (&[command, &refused], 3, &[&refused, "refused"]),
            (&[command, &absent], 3, &[&absent, "No such file"]),
            (
                &[command, "tcp|no.such.host.invalid|1"],
                3,
                &["no.such.host.invalid", "lookup"],
            ),
            (
                &[command, &absent, "--wait=60ms"],
                3,
                &[&absent, "No such file"],
            ),
        ]);
    }
}

#[test]
fn places_where_one_cannot_listen() {
    let listen = Listen::at("tcp|127.0.0.1|0", &[]);
    let folder = "uds|/no/such/folder/socket";
    check(&[
        (
            &["listen", &listen.address],
            3,
            &[&listen.address, "in use"],
        ),
        (&["listen", folder], 3, &[folder, "No such file"]),
        (&["listen", "tcp|192.0.2.1|0"], 3, &["192.0.2.1", "assign"]),
    ]);
}

/// Accepts a connection and reads the greeting.
fn greeted(listener: &RawListener) -> RawPeer {
    let mut peer = listener.accept(LIMIT).unwrap();
    let hello = peer.receive_frame(LIMIT).unwrap().unwrap();
    assert_eq!(hello.op_code(), OpCode::HelloRequest);
    peer
}

#[test]
fn peers_that_are_not_tofu() {
    let (listener, _path) = raw_listener();
    let address = listener.endpoint().to_string();
    let send = start(tofu(["send", &address]));
    drop(greeted(&listener));
    let ended = finish(send);
    assert!(ended.failed(3).contains("did not greet back"), "{ended:?}");

    let send = start(tofu(["send", &address]));
    let peer = greeted(&listener);
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n").unwrap();
    let ended = finish(send);
    assert!(ended.failed(3).contains("protocol_violation"), "{ended:?}");

    // It greets, and talks nonsense then.
    let send = start(tofu(["send", &address]));
    let peer = greet(&listener);
    peer.send(&[0xff; 64]).unwrap();
    let ended = finish(send);
    assert!(ended.failed(5).contains("protocol_violation"), "{ended:?}");
}

#[test]
fn bodies_that_cannot_be_read() {
    check(&[
        (
            &["send", "uds|a", "--body", "@/no/such/file"],
            1,
            &["/no/such/file", "No such file"],
        ),
        (
            &["send", "uds|a", "--body", "@/"],
            1,
            &["cannot read /", "directory"],
        ),
        (
            &["decode", "/no/such/file"],
            1,
            &["/no/such/file", "No such file"],
        ),
        (&["decode", "/"], 1, &["cannot read /", "directory"]),
    ]);
}

#[test]
fn a_full_disk_is_told_of() {
    let Ok(full) = std::fs::File::create("/dev/full") else {
        return; // only Linux has it
    };
    let mut command = tofu(["decode"]);
    command.stdin(std::process::Stdio::piped()).stdout(full);
    command.stderr(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let frame = [
        [0; 2],
        [2, 0],
        [0; 2],
        [0; 2],
        [0; 2],
        [0; 2],
        [0; 2],
        [0; 2],
    ]
    .concat();
    child.stdin.take().unwrap().write_all(&frame).unwrap();
    let ended = finish(child);
    assert!(
        ended
            .failed(1)
            .starts_with("cannot write to standard output: "),
        "{ended:?}"
    );
}

#[test]
fn nothing_commands_the_terminal() {
    let ended = run(&["send", "uds|a", "--body", "@\u{1b}[31m\n"]);
    assert!(
        ended.failed(1).starts_with("cannot read \\u{1b}[31m\\n: "),
        "{ended:?}"
    );
}
