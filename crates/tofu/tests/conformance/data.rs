//! The frames that `tofu-msg` keeps in its tests: recorded ones, which the original implementation
//! emitted or accepted, and hostile ones.

use std::path::Path;

use serde_json::Value;
use tofu::msg::Status;
use tofu::prelude::{Message, MessageId, OpCode};

/// A recorded frame.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    /// The original wrote it; otherwise the original read it.
    pub(crate) is_emitted: bool,
    /// It has bits set that mean nothing to us.
    pub(crate) has_unused_bits: bool,
    pub(crate) frame: Vec<u8>,
    /// Its fields, but for the channel number.
    pub(crate) message: Message,
}

/// What a hostile peer does.
#[derive(Debug)]
pub(crate) struct Hostile {
    pub(crate) name: String,
    pub(crate) says_hello_first: bool,
    pub(crate) bytes: Vec<u8>,
    /// What it does behind the bytes: nothing, "close" or "rst".
    pub(crate) then: Option<String>,
}

pub(crate) fn recorded() -> Vec<Recorded> {
    load("vectors.json").iter().map(recorded_frame).collect()
}

pub(crate) fn hostile() -> Vec<Hostile> {
    let entries = load("malformed.json");
    let hostile = entries.iter().map(|entry| Hostile {
        name: text(&entry["name"]),
        says_hello_first: entry["hello_first"].as_bool().unwrap(),
        bytes: hostile_bytes(entry),
        then: entry["then"].as_str().map(str::to_owned),
    });
    hostile.collect()
}

fn load(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tofu-msg/tests/data");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    serde_json::from_str(&text).unwrap()
}

fn recorded_frame(entry: &Value) -> Recorded {
    let name = text(&entry["op_code"]);
    let mut op_codes = OpCode::ALL.into_iter();
    let mut message = Message::new(op_codes.find(|op_code| op_code.name() == name).unwrap());
    message.set_more(entry["more"].as_bool().unwrap());
    message.set_status(Status::new(number(&entry["status"]).try_into().unwrap()));
    message.set_message_id(MessageId::new(number(&entry["message_id"])));
    let (headers, body) = (part(entry, "headers"), part(entry, "body"));
    message.text_headers_mut().append_raw(&headers).unwrap();
    message.body_mut().append(&body).unwrap();
    let frame = match entry["frame_hex"].as_str() {
        Some(digits) => unhex(digits),
        // Of the longest only the beginning was recorded.
        None => {
            let start = unhex(entry["frame_prefix_hex"].as_str().unwrap());
            [&start[..16], &headers, &body].concat()
        }
    };
    Recorded {
        name: text(&entry["name"]),
        is_emitted: entry["direction"] == "emitted by the original",
        has_unused_bits: entry["proto_byte"].as_u64().unwrap() & 0xc0 != 0,
        frame,
        message,
    }
}

/// A part that is there in full or by its pattern.
fn part(entry: &Value, part: &str) -> Vec<u8> {
    let len = number(&entry[format!("{part}_len")]).try_into().unwrap();
    let digits = entry[format!("{part}_hex")].as_str();
    let bytes = match (digits, entry[format!("{part}_pattern")].as_str()) {
        (Some(digits), _) => unhex(digits),
        (None, None) => Vec::new(),
        (None, Some("byte[i]=(i*7+3)&255")) => {
            let next = |byte: &u8| Some(byte.wrapping_add(7));
            std::iter::successors(Some(3), next).take(len).collect()
        }
        (None, Some("'n' ':' 'v'*65531 CRLF")) => line(1, 65_531),
        (None, Some("'n'*100 ':' 'v'*65432 CRLF")) => line(100, 65_432),
        (None, Some(other)) => panic!("unknown pattern {other}"),
    };
    assert_eq!(bytes.len(), len);
    bytes
}

fn line(name_len: usize, value_len: usize) -> Vec<u8> {
    format!("{}:{}\r\n", "n".repeat(name_len), "v".repeat(value_len)).into_bytes()
}

fn hostile_bytes(entry: &Value) -> Vec<u8> {
    let bytes = match (entry["raw_hex"].as_str(), entry["generate"].as_str()) {
        (Some(digits), _) => unhex(digits),
        (None, Some("no byte is sent")) => Vec::new(),
        (None, Some("4096 bytes of a seeded generator")) => {
            tofu_testkit::Random::new(tofu_testkit::seed()).bytes(4096)
        }
        (None, Some(_)) => (1..=100)
            .flat_map(|id| {
                let header = [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, id, 0, 0, 0, 100];
                [&header[..], &[b'x'; 100]].concat()
            })
            .collect(),
        (None, None) => panic!("no bytes in {entry}"),
    };
    assert_eq!(bytes.len() as u64, number(&entry["raw_len"]));
    bytes
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap()
}

fn unhex(digits: &str) -> Vec<u8> {
    let digits = digits.as_bytes().chunks(2);
    let byte = |pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.map(byte).collect()
}
