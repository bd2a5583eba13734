//! Cuts a peer's byte stream into frames, with as little copying and memory as the stream allows.
//!
//! Bytes are read into the engine's one scratch buffer; a frame cut in two keeps its first part
//! here until the rest comes, and a large frame is gathered in buffers of its own, read straight
//! into their place. An idle channel owns no buffer; buffers grow with what arrives, never by what a
//! header announces. What the bytes mean is judged elsewhere.

use std::io::{self, Read};

use tofu_msg::{BinaryHeader, Message};

/// A large frame of which a part has arrived.
///
/// Invariants: `headers.len() <= header.text_headers_len`, `body.len() <= header.body_len`, and the
/// body is empty until the text headers are whole.
#[derive(Debug)]
pub(crate) struct LargeFrame {
    header: BinaryHeader,
    headers: Vec<u8>,
    body: Vec<u8>,
}

/// How many bytes a large frame may read at first; doubled with what has arrived.
const FIRST_READ: usize = 32 * 1024;

impl LargeFrame {
    /// Begins a frame with what has arrived behind its header.
    pub(crate) fn new(header: BinaryHeader, arrived: &[u8]) -> LargeFrame {
        let mut frame = LargeFrame {
            header,
            headers: Vec::new(),
            body: Vec::new(),
        };
        let split = arrived.len().min(usize::from(header.text_headers_len));
        let (headers, body) = arrived.split_at(split);
        frame.headers.extend_from_slice(headers);
        frame.body.extend_from_slice(body);
        frame
    }

    pub(crate) fn header(&self) -> &BinaryHeader {
        &self.header
    }

    /// The text headers, as far as they have come.
    pub(crate) fn text_headers(&self) -> &[u8] {
        &self.headers
    }

    pub(crate) fn is_whole(&self) -> bool {
        self.body.len() == usize::from(self.header.body_len)
            && self.headers.len() == usize::from(self.header.text_headers_len)
    }

    /// Bytes held of it, the header's own included.
    pub(crate) fn held(&self) -> usize {
        tofu_msg::HEADER_LEN + self.headers.len() + self.body.len()
    }

    /// Reads more of the part that is not whole. Returns what the stream returned and whether the
    /// read was shorter than asked for.
    pub(crate) fn read_from(&mut self, stream: &mut impl Read) -> io::Result<(usize, bool)> {
        let headers_len = usize::from(self.header.text_headers_len);
        let (part, whole) = if self.headers.len() < headers_len {
            (&mut self.headers, headers_len)
        } else {
            (&mut self.body, usize::from(self.header.body_len))
        };
        let start = part.len();
        let wanted = (whole - start).min(start.max(FIRST_READ));
        part.resize(start + wanted, 0);
        let result = stream.read(&mut part[start..]);
        let count = *result.as_ref().unwrap_or(&0);
        part.truncate(start + count);
        result.map(|count| (count, count < wanted))
    }

    /// Moves the whole frame's content into `message`.
    pub(crate) fn load_into(self, message: &mut Message) {
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
