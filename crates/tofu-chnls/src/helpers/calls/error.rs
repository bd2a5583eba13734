//! `CallError`: a call that was not begun, with its message and value.

use std::fmt;

use tofu_msg::{MessageId, OpCode, Status};

use super::CallFailure;
use crate::{Msg, PostErrorKind};

/// Why a call was not begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CallErrorKind {
    /// As many calls are pending as may be.
    #[error("{limit} calls are pending, which is the limit")]
    TooManyPending {
        /// How many may be.
        limit: usize,
    },
    /// The message is no Request, so nothing would answer it.
    #[error("a {0} is not a request")]
    NotARequest(OpCode),
    /// A call with this id is pending on the same channel.
    #[error("a call with the id {0} is pending on this channel")]
    IdInUse(MessageId),
    /// Nobody receives answers any more: the dispatcher is gone.
    #[error("nobody receives answers any more")]
    NoReceiver,
    /// `post` refused the message.
    #[error("{0}")]
    Post(PostErrorKind),
}

impl CallErrorKind {
    /// The status that names this refusal.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            CallErrorKind::TooManyPending { .. } => Status::QUEUE_FULL,
            CallErrorKind::NotARequest(_) => Status::INVALID_OP_CODE,
            CallErrorKind::IdInUse(_) => Status::INVALID_MESSAGE_ID,
            CallErrorKind::NoReceiver => Status::SHUTDOWN_STARTED,
            CallErrorKind::Post(kind) => kind.status(),
        }
    }
}

/// A call that was not begun: why, and the message and the value as they were.
pub struct CallError<T> {
    kind: CallErrorKind,
    message: Msg,
    value: T,
}

impl<T> CallError<T> {
    pub(super) fn new(kind: CallErrorKind, message: Msg, value: T) -> CallError<T> {
        CallError {
            kind,
            message,
            value,
        }
    }

    /// Why the call was not begun.
    #[must_use]
    pub fn kind(&self) -> CallErrorKind {
        self.kind
    }

    /// The status that names the refusal.
    #[must_use]
    pub fn status(&self) -> Status {
        self.kind.status()
    }

    /// Why, the message, and the value.
    #[must_use]
    pub fn into_parts(self) -> (CallErrorKind, Msg, T) {
        (self.kind, self.message, self.value)
    }
}

impl<T> From<CallError<T>> for CallFailure {
    fn from(error: CallError<T>) -> CallFailure {
        CallFailure::refused(error.kind, error.message)
    }
}

impl<T> fmt::Debug for CallError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CallError")
            .field("kind", &self.kind)
            .field("header", &self.message.header())
            .finish_non_exhaustive()
    }
}

impl<T> fmt::Display for CallError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the call was not begun: {}", self.kind)
    }
}

impl<T> std::error::Error for CallError<T> {}
