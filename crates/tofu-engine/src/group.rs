//! A channel group at the engine's level: posting, receiving, feeding, destroying.
//!
//! The facade in `tofu-chnls` wraps these; nothing here is meant for applications directly.

use std::time::{Duration, Instant};

use tofu_msg::{BinaryHeader, Message, Origin, Status};

use crate::error::{EngineError, PostError, PostErrorKind};
use crate::msg::Msg;
use crate::shared::Shared;
use crate::shared::group::{DestroyReport, GroupShared};
use crate::shared::outbox::ChannelInfo;
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
    group: Arc<GroupShared>,
    shared: Arc<Shared>,
}

impl Group {
    pub(crate) fn new(group: Arc<GroupShared>, shared: Arc<Shared>) -> Group {
        Group {
            sender: GroupSender { group, shared },
            receiver: Receiver::default(),
        }
    }

    /// A handle that posts from any thread.
    #[must_use]
    pub fn sender(&self) -> &GroupSender {
        &self.sender
    }

    /// The next message; `None` when none came within `timeout`. What arrives later is not lost.
    ///
    /// # Errors
    /// When the engine has ended and everything queued before has been received.
    pub fn receive(&mut self, timeout: Duration) -> Result<Option<Msg>, EngineError> {
        let GroupSender { group, shared } = &self.sender;
        self.receiver
            .receive(shared, group, timeout)
            .map_err(EngineError::from_status)
    }

    /// Destroys the group: its channels may send what is queued for `grace`, then they are closed.
    /// Nothing is delivered any more. Returns when they are gone, at the latest one second after
    /// `grace`.
    #[must_use = "the report holds the messages that were not sent"]
    pub fn destroy(mut self, grace: Duration) -> DestroyReport {
        self.end(grace, true)
    }

    fn end(&mut self, grace: Duration, wait: bool) -> DestroyReport {
        let GroupSender { group, shared } = &self.sender;
        if !shared
            .registry
            .between_openings(|| group.mark_destroyed(grace))
        {
            return DestroyReport::default();
        }
        let taken = self.receiver.abandon(shared, group);
        if shared.ended().is_some() {
            let mut report = DestroyReport::default();
            report.take_in(shared.forget_group(group));
            report.take_in(taken);
            report.complete = report.unsent.is_empty();
            return report;
        }
        let destroyed = Arc::clone(group);
        shared.worklist.add(|work| work.destroy.push(destroyed));
        if !wait {
            return DestroyReport::default();
        }
        let deadline = Instant::now().checked_add(grace.saturating_add(MARGIN));
        let mut report = group.wait_report(shared, deadline);
        report.take_in(taken);
        report.complete &= report.unsent.is_empty();
        report
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.end(Duration::ZERO, false);
    }
}

impl GroupShared {
    /// Waits for the core's report; an engine that ends meanwhile ends the wait.
    fn wait_report(&self, shared: &Shared, deadline: Option<Instant>) -> DestroyReport {
        loop {
            let step = Instant::now() + MARGIN;
            let until = deadline.map_or(step, |deadline| deadline.min(step));
            if let Some(report) = self.wait_finished(until) {
                return report;
            }
            if shared.ended().is_some() || deadline.is_some_and(|at| Instant::now() >= at) {
                return DestroyReport::default();
            }
        }
    }
}

impl GroupSender {
    /// Posts a message; returns its header with channel number and id filled in.
    ///
    /// # Errors
    /// The very same message, and why it was not taken.
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
