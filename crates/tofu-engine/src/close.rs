//! Why something ended: the cause that travels with messages from the engine, and the close
//! information of a channel.
//!
//! Made by the core, read by the application through [`crate::Msg`]; never on the wire.

use std::borrow::Cow;
use std::fmt;
use std::io;

use tofu_msg::{MessageId, Status};

use crate::core::transport::PeerInfo;

/// Why an operation failed or a channel ended: a status for the program, the system's error
/// number where there was one, and a sentence for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    status: Status,
    os_error: Option<i32>,
    text: Cow<'static, str>,
}

impl Cause {
    /// A cause of tofu's own.
    pub(crate) fn new(status: Status, text: impl Into<Cow<'static, str>>) -> Cause {
        Cause {
            status,
            os_error: None,
            text: text.into(),
        }
    }

    /// A cause that the system told; `doing` says what was attempted.
    pub(crate) fn system(status: Status, doing: &str, error: &io::Error) -> Cause {
        let text = Cow::Owned(format!("{doing}: {error}"));
        Cause {
            status,
            os_error: error.raw_os_error(),
            text,
        }
    }

    /// The status that says why.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The system's error number (`errno`), where the system was the one who said no.
    #[must_use]
    pub fn os_error(&self) -> Option<i32> {
        self.os_error
    }

    /// The same for a person: what was attempted and what was wrong.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.status, self.text)
    }
}

/// How a channel ended; comes with its `channel_closed`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseInfo {
    /// Why. `Status::SUCCESS` for a channel closed by ByeRequest and ByeResponse.
    pub cause: Cause,
    /// The peer's application answered our ByeRequest: it has taken everything before it.
    pub confirmed: bool,
    /// Who was at the other end; `None` for a listener and where no connection was made.
    pub peer: Option<PeerInfo>,
    /// Messages whose last byte was handed to the kernel.
    pub messages_sent: u64,
    /// Messages from the peer that were delivered.
    pub messages_received: u64,
    /// Id of the last message wholly handed to the kernel.
    pub last_id_sent: Option<MessageId>,
    /// Id of the last message delivered.
    pub last_id_received: Option<MessageId>,
    /// Bytes handed to the kernel since the last proof of receipt (a Response, HelloResponse or
    /// ByeResponse that came from the peer): whether the peer's application took them is unknown.
    pub bytes_unconfirmed: u64,
    /// Bytes of a frame that the peer began and did not finish.
    pub partial_frame_bytes: usize,
}

impl CloseInfo {
    /// Close information of a channel on which nothing has happened yet.
    pub(crate) fn new(cause: Cause) -> CloseInfo {
        CloseInfo {
            cause,
            confirmed: false,
            peer: None,
            messages_sent: 0,
            messages_received: 0,
            last_id_sent: None,
            last_id_received: None,
            bytes_unconfirmed: 0,
            partial_frame_bytes: 0,
        }
    }
}
