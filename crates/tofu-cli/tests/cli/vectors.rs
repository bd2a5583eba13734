//! The frames that `tofu-msg` keeps: recorded ones, and what hostile peers may send.

use std::path::Path;

use serde_json::Value;

/// A recorded frame, and what was recorded of it.
pub(crate) struct Vector {
    pub(crate) name: String,
    pub(crate) frame: Vec<u8>,
    pub(crate) text_headers: Vec<u8>,
    pub(crate) body: Vec<u8>,
    pub(crate) fields: Value,
}

pub(crate) fn vectors() -> Vec<Vector> {
    load("vectors.json").into_iter().map(vector).collect()
}

/// Names and bytes.
pub(crate) fn malformed() -> Vec<(String, Vec<u8>)> {
    let entries = load("malformed.json");
    let entries = entries.iter().filter_map(|entry| {
        let bytes = unhex(entry["raw_hex"].as_str()?);
        Some((entry["name"].as_str().unwrap().to_owned(), bytes))
    });
    entries.collect()
}

fn load(file: &str) -> Vec<Value> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tofu-msg/tests/data");
    let text = std::fs::read_to_string(folder.join(file)).unwrap();
    let entries: Vec<Value> = serde_json::from_str(&text).unwrap();
    assert!(entries.len() > 20);
    entries
}

fn vector(fields: Value) -> Vector {
    let text_headers = part(&fields, "headers");
    let body = part(&fields, "body");
    let start = fields["frame_hex"]
        .as_str()
        .or(fields["frame_prefix_hex"].as_str());
    let header = &unhex(start.unwrap())[..16];
    Vector {
        name: fields["name"].as_str().unwrap().to_owned(),
        frame: [header, &text_headers, &body].concat(),
        text_headers,
        body,
        fields,
    }
}

/// In digits, or for the longest by their pattern.
fn part(fields: &Value, part: &str) -> Vec<u8> {
    let len = usize::try_from(fields[format!("{part}_len")].as_u64().unwrap()).unwrap();
    let pattern = fields[format!("{part}_pattern")].as_str();
    match (fields[format!("{part}_hex")].as_str(), pattern) {
        (Some(digits), _) => unhex(digits),
        (None, None) => Vec::new(),
        (None, Some("byte[i]=(i*7+3)&255")) => (0..len)
            .map(|at| u8::try_from((at * 7 + 3) & 255).unwrap())
            .collect(),
        (None, Some("'n' ':' 'v'*65531 CRLF")) => line(1, 65531),
        (None, Some("'n'*100 ':' 'v'*65432 CRLF")) => line(100, 65432),
        (None, Some(other)) => panic!("unknown pattern {other}"),
    }
}

fn line(name_len: usize, value_len: usize) -> Vec<u8> {
    let (name, value) = (b"n".repeat(name_len), b"v".repeat(value_len));
    [&name[..], b":", &value, b"\r\n"].concat()
}

fn unhex(digits: &str) -> Vec<u8> {
    let digit = |at: usize| u8::from_str_radix(&digits[at..at + 2], 16).unwrap();
    (0..digits.len()).step_by(2).map(digit).collect()
}

/// Two digits for each byte.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
