//! The tasks of a group that wait for room in a send queue, in the order in which they came.
//!
//! Kept under the group's lock for room (`group.rs`), by the futures of `post_async.rs`. Room wakes every
//! task that waits for that channel, the oldest first, and each tries again: so none depends on
//! another's being polled, and a place that is given up takes no wake-up with it.

use std::collections::BTreeMap;
use std::task::Waker;

use tofu_msg::ChannelNumber;

use crate::shared::group::GroupShared;
use crate::sync::Arc;

/// Who waits; by channel, then by ticket.
#[derive(Debug, Default)]
pub(crate) struct Line {
    wakers: BTreeMap<(ChannelNumber, Ticket), Waker>,
    tickets: u64,
}

/// When somebody first stood in the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

impl Line {
    /// Enters a task, at the place of its ticket if it has one. Returns the ticket, and what must be
    /// dropped outside the lock.
    pub(crate) fn enter(
        &mut self,
        channel: ChannelNumber,
        ticket: Option<Ticket>,
        waker: &Waker,
    ) -> (Ticket, Option<Waker>) {
        let ticket = ticket.unwrap_or_else(|| {
            self.tickets += 1;
            Ticket(self.tickets)
        });
        (ticket, self.wakers.insert((channel, ticket), waker.clone()))
    }

    /// Gives a place up.
    pub(crate) fn leave(&mut self, channel: ChannelNumber, ticket: Ticket) -> Option<Waker> {
        self.wakers.remove(&(channel, ticket))
    }

    /// Takes those who wait for a channel, or all, the oldest of a channel first.
    pub(crate) fn take(&mut self, channel: Option<ChannelNumber>) -> Vec<Waker> {
        if self.wakers.is_empty() {
            return Vec::new();
        }
        let Some(channel) = channel else {
            return std::mem::take(&mut self.wakers).into_values().collect();
        };
        let (first, last) = (Ticket(0), Ticket(u64::MAX));
        let waiting = self.wakers.range((channel, first)..=(channel, last));
        let keys: Vec<_> = waiting.map(|(&key, _)| key).collect();
        keys.iter()
            .filter_map(|key| self.wakers.remove(key))
            .collect()
    }
}

/// A task's place in the line of a channel; given up when dropped.
#[derive(Debug)]
pub(crate) struct Place {
    group: Arc<GroupShared>,
    channel: ChannelNumber,
    ticket: Ticket,
}

impl Place {
    /// Waits in the line, in `place` if there is one, unless room has been made after `seen`: `false`,
    /// for then it is to be tried again at once.
    pub(crate) fn wait(
        place: &mut Option<Place>,
        group: &Arc<GroupShared>,
        channel: ChannelNumber,
        seen: u64,
        waker: &Waker,
    ) -> bool {
        let ticket = place.as_ref().map(|place| place.ticket);
        let Some(ticket) = group.enter_line(channel, ticket, seen, waker) else {
            return false;
        };
        place.get_or_insert_with(|| Place {
            group: Arc::clone(group),
            channel,
            ticket,
        });
        true
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.group.leave_line(self.channel, self.ticket);
    }
}
