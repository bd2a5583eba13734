//! `ConnectError`: why an attempt to connect failed or a connection ended, and whether another
//! attempt can go better.

use tofu_addr::AddressError;
use tofu_msg::{Status, StatusKind};

use crate::{Cause, PostErrorKind};

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The endpoint is not one to connect to, or the HelloRequest has no room for it.
    #[error("{0}")]
    Address(#[from] AddressError),
    /// `post` refused the HelloRequest.
    #[error("{0}")]
    Refused(PostErrorKind),
    /// The channel has closed: before the peer's program answered, or after.
    #[error("{0}")]
    Closed(Cause),
    /// The peer's program did not answer within the attempt's timeout.
    #[error("the peer did not answer in time")]
    TimedOut,
}

impl ConnectError {
    /// The status that says why.
    #[must_use]
    pub fn status(&self) -> Status {
        match self {
            ConnectError::Address(error) => error.status(),
            ConnectError::Refused(kind) => kind.status(),
            ConnectError::Closed(cause) => cause.status(),
            ConnectError::TimedOut => Status::HELLO_RESPONSE_TIMEOUT,
        }
    }

    /// Whether another attempt would fail just so: the address is wrong, or the engine or the group
    /// has ended.
    #[must_use]
    pub fn is_final(&self) -> bool {
        match self {
            ConnectError::Address(_) => true,
            ConnectError::TimedOut => false,
            ConnectError::Refused(kind) => !matches!(
                kind,
                PostErrorKind::ChannelsExhausted | PostErrorKind::QueueFull
            ),
            ConnectError::Closed(cause) => matches!(
                cause.status().kind(),
                StatusKind::WrongAddress
                    | StatusKind::InvalidAddress
                    | StatusKind::ShutdownStarted
                    | StatusKind::ProcessingFailed
            ),
        }
    }
}
