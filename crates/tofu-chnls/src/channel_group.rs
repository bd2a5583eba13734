//! `ChannelGroup` and `Poster`: the two-way exchange of messages with an engine.

use std::time::Duration;

use tofu_engine::{ChannelInfo, DestroyReport, EngineError, Group, GroupSender, Msg, PostError};
use tofu_msg::BinaryHeader;

/// A thin, asynchronous, two-way exchange of messages with the engine.
///
/// Any thread posts (`&self`, or through a [`Poster`]); one thread receives (`&mut self`). Dropping
/// the group closes its channels at once; [`destroy`](ChannelGroup::destroy) lets them send what
/// is queued and reports what was not.
#[derive(Debug)]
pub struct ChannelGroup {
    pub(crate) group: Group,
    /// As a stream it has said that the engine failed, and ends.
    #[cfg(feature = "async")]
    pub(crate) failure_told: bool,
}

impl ChannelGroup {
    /// Hands a message to the engine. On success the engine owns it, and the header that is
    /// returned has the channel number and the message id filled in: a HelloRequest or
    /// WelcomeRequest (channel 0) gets its channel here, a message with id 0 its id.
    ///
    /// Posted is not sent: what fails later comes back by [`wait_receive`](Self::wait_receive).
    /// Never blocks.
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken.
    #[inline]
    pub fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        self.group.sender().post(message)
    }

    /// Like [`post`](Self::post), but where the channel's send queue is full waits for room for up
    /// to `timeout`. No `send_queue_ready` notice follows.
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken; `QueueFull` when no room came
    /// in time.
    pub fn post_timeout(&self, message: Msg, timeout: Duration) -> Result<BinaryHeader, PostError> {
        self.group.sender().post_timeout(message, timeout)
    }

    /// The group's channels as they stand now: for monitoring, not for every message.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelInfo> {
        self.group.sender().channels()
    }

    /// The next message, in the order in which they came; `None` when none came within `timeout`.
    /// A timeout of 0 takes what is queued, `Duration::MAX` waits for ever. What arrives after a
    /// timeout is not lost.
    ///
    /// # Errors
    /// When the engine has been shut down or has failed, after everything queued was handed out;
    /// then at once, every time.
    #[inline]
    pub fn wait_receive(&mut self, timeout: Duration) -> Result<Option<Msg>, EngineError> {
        self.group.receive(timeout)
    }

    /// Puts a message into this group's own inbox (origin `Local`, status `receiver_update`), or
    /// with `None` an empty Signal, to wake the receiving thread.
    ///
    /// # Errors
    /// The message back, when too many updates wait or the engine has ended.
    pub fn update_receiver(&self, message: Option<Msg>) -> Result<(), PostError> {
        self.group.sender().update_receiver(message)
    }

    /// A handle that posts to this group and feeds its receiver from any thread.
    #[must_use]
    pub fn poster(&self) -> Poster {
        Poster {
            sender: self.group.sender().clone(),
        }
    }

    /// Destroys the group: its channels may send what is queued for `grace`, then they are closed.
    /// Nothing is delivered any more. Returns when they are gone, at the latest one second after
    /// `grace`.
    #[must_use = "the report holds the messages that were not sent"]
    pub fn destroy(self, grace: Duration) -> DestroyReport {
        self.group.destroy(grace)
    }
}

impl From<Group> for ChannelGroup {
    fn from(group: Group) -> ChannelGroup {
        ChannelGroup {
            group,
            #[cfg(feature = "async")]
            failure_told: false,
        }
    }
}

/// Posts to a channel group from any thread.
///
/// It does not keep the group or the engine alive: when they are gone it says so.
#[derive(Debug, Clone)]
pub struct Poster {
    pub(crate) sender: GroupSender,
}

impl Poster {
    /// Like [`ChannelGroup::post`].
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken.
    pub fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        self.sender.post(message)
    }

    /// Like [`ChannelGroup::post_timeout`].
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken.
    pub fn post_timeout(&self, message: Msg, timeout: Duration) -> Result<BinaryHeader, PostError> {
        self.sender.post_timeout(message, timeout)
    }

    /// Like [`ChannelGroup::update_receiver`].
    ///
    /// # Errors
    /// The message back, when too many updates wait, or the group or the engine is gone.
    pub fn update_receiver(&self, message: Option<Msg>) -> Result<(), PostError> {
        self.sender.update_receiver(message)
    }
}
