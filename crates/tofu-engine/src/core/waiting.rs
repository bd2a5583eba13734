//! Channels that wait for room: in their group's inbox, in the pool, in the engine's budgets.
//!
//! Called by the core's turn when there may be some. Who waits longest goes on first.

use std::time::Duration;

use crate::core::desk::Room;
use crate::core::engine::{Core, Socket};
use crate::core::time::Time;
use crate::core::transport::{Token, Transport};
use crate::shared::group::GroupId;

/// By then every processor sees what another has written.
const POOL_LOOK: Duration = Duration::from_millis(1);

/// So many messages a channel that waits is expected to bring. Where there are fewer, the next
/// turn lets more of them go on.
const LIKELY_FRAMES: usize = 64;

/// The look at the pool that is due.
#[derive(Debug, Default)]
pub(super) struct PoolLook {
    at: Option<Time>,
    /// The pool's watches that have been seen to.
    known: u64,
}

impl<T: Transport> Core<T> {
    /// The pool has room again.
    pub(super) fn unpark_all(&mut self) {
        let mut groups = self.desk.groups.ids();
        if !groups.is_empty() {
            self.rotation = (self.rotation + 1) % groups.len();
            groups.rotate_left(self.rotation);
        }
        for group in groups {
            self.unpark(group);
        }
    }

    /// Looks at the pool again a little after watching it began: messages that were given back at that
    /// very moment may not have been seen.
    ///
    /// Comes first in a turn: its time is later than whatever began before, not than what begins in it.
    pub(super) fn look_at_pool(&mut self) {
        let watches = self.desk.shared.pool.watches();
        let PoolLook { at, known } = &mut self.pool_look;
        if std::mem::replace(known, watches) != watches {
            *at = Some(self.desk.now.after(POOL_LOOK));
        } else if at.is_some_and(|at| at <= self.desk.now) {
            *at = None;
            if self.desk.shared.pool.look_again() {
                self.unpark_all();
            }
        }
    }

    /// When a turn is wanted for that.
    pub(super) fn next_pool_look(&self) -> Option<Time> {
        let began = self.desk.shared.pool.watches() != self.pool_look.known;
        match began {
            true => Some(self.desk.now.after(POOL_LOOK)),
            false => self.pool_look.at,
        }
    }

    /// There may be room again for what a group's channels could not deliver: as many of them go on
    /// as it is likely to be for, those that have waited longest first, and before any that has not
    /// waited. To let all go on would cost those for whom it is not a look in vain each.
    pub(super) fn unpark(&mut self, id: GroupId) {
        let Some(share) = self.desk.groups.get_mut(id).map(|group| group.shared.share) else {
            return;
        };
        let Room::Frames(room) = self.desk.room(id, share) else {
            return;
        };
        let released = self.desk.groups.unpark(id, room.div_ceil(LIKELY_FRAMES));
        for &token in released.iter().rev() {
            self.resume(token);
            self.desk.move_to_front(token);
        }
    }

    /// A channel that was not read is read again.
    fn resume(&mut self, token: Token) {
        if let Some(Socket::Channel(channel)) = self.table.get_mut(token) {
            mark!(self.desk, "a channel that was not read goes on");
            (channel.parked, channel.held_back) = (false, false);
            channel.deadlines.resume(self.desk.now);
            self.enqueue(token);
        }
    }

    /// Goes on with those that wait for something that this turn may have freed.
    pub(super) fn resume_waiting(&mut self) {
        for token in self.desk.take_held_back() {
            self.resume(token);
        }
        for number in self.desk.shared.send_budget.take_refused() {
            let token = self
                .desk
                .shared
                .registry
                .with(number, |outbox| outbox.token());
            if let Some(Socket::Channel(channel)) =
                token.flatten().and_then(|token| self.table.get_mut(token))
            {
                mark!(self.desk, "the send budget has room again");
                channel.tell_room(&mut self.desk, 0, 0);
            }
        }
        for group in self.desk.groups.take_partly_unparked() {
            self.unpark(group);
        }
    }
}
