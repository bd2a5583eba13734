//! Posting: from a message in the application's hands to its frame in a channel's outbox.
//!
//! Runs on the application's thread, takes one slot lock, and makes at most one system call (to wake
//! a sleeping loop). On any refusal the caller has the very same message back.

use std::time::{Duration, Instant};

use tofu_addr::Address;
use tofu_msg::{BinaryHeader, ChannelNumber, MessageId, OpCode, Role as OpRole, Status};

use crate::error::{PostError, PostErrorKind};
use crate::msg::Msg;
use crate::shared::Shared;
use crate::shared::group::GroupShared;
use crate::shared::outbox::{Opening, Outbox, Role, WhenFull, may_continue, opens_channel};
use crate::shared::pool::{Announcement, Pool};
use crate::sync::Arc;

/// Where a post has gone: what the engine filled in. Little, for a structure of many small fields that
/// is handed up as soon as it is written stalls the processor.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posted {
    number: ChannelNumber,
    id: MessageId,
}

impl Posted {
    fn of(header: &BinaryHeader) -> Posted {
        Posted {
            number: header.channel_number,
            id: header.message_id,
        }
    }

    /// The message's own header as it travels.
    #[inline]
    pub(crate) fn complete(self, mut header: BinaryHeader) -> BinaryHeader {
        header.engine_origin = false;
        header.status = Status::SUCCESS;
        header.channel_number = self.number;
        header.message_id = self.id;
        header
    }
}

impl Shared {
    /// Posts a message for a group.
    pub(crate) fn post(&self, group: &Arc<GroupShared>, msg: Msg) -> Result<Posted, PostError> {
        match self.try_post(group, msg, WhenFull::Refuse) {
            Ok(posted) => Ok(posted),
            Err(error) => Err(self.refused(error)),
        }
    }

    #[cold]
    fn refused(&self, error: PostError) -> PostError {
        self.count_refusal(&error);
        error
    }

    /// Like `post`, but waits for room in the send queue until `timeout` has passed.
    pub(crate) fn post_timeout(
        &self,
        group: &Arc<GroupShared>,
        mut msg: Msg,
        timeout: Duration,
    ) -> Result<Posted, PostError> {
        let deadline = Instant::now().checked_add(timeout);
        loop {
            let seen = group.room_epoch();
            match self.try_post(group, msg, WhenFull::Wait) {
                Err(error) if error.kind() == PostErrorKind::QueueFull => {
                    if !group.wait_for_room(seen, deadline) {
                        self.count_refusal(&error);
                        return Err(error);
                    }
                    msg = error.into_message();
                }
                Err(error) => {
                    self.count_refusal(&error);
                    return Err(error);
                }
                posted => return posted,
            }
        }
    }

    pub(crate) fn count_refusal(&self, error: &PostError) {
        self.counters.posts_refused.increment_shared();
        if error.kind() == PostErrorKind::QueueFull {
            self.counters.posts_refused_queue_full.increment_shared();
        }
    }

    pub(crate) fn try_post(
        &self,
        group: &Arc<GroupShared>,
        msg: Msg,
        when_full: WhenFull,
    ) -> Result<Posted, PostError> {
        let header = match self.check(&msg) {
            Ok(header) => header,
            Err(kind) => return Err(PostError::new(kind, msg)),
        };
        match header.op_code {
            OpCode::HelloRequest | OpCode::WelcomeRequest => match Address::parse(&msg) {
                Ok(address) if !header.channel_number.is_assigned() => {
                    self.open_channel(group, header, address, msg)
                }
                // The order of checks puts a bad address before a channel that exists.
                Ok(_) => self.append(group, header, msg, when_full),
                Err(error) => Err(PostError::address(error, msg)),
            },
            OpCode::ByeSignal => self.abort_channel(group, header, msg),
            _ => self.append(group, header, msg, when_full),
        }
    }

    /// The checks that need nothing but the message; then the header as it will travel.
    #[inline]
    fn check(&self, msg: &Msg) -> Result<BinaryHeader, PostErrorKind> {
        let op_code = msg.op_code();
        let unidentified = !msg.message_id().is_assigned();
        if op_code.role() == OpRole::Response && unidentified {
            return Err(PostErrorKind::InvalidMessageId);
        }
        if msg.more() && !may_continue(op_code) {
            return Err(PostErrorKind::InvalidMoreUsage);
        }
        if !msg.channel_number().is_assigned() && !opens_channel(op_code) {
            return Err(PostErrorKind::InvalidChannelNumber);
        }
        let mut header = msg.header();
        header.engine_origin = false;
        header.status = Status::SUCCESS;
        Ok(header)
    }

    /// Gives a message that is being taken its id, if it has none. (A refused one uses none up.)
    #[inline]
    fn identify(&self, header: &mut BinaryHeader, outbox: &mut Outbox) {
        if !header.message_id.is_assigned() {
            header.message_id = outbox.next_id(|| self.set_ids_aside());
        }
    }

