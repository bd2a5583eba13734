//! The frames in `tests/data`, as the tests want them.
//!
//! `vectors.json` holds frames that the original implementation emitted or accepted, field by
//! field; the longest by pattern and hash. `malformed.json` holds what a hostile peer may send.

use std::path::Path;

use serde_json::Value;
use sha2::{Digest, Sha256};

/// A frame and what it means.
pub(crate) struct Vector {
    pub(crate) name: String,
    /// The original wrote it; otherwise the original read it.
    pub(crate) emitted: bool,
    pub(crate) frame: Vec<u8>,
    pub(crate) channel_number: u16,
    pub(crate) flags: u8,
    pub(crate) op_code: String,
    pub(crate) more: bool,
    pub(crate) unused_bits: bool,
    pub(crate) status: u8,
    pub(crate) message_id: u64,
    pub(crate) text_headers: Vec<u8>,
    pub(crate) body: Vec<u8>,
    /// The lines as they were recorded; none where only their lengths were.
    pub(crate) lines: Option<Vec<(Vec<u8>, Vec<u8>)>>,
}

/// All frames of `vectors.json`.
pub(crate) fn vectors() -> Vec<Vector> {
    load("vectors.json").iter().map(vector).collect()
}

/// The names and bytes in `malformed.json`, where it gives bytes or says how to make them.
pub(crate) fn malformed() -> Vec<(String, Vec<u8>)> {
    load("malformed.json")
        .iter()
        .map(|entry| {
            let bytes = match entry["raw_hex"].as_str() {
                Some(digits) => unhex(digits),
                None => generated(entry["generate"].as_str().unwrap()),
            };
            assert_eq!(bytes.len() as u64, entry["raw_len"].as_u64().unwrap());
            (text(entry, "name"), bytes)
        })
        .collect()
}

fn load(file: &str) -> Vec<Value> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/data")
        .join(file);
    let text = std::fs::read_to_string(&path).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(!entries.is_empty());
    entries
}

fn vector(entry: &Value) -> Vector {
    let text_headers = part(entry, "headers");
    let body = part(entry, "body");
    let mut vector = Vector {
        name: text(entry, "name"),
        emitted: entry["direction"] == "emitted by the original",
        frame: Vec::new(),
        channel_number: number(entry, "channel_number"),
        flags: number(entry, "proto_byte"),
        op_code: text(entry, "op_code"),
        more: entry["more"].as_bool().unwrap(),
        unused_bits: entry["internal_bits"]
            .as_array()
            .unwrap()
            .iter()
            .any(|bit| *bit != 0),
        status: number(entry, "status"),
        message_id: number(entry, "message_id"),
        lines: entry["headers_pattern"].is_null().then(|| lines(entry)),
        text_headers,
        body,
    };
    vector.frame = match entry["frame_hex"].as_str() {
        Some(digits) => unhex(digits),
        None => long_frame(entry, &vector),
    };
    vector
}

/// A part that is there in full or by its pattern.
fn part(entry: &Value, part: &str) -> Vec<u8> {
    let len: usize = number(entry, &format!("{part}_len"));
    let bytes = match (
        &entry[format!("{part}_hex")],
        &entry[format!("{part}_pattern")],
    ) {
        (Value::String(digits), _) => unhex(digits),
        _ if len == 0 => Vec::new(),
        (_, Value::String(pattern)) => from_pattern(pattern, len),
        _ => panic!("neither digits nor a pattern for the {part} of {entry}"),
    };
    assert_eq!(bytes.len(), len);
    bytes
}

fn from_pattern(pattern: &str, len: usize) -> Vec<u8> {
    match pattern {
        "byte[i]=(i*7+3)&255" => {
            std::iter::successors(Some(3), |byte: &u8| Some(byte.wrapping_add(7)))
                .take(len)
                .collect()
        }
        "'n' ':' 'v'*65531 CRLF" => line(1, 65531),
        "'n'*100 ':' 'v'*65432 CRLF" => line(100, 65432),
        other => panic!("unknown pattern {other}"),
    }
}

fn line(name_len: usize, value_len: usize) -> Vec<u8> {
    [
        &b"n".repeat(name_len)[..],
        b":",
        &b"v".repeat(value_len),
        b"\r\n",
    ]
    .concat()
}

/// A frame of which the first bytes and the hash were recorded.
fn long_frame(entry: &Value, vector: &Vector) -> Vec<u8> {
    let mut frame = unhex(entry["frame_prefix_hex"].as_str().unwrap());
    frame.truncate(16);
    frame.extend_from_slice(&vector.text_headers);
    frame.extend_from_slice(&vector.body);
    assert_eq!(frame.len(), number::<usize>(entry, "frame_len"));
    let hash: String = Sha256::digest(&frame)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    assert_eq!(
        hash,
        entry["frame_sha256"].as_str().unwrap(),
        "{}",
        vector.name
    );
    frame
}

/// The recorded lines; each character of their text stands for one byte.
fn lines(entry: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let bytes = |text: &Value| -> Vec<u8> {
        text.as_str()
            .unwrap()
            .chars()
            .map(|char| u8::try_from(char).unwrap())
            .collect()
    };
    let lines = entry["headers_iterated"].as_array().unwrap();
    lines
        .iter()
        .map(|line| (bytes(&line[0]), bytes(&line[1])))
        .collect()
}

fn generated(how: &str) -> Vec<u8> {
    match how {
        "no byte is sent" => Vec::new(),
        "4096 bytes of a seeded generator" => noise(4096),
        "100 frames: Request, channel 1, ids 1..100, no headers, body of 100 bytes" => {
            let header = |id: u8| [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, id, 0, 0, 0, 100];
            (1..=100)
                .flat_map(|id| [&header(id)[..], &[b'x'; 100]].concat())
                .collect()
        }
        other => panic!("unknown generator {other}"),
    }
}

/// The high bytes of a linear congruential sequence: any bytes will do, as long as they stay.
fn noise(len: usize) -> Vec<u8> {
    let step = |state: &u64| Some(state.wrapping_mul(6364136223846793005).wrapping_add(1));
    std::iter::successors(Some(7u64), step)
        .map(|state| (state >> 56) as u8)
        .take(len)
        .collect()
}

fn text(entry: &Value, field: &str) -> String {
    entry[field].as_str().unwrap().to_owned()
}

fn number<T: TryFrom<u64, Error: std::fmt::Debug>>(entry: &Value, field: &str) -> T {
    T::try_from(entry[field].as_u64().unwrap()).unwrap()
}

fn unhex(digits: &str) -> Vec<u8> {
    assert_eq!(digits.len() % 2, 0);
    (0..digits.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap())
        .collect()
}
