//! What a call may refuse, and how it says so.
//!
//! An error is returned by a call; what fails later comes back as a message with a status.

use std::fmt;

use thiserror::Error;
use tofu_addr::AddressError;
use tofu_msg::Status;

use crate::msg::Msg;

/// Why a message was not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PostErrorKind {
    /// A response must carry the id of what it answers; this one has id 0.
    #[error("a response must carry the id of the message that it answers, not 0")]
    InvalidMessageId,
    /// `more` is set on something else than a Request, Response or Signal.
    #[error("`more` is only for Request, Response and Signal")]
    InvalidMoreUsage,
    /// Channel 0 on anything but a HelloRequest or WelcomeRequest, or a number never given out.
    #[error("there is no such channel")]
    InvalidChannelNumber,
    /// The channel belongs to another group, or the group was destroyed.
    #[error("the channel belongs to another channel group, or this group was destroyed")]
    InvalidChannelGroup,
    /// A HelloRequest or WelcomeRequest without an address, or with one of the wrong kind.
    #[error("the address is missing or of the wrong kind")]
    WrongAddress,
    /// The address cannot be understood.
    #[error("the address cannot be understood")]
    InvalidAddress,
    /// The conversation on this channel does not allow this message now; why.
    #[error("not allowed on this channel now: {0}")]
    NotAllowed(&'static str),
    /// The channel is closing or closed.
    #[error("the channel is closed")]
    ChannelClosed,
    /// The channel's send queue is full; a `send_queue_ready` notice will tell of room.
    #[error("the channel's send queue is full")]
    QueueFull,
    /// As many channels live as the engine may have.
    #[error("no more channels can be opened in this engine")]
    ChannelsExhausted,
    /// The engine is stopping or has stopped.
    #[error("the engine has been shut down")]
    ShutdownStarted,
    /// The engine's thread has failed.
    #[error("the engine has failed")]
    ProcessingFailed,
}

impl PostErrorKind {
    /// The status that names this refusal.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            PostErrorKind::InvalidMessageId => Status::INVALID_MESSAGE_ID,
            PostErrorKind::InvalidMoreUsage => Status::INVALID_MORE_USAGE,
            PostErrorKind::InvalidChannelNumber => Status::INVALID_CHANNEL_NUMBER,
            PostErrorKind::InvalidChannelGroup => Status::INVALID_CHANNEL_GROUP,
            PostErrorKind::WrongAddress => Status::WRONG_ADDRESS,
            PostErrorKind::InvalidAddress => Status::INVALID_ADDRESS,
            PostErrorKind::NotAllowed(_) => Status::NOT_ALLOWED,
            PostErrorKind::ChannelClosed => Status::CHANNEL_CLOSED,
            PostErrorKind::QueueFull => Status::QUEUE_FULL,
            PostErrorKind::ChannelsExhausted => Status::CHANNELS_EXHAUSTED,
            PostErrorKind::ShutdownStarted => Status::SHUTDOWN_STARTED,
            PostErrorKind::ProcessingFailed => Status::PROCESSING_FAILED,
        }
    }
}

/// A refused post: why, and the very message, unchanged.
pub struct PostError {
    kind: PostErrorKind,
    detail: Option<Box<AddressError>>,
    message: Msg,
}

impl PostError {
    pub(crate) fn new(kind: PostErrorKind, message: Msg) -> PostError {
        PostError {
            kind,
            detail: None,
            message,
        }
    }

    /// A refusal for the message's address.
    pub(crate) fn address(error: AddressError, message: Msg) -> PostError {
        let kind = if error.status() == Status::WRONG_ADDRESS {
            PostErrorKind::WrongAddress
        } else {
            PostErrorKind::InvalidAddress
        };
        PostError {
            kind,
            detail: Some(Box::new(error)),
            message,
        }
    }

    /// Why the message was not taken.
    #[must_use]
    pub fn kind(&self) -> PostErrorKind {
        self.kind
    }

    /// The status that names the refusal.
    #[must_use]
    pub fn status(&self) -> Status {
        self.kind.status()
    }

    /// The message, as it was posted.
    #[must_use]
    pub fn message(&self) -> &Msg {
        &self.message
    }

    /// Gives the message back.
    #[must_use]
    pub fn into_message(self) -> Msg {
        self.message
    }

    /// Why, and the message.
    #[must_use]
    pub fn into_parts(self) -> (PostErrorKind, Msg) {
        (self.kind, self.message)
    }
}

impl fmt::Debug for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostError")
            .field("kind", &self.kind)
            .field("detail", &self.detail)
            .field("header", &self.message.header())
            .finish()
    }
}

impl fmt::Display for PostError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let op_code = self.message.op_code();
        let channel = self.message.channel_number();
        write!(f, "{op_code} on channel {channel} was not posted: ")?;
        match &self.detail {
            Some(detail) => write!(f, "{detail}"),
            None => write!(f, "{}", self.kind),
        }
    }
}

impl std::error::Error for PostError {}

/// Why an engine or one of its calls cannot go on.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EngineError {
    /// The engine has been shut down, or its last `Reactor` was dropped.
    #[error("the engine has been shut down")]
    ShutdownStarted,
    /// The engine's thread has failed: a defect of tofu. Every wait ends with this.
    #[error("the engine has failed")]
    ProcessingFailed,
    /// The engine could not be started: the system refused a poller or a thread.
    #[error("the engine could not be started: {0}")]
    NotStarted(#[source] std::io::Error),
}

impl EngineError {
    pub(crate) fn from_status(status: Status) -> EngineError {
        if status == Status::PROCESSING_FAILED {
            EngineError::ProcessingFailed
        } else {
            EngineError::ShutdownStarted
        }
    }

    /// The status that names this error.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            EngineError::ShutdownStarted => Status::SHUTDOWN_STARTED,
            EngineError::ProcessingFailed => Status::PROCESSING_FAILED,
            EngineError::NotStarted(_) => Status::ALLOCATION_FAILED,
        }
    }
}
