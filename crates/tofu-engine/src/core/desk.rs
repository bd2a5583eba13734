//! What every socket of the core works with during a turn: the time, the shared structures, the
//! staged deliveries, the ready list, the timers and the scratch buffer.

use std::collections::VecDeque;

use tofu_msg::{ChannelNumber, MessageId};

use crate::close::Cause;
use crate::core::groups::Groups;
use crate::core::outgoing::CHUNK_LEN;
use crate::core::time::Time;
use crate::core::timers::Timers;
use crate::core::transport::Token;
use crate::msg::{Msg, Report};
use crate::options::Options;
use crate::shared::group::GroupId;
use crate::shared::pool::ShareIndex;
use crate::shared::{Arc, Shared};

/// The core's common belongings; the socket table and the transport stand beside it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) now: Time,
    pub(crate) groups: Groups,
    pub(crate) timers: Timers,
    /// Sockets with something to do that no event will remind us of.
    pub(crate) ready: VecDeque<Token>,
    /// Everything is read into this first. Always at least `CHUNK_LEN` long.
    pub(crate) scratch: Vec<u8>,
}

/// Whether a channel may be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// So many frames may be delivered.
    Frames(usize),
    /// None: the inbox is full; the receiver will make room.
    Full,
    /// None: the pool has no message to spare.
    PoolEmpty,
}

impl Desk {
    pub(crate) fn new(shared: Arc<Shared>) -> Desk {
        Desk {
            shared,
            now: Time::START,
            groups: Groups::default(),
            timers: Timers::default(),
            ready: VecDeque::new(),
            scratch: vec![0; CHUNK_LEN],
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// How much may be delivered to a group now.
    pub(crate) fn room(&mut self, group: GroupId, share: ShareIndex) -> Room {
        let options = &self.shared.options;
        let Some(entry) = self.groups.get_mut(group) else {
            return Room::Full;
        };
        if entry.destruction.is_some() {
            return Room::Frames(usize::MAX);
        }
        if !entry
            .shared
            .inbox
            .has_room(options.inbox_messages, options.inbox_bytes)
        {
            return Room::Full;
        }
        match self.shared.pool.room(share) {
            0 => Room::PoolEmpty,
            room => Room::Frames(room),
        }
    }

    /// Stages a notice of the engine about a channel.
    pub(crate) fn notify(
        &mut self,
        group: GroupId,
        number: ChannelNumber,
        id: MessageId,
        report: Report,
        cause: Cause,
    ) {
        let msg = Msg::notice(report, number, id, cause.status()).with_cause(cause);
        self.groups.stage_message(group, msg);
    }

    /// Replaces the scratch buffer whose bytes were handed over.
    pub(crate) fn renew_scratch(&mut self) {
        let mut scratch = self.shared.chunks.take();
        scratch.resize(CHUNK_LEN, 0);
        self.scratch = scratch;
    }
}
