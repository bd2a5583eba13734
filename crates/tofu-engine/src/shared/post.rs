//! Posting: from a message in the application's hands to its frame in a channel's outbox.
//!
//! Runs on the application's thread, takes one slot lock, and makes at most one system call (to wake
//! a sleeping loop). On any refusal the caller has the very same message back.

use std::time::{Duration, Instant};

use tofu_addr::Address;
use tofu_msg::{BinaryHeader, ChannelNumber, Message, OpCode, Role as OpRole, Status};

use crate::error::{PostError, PostErrorKind};
use crate::msg::Msg;
use crate::shared::Shared;
use crate::shared::group::GroupShared;
use crate::shared::outbox::{Opening, Outbox, Role, WhenFull, may_continue, opens_channel};
use crate::shared::pool::{Announcement, Pool};
use crate::sync::Arc;

/// A message's header as it will travel, but for its id if it has none.
#[inline]
fn outgoing_header(message: &Message) -> BinaryHeader {
    BinaryHeader {
        engine_origin: false,
        status: Status::SUCCESS,
        ..message.header()
    }
}

impl Shared {
    /// Posts a message for a group. Returns its header as it travels.
    #[inline]
    pub(crate) fn post(
        &self,
        group: &Arc<GroupShared>,
        msg: Msg,
    ) -> Result<BinaryHeader, PostError> {
        match self.post_plain(group, msg) {
            Ok(header) => Ok(header),
            Err(msg) => self
                .post_any(group, msg, WhenFull::Refuse)
                .inspect_err(|error| self.count_refusal(error)),
        }
    }

    /// The way of nearly all messages: small data on a channel that is open and has room. Gives back what
    /// needs a closer look.
    #[inline]
    fn post_plain(&self, group: &GroupShared, msg: Msg) -> Result<BinaryHeader, Msg> {
        let envelope = msg.into_envelope();
        let Some(message) = envelope.plain(self.options.large_message) else {
            return Err(Msg::from_envelope(envelope));
        };
        let mut header = outgoing_header(message);
        let Some(slot) = self.registry.slot(header.channel_number) else {
            return Err(Msg::from_envelope(envelope));
        };
        let mut outbox = slot.lock();
        let limits = (&self.options, &self.send_budget);
        if !outbox.draw_plain(header.frame_len(), group.id, limits) {
            drop(outbox);
            return Err(Msg::from_envelope(envelope));
        }
        self.identify(&mut header, &mut outbox);
        let fresh = || self.chunks.take_empty();
        let is_listed = outbox.append_plain(&header, message, fresh);
        drop(outbox);
        // Goes back even if waking the loop panics, which is somebody else's function.
        let spent = Msg::from_envelope(envelope);
        if !is_listed {
            self.list(header.channel_number);
        }
        drop(spent);
        Ok(header)
    }

    /// Puts a channel with something to send on the worklist.
    #[cold]
    fn list(&self, number: ChannelNumber) {
        if planted!(self.options, LostWakeup) {
            self.worklist.add_dirty_quietly(number);
        } else {
            self.worklist.add_dirty(number);
        }
    }

    /// Like `post`, but waits for room in the send queue until `timeout` has passed.
    pub(crate) fn post_timeout(
        &self,
        group: &Arc<GroupShared>,
        mut msg: Msg,
        timeout: Duration,
    ) -> Result<BinaryHeader, PostError> {
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

    /// Like `post`, for whoever does something else where there is no room.
    pub(crate) fn try_post(
        &self,
        group: &Arc<GroupShared>,
        msg: Msg,
        when_full: WhenFull,
    ) -> Result<BinaryHeader, PostError> {
        if let WhenFull::Reserved(_) = when_full {
            return self.post_any(group, msg, when_full);
        }
        match self.post_plain(group, msg) {
            Ok(posted) => Ok(posted),
            Err(msg) => self.post_any(group, msg, when_full),
        }
    }

    #[inline(never)]
    fn post_any(
        &self,
        group: &Arc<GroupShared>,
        msg: Msg,
        when_full: WhenFull,
    ) -> Result<BinaryHeader, PostError> {
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
        Ok(outgoing_header(msg))
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
    ) -> Result<BinaryHeader, PostError> {
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
                Ok(header)
            }
            (Err(kind), Some(msg)) => Err(PostError::new(self.refine(kind), msg)),
            (Err(_), None) => unreachable!("a refused opening has not taken the message"),
        }
    }

    /// Queues a frame behind the others of its channel.
    fn append(
        &self,
        group: &Arc<GroupShared>,
        mut header: BinaryHeader,
        mut msg: Msg,
        when_full: WhenFull,
    ) -> Result<BinaryHeader, PostError> {
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
        if !appended.is_listed {
            self.list(number);
        }
        Ok(header)
    }

    /// Takes a ByeSignal: it overtakes all that is queued.
    fn abort_channel(
        &self,
        group: &Arc<GroupShared>,
        mut header: BinaryHeader,
        mut msg: Msg,
    ) -> Result<BinaryHeader, PostError> {
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
        Ok(header)
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
