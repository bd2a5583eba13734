//! Frames out of bytes that come in pieces.
//!
//! For whoever reads a stream and wants messages. It holds at most the frame that is cut, grows
//! only with the bytes that have arrived (never by what a header announces), and holds nothing
//! between frames.
//!
//! ```text
//! Header (fewer than 16 bytes) --> Payload (text headers, then body) --> a message, then Header
//!    \--> Failed (the header was none), until reset
//! ```

use crate::layout::HEADER_LEN;
use crate::{BinaryHeader, FrameRef, HeaderError, Message, Parse};

/// Turns a stream of bytes into messages, however the bytes are cut.
///
/// ```
/// use tofu_msg::{Decoder, Message, OpCode};
///
/// let mut bytes = Vec::new();
/// Message::new(OpCode::Request).encode_into(&mut bytes);
/// Message::new(OpCode::Signal).encode_into(&mut bytes);
///
/// let mut decoder = Decoder::new();
/// let mut received = Vec::new();
/// for mut piece in bytes.chunks(5) {
///     while let Some(message) = decoder.decode(&mut piece)? {
///         received.push(message.op_code());
///     }
/// }
/// assert_eq!(received, [OpCode::Request, OpCode::Signal]);
/// # Ok::<(), tofu_msg::HeaderError>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first `len` bytes of a header. Invariant: `len < HEADER_LEN`.
    Header { bytes: [u8; HEADER_LEN], len: usize },
    /// A header, and in the message as much of its text headers and body as has come. Invariants:
    /// neither is longer than the header says, no body before all text headers, not all of it.
    Payload {
        header: BinaryHeader,
        message: Message,
    },
    /// The header was none.
    Failed(HeaderError),
}

impl Default for State {
    fn default() -> Self {
        State::Header {
            bytes: [0; HEADER_LEN],
            len: 0,
        }
    }
}

impl Decoder {
    /// A decoder at the start of a stream.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes bytes off the front of `input` until a message is whole, which is returned, or
    /// `input` is empty. The messages' channel numbers are the sender's, their origin is the peer.
    ///
    /// # Errors
    /// [`HeaderError`] behind the last byte of a header that is none. There is no telling where
    /// the next frame starts, so every further call gives the same error and takes nothing, until
    /// [`Decoder::reset`].
    #[inline]
    pub fn decode(&mut self, input: &mut &[u8]) -> Result<Option<Message>, HeaderError> {
        if let State::Header { len: 0, .. } = self.state {
            if let Ok(Parse::Complete(frame)) = FrameRef::parse(input) {
                *input = &input[frame.frame_len()..];
                return Ok(Some(frame.to_message()));
            }
        }
        self.decode_cut(input)
    }

    /// Bytes of the cut frame that have come so far.
    pub fn buffered_len(&self) -> usize {
        match &self.state {
            State::Header { len, .. } => *len,
            State::Payload { message, .. } => message.frame_len(),
            State::Failed(_) => 0,
        }
    }

    /// Bytes of memory held for the cut frame: at most twice what has come of it, and a few.
    pub fn capacity(&self) -> usize {
        match &self.state {
            State::Payload { message, .. } => message.capacity(),
            State::Header { .. } | State::Failed(_) => 0,
        }
    }

    /// Forgets the cut frame or the error, for another stream.
    pub fn reset(&mut self) {
        self.state = State::default();
    }

    /// The way of a frame that is not whole in one piece.
    fn decode_cut(&mut self, input: &mut &[u8]) -> Result<Option<Message>, HeaderError> {
        if let State::Header { bytes, len } = &mut self.state {
            let piece = take(input, HEADER_LEN - *len);
            bytes[*len..*len + piece.len()].copy_from_slice(piece);
            *len += piece.len();
            if *len < HEADER_LEN {
                return Ok(None);
            }
            self.state = State::after_header(bytes);
        }
        match &mut self.state {
            State::Failed(error) => Err(*error),
            State::Payload { header, message } => {
                if !fill(header, message, input) {
                    return Ok(None);
                }
                let message = core::mem::take(message);
                self.reset();
                Ok(Some(message))
            }
            State::Header { .. } => Ok(None),
        }
    }
}

impl State {
    fn after_header(bytes: &[u8; HEADER_LEN]) -> State {
        match BinaryHeader::decode(bytes) {
            Err(error) => State::Failed(error),
            Ok(header) => {
                let mut message = Message::default();
                message.load_header(&header);
                State::Payload { header, message }
            }
        }
    }
}

/// Moves what is still missing from `input` into the message; says whether that was all.
fn fill(header: &BinaryHeader, message: &mut Message, input: &mut &[u8]) -> bool {
    let (text_headers, body) = message.parts_mut();
    let piece = take(
        input,
        usize::from(header.text_headers_len) - text_headers.len(),
    );
    text_headers.extend(piece);
    if text_headers.len() < usize::from(header.text_headers_len) {
        return false;
    }
    let piece = take(input, usize::from(header.body_len) - body.len());
    body.extend(piece);
    body.len() == usize::from(header.body_len)
}

/// Takes at most `limit` bytes off the front of `input`.
fn take<'a>(input: &mut &'a [u8], limit: usize) -> &'a [u8] {
    let (taken, rest) = input.split_at(limit.min(input.len()));
    *input = rest;
    taken
}
