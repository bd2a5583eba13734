//! Frames for tokio (feature `tokio-codec`): `tokio_util`'s `Encoder` and `Decoder` over [`FrameRef`].
//!
//! For programs that speak the wire format over streams of their own, without an engine. It knows
//! nothing of conversations: who may say what is theirs to keep.

use std::io;

use tokio_util::bytes::{Buf, BytesMut};
use tokio_util::codec::{Decoder, Encoder};

use crate::{FrameRef, Message, Parse};

/// The tofu wire format for `tokio_util::codec::Framed` and its relatives.
///
/// ```
/// use tofu_msg::{Message, MessageCodec, OpCode};
/// use tokio_util::bytes::BytesMut;
/// use tokio_util::codec::{Decoder, Encoder};
///
/// let mut bytes = BytesMut::new();
/// let request = Message::new(OpCode::Request);
/// MessageCodec.encode(&request, &mut bytes)?;
/// let received = MessageCodec.decode(&mut bytes)?;
/// assert_eq!(received.map(|message| message.op_code()), Some(OpCode::Request));
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCodec;

/// Room is made for at least so much of a frame that is not whole.
const LEAST_ROOM: usize = 4096;

impl Decoder for MessageCodec {
    type Item = Message;
    type Error = io::Error;

    /// The next message, once its frame is whole; its origin is the peer. The buffer grows with the
    /// bytes that are there, not by what a header announces.
    ///
    /// # Errors
    /// `InvalidData`, with the [`HeaderError`](crate::HeaderError) in it, where bytes have no meaning: then
    /// nothing is taken off the buffer, and no frame behind them can be found.
    fn decode(&mut self, bytes: &mut BytesMut) -> io::Result<Option<Message>> {
        let parsed = FrameRef::parse(bytes);
        match parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))? {
            Parse::Complete(frame) => {
                let (message, len) = (frame.to_message(), frame.frame_len());
                bytes.advance(len);
                Ok(Some(message))
            }
            Parse::Partial { needed } => {
                let missing = needed.saturating_sub(bytes.len());
                bytes.reserve(missing.min(bytes.len().max(LEAST_ROOM)));
                Ok(None)
            }
        }
    }
}

impl Encoder<&Message> for MessageCodec {
    type Error = io::Error;

    /// Appends the message's frame.
    fn encode(&mut self, message: &Message, bytes: &mut BytesMut) -> io::Result<()> {
        bytes.reserve(message.frame_len());
        for slice in crate::Encoder::new(message).slices() {
            bytes.extend_from_slice(slice);
        }
        Ok(())
    }
}

impl Encoder<Message> for MessageCodec {
    type Error = io::Error;

    /// Appends the message's frame.
    fn encode(&mut self, message: Message, bytes: &mut BytesMut) -> io::Result<()> {
        self.encode(&message, bytes)
    }
}
