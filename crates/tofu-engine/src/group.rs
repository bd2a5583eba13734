//! A channel group at the engine's level: posting, receiving, feeding, destroying.
//!
//! The facade in `tofu-chnls` wraps these; nothing here is meant for applications directly.

use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tofu_msg::{BinaryHeader, ChannelNumber, Message, Origin, Status};

use crate::error::{EngineError, PostError, PostErrorKind};
use crate::msg::Msg;
use crate::shared::Shared;
use crate::shared::group::{DestroyReport, GroupShared, Leftovers};
use crate::shared::outbox::ChannelInfo;
use crate::shared::post_async::{PostAsync, Reserve};
use crate::shared::receiver::Receiver;
use crate::sync::Arc;

/// How long beyond its deadline a destruction waits for the reactor's answer.
const MARGIN: Duration = Duration::from_secs(1);

/// The owning handle of a group; destroys it when dropped.
#[derive(Debug)]
pub struct Group {
    sender: GroupSender,
    receiver: Receiver,
}

/// A handle that posts to a group from any thread.
#[derive(Debug, Clone)]
pub struct GroupSender {
    pub(crate) group: Arc<GroupShared>,
    pub(crate) shared: Arc<Shared>,
}

impl Group {
    pub(crate) fn new(group: Arc<GroupShared>, shared: Arc<Shared>) -> Group {
        let idle = shared.options.idle;
        Group {
            sender: GroupSender { group, shared },
            receiver: Receiver::new(idle),
        }
    }

    /// A handle that posts from any thread.
    #[must_use]
    #[inline]
    pub fn sender(&self) -> &GroupSender {
        &self.sender
    }

    /// The next message; `None` when none came within `timeout`. What arrives later is not lost.
    ///
    /// # Errors
    /// When the engine has ended and everything queued before has been received.
    #[inline]
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Msg>, EngineError> {
        let GroupSender { group, shared } = &self.sender;
        self.receiver
            .receive(shared, group, timeout)
            .map_err(EngineError::from_status)
    }

    /// The next message; where there is none, the task of `context` is woken once there is. Only the
    /// last task that asked is woken. After 128 messages in a row the task is told to wait and woken
    /// at once, so that others on its thread have their turn.
    ///
    /// # Errors
    /// When the engine has ended and everything queued before has been received.
    #[inline]
    pub fn poll_receive(&mut self, context: &mut Context<'_>) -> Poll<Result<Msg, EngineError>> {
        let GroupSender { group, shared } = &self.sender;
        self.receiver
            .poll_receive(shared, group, context)
            .map_err(EngineError::from_status)
    }

    /// Destroys the group: its channels may send what is queued for `grace`, then they are closed.
    /// Nothing is delivered any more. Returns when they are gone, at the latest one second after
    /// `grace`.
    #[must_use = "the report holds the messages that were not sent"]
    pub fn destroy(self, grace: Duration) -> DestroyReport {
        let deadline = Instant::now().checked_add(grace.saturating_add(MARGIN));
        self.begin_destroy(grace).wait(deadline)
    }

    /// Begins to destroy the group and returns at once; for an engine that the caller drives.
    #[must_use = "the report holds the messages that were not sent"]
    pub fn begin_destroy(mut self, grace: Duration) -> Destruction {
        self.end(grace)
    }

    fn end(&mut self, grace: Duration) -> Destruction {
        let GroupSender { group, shared } = &self.sender;
        let first = shared
            .registry
            .between_openings(|| group.mark_destroyed(grace));
        let taken = self.receiver.abandon(shared, group);
        group.inbox.forget_waker();
        let (group, shared) = (Arc::clone(group), Arc::clone(shared));
        if first && !shared.is_ended() {
            let destroyed = Arc::clone(&group);
            shared.worklist.add(|work| work.destroy.push(destroyed));
        }
        Destruction {
            group,
            shared,
            taken,
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if !self.sender.group.is_destroyed() {
            self.end(Duration::ZERO);
        }
    }
}

/// A group on its way out.
#[derive(Debug)]
pub struct Destruction {
    group: Arc<GroupShared>,
    shared: Arc<Shared>,
    /// What the receiver had taken out of the inbox.
    taken: Leftovers,
}

impl Destruction {
    /// The report, once the group's channels are gone; only once.
    pub fn poll(&mut self) -> Option<DestroyReport> {
        self.wait_until(Instant::now())
    }

