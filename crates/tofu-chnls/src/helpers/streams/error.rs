//! What may go wrong with a stream: [`ChunkError`] for its sender, [`StreamError`] for its receiver.

use std::fmt;
use std::io;
use std::time::Duration;

use thiserror::Error;
use tofu_msg::{ChannelNumber, Message, MessageId, OpCode};

use super::limits::StreamLimit;
use crate::{Cause, EngineError, PostError};

/// Which stream: its parts have all three in common.
///
/// The op code belongs to it because both sides number their messages from 1: a peer's Request and its
/// Response to a Request of ours may well have the same id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct StreamId {
    /// The channel on which it comes.
    pub channel_number: ChannelNumber,
    /// Request, Response or Signal.
    pub op_code: OpCode,
    /// The id of all its messages.
    pub message_id: MessageId,
}

impl StreamId {
    /// The stream to which a message belongs.
    #[must_use]
    pub fn of(message: &Message) -> StreamId {
        StreamId {
            channel_number: message.channel_number(),
            op_code: message.op_code(),
            message_id: message.message_id(),
        }
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StreamId {
            channel_number,
            op_code,
            message_id,
        } = self;
        write!(f, "{op_code} {message_id} on channel {channel_number}")
    }
}

/// A stream that was received and did not become whole, and why.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{stream} did not become whole: {fault}")]
#[non_exhaustive]
pub struct StreamError {
    /// Which stream.
    pub stream: StreamId,
    /// Why.
    pub fault: StreamFault,
}

impl StreamError {
    pub(super) fn new(stream: StreamId, fault: StreamFault) -> StreamError {
        StreamError { stream, fault }
    }
}

impl From<StreamError> for io::Error {
    fn from(error: StreamError) -> io::Error {
        let kind = match error.fault {
            StreamFault::LimitExceeded { .. } => io::ErrorKind::FileTooLarge,
            StreamFault::Expired { .. } | StreamFault::ReaderStalled { .. } => {
                io::ErrorKind::TimedOut
            }
            StreamFault::Aborted { .. } => io::ErrorKind::ConnectionAborted,
            StreamFault::ChannelClosed { .. } | StreamFault::Abandoned => {
                io::ErrorKind::UnexpectedEof
            }
        };
        io::Error::new(kind, error)
    }
}

/// Why a stream did not become whole.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum StreamFault {
    /// It would have exceeded a limit.
    #[error("{reached} {limit}, and {allowed} are allowed")]
    LimitExceeded {
        /// Which limit.
        limit: StreamLimit,
        /// Its value.
        allowed: u64,
        /// What it would have come to.
        reached: u64,
    },
    /// Its last part did not come in time.
    #[error("its last part did not come within {age:?}")]
    Expired {
        /// The limit: [`StreamLimits::age`](super::StreamLimits::age).
        age: Duration,
    },
    /// Whoever reads it did not make room in time.
    #[error("its reader made no room within {waited:?}")]
    ReaderStalled {
        /// How long was waited for room.
        waited: Duration,
    },
    /// The sender gave up, and said so.
    #[error("its sender gave up: {reason}")]
    Aborted {
        /// What the sender said: one line of at most 256 bytes, without control characters.
        reason: String,
    },
    /// The channel ended before the stream did.
    #[error("its channel ended: {cause}")]
    ChannelClosed {
        /// Why the channel ended.
        cause: Cause,
    },
    /// The [`Reassembler`](super::Reassembler) was dropped.
    #[error("nobody receives it any more")]
    Abandoned,
}

/// Why a stream could not be sent, or no further.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ChunkError {
    /// The content could not be read.
    #[error("the content could not be read: {0}")]
    Read(#[source] io::Error),
    /// A part was refused, for another reason than a full queue; the part is in the error.
    #[error(transparent)]
    Post(PostError),
    /// No room for the next part came in time. The part is kept: the same call goes on with it.
    #[error("the channel's send queue had no room in time")]
    Stalled,
    /// The engine has ended.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The second part was asked for before
    /// [`set_message_id`](super::Chunks::set_message_id) told which id the first one was given.
    #[error("the id that the first part was given is not known")]
    MessageIdMissing,
    /// Only Requests, Responses and Signals can have more than one part.
    #[error("a {0} cannot be a stream")]
    NotRegular(OpCode),
    /// An earlier call has failed: the stream cannot be continued.
    #[error("the stream has failed before")]
    Broken,
}

impl From<ChunkError> for io::Error {
    fn from(error: ChunkError) -> io::Error {
        let kind = match &error {
            ChunkError::Read(source) => source.kind(),
            ChunkError::Stalled => io::ErrorKind::TimedOut,
            ChunkError::MessageIdMissing | ChunkError::NotRegular(_) => io::ErrorKind::InvalidInput,
            ChunkError::Post(_) | ChunkError::Engine(_) | ChunkError::Broken => {
                io::ErrorKind::BrokenPipe
            }
        };
        io::Error::new(kind, error)
    }
}
