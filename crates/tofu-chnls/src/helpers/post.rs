//! `Post`: whatever takes messages to send. The helpers post through it, so that a group, a
//! poster and a test's stand-in all do. It must not block.

use tofu_msg::{BinaryHeader, ChannelNumber, Message, OpCode};

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

/// Posts a ByeSignal: the channel closes at once, without its peer being asked. The ByeSignal and
/// what was not sent come back, then the channel's last word.
///
/// # Errors
/// The ByeSignal, and why it was not taken: as a rule the channel has closed already.
pub fn close_at_once(
    post: &(impl Post + ?Sized),
    channel: ChannelNumber,
) -> Result<BinaryHeader, PostError> {
    let mut bye = Message::new(OpCode::ByeSignal);
    bye.set_channel_number(channel);
    post.post(bye.into())
}
