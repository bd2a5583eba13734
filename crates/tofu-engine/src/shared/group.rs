//! What the engine and the application share of one channel group: its inbox, its share of the
//! pool, and how its destruction stands.

use std::task::Waker;
use std::time::{Duration, Instant};

use tofu_msg::{ChannelNumber, Origin};

use crate::msg::{Msg, Report};
use crate::shared::inbox::{Delivery, Inbox};
use crate::shared::line::{Line, Ticket};
use crate::shared::pool::ShareIndex;
use crate::shared::wake::wake;
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};

/// Identifies a group within its engine; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct GroupId(pub(crate) u64);

/// What became of a group's messages when it was destroyed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct DestroyReport {
    /// Messages that were posted and not wholly handed to the kernel, in order per channel, each
    /// marked with why.
    pub unsent: Vec<Msg>,
    /// Messages from peers that were delivered and never received by the application.
    pub unreceived: usize,
    /// Channels that were still open.
    pub channels: usize,
    /// Bytes handed to the kernel of which no proof of receipt had come.
    pub bytes_unconfirmed: u64,
    /// All of it was finished within the time given.
    pub complete: bool,
}

/// What lay in an inbox, or on its way out of it, when its group was destroyed.
#[derive(Debug, Default)]
pub(crate) struct Leftovers {
    /// Messages that had come back unsent.
    pub(crate) unsent: Vec<Msg>,
    /// Messages of peers.
    pub(crate) unreceived: usize,
    /// The part of them that the pool counts as frames.
    pub(crate) frames: usize,
}

impl Leftovers {
    /// Sorts one delivery in.
    pub(crate) fn add(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Frames(frames) => {
                self.unreceived += frames.count;
                self.frames += frames.count;
            }
            Delivery::Message(msg) => match msg.report() {
                Some(Report::Returned | Report::ConnectFailed | Report::ListenFailed) => {
                    self.unsent.push(msg);
                }
                _ => self.unreceived += usize::from(msg.origin() == Origin::Peer),
            },
            Delivery::EndOfInput(_) => {}
        }
    }
}

impl DestroyReport {
    /// Adds what lay unread: it had come back before anything that the report holds already.
    pub(crate) fn take_in(&mut self, mut leftovers: Leftovers) {
        leftovers.unsent.append(&mut self.unsent);
        self.unsent = leftovers.unsent;
        self.unreceived += leftovers.unreceived;
    }
}

/// The part of a group that several threads see.
#[derive(Debug)]
pub(crate) struct GroupShared {
    pub(crate) id: GroupId,
    pub(crate) share: ShareIndex,
    pub(crate) inbox: Inbox,
    /// Set, once, by whoever destroys the group; no channel is opened in it any more.
    destroyed: AtomicBool,
    destruction: Mutex<Destruction>,
    finished: Condvar,
    room: Mutex<Room>,
    room_made: Condvar,
}

/// Waiting for room in the group's send queues.
#[derive(Debug, Default)]
struct Room {
    /// Raised whenever a send queue that somebody waits for has room again.
    epoch: u64,
    /// The tasks that wait. (Threads wait at `room_made`.)
    line: Line,
}

#[derive(Debug, Default)]
struct Destruction {
    grace: Duration,
    report: Option<DestroyReport>,
}

impl GroupShared {
    pub(crate) fn new(id: GroupId, share: ShareIndex) -> GroupShared {
        GroupShared {
            id,
            share,
            inbox: Inbox::default(),
            destroyed: AtomicBool::new(false),
            destruction: Mutex::default(),
            finished: Condvar::new(),
            room: Mutex::default(),
            room_made: Condvar::new(),
        }
    }

    pub(crate) fn is_destroyed(&self) -> bool {
        self.destroyed.load(Ordering::SeqCst)
    }

    /// Marks the group as destroyed; `false` if it was already.
    pub(crate) fn mark_destroyed(&self, grace: Duration) -> bool {
        self.destruction.lock().grace = grace;
        !self.destroyed.swap(true, Ordering::SeqCst)
    }

    /// How long the group's channels may go on flushing.
    pub(crate) fn grace(&self) -> Duration {
        self.destruction.lock().grace
    }

    /// How often room has been made so far: to be asked before a post that may have to wait.
    pub(crate) fn room_epoch(&self) -> u64 {
        self.room.lock().epoch
    }

    /// Waits until room is made after `seen`; `false` when it was not by `deadline`.
    pub(crate) fn wait_for_room(&self, seen: u64, deadline: Option<Instant>) -> bool {
        let mut room = self.room.lock();
        while room.epoch == seen {
            match deadline {
                None => self.room_made.wait(&mut room),
                Some(deadline) => {
                    if self.room_made.wait_until(&mut room, deadline).timed_out() {
                        return room.epoch != seen;
                    }
                }
            }
        }
        true
    }

    /// Enters a task in the line of those who wait for room in a channel's send queue, unless room
    /// has been made after `seen`.
    pub(crate) fn enter_line(
        &self,
        channel: ChannelNumber,
        ticket: Option<Ticket>,
        seen: u64,
        waker: &Waker,
    ) -> Option<Ticket> {
        let mut room = self.room.lock();
        if room.epoch != seen {
            return None;
        }
        let (ticket, old) = room.line.enter(channel, ticket, waker);
        drop(room);
        drop(old);
        Some(ticket)
    }

    /// Takes a task out of the line.
    pub(crate) fn leave_line(&self, channel: ChannelNumber, ticket: Ticket) {
        let waker = self.room.lock().line.leave(channel, ticket);
        drop(waker);
    }

    /// Tells those who wait for room in a channel's send queue, or in any, to try again: there is
    /// some, or there never will be.
    pub(crate) fn make_room(&self, channel: Option<ChannelNumber>) {
        let mut room = self.room.lock();
        room.epoch += 1;
        let tasks = room.line.take(channel);
        drop(room);
        self.room_made.notify_all();
        tasks.into_iter().for_each(wake);
    }

    /// The core has closed the group's last channel.
    pub(crate) fn finish(&self, report: DestroyReport) {
        self.destruction.lock().report.get_or_insert(report);
        self.finished.notify_all();
    }

    /// The engine has ended: whoever waits for a report looks again.
    pub(crate) fn engine_ended(&self) {
        let _destruction = self.destruction.lock();
        self.finished.notify_all();
    }

    /// Waits once for the core's report, unless nobody will make one any more; `None` when the wait
    /// ended without it.
    pub(crate) fn wait_finished(
        &self,
        deadline: Instant,
        engine_ended: impl Fn() -> bool,
    ) -> Option<DestroyReport> {
        let mut destruction = self.destruction.lock();
        if destruction.report.is_none() && !engine_ended() {
            self.finished.wait_until(&mut destruction, deadline);
        }
        destruction.report.take()
    }
}
