//! `Post`: whatever takes messages to send. The helpers post through it, so that a group, a
//! poster and a test's stand-in all do. It must not block.

use tofu_msg::BinaryHeader;

use crate::{ChannelGroup, Msg, PostError, Poster};

/// Something to post messages to: a [`ChannelGroup`], a [`Poster`], or a stand-in of a test.
pub trait Post {
    /// Hands a message over without blocking; see [`ChannelGroup::post`].
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken.
    fn post(&self, message: Msg) -> Result<BinaryHeader, PostError>;
}

impl Post for ChannelGroup {
    fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        ChannelGroup::post(self, message)
    }
}

impl Post for Poster {
    fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        Poster::post(self, message)
    }
}
