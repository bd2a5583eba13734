//! What a text header line may consist of, and what is said when it may not.
//!
//! Called by the owned block before it takes a line; received blocks never come this way.

use crate::{MAX_TEXT_HEADERS_LEN, Status};

/// Why a text header was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum TextHeaderError {
    /// The name has nothing in it once blanks and line ends around it are gone.
    #[error("the name of a text header is empty")]
    EmptyName,
    /// The name holds a byte that would end it.
    #[error("the name of a text header holds {:?} at {position}", char::from(*.byte))]
    InvalidName {
        /// The byte: `:`, CR or LF.
        byte: u8,
        /// Its place in the trimmed name, from 0.
        position: usize,
    },
    /// The value holds a byte that would not be read back.
    #[error("the value of a text header holds {:?} at {position}", char::from(*.byte))]
    InvalidValue {
        /// The byte: CR or LF anywhere, a blank or a tab at an end.
        byte: u8,
        /// Its place in the value, from 0.
        position: usize,
    },
    /// The block would not fit its length field.
    #[error("text headers of {len} bytes exceed {limit}")]
    TooLong {
        /// The length that the block would have in bytes.
        len: usize,
        /// The longest allowed: [`MAX_TEXT_HEADERS_LEN`].
        limit: usize,
    },
}

impl TextHeaderError {
    /// The status that comes closest: [`Status::INVALID_HEADERS_LEN`] for a block that is too
    /// long, [`Status::INVALID_MESSAGE`] otherwise.
    pub const fn status(&self) -> Status {
        match self {
            TextHeaderError::TooLong { .. } => Status::INVALID_HEADERS_LEN,
            TextHeaderError::EmptyName
            | TextHeaderError::InvalidName { .. }
            | TextHeaderError::InvalidValue { .. } => Status::INVALID_MESSAGE,
        }
    }

    pub(super) fn check_len(len: usize) -> Result<(), TextHeaderError> {
        let limit = MAX_TEXT_HEADERS_LEN;
        if len > limit {
            Err(TextHeaderError::TooLong { len, limit })
        } else {
            Ok(())
        }
    }
}

/// The name without the blanks and line ends around it, if a line can have it.
pub(super) fn checked_name(name: &[u8]) -> Result<&[u8], TextHeaderError> {
    let name = trim(name, |byte| matches!(byte, b' ' | b'\t' | b'\r' | b'\n'));
    if name.is_empty() {
        return Err(TextHeaderError::EmptyName);
    }
    match name
        .iter()
        .position(|byte| matches!(byte, b':' | b'\r' | b'\n'))
    {
        Some(position) => Err(TextHeaderError::InvalidName {
            byte: name[position],
            position,
        }),
        None => Ok(name),
    }
}

/// The value as it is, if it will be read back so.
pub(super) fn checked_value(value: &[u8]) -> Result<&[u8], TextHeaderError> {
    let last = value.len().saturating_sub(1);
    let refused = |(position, byte): (usize, &u8)| match byte {
        b'\r' | b'\n' => true,
        b' ' | b'\t' => position == 0 || position == last,
        _ => false,
    };
    match value.iter().enumerate().position(refused) {
        Some(position) => Err(TextHeaderError::InvalidValue {
            byte: value[position],
            position,
        }),
        None => Ok(value),
    }
}

/// Bytes without those at either end that `is_blank` names.
pub(super) fn trim(mut bytes: &[u8], is_blank: impl Fn(u8) -> bool) -> &[u8] {
    while let [first, rest @ ..] = bytes {
        if !is_blank(*first) {
            break;
        }
        bytes = rest;
    }
    while let [rest @ .., last] = bytes {
        if !is_blank(*last) {
            break;
        }
        bytes = rest;
    }
    bytes
}
