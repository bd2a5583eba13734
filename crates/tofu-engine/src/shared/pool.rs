//! The pool: messages kept for reuse, and the count of those in use.
//!
//! Called by the application's threads (get, put, receiving) and by the core (how much may still be
//! read). It holds no message back: `get` with `Allocation::Always` creates one where none is free;
//! what is bounded is how much the engine reads on top of what the application holds. The threads
//! get and put without a lock: each has a magazine of messages and a page of counts.

mod counts;
mod free_list;
mod look;
mod magazine;
mod page;
mod room;
mod tally;

use tofu_msg::Message;

use crate::msg::{Envelope, Msg};
use crate::options::Options;
use crate::shared::worklist::Worklist;
use crate::sync::{Arc, AtomicBool, AtomicU64, Mutex, Ordering, Weak};

use counts::Counts;
use free_list::FreeList;
use magazine::Refused;
use page::Page;

pub(crate) use tally::{ShareIndex, Tally};

/// How [`get`](crate::Reactor::get) finds a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Allocation {
    /// Only from the pool: `None` when it has none free. (A large pool may have a few that rest with
    /// threads that put them, or with receivers that are about to use them.)
    PoolOnly,
    /// From the pool, or a new one.
    Always,
}

/// Unused messages and the count of those in use; shared by all threads of one engine.
#[derive(Debug)]
pub(crate) struct Pool {
    state: Mutex<State>,
    /// Whoever gives a message back looks at the counts, for somebody waits for room; or sees that the
    /// pool is closed.
    watched: AtomicBool,
    /// How often watching has begun beside threads that give back without a lock. What they gave at
    /// that moment may have been overlooked, and so may they have overlooked that somebody watches;
    /// so the core calls [`look_again`](Pool::look_again) a little later.
    watches: AtomicU64,
    /// Nothing is kept any more.
    closed: AtomicBool,
    /// Gone with the engine: no message that outlives it keeps what wakes its loop.
    worklist: Weak<Worklist>,
    /// Of the whole pool, and of one group's share of it.
    maxima: (usize, usize),
    /// Messages in one thread's magazine, at most; 0 where there are none.
    magazine_len: usize,
}

#[derive(Debug, Default)]
struct State {
    free: FreeList,
    counts: Counts,
}

/// Messages that a receiver takes out of the pool at a time.
const SPARE: usize = 16;

/// Unused messages in the hands of a receiver, for frames that it is about to hand out.
#[derive(Debug, Default)]
pub(crate) struct Spare(
    #[expect(
        clippy::vec_box,
        reason = "a message is handed out by pointer, never moved"
    )]
    Vec<Box<Envelope>>,
);

/// News of room in a pool, or none; to be told once no lock is held.
#[must_use = "the core waits to be told"]
#[derive(Default)]
pub(crate) struct Announcement(Option<Arc<Pool>>);

impl Announcement {
    #[inline]
    pub(crate) fn tell(self) {
        if let Some(pool) = self.0 {
            pool.announce(true);
        }
    }
}

impl Pool {
    pub(crate) fn new(options: &Options, worklist: &Arc<Worklist>) -> Arc<Pool> {
        // All magazines together hold an eighth of the pool at most; small ones are not worth it.
        let magazine_len = options.pool_maximum / 8 / magazine::MAXIMUM_MAGAZINES;
        let magazine_len = if magazine_len < 8 {
            0
        } else {
            magazine_len.min(64)
        };
        Pool::with_magazines(options, worklist, magazine_len)
    }

    pub(crate) fn with_magazines(
        options: &Options,
        worklist: &Arc<Worklist>,
        magazine_len: usize,
    ) -> Arc<Pool> {
        let maximum = options.pool_maximum;
        let pool = Arc::new(Pool {
            state: Mutex::default(),
            watched: AtomicBool::new(false),
            watches: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            worklist: Arc::downgrade(worklist),
            maxima: (maximum, (maximum / 2).max(1)),
            magazine_len,
        });
        let fresh = (0..options.pool_initial).map(|_| pool.create()).collect();
        pool.state.lock().free = FreeList::new(options, fresh);
        pool
    }

