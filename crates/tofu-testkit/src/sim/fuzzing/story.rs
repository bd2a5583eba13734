//! What the bytes of a stream mean, told naively: the frames in it, and which of them an
//! application is to see.
//!
//! Shares no code with the codec or the engine, and knows the protocol by its tables alone: numbers
//! for op codes, offsets for fields.

use std::fmt;

use tofu_msg::Message;

pub(super) const REQUEST: u8 = 0;
pub(super) const RESPONSE: u8 = 1;
pub(super) const SIGNAL: u8 = 2;
pub(super) const HELLO_REQUEST: u8 = 3;
pub(super) const HELLO_RESPONSE: u8 = 4;
pub(super) const BYE_REQUEST: u8 = 5;
pub(super) const BYE_RESPONSE: u8 = 6;
pub(super) const BYE_SIGNAL: u8 = 7;
pub(super) const WELCOME_REQUEST: u8 = 8;
pub(super) const WELCOME_RESPONSE: u8 = 9;

/// Bytes in front of a payload.
pub(super) const HEADER: usize = 16;

/// A message's content.
#[derive(Clone, PartialEq, Eq, Default)]
pub(super) struct Said {
    pub(super) op: u8,
    pub(super) more: bool,
    pub(super) status: u8,
    pub(super) id: u64,
    pub(super) headers: Vec<u8>,
    pub(super) body: Vec<u8>,
}

impl Said {
    /// What a message says.
    pub(super) fn of(message: &Message) -> Said {
        Said {
            op: message.op_code().as_u8(),
            more: message.more(),
            status: message.status().value(),
            id: message.message_id().value(),
            headers: message.text_headers().as_bytes().to_vec(),
            body: message.body().as_bytes().to_vec(),
        }
    }

    /// Its frame from a peer that numbers its channel so.
    pub(super) fn frame(&self, channel: u16) -> Vec<u8> {
        let mut frame = channel.to_be_bytes().to_vec();
        frame.push(self.op | u8::from(self.more) << 5);
        frame.push(self.status);
        frame.extend_from_slice(&self.id.to_be_bytes());
        for part in [&self.headers, &self.body] {
            let len = u16::try_from(part.len()).unwrap_or(u16::MAX);
            frame.extend_from_slice(&len.to_be_bytes());
        }
        frame.extend_from_slice(&self.headers);
        frame.extend_from_slice(&self.body);
        frame
    }

    pub(super) fn frame_len(&self) -> usize {
        HEADER + self.headers.len() + self.body.len()
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (op, more, status, id) = (self.op, self.more, self.status, self.id);
        let (headers, body) = (self.headers.len(), self.body.len());
        write!(
            f,
            "op {op} more {more} status {status} id {id} of {headers} + {body}"
        )
    }
}

/// A frame's header and where its parts end.
struct Raw {
    flags: u8,
    said: Said,
    headers_end: usize,
    end: usize,
}

/// The header at the front of `bytes`, if it is whole.
fn header(bytes: &[u8]) -> Option<Raw> {
    let header = bytes.get(..HEADER)?;
    let number = |range: std::ops::Range<usize>| {
        let digits = header[range].iter();
        digits.fold(0u64, |sum, &digit| sum << 8 | u64::from(digit))
    };
    let len = |at: usize| usize::from(header[at]) << 8 | usize::from(header[at + 1]);
    let headers_end = HEADER + len(12);
    let said = Said {
        op: header[2] & 0x0F,
        more: header[2] & 0x20 != 0,
        status: header[3],
        id: number(4..12),
        ..Said::default()
    };
    Some(Raw {
        flags: header[2],
        said,
        headers_end,
        end: headers_end + len(14),
    })
}

/// Takes the first frame off `bytes`; its flags, its content. `None` when it is not whole.
fn frame(bytes: &mut &[u8]) -> Option<(u8, Said)> {
    let Raw {
        flags,
        mut said,
        headers_end,
        end,
    } = header(bytes)?;
    said.headers = bytes.get(HEADER..headers_end)?.to_vec();
    said.body = bytes.get(headers_end..end)?.to_vec();
    *bytes = &bytes[end..];
    Some((flags, said))
}

/// The whole frames of a stream that an engine wrote, with the number of its channel.
pub(super) fn written(mut bytes: &[u8]) -> Vec<(u16, Said)> {
    let mut frames = Vec::new();
    loop {
        let number = bytes
            .get(..2)
            .map(|it| u16::from(it[0]) << 8 | u16::from(it[1]));
        let (Some(number), Some((flags, said))) = (number, frame(&mut bytes)) else {
            return frames;
        };
        assert_eq!(flags & 0xD0, 0, "an engine writes {said:?}");
        assert!(said.op < BYE_SIGNAL, "an engine writes {said:?}");
        frames.push((number, said));
    }
}

/// How a stream goes on behind what is delivered of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// So many bytes of a frame that is not whole.
    Open(usize),
    /// A protocol violation.
    Violation,
    TooManyLines,
    /// A ByeSignal or ByeResponse: nothing behind it counts.
    Ended,
}

/// What an application is to see of a stream.
#[derive(Debug)]
pub(super) struct Story {
    pub(super) said: Vec<Said>,
    pub(super) outcome: Outcome,
    /// A ByeRequest is among it.
    pub(super) bye: bool,
}

impl Story {
    /// Reads all that a peer has written. The engine has `accepted` the connection, or made it;
    /// messages may have so many header lines.
    pub(super) fn read(mut bytes: &[u8], accepted: bool, lines: usize) -> Story {
        let mut story = Story {
            said: Vec::new(),
            outcome: Outcome::Open(0),
            bye: false,
        };
        let mut answered = false;
        loop {
            story.outcome = Outcome::Open(bytes.len());
            let Some(Raw { flags, said, .. }) = header(bytes) else {
                return story;
            };
            if story.is_violation(accepted, answered, flags, said.op) {
                story.outcome = Outcome::Violation;
                return story;
            }
            let Some((_, said)) = frame(&mut bytes) else {
                return story;
            };
            if count_lines(&said.headers) > lines {
                story.outcome = Outcome::TooManyLines;
                return story;
            }
            let op = said.op;
            answered |= op == HELLO_RESPONSE;
            story.bye |= op == BYE_REQUEST;
            if op != BYE_SIGNAL {
                story.said.push(said);
            }
            if op == BYE_SIGNAL || op == BYE_RESPONSE {
                story.outcome = Outcome::Ended;
                return story;
            }
        }
    }

    fn is_violation(&self, accepted: bool, answered: bool, flags: u8, op: u8) -> bool {
        let regular = op <= SIGNAL;
        let forged = flags & 0x10 != 0 || (flags & 0x20 != 0 && !regular);
        if forged || op > BYE_SIGNAL {
            return true;
        }
        if accepted && self.said.is_empty() {
            return op != HELLO_REQUEST;
        }
        match op {
            HELLO_REQUEST => true,
            HELLO_RESPONSE => accepted || answered || self.bye,
            REQUEST | RESPONSE | SIGNAL | BYE_REQUEST => self.bye,
            _ => false,
        }
    }
}

/// Lines of text headers; empty ones do not count, and the last needs no end.
fn count_lines(mut headers: &[u8]) -> usize {
    let mut lines = 0;
    while !headers.is_empty() {
        let end = (0..headers.len()).find(|&at| headers[at..].starts_with(b"\r\n"));
        let len = end.unwrap_or(headers.len());
        lines += usize::from(len > 0);
        headers = &headers[(len + 2).min(headers.len())..];
    }
    lines
}
