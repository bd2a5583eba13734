//! A group's inbox: what the engine has delivered and the application has not yet received.
//!
//! The core adds a turn's deliveries under one lock with at most one notification; the receiving
//! thread or task swaps the whole queue out and takes it apart by itself. Limits bind what the
//! core adds from peers (it asks for room first); notices and returned messages always pass.

use std::collections::VecDeque;
use std::task::Waker;
use std::time::Instant;

use tofu_msg::{Origin, Status};

use crate::core::groups::is_worth_its_buffer;
use crate::core::transport::Token;
use crate::msg::Msg;
use crate::shared::chunks::Chunks;
use crate::shared::wake::wake;
use crate::sync::{AtomicBool, Condvar, Mutex, Ordering};

/// Frames of at most so many bytes are copied behind others that still wait.
const MERGED_BYTES: usize = 8 * 1024;

/// One thing delivered.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Whole frames of peers, back to back; each header carries the local channel number.
    Frames(Frames),
    /// A message that is already one: a notice, a returned message, a large or a Hello.
    Message(Msg),
    /// All that a peer sent on this channel has been taken: the core may now finish it.
    EndOfInput(Token),
}

/// Whole, validated frames in a stretch of a buffer.
///
/// Invariant: `start..end` lies in `bytes` and holds exactly `count` whole frames.
#[derive(Debug, Default)]
pub(crate) struct Frames {
    pub(crate) bytes: Vec<u8>,
    pub(crate) start: usize,
    pub(crate) end: usize,
    pub(crate) count: usize,
}

/// What counts against an inbox: messages of peers, and held memory.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

impl Load {
    pub(crate) fn add(&mut self, other: Load) {
        self.messages += other.messages;
        self.bytes += other.bytes;
    }
}

impl Delivery {
    /// What it adds to an inbox.
    pub(crate) fn load(&self) -> Load {
        let (messages, bytes) = match self {
            Delivery::Frames(frames) => (frames.count, frames.bytes.capacity()),
            Delivery::Message(msg) => (usize::from(msg.origin() == Origin::Peer), msg.capacity()),
            Delivery::EndOfInput(_) => (0, 0),
        };
        Load { messages, bytes }
    }
}

/// What a receiver found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Fetched {
    /// The queue was not empty and is now the caller's.
    Some,
    /// Nothing came until the deadline.
    Nothing,
    /// Nothing is left, and nothing will come: why.
    Ended(Status),
}

/// The queue of one group.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    state: Mutex<State>,
    arrived: Condvar,
    /// Something is queued, or the end is: for a look without the lock.
    filled: AtomicBool,
}

/// Invariant: `load` and `updates` are the sums over `queue`.
#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Delivery>,
    load: Load,
    updates: usize,
    /// Set when the engine has stopped; the queue is handed out first.
    ended: Option<Status>,
    receiver_waits: bool,
    /// The task that found nothing and is to be polled again. It stands under this lock, so an inbox
    /// that nobody awaits costs no access more.
    waker: Option<Waker>,
    /// The core found the inbox full and waits to be told.
    starved: bool,
}

impl State {
    /// Copies a few frames behind those that wait already, where their buffer has room: frames
    /// that nobody fetches must not pin a buffer each that is mostly empty. Returns the buffer that is
    /// no longer needed.
    fn merge(&mut self, delivery: Delivery) -> Result<Vec<u8>, Delivery> {
        let Delivery::Frames(frames) = delivery else {
            return Err(delivery);
        };
        let len = frames.end - frames.start;
        let is_kept = len > MERGED_BYTES || is_worth_its_buffer(len, frames.bytes.capacity());
        match self.queue.back_mut() {
            Some(Delivery::Frames(last))
                if !is_kept
                    && last.end == last.bytes.len()
                    && last.bytes.capacity() - last.end >= len =>
            {
                last.bytes
                    .extend_from_slice(&frames.bytes[frames.start..frames.end]);
                last.end = last.bytes.len();
                last.count += frames.count;
                Ok(frames.bytes)
            }
            _ => Err(Delivery::Frames(frames)),
        }
    }
}

