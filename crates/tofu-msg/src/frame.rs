//! Frames as they lie in a buffer, read without copying.
//!
//! The engine walks its read chunks with `FrameRef::parse`; so may anyone who has the bytes in one
//! piece. Bytes that come in pieces go through the `Decoder`. Nothing here allocates.

use crate::layout::HEADER_LEN;
use crate::{BinaryHeader, HeaderError, Message, TextHeadersRef};

/// What a parser found at the start of a buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[must_use = "a buffer may hold only a part of what was looked for"]
pub enum Parse<T> {
    /// All of it.
    Complete(T),
    /// The start of it.
    Partial {
        /// Bytes that the buffer must hold in all before it is worth another look: as many as
        /// a header has until that is there, then as many as the frame has.
        needed: usize,
    },
}

impl<T> Parse<T> {
    /// What was found, if it was all there.
    #[inline]
    pub fn complete(self) -> Option<T> {
        match self {
            Parse::Complete(found) => Some(found),
            Parse::Partial { .. } => None,
        }
    }
}

/// A whole frame in somebody's buffer.
///
/// ```
/// use tofu_msg::{FrameRef, Message, OpCode, Parse};
///
/// let mut bytes = Vec::new();
/// Message::new(OpCode::Signal).encode_into(&mut bytes);
/// bytes.extend_from_slice(b"what follows");
///
/// let Parse::Complete(frame) = FrameRef::parse(&bytes)? else { panic!("it is all there") };
/// assert_eq!(frame.header().op_code, OpCode::Signal);
/// assert_eq!(&bytes[frame.frame_len()..], b"what follows");
/// # Ok::<(), tofu_msg::HeaderError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRef<'a> {
    header: BinaryHeader,
    /// Invariant: exactly `header.frame_len()` long, and starting with the bytes of `header`.
    bytes: &'a [u8],
}

impl<'a> FrameRef<'a> {
    /// Looks at the frame that starts where `bytes` starts. What lies behind it is not looked at.
    ///
    /// # Errors
    /// [`HeaderError`] as soon as the header is there and is none.
    #[inline]
    pub fn parse(bytes: &'a [u8]) -> Result<Parse<FrameRef<'a>>, HeaderError> {
        let Some(header) = bytes.first_chunk::<HEADER_LEN>() else {
            return Ok(Parse::Partial { needed: HEADER_LEN });
        };
        let header = BinaryHeader::decode(header)?;
        let needed = header.frame_len();
        Ok(match bytes.get(..needed) {
            Some(bytes) => Parse::Complete(FrameRef { header, bytes }),
            None => Parse::Partial { needed },
        })
    }

    /// The binary header.
    #[inline]
    pub const fn header(&self) -> BinaryHeader {
        self.header
    }

    /// The text headers.
    #[inline]
    pub fn text_headers(&self) -> TextHeadersRef<'a> {
        TextHeadersRef::new(&self.bytes[HEADER_LEN..self.body_start()])
    }

    /// The body.
    #[inline]
    pub fn body(&self) -> &'a [u8] {
        &self.bytes[self.body_start()..]
    }

    /// Length of the whole frame in bytes.
    #[inline]
    pub const fn frame_len(&self) -> usize {
        self.bytes.len()
    }

    /// The whole frame.
    #[inline]
    pub const fn as_bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// A message of its own with the same content; its origin is the peer.
    pub fn to_message(&self) -> Message {
        let mut message = Message::default();
        message.load(self);
        message
    }

    #[inline]
    fn body_start(&self) -> usize {
        HEADER_LEN + usize::from(self.header.text_headers_len)
    }
}
