//! The receiving end of a group: takes deliveries out of the inbox and builds messages of them.
//!
//! Owned by the one thread or task that receives. What it has taken out in one go it hands out without
//! another look at the inbox.

use std::collections::VecDeque;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use tofu_msg::{FrameRef, Parse, Status};

use crate::msg::Msg;
use crate::shared::Shared;
use crate::shared::group::{GroupShared, Leftovers};
use crate::shared::idle::{IdleStrategy, Spinner};
use crate::shared::inbox::{Delivery, Fetched, Frames, Inbox};
use crate::shared::pool::Spare;

/// So many messages a task gets without being asked to give way once: it must not keep others from
/// their thread for as long as messages come.
const STREAK: u32 = 128;

/// What has been taken out of the inbox and not yet handed out.
#[derive(Debug)]
pub(crate) struct Receiver {
    taken: VecDeque<Delivery>,
    /// The frames being handed out.
    current: Frames,
    /// How many there were; the pool hears of them when all are handed out.
    begun: usize,
    /// Unused messages for the next of them; no more than are left.
    spare: Spare,
    spinner: Spinner,
    /// Messages handed to a task since it last had to wait or to give way.
    streak: u32,
}

impl Receiver {
    pub(crate) fn new(idle: IdleStrategy) -> Receiver {
        Receiver {
            taken: VecDeque::new(),
            current: Frames::default(),
            begun: 0,
            spare: Spare::default(),
            spinner: Spinner::new(idle),
            streak: 0,
        }
    }

    /// The next message; `Ok(None)` when none came within `timeout`.
    #[inline]
    pub(crate) fn receive(
        &mut self,
        shared: &Shared,
        group: &GroupShared,
        timeout: Duration,
    ) -> Result<Option<Msg>, Status> {
        match self.next_frame(shared, group) {
            None => self.receive_further(shared, group, timeout),
            msg => Ok(msg),
        }
    }

    /// Where no frames are left of those that were being handed out.
    #[inline(never)]
    fn receive_further(
        &mut self,
        shared: &Shared,
        group: &GroupShared,
        timeout: Duration,
    ) -> Result<Option<Msg>, Status> {
        if let Some(msg) = self.next_taken(shared, group) {
            return Ok(Some(msg));
        }
        let mut now = Instant::now();
        let deadline = now.checked_add(timeout);
        loop {
            let (fetched, starved) = self.fetch(shared, &group.inbox, now, deadline);
            if starved {
                shared.worklist.add(|work| work.inbox_room.push(group.id));
            }
            match fetched {
                Fetched::Nothing => return Ok(None),
                Fetched::Ended(status) => return Err(status),
                Fetched::Some => {}
            }
            if let Some(msg) = self.next_taken(shared, group) {
                return Ok(Some(msg));
            }
            now = Instant::now();
        }
    }

    /// The next message; where there is none, the task is woken once there is. Never looks again and
    /// again, as a thread that waits does.
    pub(crate) fn poll_receive(
        &mut self,
        shared: &Shared,
        group: &GroupShared,
        context: &mut Context<'_>,
    ) -> Poll<Result<Msg, Status>> {
        if self.streak == STREAK {
            self.streak = 0;
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        loop {
            if let Some(msg) = self.next_taken(shared, group) {
                self.streak += 1;
                return Poll::Ready(Ok(msg));
            }
            let fetched = group.inbox.poll_fetch(&mut self.taken, context.waker());
            let Some((fetched, starved)) = fetched else {
                self.streak = 0;
                return Poll::Pending;
            };
            if starved {
                shared.worklist.add(|work| work.inbox_room.push(group.id));
            }
            if let Fetched::Ended(status) = fetched {
                return Poll::Ready(Err(status));
            }
        }
    }

    /// Takes out what is in the inbox; where that is nothing, looks for a while and then sleeps.
    fn fetch(
        &mut self,
        shared: &Shared,
        inbox: &Inbox,
        now: Instant,
        deadline: Option<Instant>,
    ) -> (Fetched, bool) {
        let is_filled = || inbox.is_filled();
        if is_filled() || self.spinner.spin(&shared.traffic, now, deadline, is_filled) {
            return inbox.fetch(&mut self.taken, deadline);
        }
        let start = Instant::now();
        let fetched = inbox.fetch(&mut self.taken, deadline);
        self.spinner.slept(start.elapsed());
        fetched
    }

    /// The next message of what has been taken out already.
    #[inline]
    fn next_taken(&mut self, shared: &Shared, group: &GroupShared) -> Option<Msg> {
        loop {
            if let Some(msg) = self.next_frame(shared, group) {
                return Some(msg);
            }
            match self.taken.pop_front()? {
                Delivery::Frames(frames) => {
                    self.begun = frames.count;
                    self.current = frames;
                }
                Delivery::Message(msg) => return Some(msg),
                Delivery::EndOfInput(token) => {
                    shared.worklist.add(|work| work.read_to_end.push(token));
                }
            }
        }
    }

    /// Builds the message of the next frame of those that are being handed out.
    #[inline]
    fn next_frame(&mut self, shared: &Shared, group: &GroupShared) -> Option<Msg> {
        let frames = &mut self.current;
        let left = frames.count.checked_sub(1)?;
        let mut msg = shared
            .pool
            .get_for_frame(&mut self.spare, frames.count, group.share);
        frames.count = left;
        if let Ok(Parse::Complete(frame)) = FrameRef::parse(&frames.bytes[frames.start..frames.end])
        {
            msg.load(&frame);
            frames.start += frame.frame_len();
        } else {
            debug_assert!(false, "a frame of {frames:?} was not validated");
            msg.reset();
        }
        if left == 0 {
            self.finish(shared, group);
        }
        Some(msg)
    }

    /// All frames have been handed out.
    #[cold]
    fn finish(&mut self, shared: &Shared, group: &GroupShared) {
        let frames = std::mem::take(&mut self.begun);
        shared.pool.settle_frames(group.share, frames);
        shared.chunks.give(std::mem::take(&mut self.current).bytes);
    }

    /// Gives up what has been taken out of the inbox.
    pub(crate) fn abandon(&mut self, shared: &Shared, group: &GroupShared) -> Leftovers {
        let mut leftovers = Leftovers::default();
        let handed_out = self.begun - self.current.count;
        leftovers.add(Delivery::Frames(std::mem::take(&mut self.current)));
        for delivery in self.taken.drain(..) {
            leftovers.add(delivery);
        }
        self.begun = 0;
        shared.pool.give_back(&mut self.spare);
        let frames = leftovers.frames + handed_out;
        shared
            .pool
            .refund_frames(group.share, frames, leftovers.frames);
        leftovers
    }
}
