//! A message as lines for people: what it is, its text headers, its body.
//!
//! A body that is text is shown as such, another one as bytes; a long one is cut. Nothing that a
//! peer sent can command the terminal.

use std::fmt::Write;

use super::View;
use crate::output::{commands_a_terminal, one_line};

/// How many bytes of a body are shown.
const BODY_LIMIT: usize = 1024;

/// Bytes in a line of a body that is not text.
const BYTES_PER_LINE: usize = 16;

const BOLD: &str = "\u{1b}[1m";
const FAINT: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// The lines, each with its end.
pub(super) fn text(view: &View<'_>, is_colored: bool) -> String {
    let mut lines = title(view, is_colored) + "\n";
    for header in view.text_headers {
        let line = [header.name, b": ", header.value].concat();
        let line = one_line(&String::from_utf8_lossy(&line));
        lines += &format!("    {}\n", styled(&line, FAINT, is_colored));
    }
    let shown = &view.body[..view.body.len().min(BODY_LIMIT)];
    match readable(shown, view.body.len()) {
        Some(text) => text
            .split_terminator('\n')
            .for_each(|line| lines += &format!("    {line}\n")),
        None => shown
            .chunks(BYTES_PER_LINE)
            .for_each(|bytes| lines += &dump_line(bytes)),
    }
    let hidden = view.body.len() - shown.len();
    if hidden > 0 {
        lines += &format!("    ... and {hidden} more bytes\n");
    }
    lines
}

/// The first line: what the binary header says.
fn title(view: &View<'_>, is_colored: bool) -> String {
    let header = &view.header;
    let mut title = match view.offset {
        Some(offset) => format!("{offset}: "),
        None => String::new(),
    };
    title += &styled(header.op_code.name(), BOLD, is_colored);
    title += &format!(
        " channel {} id {}",
        header.channel_number, header.message_id
    );
    if header.more {
        title += " more";
    }
    if !header.status.is_success() {
        title += &format!(" status {}", header.status);
    }
    if header.engine_origin {
        title += " engine";
    }
    if !view.text_headers.is_empty() {
        title += &format!(", {} of text headers", bytes(view.text_headers.len()));
    }
    title + &format!(", {} of body", bytes(view.body.len()))
}

fn bytes(count: usize) -> String {
    match count {
        1 => "1 byte".to_owned(),
        _ => format!("{count} bytes"),
    }
}

fn styled(text: &str, style: &str, is_colored: bool) -> String {
    match is_colored {
        true => format!("{style}{text}{PLAIN}"),
        false => text.to_owned(),
    }
}

/// The start of a body as text, if it is some: a character may be cut at the end where the body
/// goes on.
fn readable(shown: &[u8], whole_len: usize) -> Option<&str> {
    let text = match std::str::from_utf8(shown) {
        Ok(text) => text,
        Err(error) if error.error_len().is_none() && shown.len() < whole_len => {
            std::str::from_utf8(&shown[..error.valid_up_to()]).ok()?
        }
        Err(_) => return None,
    };
    let is_readable =
        |character: char| matches!(character, '\n' | '\t') || !commands_a_terminal(character);
    text.chars().all(is_readable).then_some(text)
}

/// Digits, and what of them can be printed.
fn dump_line(bytes: &[u8]) -> String {
    let mut digits = String::new();
    for byte in bytes {
        // Writing to a string cannot fail.
        let _always_ok = write!(digits, "{byte:02x} ");
    }
    let printable = |byte: &u8| match byte {
        b' '..=b'~' => char::from(*byte),
        _ => '.',
    };
    let text: String = bytes.iter().map(printable).collect();
    format!("    {digits:<width$} {text}\n", width = BYTES_PER_LINE * 3)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tofu::prelude::{Message, OpCode, Status};

    #[test]
    fn text_is_text_and_the_rest_is_bytes() {
        let mut message = Message::new(OpCode::Signal);
        message.set_status(Status::new(200));
        message
            .text_headers_mut()
            .append("name", "\u{1b}[31m")
            .unwrap();
        message.body_mut().append("grüße\n".as_bytes()).unwrap();
        assert_eq!(
            text(&View::from(&message), false),
            "Signal channel 0 id 0 status unknown_error(200), 12 bytes of text headers, \
             8 bytes of body\n    name: \\u{1b}[31m\n    grüße\n"
        );
        message.text_headers_mut().clear();
        message.body_mut().replace(b"\x1b]0;x\x07").unwrap();
        let shown = text(&View::from(&message), true);
        assert!(shown.contains("1b 5d 30 3b 78 07"), "{shown}");
        assert!(!shown.contains("\u{1b}]"), "{shown}");
        message
            .body_mut()
            .replace("\u{202e}txt".as_bytes())
            .unwrap();
        let shown = text(&View::from(&message), false);
        assert!(shown.contains("e2 80 ae"), "{shown}");
    }

    #[test]
    fn a_long_body_is_cut_between_characters() {
        let mut message = Message::default();
        message
            .body_mut()
            .append("xü".repeat(1000).as_bytes())
            .unwrap();
        let shown = text(&View::from(&message), false);
        assert!(
            shown.ends_with("\n    ... and 1976 more bytes\n"),
            "{shown}"
        );
        assert!(shown.contains("xüx"), "{shown}");
    }
}
