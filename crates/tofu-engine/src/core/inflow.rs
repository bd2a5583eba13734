//! Cuts a peer's byte stream into frames, with as little copying and memory as the stream allows.
//!
//! Bytes are read into the engine's one scratch buffer; a frame cut in two keeps its first part
//! here until the rest comes, and a large frame is gathered in buffers of its own, read straight
//! into their place. An idle channel owns no buffer; buffers grow with what arrives, never by what a
//! header announces. What the bytes mean is judged elsewhere.

use std::io::{self, Read};

use tofu_msg::BinaryHeader;

use crate::msg::Msg;

/// A large frame of which a part has arrived.
///
/// Invariants: `headers.len() <= header.text_headers_len`, `filled <= header.body_len`,
/// `filled <= body.len()`, and `filled` is 0 until the text headers are whole.
#[derive(Debug)]
pub(crate) struct LargeFrame {
    header: BinaryHeader,
    headers: Vec<u8>,
    /// The body's buffer, taken out of `message`; what is behind `filled` is of its earlier uses.
    body: Vec<u8>,
    filled: usize,
    /// Becomes the frame's message; counted nowhere until then.
    message: Msg,
}

/// How many bytes a large frame may read at first; doubled with what has arrived.
const FIRST_READ: usize = 32 * 1024;

impl LargeFrame {
    /// Begins a frame with what has arrived behind its header, in an unused message.
    pub(crate) fn new(header: BinaryHeader, mut message: Msg, arrived: &[u8]) -> LargeFrame {
        let split = arrived.len().min(usize::from(header.text_headers_len));
        let (headers, body) = arrived.split_at(split);
        let mut frame = LargeFrame {
            header,
            headers: headers.to_vec(),
            body: std::mem::take(message.body_mut()).into_vec(),
            filled: 0,
            message,
        };
        frame.space(body.len()).copy_from_slice(body);
        frame.filled = body.len();
        frame
    }

    /// Room for so many bytes behind those that the body has. A buffer that was as long before is
    /// not written to.
    fn space(&mut self, len: usize) -> &mut [u8] {
        let end = self.filled + len;
        if self.body.len() < end {
            self.body.resize(end, 0);
        }
        &mut self.body[self.filled..end]
    }

    pub(crate) fn header(&self) -> &BinaryHeader {
        &self.header
    }

    /// The text headers, as far as they have come.
    pub(crate) fn text_headers(&self) -> &[u8] {
        &self.headers
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.filled == usize::from(self.header.body_len)
            && self.headers.len() == usize::from(self.header.text_headers_len)
    }

    /// Bytes held of it, the header's own included.
    pub(crate) fn held(&self) -> usize {
        tofu_msg::HEADER_LEN + self.headers.len() + self.filled
    }

    /// Reads more of the part that is not whole. Returns what the stream returned and whether the
    /// read was shorter than asked for.
    pub(crate) fn read_from(&mut self, stream: &mut impl Read) -> io::Result<(usize, bool)> {
        let headers_len = usize::from(self.header.text_headers_len);
        if self.headers.len() < headers_len {
            return self.read_headers(stream, headers_len - self.headers.len());
        }
        let rest = usize::from(self.header.body_len) - self.filled;
        // A buffer grows with what arrives, and one that is there already is used.
        let room = self.body.len() - self.filled;
        let wanted = rest.min(room.max(self.filled).max(FIRST_READ));
        let count = stream.read(self.space(wanted))?;
        self.filled += count;
        Ok((count, count < wanted))
    }

    fn read_headers(&mut self, stream: &mut impl Read, rest: usize) -> io::Result<(usize, bool)> {
        let start = self.headers.len();
        let wanted = rest.min(start.max(FIRST_READ));
        self.headers.resize(start + wanted, 0);
        let result = stream.read(&mut self.headers[start..]);
        let count = *result.as_ref().unwrap_or(&0);
        self.headers.truncate(start + count);
        result.map(|count| (count, count < wanted))
    }

    /// The whole frame's message.
    pub(crate) fn into_message(mut self) -> Msg {
        self.body.truncate(self.filled);
        let mut message = self.message;
        message.reset();
        message.set_op_code(self.header.op_code);
        message.set_more(self.header.more);
        message.set_status(self.header.status);
        message.set_message_id(self.header.message_id);
        let (headers, body) = message.parts_mut();
        // Both lengths are `u16`s of the header: they fit by type.
        let _fits = headers.replace_raw(&self.headers);
        if let Ok(whole) = tofu_msg::Body::from_vec(self.body) {
            *body = whole;
        }
        message
    }
}

/// What has arrived on one channel and is not yet delivered.
#[derive(Debug, Default)]
pub(crate) struct Inflow {
    /// The first part of a frame that is not whole, or whole frames that could not be delivered
    /// for want of room.
    pub(crate) held: Vec<u8>,
    /// A large frame being gathered; then `held` is empty.
    pub(crate) large: Option<Box<LargeFrame>>,
}

impl Inflow {
    /// Bytes held.
    pub(crate) fn held_bytes(&self) -> usize {
        self.held.len() + self.large.as_ref().map_or(0, |large| large.held())
    }

    /// Moves what is held to the front of `scratch` and returns its length.
    pub(crate) fn unload(&mut self, scratch: &mut Vec<u8>) -> usize {
        let len = self.held.len();
        if scratch.len() < len {
            scratch.resize(len, 0);
        }
        scratch[..len].copy_from_slice(&self.held);
        self.held = Vec::new();
        len
    }

    /// Keeps bytes that cannot be delivered now.
    pub(crate) fn keep(&mut self, bytes: &[u8]) {
        debug_assert!(self.held.is_empty() && self.large.is_none());
        self.held = bytes.to_vec();
    }
}
