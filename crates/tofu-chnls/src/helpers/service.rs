//! `Service`: what a server does with messages, without the loop around it; and what it may ask of
//! that loop, which is `host`.

use std::error::Error;
use std::ops::ControlFlow;
use std::time::Instant;

use tofu_addr::Endpoint;
use tofu_msg::{BinaryHeader, ChannelNumber, Message, OpCode};

use super::Post;
use crate::{Ampe, ChannelGroup, EngineError, Incoming, Msg, PostError, Poster};

/// What a server does with the messages of all its clients, wherever they connected. A
/// [`Host`](super::Host) calls it, always on the same thread.
///
/// A post may be refused, and the message is then in the error:
///
/// - `ChannelClosed` or `InvalidChannelNumber`: the client has left. Its last word has come or comes
///   next, so there is nothing to do.
/// - `QueueFull`: the client takes less than it is sent. Keep the message and post it again after
///   [`SendQueueReady`](crate::Notice::SendQueueReady) on that channel, or close the channel. Waiting
///   for room by `post_timeout` would keep all other clients waiting.
/// - `ShutdownStarted`: the host will end by itself.
/// - All others are mistakes in the message.
///
/// The host looks at none of them: what a service ignores is ignored.
pub trait Service {
    /// Called once, when all listeners are ready and before the first message.
    ///
    /// # Errors
    /// Why the service cannot begin; the host then ends with
    /// [`HostError::NotStarted`](super::HostError::NotStarted) and without `stop`.
    fn start(&mut self, context: &Context<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let _ = context;
        Ok(())
    }

    /// Called for every message: of clients, of the engine (the end of a channel, for one), and of
    /// this process, by [`Poster::update_receiver`]. `Break` ends the host.
    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()>;

    /// When [`on_time`](Self::on_time) is to be called next; asked before each wait. A service with
    /// [`Calls`](super::Calls), a [`Connector`](super::Connector) or a [`Heartbeat`](super::Heartbeat)
    /// gives the earliest of theirs.
    fn next_deadline(&self) -> Option<Instant> {
        None
    }

    /// Called when [`next_deadline`](Self::next_deadline) has come, after a message that came before
    /// it. `Break` ends the host.
    fn on_time(&mut self, now: Instant, context: &Context<'_>) -> ControlFlow<()> {
        let _ = (now, context);
        ControlFlow::Continue(())
    }

    /// Called once at the end, whatever ended it, while clients can still be told something, unless it
    /// was the engine that ended. What is posted here is sent within the host's grace.
    fn stop(&mut self, context: &Context<'_>) {
        let _ = context;
    }
}

/// A listener of a host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Listener {
    /// Its channel: the engine's notices about it have this number.
    pub channel_number: ChannelNumber,
    /// Where it listens, with the port that the system chose.
    pub endpoint: Endpoint,
}

/// What a service may use of its host.
pub struct Context<'a> {
    pub(super) engine: &'a dyn Ampe,
    pub(super) group: &'a ChannelGroup,
    pub(super) listeners: &'a [Listener],
}

impl Post for Context<'_> {
    fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        self.group.post(message)
    }
}

impl Context<'_> {
    /// A message, from the pool or new.
    ///
    /// # Errors
    /// When the engine has ended.
    pub fn get(&self) -> Result<Msg, EngineError> {
        self.engine.message()
    }

    /// Posts a message; never waits. See [`Service`] for what the errors mean.
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken.
    pub fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        self.group.post(message)
    }

    /// Closes a channel in good order: the client is asked to confirm that it took everything.
    ///
    /// # Errors
    /// As [`post`](Context::post); `NotAllowed` if that was said on this channel before.
    pub fn close(&self, channel: ChannelNumber) -> Result<(), PostError> {
        self.say(OpCode::ByeRequest, channel)
    }

    /// Closes a channel at once: to turn somebody away, for one. On a listener's channel it ends
    /// the listener, and leaves its connections alone.
    ///
    /// # Errors
    /// As [`post`](Context::post).
    pub fn close_now(&self, channel: ChannelNumber) -> Result<(), PostError> {
        self.say(OpCode::ByeSignal, channel)
    }

    /// A handle for other threads: to post answers that took longer, or to hand something to
    /// [`Service::on_message`] by [`Poster::update_receiver`].
    #[must_use]
    pub fn poster(&self) -> Poster {
        self.group.poster()
    }

    /// The engine: to connect to others, for one. Channels of other groups are not the host's.
    #[must_use]
    pub fn engine(&self) -> &dyn Ampe {
        self.engine
    }

    /// The listeners, in the order in which their endpoints were given.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        self.listeners
    }

    fn say(&self, op_code: OpCode, channel: ChannelNumber) -> Result<(), PostError> {
        let mut message = Msg::from(Message::new(op_code));
        message.set_channel_number(channel);
        self.post(message).map(drop)
    }
}

impl std::fmt::Debug for Context<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Context")
            .field("listeners", &self.listeners)
            .finish_non_exhaustive()
    }
}
