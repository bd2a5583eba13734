//! The tofu wire format: messages in memory, frames on the wire, and the way between them.
//!
//! A message is an op code with a few numbers, text headers (`name:value` lines) and a body of any
//! bytes; on the wire it is one frame, big endian, without preamble or checksum. This crate knows
//! the bytes and their meaning: no socket, no thread, no clock. It refuses only what has no meaning
//! at all; which message may be sent or accepted when is the engine's business.
//!
//! ```text
//!  in memory                                                              on the wire
//!             Encoder, encode_into      +--------+--------------+------+
//!  Message ---------------------------> | header | text headers | body | ---> bytes out
//!                                       +--------+--------------+------+
//!             Decoder                       frames, cut anywhere
//!  Message <----------------------------------------------------------------- bytes in
//!             Message::load         FrameRef::parse
//!  Message <--------------- FrameRef <------------------ whole frames in a buffer
//! ```
//!
//! # Example
//!
//! ```
//! use tofu_msg::{Decoder, Message, MessageId, OpCode};
//!
//! let mut request = Message::new(OpCode::Request);
//! request.set_message_id(MessageId::new(42));
//! request.text_headers_mut().append("Content-Type", "text/plain")?;
//! request.body_mut().append(b"hello")?;
//!
//! let mut bytes = Vec::new();
//! request.encode_into(&mut bytes);
//!
//! let mut decoder = Decoder::new();
//! let (mut first, mut second) = bytes.split_at(20);
//! assert!(decoder.decode(&mut first)?.is_none(), "the frame is cut");
//! let Some(received) = decoder.decode(&mut second)? else { panic!("the frame is whole") };
//! assert_eq!(received.text_headers().get_str("Content-Type"), Some(Ok("text/plain")));
//! assert_eq!(received.body().as_bytes(), b"hello");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! | for | see |
//! |---|---|
//! | a message to fill, send and reuse | [`Message`], [`TextHeaders`], [`Body`] |
//! | what it is for, how it went, who says so | [`OpCode`], [`Status`], [`Origin`] |
//! | its channel and its operation | [`ChannelNumber`], [`MessageId`] |
//! | the header as values; as bytes | [`BinaryHeader`]; [`RawHeader`] |
//! | frames in a buffer, uncopied | [`FrameRef`], [`Parse`], [`TextHeadersRef`] |
//! | a stream that comes in pieces | [`Decoder`] |
//! | a writer that takes pieces | [`Encoder`] |
//! | what can go wrong | [`HeaderError`], [`TextHeaderError`], [`BodyError`] |
//!
//! The files are named so; `layout` alone knows where which byte stands, `fuzzing` holds the
//! properties that the fuzz targets and the tests check.
//!
//! No input panics, from a peer or the application; what exceeds a limit is an error at once and
//! changes nothing. Memory grows with the bytes that are there, never by what a header announces.
//! Without the feature `std` (default) there is no `std::io::Write` for [`Body`] and no `write_to`, and
//! `alloc` is all it needs. The feature `tokio-codec` adds `MessageCodec`, for tokio's `Framed`.

#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod body;
mod decoder;
mod encoder;
mod frame;
#[doc(hidden)]
pub mod fuzzing;
mod header;
mod layout;
mod message;
mod numbers;
mod op_code;
mod origin;
mod status;
mod text_headers;
#[cfg(feature = "tokio-codec")]
mod tokio_codec;

pub use body::{Body, BodyError};
pub use decoder::Decoder;
pub use encoder::Encoder;
pub use frame::{FrameRef, Parse};
pub use header::{BinaryHeader, HeaderError};
pub use layout::{HEADER_LEN, MAX_BODY_LEN, MAX_FRAME_LEN, MAX_TEXT_HEADERS_LEN, RawHeader};
pub use message::Message;
pub use numbers::{ChannelNumber, MessageId};
pub use op_code::{OpCode, OpType, Role};
pub use origin::Origin;
pub use status::{Status, StatusKind};
pub use text_headers::{
    TextHeader, TextHeaderError, TextHeaderValues, TextHeaders, TextHeadersIter, TextHeadersRef,
};
#[cfg(feature = "tokio-codec")]
pub use tokio_codec::MessageCodec;
