//! `tofu decode`: recorded frames, hostile ones, and any bytes at all.

use std::io::Write;
use std::process::Stdio;

use proptest::test_runner::{Config, RngSeed, TestRunner};
use proptest::{collection, prelude::any, prop_assert_eq};
use serde_json::Value;
use tofu::msg::{FrameRef, Parse};

use crate::tool::{Ended, finish, run_with, start, tofu};
use crate::vectors::{Vector, hex, malformed, vectors};

fn lines(ended: &Ended) -> Vec<Value> {
    let text = std::str::from_utf8(&ended.stdout).unwrap();
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// A part of a message, as text or in digits.
fn bytes_of(line: &Value, name: &str) -> String {
    match line[format!("{name}_hex")].as_str() {
        Some(digits) => digits.to_owned(),
        None => hex(line[name].as_str().unwrap().as_bytes()),
    }
}

/// The block of text headers, which its lines stand for where they say it all.
fn block_of(line: &Value) -> String {
    match line["headers_hex"].as_str() {
        Some(digits) => digits.to_owned(),
        None => {
            let headers = line["headers"].as_array().unwrap().iter().map(|header| {
                let text = |name: &str| header[name].as_str().unwrap().to_owned();
                format!("{}:{}\r\n", text("name"), text("value"))
            });
            hex(headers.collect::<String>().as_bytes())
        }
    }
}

#[track_caller]
fn assert_shown(line: &Value, vector: &Vector) {
    let name = &vector.name;
    let fields = &vector.fields;
    assert_eq!(line["op"], fields["op_code"], "{name}");
    assert_eq!(line["channel"], fields["channel_number"], "{name}");
    assert_eq!(line["id"], fields["message_id"], "{name}");
    assert_eq!(line["more"], fields["more"], "{name}");
    let status = u8::try_from(fields["status"].as_u64().unwrap()).unwrap();
    assert_eq!(
        line["status"],
        tofu::msg::Status::new(status).to_string(),
        "{name}"
    );
    assert!(
        block_of(line) == hex(&vector.text_headers),
        "{name}: {line}"
    );
    assert!(bytes_of(line, "body") == hex(&vector.body), "{name}");
}

#[test]
fn every_recorded_frame_as_bytes_and_as_digits() {
    let vectors = vectors();
    let bytes: Vec<u8> = vectors
        .iter()
        .flat_map(|vector| vector.frame.clone())
        .collect();
    // Lines of digits, as `tofu listen --hex` prints them.
    let digits: String = vectors
        .iter()
        .map(|vector| hex(&vector.frame) + "\n")
        .collect();
    for input in [&bytes[..], digits.as_bytes()] {
        let ended = run_with(&["decode", "--json"], input);
        assert_eq!((ended.code, &*ended.stderr), (0, ""));
        let lines = lines(&ended);
        assert_eq!(lines.len(), vectors.len());
        let mut offset = 0;
        for (line, vector) in lines.iter().zip(&vectors) {
            assert_eq!(line["offset"], offset, "{}", vector.name);
            assert_shown(line, vector);
            offset += vector.frame.len();
        }
        let ended = run_with(&["decode"], input);
        for vector in &vectors {
            let title = format!(": {} channel ", vector.fields["op_code"].as_str().unwrap());
            assert!(ended.text().contains(&title), "{}", vector.name);
        }
    }
}

/// What the program should make of raw bytes: how many frames, and where they stop being some.
fn expected(bytes: &[u8]) -> (usize, Option<String>) {
    let (mut count, mut at) = (0, 0);
    while at < bytes.len() {
        match FrameRef::parse(&bytes[at..]) {
            Ok(Parse::Complete(frame)) => {
                count += 1;
                at += frame.frame_len();
            }
            Ok(Parse::Partial { .. }) => {
                let text = format!(
                    "stopped at byte {}: the input ends in the frame",
                    bytes.len()
                );
                return (count, Some(text));
            }
            Err(error) => {
                let text = format!(
                    "stopped at byte {}, in the frame that starts at byte {at}: {error}",
                    at + 2
                );
                return (count, Some(text));
            }
        }
    }
    (count, None)
}

#[track_caller]
fn check(bytes: &[u8], name: &str) {
    let ended = run_with(&["decode", "--raw", "--json"], bytes);
    let (count, why) = expected(bytes);
    match why {
        None => assert_eq!((ended.code, &*ended.stderr), (0, ""), "{name}"),
        Some(why) => assert!(ended.failed(6).starts_with(&why), "{name}: {ended:?}"),
    }
    assert_eq!(lines(&ended).len(), count, "{name}");
    let digits = run_with(&["decode", "--hex", "--json"], hex(bytes).as_bytes());
    assert_eq!(digits.stdout, ended.stdout, "{name}");
    assert_eq!(digits.stderr, ended.stderr, "{name}");
    assert_eq!(digits.code, ended.code, "{name}");
}

#[test]
fn hostile_frames() {
    for (name, bytes) in malformed() {
        check(&bytes, &name);
    }
}

#[test]
fn any_bytes() {
    let seed = tofu_testkit::seed();
    let config = Config {
        cases: 48,
        rng_seed: RngSeed::Fixed(seed),
        failure_persistence: None,
        ..Config::default()
    };
    let mut runner = TestRunner::new(config);
    let bytes = collection::vec(any::<u8>(), 0..400);
    // Half of them begin with a good frame, so that more than the first header is reached.
    let inputs = (bytes, any::<bool>());
    let outcome = runner.run(&inputs, |(bytes, is_behind_frame)| {
        let frame = [0, 7, 2, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, b'h', b'i'];
        let bytes = match is_behind_frame {
            true => [&frame[..], &bytes].concat(),
            false => bytes,
        };
        check(&bytes, "drawn bytes");
        // As it comes, it is digits, or frames, or neither; it always ends, with one line at most.
        let ended = run_with(&["decode"], &bytes);
        prop_assert_eq!(ended.stderr.lines().count(), usize::from(ended.code == 6));
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn the_first_bytes_decide() {
    let frame = b"\x00\x07\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02hi";
    let shown = "0: Signal channel 7 id 1, 2 bytes of body\n    hi\n";
    assert_eq!(run_with(&["decode"], frame).text(), shown);
    let digits = "\n0007 0200\n00000000 00000001\t0000 0002 68 6\n9\n";
    assert_eq!(run_with(&["decode", "-"], digits.as_bytes()).text(), shown);
    assert_eq!(
        run_with(&["decode"], digits.to_uppercase().as_bytes()).text(),
        shown
    );
    assert_eq!(run_with(&["decode"], b"").text(), "");
    assert_eq!(
        run_with(&["decode"], b" \n").failed(6).split(':').next(),
        Some("stopped at byte 2")
    );
}

#[test]
fn input_may_come_byte_by_byte() {
    let frame = b"\x00\x07\x02\x00\x00\x00\x00\x00\x00\x00\x00\x01\x00\x00\x00\x02hi";
    for input in [frame.to_vec(), hex(frame).into_bytes()] {
        let mut command = tofu(["decode"]);
        command.stdin(Stdio::piped());
        let mut child = start(command);
        let mut stdin = child.stdin.take().unwrap();
        for byte in input {
            stdin.write_all(&[byte]).unwrap();
        }
        drop(stdin);
        assert_eq!(
            finish(child).text(),
            "0: Signal channel 7 id 1, 2 bytes of body\n    hi\n"
        );
    }
}

#[test]
fn wrong_digits_are_told_of_behind_the_good_frames() {
    let good = "00070200000000000000000100000000";
    for (bad, why) in [
        ("0x", "stopped at character 33: 'x' is no hexadecimal digit"),
        (
            "\u{1b}",
            "stopped at character 32: '\\x1b' is no hexadecimal digit",
        ),
        (
            "0",
            "stopped at character 33: the last byte has only one hexadecimal digit",
        ),
    ] {
        let ended = run_with(&["decode", "--hex"], format!("{good}{bad}").as_bytes());
        assert_eq!(ended.failed(6), why);
        assert_eq!(ended.stdout, b"0: Signal channel 7 id 1, 0 bytes of body\n");
    }
}

#[test]
fn nothing_of_a_frame_commands_the_terminal() {
    let mut message = tofu::prelude::Message::default();
    message
        .text_headers_mut()
        .append("\u{1b}]0;a\u{7}", "\u{9b}31m")
        .unwrap();
    message.body_mut().append(b"\x1b[2J").unwrap();
    let mut frame = Vec::new();
    message.encode_into(&mut frame);
    for options in [&["decode"][..], &["decode", "--json"]] {
        let ended = run_with(options, &frame);
        let shown = ended.text();
        let is_harmless = |character: char| character == '\n' || !character.is_control();
        // JSON escapes what is below U+0020; what is above it is for the reader of the JSON.
        let harmless = shown
            .chars()
            .all(|c| is_harmless(c) || (c == '\u{9b}' && options.len() == 2));
        assert!(harmless, "{shown:?}");
    }
}