    fn wait_until(&mut self, deadline: Instant) -> Option<DestroyReport> {
        let report = self
            .group
            .wait_finished(deadline, || self.shared.is_ended());
        let mut report = match report {
            Some(report) => report,
            None if self.shared.is_ended() => self.left_by_ended_engine(),
            None => return None,
        };
        report.take_in(std::mem::take(&mut self.taken));
        report.complete &= report.unsent.is_empty();
        Some(report)
    }

    /// The engine has ended before, or while, it saw to this.
    fn left_by_ended_engine(&self) -> DestroyReport {
        if let Some(report) = self.group.wait_finished(Instant::now(), || true) {
            return report;
        }
        let mut report = DestroyReport {
            complete: self.shared.ended() == Some(Status::SHUTDOWN_STARTED),
            ..DestroyReport::default()
        };
        report.take_in(self.shared.forget_group(&self.group));
        report
    }

    fn wait(mut self, deadline: Option<Instant>) -> DestroyReport {
        loop {
            // In steps, to notice the end of the engine.
            let step = Instant::now() + MARGIN;
            let until = deadline.map_or(step, |deadline| deadline.min(step));
            if let Some(report) = self.wait_until(until) {
                return report;
            }
            if deadline.is_some_and(|deadline| Instant::now() >= deadline) {
                let mut report = DestroyReport::default();
                report.take_in(std::mem::take(&mut self.taken));
                return report;
            }
        }
    }
}

impl GroupSender {
    /// Posts a message; returns its header with channel number and id filled in.
    ///
    /// # Errors
    /// The very same message, and why it was not taken.
    #[inline]
    pub fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        self.shared.post(&self.group, message)
    }

    /// Like [`post`](GroupSender::post), but where the send queue is full waits for room for up to
    /// `timeout`.
    ///
    /// # Errors
    /// The very same message, and why it was not taken; `QueueFull` when no room came in time.
    pub fn post_timeout(&self, message: Msg, timeout: Duration) -> Result<BinaryHeader, PostError> {
        self.shared.post_timeout(&self.group, message, timeout)
    }

    /// Like [`post`](GroupSender::post), but where the send queue is full the task waits for room.
    pub fn post_async(&self, message: Msg) -> PostAsync<'_> {
        PostAsync::new(self, message)
    }

    /// Waits as a task for room for a message whose frame is at most so many bytes long.
    pub fn reserve(&self, channel: ChannelNumber, frame_len: usize) -> Reserve<'_> {
        Reserve::new(self, channel, frame_len)
    }

    /// The group's channels as they stand now.
    #[must_use]
    pub fn channels(&self) -> Vec<ChannelInfo> {
        let mut channels = Vec::new();
        self.shared.registry.for_each(|number, outbox| {
            channels.extend(outbox.describe(number, self.group.id));
        });
        channels
    }

    /// Puts a message into the group's own inbox, or with `None` just wakes its receiver by a
    /// Signal with status `receiver_update`.
    ///
    /// # Errors
    /// The message back, when too many wait or the engine has ended. (With `None`, an empty one.)
    pub fn update_receiver(&self, message: Option<Msg>) -> Result<(), PostError> {
        let mut msg = message.unwrap_or_else(|| Msg::from(Message::new(tofu_msg::OpCode::Signal)));
        let status = msg.status();
        let origin = msg.origin();
        msg.set_status(Status::RECEIVER_UPDATE);
        msg.set_origin(Origin::Local);
        let limit = self.shared.options.inbox_updates;
        if self.group.is_destroyed() {
            return Err(refused(
                PostErrorKind::InvalidChannelGroup,
                msg,
                status,
                origin,
            ));
        }
        self.group.inbox.update(msg, limit).map_err(|(why, msg)| {
            let kind = match why {
                Status::QUEUE_FULL => PostErrorKind::QueueFull,
                Status::PROCESSING_FAILED => PostErrorKind::ProcessingFailed,
                _ => PostErrorKind::ShutdownStarted,
            };
            refused(kind, msg, status, origin)
        })
    }
}

/// Gives a message back as it was.
fn refused(kind: PostErrorKind, mut msg: Msg, status: Status, origin: Origin) -> PostError {
    msg.set_status(status);
    msg.set_origin(origin);
    PostError::new(kind, msg)
}
