//! The async face (feature `async`): the same groups and posters for tasks instead of threads.
//!
//! It belongs to no runtime: a future leaves its waker with the engine, whose thread wakes the task. No
//! thread and no engine is added, and nothing is paid where nobody awaits: a waker stands under a
//! lock that delivering takes anyway. A waker that blocks holds up the whole engine; those of the
//! runtimes only put their task in a queue.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_core::Stream;
use tofu_engine::{EngineError, Msg, PostAsync, Reserve};
use tofu_msg::ChannelNumber;

use crate::{ChannelGroup, Poster};

impl ChannelGroup {
    /// The next message, in the order in which they came; [`wait_receive`](Self::wait_receive) for a
    /// task. Without a timeout of its own: runtimes have theirs.
    ///
    /// Cancel-safe: a future that is dropped, at whatever point, has taken nothing; the next call of
    /// either kind goes on where it left. Both kinds may be mixed.
    ///
    /// A task never looks again and again before it sleeps, as a waiting thread does. After 128 messages
    /// in a row it gives way once to others of its thread, also where more are there: who wants
    /// what is there now, and nothing else, takes it by `wait_receive(Duration::ZERO)`.
    ///
    /// # Errors
    /// When the engine has been shut down or has failed, after everything queued was handed out;
    /// then at once, every time.
    ///
    /// ```
    /// # use tofu_chnls::{Ampe, Options, Reactor};
    /// # let engine = Reactor::start(Options::default())?;
    /// # let mut group = engine.create()?;
    /// # group.update_receiver(None).unwrap();
    /// # futures_lite::future::block_on(async {
    /// let msg = group.receive().await?;
    /// # Ok::<(), tofu_chnls::EngineError>(())
    /// # })?;
    /// # Ok::<(), tofu_chnls::EngineError>(())
    /// ```
    #[inline]
    pub fn receive(&mut self) -> Receive<'_> {
        Receive { group: self }
    }

    /// What [`receive`](Self::receive) does when it is polled; for futures of one's own. Only the last
    /// task that polled is woken.
    ///
    /// # Errors
    /// As for [`receive`](Self::receive).
    #[inline]
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Msg, EngineError>> {
        self.group.poll_receive(context)
    }

    /// Like [`Poster::post_async`].
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken.
    pub fn post_async(&self, message: Msg) -> PostAsync<'_> {
        self.group.sender().post_async(message)
    }

    /// Like [`Poster::reserve`].
    ///
    /// # Errors
    /// Why nothing can be posted there.
    pub fn reserve(&self, channel: ChannelNumber, frame_len: usize) -> Reserve<'_> {
        self.group.sender().reserve(channel, frame_len)
    }
}

/// The messages as they come. The stream ends when the engine has been shut down; where it has failed,
/// the error comes before the end. Cancel-safe as [`receive`](ChannelGroup::receive) is.
impl Stream for ChannelGroup {
    type Item = Result<Msg, EngineError>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        this.group
            .poll_receive(context)
            .map(|received| match received {
                Err(EngineError::ShutdownStarted) => None,
                Err(_) if std::mem::replace(&mut this.failure_told, true) => None,
                item => Some(item),
            })
    }
}

impl Poster {
    /// Like [`post`](Poster::post), but where the channel's send queue is full the task waits for room.
    /// No `send_queue_ready` notice follows.
    ///
    /// Cancel-safe in that a message is posted wholly or not at all. Dropping the future takes its
    /// message along: that is then not posted, and goes back to its pool. Two ways keep it:
    /// [`PostAsync::into_message`] gives up and returns it, and [`reserve`](Poster::reserve) waits
    /// before there is one.
    ///
    /// Room wakes all that wait for that channel, the longest waiting first, and each tries again, so
    /// none depends on another's being polled. The messages of several tasks are in no order among
    /// each other; those of one that awaits each post are in its order.
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken; never `QueueFull`. A channel that
    /// closes while the task waits gives `ChannelClosed`.
    pub fn post_async(&self, message: Msg) -> PostAsync<'_> {
        self.sender.post_async(message)
    }

    /// Waits for room in a channel's send queue, for one message whose frame is at most `frame_len`
    /// bytes long (as `Message::frame_len` counts, header and all), and holds it until the permit
    /// is used or dropped. What is posted by the permit is not refused for a full queue.
    ///
    /// Cancel-safe: a future that is dropped leaves nothing behind. The order among those who wait is as
    /// for [`post_async`](Poster::post_async).
    ///
    /// # Errors
    /// Why nothing can be posted there: no such channel, or closed, or one on which this side has
    /// said its last; never `QueueFull`.
    pub fn reserve(&self, channel: ChannelNumber, frame_len: usize) -> Reserve<'_> {
        self.sender.reserve(channel, frame_len)
    }
}

/// The future of [`ChannelGroup::receive`].
#[derive(Debug)]
#[must_use = "nothing is received before it is awaited"]
pub struct Receive<'a> {
    group: &'a mut ChannelGroup,
}

impl Future for Receive<'_> {
    type Output = Result<Msg, EngineError>;

    #[inline]
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        self.get_mut().group.poll_receive(context)
    }
}