impl Inbox {
    /// Adds what a turn has delivered, in order.
    pub(crate) fn deliver(&self, batch: &mut Vec<Delivery>, chunks: &Chunks) {
        let mut spare = Vec::new();
        let mut state = self.state.lock();
        for delivery in batch.drain(..) {
            let load = delivery.load();
            state.load.messages += load.messages;
            match state.merge(delivery) {
                Ok(buffer) => spare.push(buffer),
                Err(delivery) => {
                    state.load.bytes += load.bytes;
                    state.queue.push_back(delivery);
                }
            }
        }
        self.notify(state);
        spare.into_iter().for_each(|buffer| chunks.give(buffer));
    }

    /// Adds a message of `update_receiver`; gives it back when too many wait or the inbox ended.
    pub(crate) fn update(&self, mut msg: Msg, limit: usize) -> Result<(), (Status, Msg)> {
        let mut state = self.state.lock();
        if let Some(status) = state.ended {
            return Err((status, msg));
        }
        if state.updates >= limit {
            return Err((Status::QUEUE_FULL, msg));
        }
        msg.drop_side();
        state.updates += 1;
        state.load.bytes += msg.capacity();
        state.queue.push_back(Delivery::Message(msg));
        self.notify(state);
        Ok(())
    }

    /// Says that nothing will come any more, and why.
    pub(crate) fn end(&self, status: Status) {
        let mut state = self.state.lock();
        state.ended.get_or_insert(status);
        self.notify(state);
    }

    fn notify(&self, mut state: crate::sync::MutexGuard<'_, State>) {
        self.filled.store(true, Ordering::Relaxed);
        let waits = std::mem::take(&mut state.receiver_waits);
        let waker = state.waker.take();
        drop(state);
        if waits {
            self.arrived.notify_one();
        }
        if let Some(waker) = waker {
            wake(waker);
        }
    }

    /// How many more messages of peers the core may deliver beside what it has staged. If none, the
    /// inbox remembers that it was asked.
    pub(crate) fn room(&self, staged: Load, messages: usize, bytes: usize) -> usize {
        let mut state = self.state.lock();
        let room = match state.load.bytes + staged.bytes < bytes {
            true => messages.saturating_sub(state.load.messages + staged.messages),
            false => 0,
        };
        state.starved |= room == 0;
        room
    }

    /// Whether there is something to fetch, as far as this thread has noticed.
    pub(crate) fn is_filled(&self) -> bool {
        self.filled.load(Ordering::Relaxed)
    }

    /// Swaps the queue for the caller's empty one, waiting for it to hold something until
    /// `deadline` (`None` = for ever). The second value says that the core waits for the room
    /// that was just made.
    pub(crate) fn fetch(
        &self,
        empty: &mut VecDeque<Delivery>,
        deadline: Option<Instant>,
    ) -> (Fetched, bool) {
        let mut state = self.state.lock();
        loop {
            if let Some(fetched) = self.take_out(&mut state, empty) {
                return fetched;
            }
            state.receiver_waits = true;
            let timed_out = match deadline {
                None => {
                    self.arrived.wait(&mut state);
                    false
                }
                Some(deadline) => self.arrived.wait_until(&mut state, deadline).timed_out(),
            };
            if timed_out && state.queue.is_empty() && state.ended.is_none() {
                state.receiver_waits = false;
                return (Fetched::Nothing, false);
            }
        }
    }

    /// Like `fetch`, but does not wait: where there is nothing, `waker` is woken once there is. Only
    /// the last waker is kept.
    pub(crate) fn poll_fetch(
        &self,
        empty: &mut VecDeque<Delivery>,
        waker: &Waker,
    ) -> Option<(Fetched, bool)> {
        let mut state = self.state.lock();
        let fetched = self.take_out(&mut state, empty);
        let old = match &state.waker {
            _ if fetched.is_some() => state.waker.take(),
            Some(known) if known.will_wake(waker) => None,
            _ => state.waker.replace(waker.clone()),
        };
        drop(state);
        // With it a whole task may be dropped, and whatever that holds: not under the lock.
        drop(old);
        fetched
    }

