//! Channel numbers and message ids as types of their own, so that the one is never taken for the
//! other or for a length.
//!
//! Raw from the wire: every bit pattern has a value here. Who may use which number is decided by
//! the engine, not in this crate.

use core::fmt;

/// Names a channel within one engine. Any `u16` can come from the wire; engines give out
/// 1 to [`ChannelNumber::MAX`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct ChannelNumber(u16);

impl ChannelNumber {
    /// No channel yet: the number of a message that is to open one.
    pub const UNASSIGNED: Self = Self(0);
    /// The highest number an engine gives out.
    pub const MAX: Self = Self(65534);

    /// Takes the number as it is.
    #[inline]
    pub const fn new(value: u16) -> Self {
        Self(value)
    }

    /// The bare number.
    #[inline]
    pub const fn value(self) -> u16 {
        self.0
    }

    /// Whether this names a channel at all, that is, whether it is not 0.
    #[inline]
    pub const fn is_assigned(self) -> bool {
        self.0 != Self::UNASSIGNED.0
    }
}

impl From<u16> for ChannelNumber {
    #[inline]
    fn from(value: u16) -> Self {
        Self(value)
    }
}

impl From<ChannelNumber> for u16 {
    #[inline]
    fn from(number: ChannelNumber) -> Self {
        number.0
    }
}

impl fmt::Display for ChannelNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Ties the messages of one operation together: a response carries the id of its request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct MessageId(u64);

impl MessageId {
    /// No id yet: the engine gives the message the next one when it is posted.
    pub const UNASSIGNED: Self = Self(0);

    /// Takes the number as it is.
    #[inline]
    pub const fn new(value: u64) -> Self {
        Self(value)
    }

    /// The bare number.
    #[inline]
    pub const fn value(self) -> u64 {
        self.0
    }

    /// Whether this is an id at all, that is, whether it is not 0.
    #[inline]
    pub const fn is_assigned(self) -> bool {
        self.0 != Self::UNASSIGNED.0
    }
}

impl From<u64> for MessageId {
    #[inline]
    fn from(value: u64) -> Self {
        Self(value)
    }
}

impl From<MessageId> for u64 {
    #[inline]
    fn from(id: MessageId) -> Self {
        id.0
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}
