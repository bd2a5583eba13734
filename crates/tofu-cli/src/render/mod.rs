//! A message as something to read: text for people, JSON lines and hexadecimal digits for
//! programs, or the bare body.
//!
//! Called by every command that shows messages. It takes a [`View`], which both a message in
//! memory and a frame in a buffer give.

mod json;
mod text;

use tofu::msg::{BinaryHeader, FrameRef, Message, TextHeadersRef};

use crate::failure::Outcome;
use crate::output::Output;

/// How messages are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Lines for people.
    Text,
    /// One line of JSON for each message.
    Json,
    /// One line of hexadecimal digits for each message, the whole frame; `tofu decode` reads it.
    Hex,
    /// The bodies as they are, nothing between them.
    Raw,
}

/// What there is to see of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct View<'a> {
    pub(crate) header: BinaryHeader,
    pub(crate) text_headers: TextHeadersRef<'a>,
    pub(crate) body: &'a [u8],
    /// Where in a stream the frame starts, if it was found in one.
    pub(crate) offset: Option<u64>,
}

impl<'a> From<&'a Message> for View<'a> {
    fn from(message: &'a Message) -> View<'a> {
        View {
            header: message.header(),
            text_headers: message.text_headers().view(),
            body: message.body().as_bytes(),
            offset: None,
        }
    }
}

impl<'a> From<FrameRef<'a>> for View<'a> {
    fn from(frame: FrameRef<'a>) -> View<'a> {
        View {
            header: frame.header(),
            text_headers: frame.text_headers(),
            body: frame.body(),
            offset: None,
        }
    }
}

impl View<'_> {
    /// Writes the message in this format.
    pub(crate) fn show(&self, format: Format, output: &mut Output) -> Outcome {
        match format {
            Format::Text => output.write(text::text(self, output.is_colored()).as_bytes()),
            Format::Json => output.line(format_args!("{}", json::line(self))),
            Format::Hex => {
                let header = hex(&self.header.encode());
                let (text_headers, body) = (hex(self.text_headers.as_bytes()), hex(self.body));
                output.line(format_args!("{header}{text_headers}{body}"))
            }
            Format::Raw => output.write(self.body),
        }
    }
}

/// Two digits for each byte.
fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digits = |byte: &u8| [byte >> 4, byte & 15].map(|digit| DIGITS[usize::from(digit)]);
    bytes.iter().flat_map(digits).collect()
}
