//! The pool: messages kept for reuse, and the count of those in use.
//!
//! Called by the application's threads (get, put, receiving) and by the core (how much may still be
//! read). It holds no message back: `get` with `Allocation::Always` creates one where none is free;
//! what is bounded is how much the engine reads on top of what the application holds.

use tofu_msg::Message;

use crate::msg::{Envelope, Msg};
use crate::options::Options;
use crate::shared::worklist::Worklist;
use crate::sync::{Arc, Mutex};

/// How [`get`](crate::Reactor::get) finds a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Allocation {
    /// Only from the pool: `None` when it has none free.
    PoolOnly,
    /// From the pool, or a new one.
    Always,
}

/// Which group's share of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShareIndex(u32);

/// Unused messages and the count of those in use; shared by all threads of one engine.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    worklist: Arc<Worklist>,
    maximum: usize,
    share_maximum: usize,
    maximum_bytes: usize,
    /// A returned message with more capacity than this gives its buffers back.
    keep_capacity: usize,
}

#[derive(Debug, Default)]
struct State {
    /// Last in, first out: the one used last is the one in the cache.
    #[expect(
        clippy::vec_box,
        reason = "a message is handed out by pointer, never moved"
    )]
    free: Vec<Box<Envelope>>,
    /// Capacity of all in `free`.
    free_bytes: usize,
    all: Usage,
    shares: Vec<Share>,
    /// Shares whose group is gone and whose messages have all returned.
    vacant: Vec<u32>,
    closed: bool,
}

/// Invariant: `frames <= in_use`.
#[derive(Debug, Default, Clone, Copy)]
struct Usage {
    /// Messages out of the pool, and frames waiting in inboxes.
    in_use: usize,
    /// The part of `in_use` that are frames waiting in inboxes.
    frames: usize,
    /// The core found no room here and waits to be told.
    hungry: bool,
}

#[derive(Debug, Default)]
struct Share {
    usage: Usage,
    abandoned: bool,
}

impl Usage {
    /// Whether somebody waits and there is reason to go on: a good part is free, or nothing more
    /// is queued, so that the application would wait for us.
    fn should_resume(&self, maximum: usize) -> bool {
        self.hungry
            && self.in_use < maximum
            && (self.frames == 0 || self.in_use <= maximum - maximum / 4)
    }
}

/// News of room in a pool, or none; to be told once no lock is held.
#[must_use = "the core waits to be told"]
#[derive(Default)]
pub(crate) struct Announcement(Option<Arc<Pool>>);

impl Announcement {
    pub(crate) fn tell(self) {
        if let Some(pool) = self.0 {
            pool.announce(true);
        }
    }
}

impl Pool {
    pub(crate) fn new(options: &Options, worklist: Arc<Worklist>) -> Arc<Pool> {
        let pool = Arc::new(Pool {
            state: Mutex::default(),
            worklist,
            maximum: options.pool_maximum,
            share_maximum: (options.pool_maximum / 2).max(1),
            maximum_bytes: options.pool_bytes,
            keep_capacity: (options.pool_bytes / options.pool_maximum).max(4096),
        });
        let fresh = (0..options.pool_initial).map(|_| pool.create()).collect();
        pool.state.lock().free = fresh;
        pool
    }

    fn create(self: &Arc<Pool>) -> Box<Envelope> {
        Box::new(Envelope::new(Message::default(), Some(Arc::clone(self))))
    }

    /// A message for the application; counted as in use until it is put.
    pub(crate) fn get(self: &Arc<Pool>, allocation: Allocation) -> Option<Msg> {
        let mut state = self.state.lock();
        let free = state.take_free();
        if free.is_none() && allocation == Allocation::PoolOnly {
            return None;
        }
        state.all.in_use += 1;
        drop(state);
        let mut envelope = free.unwrap_or_else(|| self.create());
        envelope.counted = true;
        Some(Msg::from_envelope(envelope))
    }