    /// Gives a WelcomeRequest or HelloRequest its channel.
    fn open_channel(
        &self,
        group: &Arc<GroupShared>,
        mut header: BinaryHeader,
        address: Address,
        msg: Msg,
    ) -> Result<Posted, PostError> {
        let mut message = Some(msg);
        let mut room = Announcement::default();
        let opened = self.registry.open(|number, outbox| {
            if group.is_destroyed() {
                return Err(PostErrorKind::InvalidChannelGroup);
            }
            let Some(mut msg) = message.take() else {
                return Ok(());
            };
            msg.drop_side();
            header.channel_number = number;
            if header.op_code == OpCode::WelcomeRequest {
                outbox.open(Role::Listener, group.id, None);
                self.identify(&mut header, outbox);
                msg.set_channel_number(number);
                msg.set_message_id(header.message_id);
                let group = Arc::clone(group);
                outbox.set_opening(Opening::Listen {
                    welcome: msg,
                    address,
                    group,
                });
            } else {
                outbox.open(Role::Initiator, group.id, None);
                self.identify(&mut header, outbox);
                let group = Arc::clone(group);
                let id = header.message_id;
                outbox.set_opening(Opening::Connect { id, address, group });
                let large = self.options.large_message;
                let fresh = || self.chunks.take_empty();
                room = self.uncount_if_large(&header, &mut msg);
                message = outbox
                    .append(&header, msg, large, &self.send_budget, fresh)
                    .spent;
            }
            self.worklist.add_dirty_quietly(number);
            Ok(())
        });
        match (opened, message) {
            (Ok(_), _spent) => {
                self.worklist.wake_if_asleep();
                room.tell();
                Ok(Posted::of(&header))
            }
            (Err(kind), Some(msg)) => Err(PostError::new(self.refine(kind), msg)),
            (Err(_), None) => unreachable!("a refused opening has not taken the message"),
        }
    }

    /// Queues a frame behind the others of its channel.
    #[inline]
    fn append(
        &self,
        group: &Arc<GroupShared>,
        mut header: BinaryHeader,
        mut msg: Msg,
        when_full: WhenFull,
    ) -> Result<Posted, PostError> {
        let number = header.channel_number;
        let Some(slot) = self.registry.slot(number) else {
            return Err(PostError::new(
                self.refine(PostErrorKind::InvalidChannelNumber),
                msg,
            ));
        };
        let mut outbox = slot.lock();
        let limits = (&self.options, &self.send_budget);
        if let Err(kind) = outbox.admit(&header, group.id, limits, when_full) {
            drop(outbox);
            if kind == PostErrorKind::QueueFull {
                // If the budget has got room meanwhile, a sleeping loop would not notice.
                self.worklist.wake_if_asleep();
            }
            return Err(PostError::new(self.refine(kind), msg));
        }
        self.identify(&mut header, &mut outbox);
        msg.drop_side();
        let large = self.options.large_message;
        let room = self.uncount_if_large(&header, &mut msg);
        let fresh = || self.chunks.take_empty();
        let appended = outbox.append(&header, msg, large, &self.send_budget, fresh);
        drop(outbox);
        room.tell();
        if appended.list && planted!(self.options, LostWakeup) {
            self.worklist.add_dirty_quietly(number);
        } else if appended.list {
            self.worklist.add_dirty(number);
        }
        Ok(Posted::of(&header))
    }

    /// Takes a ByeSignal: it overtakes all that is queued.
    fn abort_channel(
        &self,
        group: &Arc<GroupShared>,
        mut header: BinaryHeader,
        mut msg: Msg,
    ) -> Result<Posted, PostError> {
        let number: ChannelNumber = header.channel_number;
        let Some(slot) = self.registry.slot(number) else {
            return Err(PostError::new(
                self.refine(PostErrorKind::InvalidChannelNumber),
                msg,
            ));
        };
        let mut outbox = slot.lock();
        let limits = (&self.options, &self.send_budget);
        if let Err(kind) = outbox.admit(&header, group.id, limits, WhenFull::Refuse) {
            drop(outbox);
            return Err(PostError::new(self.refine(kind), msg));
        }
        self.identify(&mut header, &mut outbox);
        msg.drop_side();
        msg.set_message_id(header.message_id);
        outbox.set_abort(msg);
        drop(outbox);
        self.worklist.add(|work| work.urgent.push(number));
        Ok(Posted::of(&header))
    }

    /// A large message goes into the send queue itself: its pool counts it no longer.
    #[inline]
    fn uncount_if_large(&self, header: &BinaryHeader, msg: &mut Msg) -> Announcement {
        if header.payload_len() < self.options.large_message {
            return Announcement::default();
        }
        Pool::uncount(msg)
    }

    /// A channel that is closed because the engine is stopping is told as that.
    pub(crate) fn refine(&self, kind: PostErrorKind) -> PostErrorKind {
        let gone = matches!(
            kind,
            PostErrorKind::ChannelClosed | PostErrorKind::ShutdownStarted
        );
        match self.ended() {
            Some(Status::PROCESSING_FAILED) if gone => PostErrorKind::ProcessingFailed,
            Some(_) if gone => PostErrorKind::ShutdownStarted,
            None if gone && self.registry.is_closed() => PostErrorKind::ShutdownStarted,
            _ => kind,
        }
    }
}