    #[cold]
    fn create(self: &Arc<Pool>) -> Box<Envelope> {
        Box::new(Envelope::new(Message::default(), Some(Arc::clone(self))))
    }

    /// A message for the application; counted as in use until it is put.
    #[inline]
    pub(crate) fn get(self: &Arc<Pool>, allocation: Allocation) -> Option<Msg> {
        let envelope = match magazine::take(self, true) {
            Some(envelope) => envelope,
            None => self.get_further(allocation)?,
        };
        let mut msg = Pool::counted(envelope, Tally::Whole);
        msg.reset();
        Some(msg)
    }

    #[cold]
    #[inline(never)]
    fn get_further(self: &Arc<Pool>, allocation: Allocation) -> Option<Box<Envelope>> {
        let free = self.take_further(true);
        if free.is_some() || allocation == Allocation::PoolOnly {
            return free;
        }
        if magazine::count_one(self).is_none() {
            self.state.lock().counts.add(None, 1);
        }
        Some(self.create())
    }

    /// A message for the next of `left` frames that have been taken out of an inbox and are counted already,
    /// with whatever it held before. The frames themselves are settled by
    /// [`settle_frames`](Pool::settle_frames).
    #[inline(always)]
    pub(crate) fn get_for_frame(
        self: &Arc<Pool>,
        spare: &mut Spare,
        left: usize,
        share: ShareIndex,
    ) -> Msg {
        let envelope = match spare.0.pop() {
            Some(envelope) => envelope,
            None => self.take_for_frames(spare, left),
        };
        Pool::counted(envelope, Tally::Share(share))
    }

    /// One message, and some to spare where more frames follow: no more than they need.
    #[inline(never)]
    fn take_for_frames(self: &Arc<Pool>, spare: &mut Spare, left: usize) -> Box<Envelope> {
        magazine::lend(self, spare, left.min(SPARE));
        let taken = spare.0.pop().or_else(|| self.take_further(false));
        taken.unwrap_or_else(|| self.create())
    }

    /// The frames for which these were taken are given up.
    pub(crate) fn give_back(&self, spare: &mut Spare) {
        self.store(spare.0.drain(..));
    }

    /// A message for a frame that the core assembles itself, with whatever it held before.
    pub(crate) fn get_for_delivery(self: &Arc<Pool>, share: ShareIndex) -> Msg {
        self.state.lock().counts.add(Some(share), 1);
        let free = self.take_further(false);
        Pool::counted(free.unwrap_or_else(|| self.create()), Tally::Share(share))
    }

    /// A message that is not in use and counts nowhere, with whatever it held before.
    pub(crate) fn get_unused(self: &Arc<Pool>) -> Msg {
        let mut state = self.state.lock();
        let envelope = state.free.pop();
        drop(state);
        Msg::from_envelope(envelope.unwrap_or_else(|| self.create()))
    }

    /// A message that was not in use is delivered.
    pub(crate) fn count(&self, msg: &mut Msg, share: ShareIndex) {
        self.state.lock().counts.add(Some(share), 1);
        msg.envelope_mut().tally = Tally::Share(share);
    }

    #[inline]
    fn counted(mut envelope: Box<Envelope>, tally: Tally) -> Msg {
        envelope.tally = tally;
        Msg::from_envelope(envelope)
    }

    /// An unused message, counted from now on if it is to be, from wherever there is one.
    fn take_further(self: &Arc<Pool>, count: bool) -> Option<Box<Envelope>> {
        if let Some(taken) = magazine::take_further(self, count) {
            return taken;
        }
        let mut state = self.state.lock();
        let envelope = state.free.pop()?;
        if count {
            state.counts.add(None, 1);
        }
        Some(envelope)
    }

    /// Takes an envelope back to wherever it belongs; one without a pool is freed. The message itself is
    /// made as new when it is next used: a body that is read into need not be cleared before.
    #[inline(never)]
    pub(crate) fn put(envelope: Box<Envelope>) {
        if let Err(refused) = magazine::give(envelope) {
            Pool::put_further(refused);
        }
    }

