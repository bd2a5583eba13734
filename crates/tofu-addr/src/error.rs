//! What can be wrong with an address: [`AddressError`] and, for a malformed one, the
//! [`AddressFault`]. Every fallible call of the crate ends here. The errors hold no more than a
//! bounded piece of what was refused, since that may come from a peer.

use tofu_msg::{OpCode, Status, TextHeaderError};

use crate::MAX_HOST_LEN;

/// How many bytes of a refused value an error keeps; any address that is legal fits whole.
const QUOTED_LEN: usize = 512;

/// Why a message has no usable address or cannot be given one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// The message has no address header at all.
    #[error("the message has no {expected} header")]
    Missing {
        /// The header that the message's op code asks for.
        expected: &'static str,
    },
    /// The message has the other kind of address: one to listen on where it shall connect, or
    /// the other way round.
    #[error("the message has a {found} header where {expected} is needed")]
    WrongKind {
        /// The header that the message's op code asks for.
        expected: &'static str,
        /// The header that it has instead.
        found: &'static str,
    },
    /// The address is malformed.
    #[error("invalid address {value:?}: {reason}")]
    Invalid {
        /// The refused value, cut after 512 bytes (then ending in `...`), with U+FFFD in place of
        /// what is not UTF-8.
        value: String,
        /// What is wrong with it.
        reason: AddressFault,
    },
    /// The message's op code is neither Hello nor Welcome, so it carries no address.
    #[error("a {op_code} carries no address")]
    NotAnAddressOp {
        /// The message's op code.
        op_code: OpCode,
    },
    /// The address is fine, but the message's text headers have no room for it.
    #[error("the address does not fit into the text headers: {0}")]
    DoesNotFit(#[from] TextHeaderError),
}

impl AddressError {
    /// The status that says this in a message.
    pub fn status(&self) -> Status {
        match self {
            AddressError::Missing { .. } | AddressError::WrongKind { .. } => Status::WRONG_ADDRESS,
            AddressError::Invalid { .. } => Status::INVALID_ADDRESS,
            AddressError::NotAnAddressOp { .. } => Status::INVALID_OP_CODE,
            AddressError::DoesNotFit(error) => error.status(),
        }
    }

    pub(crate) fn invalid(value: &[u8], reason: AddressFault) -> AddressError {
        AddressError::Invalid {
            value: quotable(value),
            reason,
        }
    }
}

/// `value` as text of bounded length.
fn quotable(value: &[u8]) -> String {
    match value.get(..QUOTED_LEN) {
        Some(head) if head.len() < value.len() => {
            String::from_utf8_lossy(head).into_owned() + "..."
        }
        _ => String::from_utf8_lossy(value).into_owned(),
    }
}

/// What is wrong with a malformed address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum AddressFault {
    /// The first part is neither `tcp` nor `uds`.
    #[error("it starts with neither tcp| nor uds|")]
    UnknownTransport,
    /// There are too few or too many parts.
    #[error("it has not the parts of tcp|HOST|PORT or uds|PATH")]
    PartCount,
    /// The host is empty, which only a listener may have.
    #[error("the host to connect to is empty")]
    EmptyHost,
    /// The host is longer than [`MAX_HOST_LEN`].
    #[error("the host has {len} bytes, more than {MAX_HOST_LEN}")]
    HostTooLong {
        /// Its length in bytes.
        len: usize,
    },
    /// The host holds a blank, a control character or `|`, or is not UTF-8.
    #[error("the host holds a blank, a control character, '|' or bytes that are not UTF-8")]
    HostCharacter,
    /// The port is not a decimal number from 0 to 65535; a sign is refused too.
    #[error("the port is not a decimal number from 0 to 65535")]
    Port,
    /// The port is 0, which only a listener may have.
    #[error("port 0 is only for listening")]
    PortZero,
    /// The path, or the name behind `@`, is empty.
    #[error("the socket's path or abstract name is empty")]
    EmptyPath,
    /// The path is longer than the system takes.
    #[error("the socket's path has {len} bytes, more than {limit}")]
    PathTooLong {
        /// Its length in bytes; for an abstract name, with the `@`.
        len: usize,
        /// [`MAX_UDS_PATH_LEN`](crate::MAX_UDS_PATH_LEN).
        limit: usize,
    },
    /// The path holds NUL, CR, LF or `|`, or ends in a blank or tab: it could not be read back
    /// from a text header, or the system would not take it.
    #[error("the socket's path holds NUL, CR, LF or '|', or ends in a blank or tab")]
    PathCharacter,
    /// A [`UdsName::File`](crate::UdsName::File) that begins with `@` would be read back as an
    /// abstract name.
    #[error("a file path that begins with '@' reads as an abstract name; put ./ before it")]
    AmbiguousPath,
}