    /// A message for a frame that has been taken out of an inbox: it was counted as a frame and
    /// is now counted as a message.
    pub(crate) fn exchange_frame(self: &Arc<Pool>, share: ShareIndex) -> Msg {
        let mut state = self.state.lock();
        let free = state.take_free();
        state.for_usage(share, |usage| usage.frames -= 1);
        let resume = self.is_resume_due(&mut state, Some(share));
        drop(state);
        self.announce(resume);
        let mut envelope = free.unwrap_or_else(|| self.create());
        (envelope.counted, envelope.share) = (true, Some(share));
        Msg::from_envelope(envelope)
    }

    /// A message for a frame that the core assembles itself.
    pub(crate) fn get_for_delivery(self: &Arc<Pool>, share: ShareIndex) -> Msg {
        let mut state = self.state.lock();
        let free = state.take_free();
        state.for_usage(share, |usage| usage.in_use += 1);
        drop(state);
        let mut envelope = free.unwrap_or_else(|| self.create());
        (envelope.counted, envelope.share) = (true, Some(share));
        Msg::from_envelope(envelope)
    }

    /// Takes a message back from somebody who may know this very pool: the usual, cheaper way.
    pub(crate) fn recycle(self: &Arc<Pool>, mut msg: Msg) {
        let ours = msg
            .envelope_mut()
            .home
            .as_ref()
            .is_some_and(|home| Arc::ptr_eq(home, self));
        match msg.into_envelope() {
            Some(envelope) if ours => self.take_back(envelope),
            Some(envelope) => Pool::put(envelope),
            None => {}
        }
    }

    /// Takes an envelope back to wherever it belongs; one without a pool is freed.
    pub(crate) fn put(envelope: Box<Envelope>) {
        if let Some(pool) = envelope.home.clone() {
            pool.take_back(envelope);
        }
    }

    /// Keeps an envelope of this pool, or frees it when there are enough.
    fn take_back(&self, mut envelope: Box<Envelope>) {
        let (counted, share) = (envelope.counted, envelope.share);
        envelope.reset();
        if envelope.message.capacity() > self.keep_capacity {
            envelope.message.shrink_to(0);
        }
        let capacity = envelope.message.capacity();
        let mut state = self.state.lock();
        if counted {
            state.release(share, 1, 0);
        }
        let resume = self.is_resume_due(&mut state, share);
        let keep = !state.closed
            && state.free.len() < self.maximum
            && state.free_bytes + capacity <= self.maximum_bytes;
        let surplus = if keep {
            state.free_bytes += capacity;
            state.free.push(envelope);
            None
        } else {
            Some(envelope)
        };
        drop(state);
        drop(surplus);
        self.announce(resume);
    }

    /// A message is no longer the application's: it waits, by pointer, in a send queue, whose own
    /// limits bound it. If it counted on, peers that do not read could stop all reading.
    ///
    /// Whoever calls this under a lock announces the room later, by what is returned.
    pub(crate) fn uncount(msg: &mut Msg) -> Announcement {
        let envelope = msg.envelope_mut();
        if !std::mem::take(&mut envelope.counted) {
            return Announcement::default();
        }
        let Some(pool) = envelope.home.clone() else {
            return Announcement::default();
        };
        let share = envelope.share.take();
        let mut state = pool.state.lock();
        state.release(share, 1, 0);
        let resume = pool.is_resume_due(&mut state, share);
        drop(state);
        Announcement(resume.then_some(pool))
    }

    /// Frames of a group have been put into its inbox.
    pub(crate) fn charge_frames(&self, share: ShareIndex, frames: usize) {
        let mut state = self.state.lock();
        state.for_usage(share, |usage| {
            usage.in_use += frames;
            usage.frames += frames;
        });
    }

    /// Frames went from an inbox to nowhere: their group was destroyed.
    pub(crate) fn refund_frames(&self, share: ShareIndex, frames: usize) {
        let mut state = self.state.lock();
        state.release(Some(share), frames, frames);
        let resume = self.is_resume_due(&mut state, Some(share));
        drop(state);
        self.announce(resume);
    }

