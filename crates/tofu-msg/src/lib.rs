//! The tofu wire format: messages in memory, frames on the wire, and the way between them.

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