    #[cold]
    #[inline(never)]
    fn put_further(mut refused: Refused) {
        refused.envelope.side = None;
        if let Err(refused) = magazine::give_further(refused) {
            Pool::put_aside(refused);
        }
    }

    /// Takes an envelope back that no magazine takes.
    fn put_aside(mut refused: Refused) {
        let Some(pool) = refused.envelope.home.clone() else {
            return;
        };
        let tally = std::mem::take(&mut refused.envelope.tally);
        let is_counted = tally != Tally::Nowhere && !refused.is_uncounted;
        let mut resume = is_counted && pool.uncount_one(tally.share());
        let mut state = pool.state.lock();
        if refused.is_uncounted {
            resume = pool.is_resume_due(&mut state, tally.share());
        }
        let surplus = pool.keep(&mut state, refused.envelope);
        drop(state);
        drop(surplus);
        pool.announce(resume);
        if pool.is_closed() {
            magazine::forget(&pool);
        }
    }

    fn announce(&self, resume: bool) {
        if let (true, Some(worklist)) = (resume, self.worklist.upgrade()) {
            worklist.pool_has_room();
        }
    }

    /// Counts a message less. Whether that is news for those who wait for room.
    fn uncount_one(self: &Arc<Pool>, share: Option<ShareIndex>) -> bool {
        match magazine::uncount_one(self, share) {
            Some(false) => false,
            Some(true) => self.is_resume_due(&mut self.state.lock(), share),
            None => {
                let mut state = self.state.lock();
                state.counts.add(share, -1);
                self.is_resume_due(&mut state, share)
            }
        }
    }

    /// Keeps unused messages, or frees those that are too many.
    fn store(&self, envelopes: impl Iterator<Item = Box<Envelope>>) {
        let mut state = self.state.lock();
        let surplus: Vec<_> = envelopes
            .filter_map(|envelope| self.keep(&mut state, envelope))
            .collect();
        drop(state);
        drop(surplus);
    }

    /// Keeps an unused message, or gives it back to be freed without the lock.
    fn keep(&self, state: &mut State, envelope: Box<Envelope>) -> Option<Box<Envelope>> {
        match self.is_closed() {
            true => Some(envelope),
            false => state.free.push(envelope),
        }
    }

    /// A message is no longer the application's: it waits, by pointer, in a send queue, whose own
    /// limits bound it. If it counted on, peers that do not read could stop all reading.
    ///
    /// Whoever calls this under a lock announces the room later, by what is returned.
    pub(crate) fn uncount(msg: &mut Msg) -> Announcement {
        let envelope = msg.envelope_mut();
        let tally = std::mem::take(&mut envelope.tally);
        match &envelope.home {
            Some(pool) if tally != Tally::Nowhere && pool.uncount_one(tally.share()) => {
                Announcement(Some(Arc::clone(pool)))
            }
            _ => Announcement::default(),
        }
    }

    /// Opens a share for a new group.
    pub(crate) fn open_share(&self) -> ShareIndex {
        self.state.lock().counts.open_share()
    }

    /// Gives a share back; it is used again once all of its messages have returned.
    pub(crate) fn close_share(&self, share: ShareIndex) {
        let mut state = self.state.lock();
        self.begin_to_watch(&state);
        state.counts.close_share(share);
        self.rewatch(&state);
    }

    /// The engine has ended: nothing is kept any more, and the pool's messages no longer keep it.
    pub(crate) fn close(&self) {
        let mut state = self.state.lock();
        self.closed.store(true, Ordering::SeqCst);
        self.rewatch(&state);
        let free = std::mem::take(&mut state.free);
        drop(state);
        drop(free);
    }

    #[inline]
    fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// A page for a thread that has none yet, unless there are enough.
    fn open_page(&self) -> Option<Arc<Page>> {
        let mut state = self.state.lock();
        let full = self.magazine_len == 0
            || self.is_closed()
            || state.counts.pages().len() >= magazine::MAXIMUM_MAGAZINES;
        (!full).then(|| state.counts.open_page())
    }

    fn close_page(&self, page: &Arc<Page>) {
        self.state.lock().counts.close_page(page);
    }
}

#[cfg(test)]
mod tests;