    /// How many more frames may be delivered to a group. Where that is none, the pool remembers
    /// to tell the worklist when there is room again.
    pub(crate) fn room(&self, share: ShareIndex) -> usize {
        let mut state = self.state.lock();
        let all = self.maximum.saturating_sub(state.all.in_use);
        let part = self
            .share_maximum
            .saturating_sub(state.share(share).usage.in_use);
        if all == 0 {
            state.all.hungry = true;
        }
        if part == 0 {
            state.share(share).usage.hungry = true;
        }
        all.min(part)
    }

    /// Opens a share for a new group.
    pub(crate) fn open_share(&self) -> ShareIndex {
        let mut state = self.state.lock();
        if let Some(index) = state.vacant.pop() {
            state.share(ShareIndex(index)).abandoned = false;
            return ShareIndex(index);
        }
        state.shares.push(Share::default());
        // As many shares as groups alive: memory ends long before u32 does.
        ShareIndex(u32::try_from(state.shares.len() - 1).unwrap_or(u32::MAX))
    }

    /// Gives a share back; it is used again once all of its messages have returned.
    pub(crate) fn close_share(&self, share: ShareIndex) {
        let mut state = self.state.lock();
        state.share(share).abandoned = true;
        state.vacate_if_empty(share);
    }

    /// The engine has ended: nothing is kept any more, and the pool's messages no longer keep it.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        state.closed = true;
        state.free_bytes = 0;
        let free = std::mem::take(&mut state.free);
        drop(state);
        drop(free);
    }

    /// Messages in use, and messages free.
    pub(crate) fn levels(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.all.in_use, state.free.len())
    }

    /// Checks the counts against each other.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        let state = self.state.lock();
        let all = state.all;
        let (mut in_use, mut frames) = (0, 0);
        for Share { usage, .. } in &state.shares {
            in_use += usage.in_use;
            frames += usage.frames;
            if usage.frames > usage.in_use {
                return Err(format!("a share counts {usage:?}"));
            }
        }
        if all.frames != frames || all.in_use < in_use {
            return Err(format!(
                "the pool counts {all:?}, its shares {in_use} and {frames}"
            ));
        }
        Ok(())
    }

    fn is_resume_due(&self, state: &mut State, share: Option<ShareIndex>) -> bool {
        // For the whole pool nothing is held back until a good part is free: what is in use may
        // belong to a group that never gives it back.
        let mut due = state.all.hungry && state.all.in_use < self.maximum;
        if due {
            state.all.hungry = false;
        }
        if let Some(share) = share {
            let usage = &mut state.share(share).usage;
            if usage.should_resume(self.share_maximum) {
                usage.hungry = false;
                due = true;
            }
        }
        due
    }

    fn announce(&self, resume: bool) {
        if resume {
            self.worklist.pool_has_room();
        }
    }
}

impl State {
    fn take_free(&mut self) -> Option<Box<Envelope>> {
        let envelope = self.free.pop()?;
        self.free_bytes -= envelope.message.capacity().min(self.free_bytes);
        Some(envelope)
    }

    fn share(&mut self, share: ShareIndex) -> &mut Share {
        &mut self.shares[share.0 as usize]
    }

    fn for_usage(&mut self, share: ShareIndex, change: impl Fn(&mut Usage)) {
        change(&mut self.all);
        change(&mut self.share(share).usage);
    }

    fn release(&mut self, share: Option<ShareIndex>, in_use: usize, frames: usize) {
        let subtract = |usage: &mut Usage| {
            debug_assert!(
                usage.in_use >= in_use && usage.frames >= frames,
                "{usage:?}"
            );
            usage.in_use = usage.in_use.saturating_sub(in_use);
            usage.frames = usage.frames.saturating_sub(frames);
        };
        subtract(&mut self.all);
        if let Some(share) = share {
            subtract(&mut self.share(share).usage);
            self.vacate_if_empty(share);
        }
    }

    fn vacate_if_empty(&mut self, share: ShareIndex) {
        let entry = self.share(share);
        if entry.abandoned && entry.usage.in_use == 0 {
            *entry = Share::default();
            self.vacant.push(share.0);
        }
    }
}

#[cfg(test)]
mod tests;