    /// Nobody awaits anything here any more.
    pub(crate) fn forget_waker(&self) {
        let waker = self.state.lock().waker.take();
        drop(waker);
    }

    /// Swaps the queue for the caller's empty one, or tells of the end; nothing if there is neither.
    fn take_out(
        &self,
        state: &mut State,
        empty: &mut VecDeque<Delivery>,
    ) -> Option<(Fetched, bool)> {
        if state.queue.is_empty() {
            return state.ended.map(|status| (Fetched::Ended(status), false));
        }
        std::mem::swap(&mut state.queue, empty);
        (state.load, state.updates) = (Load::default(), 0);
        self.filled.store(state.ended.is_some(), Ordering::Relaxed);
        Some((Fetched::Some, std::mem::take(&mut state.starved)))
    }

    /// Empties the inbox of a group that is gone: the queue, to be counted and dropped outside.
    pub(crate) fn drain(&self) -> VecDeque<Delivery> {
        let mut state = self.state.lock();
        (state.load, state.updates) = (Load::default(), 0);
        std::mem::take(&mut state.queue)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;
    use tofu_msg::Message;

    fn message(id: u64) -> Msg {
        let mut message = Message::default();
        message.set_message_id(id.into());
        Msg::from(message)
    }

    fn past() -> Option<Instant> {
        Some(Instant::now())
    }

    #[test]
    fn what_is_queued_is_handed_out_before_the_end_is_told() {
        let inbox = Inbox::default();
        inbox.deliver(&mut vec![Delivery::Message(message(1))], &Chunks::default());
        inbox.end(Status::SHUTDOWN_STARTED);
        let mut queue = VecDeque::new();
        assert_eq!(inbox.fetch(&mut queue, past()), (Fetched::Some, false));
        assert_eq!(queue.len(), 1);
        queue.clear();
        let ended = (Fetched::Ended(Status::SHUTDOWN_STARTED), false);
        assert_eq!(inbox.fetch(&mut queue, None), ended);
        assert_eq!(inbox.fetch(&mut queue, None), ended, "every time");
    }

    #[test]
    fn a_full_inbox_says_so_once_room_is_made() {
        let inbox = Inbox::default();
        let frames = Frames {
            bytes: vec![0; 32],
            start: 0,
            end: 32,
            count: 2,
        };
        inbox.deliver(&mut vec![Delivery::Frames(frames)], &Chunks::default());
        let none = Load::default();
        let one = Load {
            messages: 1,
            bytes: 0,
        };
        assert_eq!(inbox.room(none, 3, 1000), 1);
        assert_eq!(inbox.room(one, 3, 1000), 0);
        assert_eq!(inbox.room(none, 2, 1000), 0);
        assert_eq!(inbox.room(none, 3, 32), 0);
        let mut queue = VecDeque::new();
        assert_eq!(inbox.fetch(&mut queue, past()), (Fetched::Some, true));
        assert_eq!(inbox.room(none, 2, 32), 2);
    }

    #[test]
    fn updates_have_a_limit_of_their_own() {
        let inbox = Inbox::default();
        assert!(inbox.update(message(1), 1).is_ok());
        let (status, back) = inbox.update(message(2), 1).expect_err("one too many");
        assert_eq!(status, Status::QUEUE_FULL);
        assert_eq!(back.message_id().value(), 2);
    }

    #[test]
    fn a_wait_ends_at_its_deadline() {
        let inbox = Inbox::default();
        let deadline = Instant::now() + Duration::from_millis(20);
        let mut queue = VecDeque::new();
        assert_eq!(
            inbox.fetch(&mut queue, Some(deadline)),
            (Fetched::Nothing, false)
        );
        assert!(Instant::now() >= deadline);
    }
}
