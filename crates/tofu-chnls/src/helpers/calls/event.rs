//! What becomes of a call: the events of `Calls`, and the failure that says why and what is known
//! of the Request.

use std::fmt;
use std::ops::RangeInclusive;

use tofu_msg::{ChannelNumber, Message, MessageId, Status};

use super::CallErrorKind;
use crate::{Cause, Msg};

/// Names a call: the channel of its Request, and the Request's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallId {
    /// The channel on which the Request went out.
    pub channel: ChannelNumber,
    /// The id that Request and Response share.
    pub id: MessageId,
}

impl CallId {
    pub(super) fn of(message: &Message) -> CallId {
        CallId {
            channel: message.channel_number(),
            id: message.message_id(),
        }
    }

    /// All that a channel can have.
    pub(super) fn all_of(channel: ChannelNumber) -> RangeInclusive<CallId> {
        let with = |id| CallId {
            channel,
            id: MessageId::new(id),
        };
        with(0)..=with(u64::MAX)
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "call {} on channel {}", self.id, self.channel)
    }
}

/// What has happened to a call.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallEvent<T> {
    /// Something came for a call that goes on: a Signal with its id, or a part of its Response that
    /// others follow (`more`).
    Progress {
        /// Which call.
        call: CallId,
        /// The Signal or Response.
        message: Msg,
    },
    /// The Response came, or its last part: the call has ended.
    Answered {
        /// Which call.
        call: CallId,
        /// What the program kept with it.
        value: T,
        /// The Response.
        answer: Msg,
    },
    /// No answer will be waited for any more: the call has ended.
    Failed {
        /// Which call.
        call: CallId,
        /// What the program kept with it.
        value: T,
        /// Why, and what is known of the Request.
        failure: CallFailure,
    },
    /// A Response or a progress Signal for a call that has ended.
    Late {
        /// The Response or Signal.
        message: Msg,
    },
}

/// Whether the peer's program has seen a Request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RequestFate {
    /// It has not: the Request was never wholly sent. To call again is safe.
    NotSent,
    /// Nobody can tell: the Request was handed to the kernel, or is still queued, or only some of
    /// its parts came back.
    Unknown,
    /// It has: it sent something under the id of the call, or confirmed the close of the channel.
    Taken,
}

/// Why a call got no answer.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallFailureKind {
    /// The Request was not posted.
    #[error("the request was refused: {0}")]
    Refused(CallErrorKind),
    /// The Request came back unsent.
    #[error("the request was not sent: {0}")]
    Returned(Cause),
    /// The channel has closed.
    #[error("the channel closed before the answer: {0}")]
    ChannelClosed(Cause),
    /// The deadline has passed.
    #[error("no answer came in time")]
    Expired,
    /// The engine, or the loop that receives, has ended.
    #[error("nobody receives any more: {0}")]
    EngineEnded(Status),
    /// Its end had been taken before; only [`PendingCall::wait`](super::PendingCall::wait) says so.
    #[error("the end of this call was taken before")]
    AlreadyEnded,
}

/// How a call failed.
#[derive(Debug)]
pub struct CallFailure {
    kind: CallFailureKind,
    fate: RequestFate,
    request: Option<Msg>,
}

impl CallFailure {
    pub(super) fn new(
        kind: CallFailureKind,
        fate: RequestFate,
        request: Option<Msg>,
    ) -> CallFailure {
        CallFailure {
            kind,
            fate,
            request,
        }
    }

    /// A Request that was never posted.
    pub(super) fn refused(kind: CallErrorKind, request: Msg) -> CallFailure {
        let kind = CallFailureKind::Refused(kind);
        CallFailure::new(kind, RequestFate::NotSent, Some(request))
    }

    pub(super) fn already_ended() -> CallFailure {
        CallFailure::new(CallFailureKind::AlreadyEnded, RequestFate::Unknown, None)
    }

    /// Why.
    #[must_use]
    pub fn kind(&self) -> &CallFailureKind {
        &self.kind
    }

    /// What is known of the Request: whether the peer's program has seen it.
    #[must_use]
    pub fn fate(&self) -> RequestFate {
        self.fate
    }

    /// The status that says why. A call that ran out of time has none of the engine's: it is said to
    /// be [`Status::COMMUNICATION_FAILED`].
    #[must_use]
    pub fn status(&self) -> Status {
        match &self.kind {
            CallFailureKind::Refused(kind) => kind.status(),
            CallFailureKind::Returned(cause) | CallFailureKind::ChannelClosed(cause) => {
                cause.status()
            }
            CallFailureKind::Expired => Status::COMMUNICATION_FAILED,
            CallFailureKind::AlreadyEnded => Status::NOT_ALLOWED,
            CallFailureKind::EngineEnded(status) => *status,
        }
    }

    /// The Request, where it was refused or came back.
    #[must_use]
    pub fn into_request(self) -> Option<Msg> {
        self.request
    }
}

impl fmt::Display for CallFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fate = match self.fate {
            RequestFate::NotSent => "the peer has not seen the request",
            RequestFate::Unknown => "whether the peer has seen the request is unknown",
            RequestFate::Taken => "the peer has seen the request",
        };
        write!(f, "{}; {fate}", self.kind)
    }
}

impl std::error::Error for CallFailure {}
