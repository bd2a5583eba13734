//! The binary header as checked values.
//!
//! `BinaryHeader::decode` is the gate between bytes and values: it refuses only what has no value,
//! the op codes that do not exist. What may be sent or accepted when is judged by the engine.

use crate::layout::{HEADER_LEN, RawHeader};
use crate::{ChannelNumber, MessageId, OpCode, Status};

/// The sixteen bytes in front of every frame, as values.
///
/// ```
/// use tofu_msg::{BinaryHeader, ChannelNumber, MessageId, OpCode};
///
/// let header = BinaryHeader {
///     op_code: OpCode::Signal,
///     channel_number: ChannelNumber::new(7),
///     message_id: MessageId::new(42),
///     body_len: 5,
///     ..BinaryHeader::default()
/// };
/// let bytes = header.encode();
/// assert_eq!(BinaryHeader::decode(&bytes), Ok(header));
/// assert_eq!(header.frame_len(), 16 + 5);
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct BinaryHeader {
    /// The sender's own number for the channel.
    pub channel_number: ChannelNumber,
    /// What the message is for.
    pub op_code: OpCode,
    /// The origin bit: set when the sender's engine speaks. Never to be believed of a peer.
    pub engine_origin: bool,
    /// More messages of the same operation follow.
    pub more: bool,
    /// The status byte, as it is.
    pub status: Status,
    /// Ties the messages of one operation together.
    pub message_id: MessageId,
    /// Length of the text headers behind this header, in bytes.
    pub text_headers_len: u16,
    /// Length of the body behind the text headers, in bytes.
    pub body_len: u16,
}

impl BinaryHeader {
    /// Reads the values. The two unused bits of the flags byte are ignored.
    ///
    /// # Errors
    /// [`HeaderError::InvalidOpCode`] for op codes 10 to 15, which do not exist; nothing else.
    #[inline]
    pub const fn decode(bytes: &[u8; HEADER_LEN]) -> Result<Self, HeaderError> {
        let raw = RawHeader::new(*bytes);
        let flags = raw.flags();
        let op_code = flags & RawHeader::OP_CODE_MASK;
        let Some(op_code) = OpCode::from_u8(op_code) else {
            return Err(HeaderError::InvalidOpCode { op_code });
        };
        Ok(Self {
            channel_number: ChannelNumber::new(raw.channel_number()),
            op_code,
            engine_origin: flags & RawHeader::ENGINE_ORIGIN_BIT != 0,
            more: flags & RawHeader::MORE_BIT != 0,
            status: Status::new(raw.status()),
            message_id: MessageId::new(raw.message_id()),
            text_headers_len: raw.text_headers_len(),
            body_len: raw.body_len(),
        })
    }

    /// Writes the values as they are; the two unused bits are zero.
    #[inline]
    pub const fn encode(&self) -> [u8; HEADER_LEN] {
        let mut flags = self.op_code.as_u8();
        if self.engine_origin {
            flags |= RawHeader::ENGINE_ORIGIN_BIT;
        }
        if self.more {
            flags |= RawHeader::MORE_BIT;
        }
        *RawHeader::from_fields(
            self.channel_number.value(),
            flags,
            self.status.value(),
            self.message_id.value(),
            self.text_headers_len,
            self.body_len,
        )
        .as_bytes()
    }

    /// The channel: on the wire the sender's own number, in memory ours.
    #[inline]
    pub const fn channel_number(&self) -> ChannelNumber {
        self.channel_number
    }

    /// The message id.
    #[inline]
    pub const fn message_id(&self) -> MessageId {
        self.message_id
    }

    /// Length of what follows the header in bytes, 0 to 131070.
    #[inline]
    pub const fn payload_len(&self) -> usize {
        self.text_headers_len as usize + self.body_len as usize
    }

    /// Length of the whole frame in bytes, 16 to [`MAX_FRAME_LEN`](crate::MAX_FRAME_LEN).
    #[inline]
    pub const fn frame_len(&self) -> usize {
        HEADER_LEN + self.payload_len()
    }
}

/// Why sixteen bytes are no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum HeaderError {
    /// The op code does not exist.
    #[error("op code {op_code} does not exist")]
    InvalidOpCode {
        /// The number found: 10 to 15 in a header, 10 to 255 where a bare byte was converted.
        op_code: u8,
    },
}

impl HeaderError {
    /// The status that says the same: [`Status::INVALID_OP_CODE`].
    pub const fn status(&self) -> Status {
        match self {
            HeaderError::InvalidOpCode { .. } => Status::INVALID_OP_CODE,
        }
    }
}
