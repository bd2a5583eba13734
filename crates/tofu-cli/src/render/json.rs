//! A message as one line of JSON.
//!
//! What is UTF-8 is text; what is not is given in hexadecimal digits beside or in place of it, so
//! that nothing is lost.

use serde::Serialize;
use tofu::msg::{TextHeader, TextHeadersRef};

use super::{View, hex};
use crate::output::commands_a_terminal;

/// The fields, in the order in which they are written.
#[derive(Serialize)]
struct Line<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    op: &'static str,
    channel: u16,
    id: u64,
    more: bool,
    status: String,
    /// The header says that the sender's engine speaks.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    engine: bool,
    headers: Vec<Header>,
    /// The block of text headers, where it is not exactly the lines above.
    #[serde(skip_serializing_if = "Option::is_none")]
    headers_hex: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    body: Option<&'a str>,
    /// The body, where it is not UTF-8.
    #[serde(skip_serializing_if = "Option::is_none")]
    body_hex: Option<String>,
}

#[derive(Serialize)]
struct Header {
    name: String,
    value: String,
}

/// The line, without its end.
pub(super) fn line(view: &View<'_>) -> String {
    let header = &view.header;
    let body = std::str::from_utf8(view.body).ok();
    let line = Line {
        offset: view.offset,
        op: header.op_code.name(),
        channel: header.channel_number.value(),
        id: header.message_id.value(),
        more: header.more,
        status: header.status.to_string(),
        engine: header.engine_origin,
        headers: headers(view.text_headers),
        headers_hex: (!is_plain(view.text_headers)).then(|| hex(view.text_headers.as_bytes())),
        body,
        body_hex: body.is_none().then(|| hex(view.body)),
    };
    // Strings and numbers always have a form.
    harmless(serde_json::to_string(&line).unwrap_or_default())
}

/// The same value without what a terminal may obey, or show in another order than it stands: JSON
/// itself wants only the first 32 characters escaped. All others are parts of strings.
fn harmless(line: String) -> String {
    if !line.contains(commands_a_terminal) {
        return line;
    }
    let escaped = |character: char| match commands_a_terminal(character) {
        true => format!("\\u{:04x}", u32::from(character)),
        false => character.to_string(),
    };
    line.chars().map(escaped).collect()
}

fn headers(block: TextHeadersRef<'_>) -> Vec<Header> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let header = |line: TextHeader<'_>| Header {
        name: text(line.name),
        value: text(line.value),
    };
    block.iter().map(header).collect()
}

/// Whether the block is UTF-8 and could be written from its lines again.
fn is_plain(block: TextHeadersRef<'_>) -> bool {
    let mut rest = block.as_bytes();
    for line in block.iter() {
        let written = [line.name, b":", line.value, b"\r\n"].concat();
        match rest.strip_prefix(written.as_slice()) {
            Some(behind) => rest = behind,
            None => return false,
        }
    }
    rest.is_empty() && std::str::from_utf8(block.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use tofu::prelude::Message;

    #[test]
    fn what_a_terminal_would_obey_is_escaped() {
        let body = "\u{1b}[2J \u{7f} \u{9b}2J \u{202e}txt ü";
        let mut message = Message::default();
        message.text_headers_mut().append("n", body).unwrap();
        message.body_mut().append(body.as_bytes()).unwrap();
        let line = line(&View::from(&message));
        assert!(!line.contains(commands_a_terminal), "{line}");
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        assert_eq!(value["body"], body);
        assert_eq!(value["headers"][0]["value"], body);
        assert!(line.contains('ü'), "{line}");
    }

    #[test]
    fn what_is_not_text_is_kept() {
        let mut message = Message::default();
        message.text_headers_mut().append("a", "b").unwrap();
        message.body_mut().append(b"\"x\"\n").unwrap();
        assert_eq!(
            line(&View::from(&message)),
            r#"{"op":"Request","channel":0,"id":0,"more":false,"status":"success","headers":[{"name":"a","value":"b"}],"body":"\"x\"\n"}"#
        );
        message.text_headers_mut().append_raw(b"c: d").unwrap();
        message.body_mut().append(b"\xff").unwrap();
        let line = line(&View::from(&message));
        assert!(
            line.contains(r#""headers_hex":"613a620d0a633a2064""#),
            "{line}"
        );
        assert!(line.ends_with(r#""body_hex":"2278220aff"}"#), "{line}");
    }
}
