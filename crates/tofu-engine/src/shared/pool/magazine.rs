//! A thread's magazine: a few unused messages and its page, for one pool, without a lock.
//!
//! Filled from and emptied into the pool by halves. It goes with its thread: what it holds returns to
//! the pool then, and whatever a thread gives back while it ends goes there directly.

use std::cell::RefCell;

use crate::msg::Envelope;
use crate::shared::pool::page::Page;
use crate::shared::pool::{Pool, ShareIndex};
use crate::sync::{Arc, Ordering, Weak, compiler_fence, thread_local};

/// Threads with a magazine, at most; others go to the pool itself.
pub(super) const MAXIMUM_MAGAZINES: usize = 32;

/// A message with more capacity than this is not kept here: a magazine is small in memory as well.
const KEEP_CAPACITY: usize = 2048;

thread_local! {
    static MAGAZINES: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// What a thread knows of one pool.
struct Entry {
    /// Where the pool lies, which is nowhere else while `pool` keeps its place.
    address: usize,
    pool: Weak<Pool>,
    /// `None` where the pool has as many as may be.
    magazine: Option<Magazine>,
}

struct Magazine {
    page: Arc<Page>,
    /// Last in, first out: the one used last is the one in the cache.
    #[expect(
        clippy::vec_box,
        reason = "a message is handed out by pointer, never moved"
    )]
    free: Vec<Box<Envelope>>,
}

/// This thread's magazine for a pool, if it may have one; opened at its first use.
#[inline]
fn find<'a>(entries: &'a mut Vec<Entry>, pool: &Arc<Pool>) -> Option<&'a mut Magazine> {
    let address = Arc::as_ptr(pool).addr();
    // Most programs have one engine.
    let index = match entries.first() {
        Some(first) if first.address == address => 0,
        _ => find_further(entries, pool, address),
    };
    entries.get_mut(index)?.magazine.as_mut()
}

#[inline(never)]
fn find_further(entries: &mut Vec<Entry>, pool: &Arc<Pool>, address: usize) -> usize {
    let known = entries.iter().position(|entry| entry.address == address);
    known.unwrap_or_else(|| open(entries, pool))
}

#[cold]
fn open(entries: &mut Vec<Entry>, pool: &Arc<Pool>) -> usize {
    // Those of pools that are closed are forgotten.
    entries.retain(|entry| entry.pool.upgrade().is_some_and(|pool| !pool.is_closed()));
    entries.push(Entry {
        address: Arc::as_ptr(pool).addr(),
        pool: Arc::downgrade(pool),
        magazine: pool.open_page().map(|page| Magazine {
            page,
            free: Vec::with_capacity(pool.magazine_len),
        }),
    });
    entries.len() - 1
}

/// Runs `work` with this thread's magazine for a pool; `None` where it has none.
#[inline]
fn with<R>(pool: &Arc<Pool>, work: impl FnOnce(&mut Magazine) -> R) -> Option<R> {
    let used = MAGAZINES.try_with(|entries| find(&mut entries.borrow_mut(), pool).map(work));
    // A thread that is ending has none any more.
    used.ok().flatten()
}

/// An unused message, counted from now on if it is to be. The outer `None`: there is no magazine
/// here; the inner one: nothing is free.
#[inline]
pub(super) fn take(pool: &Arc<Pool>, count: bool) -> Option<Option<Box<Envelope>>> {
    with(pool, |magazine| {
        let envelope = magazine.pop(pool)?;
        if count {
            magazine.count_one(pool);
        }
        Some(envelope)
    })
}

/// Counts one message more. `None`: there is no magazine here.
#[inline]
pub(super) fn count_one(pool: &Arc<Pool>) -> Option<()> {
    with(pool, |magazine| magazine.count_one(pool))
}

/// Counts one message less. Whether somebody watches; `None`: there is no magazine here.
#[inline]
pub(super) fn uncount_one(pool: &Arc<Pool>, share: Option<ShareIndex>) -> Option<bool> {
    with(pool, |magazine| magazine.uncount_one(pool, share))
}

/// Takes a message back that is no longer in use into this thread's magazine, and tells the pool's
/// loop of it if that waits for room. Returns it where it is not to be kept here.
#[inline]
pub(super) fn give(envelope: Box<Envelope>) -> Option<Box<Envelope>> {
    // What does not count any more comes from the engine, which has no use for it.
    if !envelope.counted || envelope.side.is_some() || envelope.message.capacity() > KEEP_CAPACITY {
        return Some(envelope);
    }
    // Pointers only: what a message is moved in is not to be copied to and fro.
    let mut given = Some(envelope);
    // A thread that is ending has none any more.
    let news = MAGAZINES.try_with(|entries| {
        let mut entries = entries.borrow_mut();
        let magazine = find(&mut entries, given.as_ref()?.home.as_ref()?)?;
        magazine.push(given.take()?)
    });
    if let Ok(Some(news)) = news {
        news.tell();
    }
    given
}

/// A message has come back to a pool that is watched.
struct News {
    pool: Arc<Pool>,
    has_room: bool,
}

impl News {
    /// To be told when no magazine is in use.
    #[cold]
    fn tell(self) {
        self.pool.announce(self.has_room);
        if self.pool.is_closed() {
            forget(&self.pool);
        }
    }
}

/// Empties this thread's magazine for a pool that is closed.
pub(super) fn forget(pool: &Arc<Pool>) {
    let _free = with(pool, |magazine| {
        magazine.page.set_free(0);
        std::mem::take(&mut magazine.free)
    });
}

#[cold]
fn look(pool: &Arc<Pool>, share: Option<ShareIndex>) -> News {
    News {
        pool: Arc::clone(pool),
        has_room: pool.is_resume_due(&mut pool.state.lock(), share),
    }
}

impl Magazine {
    #[inline]
    fn count_one(&mut self, pool: &Pool) {
        if self.page.take_one() {
            pool.settle(&self.page);
        }
    }

    #[inline]
    fn uncount_one(&mut self, pool: &Pool, share: Option<ShareIndex>) -> bool {
        if !self.page.is_for(share) {
            self.turn_to(pool, share);
        }
        if self.page.give_one(share) {
            pool.settle(&self.page);
        }
        // Not ordered behind the store by the processor, which would cost more than all the rest: whoever
        // begins to watch looks at the pages again when what was on its way has arrived. But the
        // compiler must not put it in front: the thread could be stopped in between for longer.
        compiler_fence(Ordering::SeqCst);
        pool.watched.load(Ordering::Relaxed)
    }

    #[cold]
    fn turn_to(&mut self, pool: &Pool, share: Option<ShareIndex>) {
        let mut state = pool.state.lock();
        state.counts.settle(&self.page);
        if let Some(share) = share {
            self.page.set_share(share);
        }
    }

    #[inline]
    fn pop(&mut self, pool: &Pool) -> Option<Box<Envelope>> {
        if self.free.is_empty() {
            self.refill(pool);
        }
        let envelope = self.free.pop();
        self.page.set_free(self.free.len());
        envelope
    }

    #[cold]
    fn refill(&mut self, pool: &Pool) {
        let half = pool.magazine_len.div_ceil(2);
        let mut state = pool.state.lock();
        let taken = std::iter::from_fn(|| state.free.pop());
        self.free.extend(taken.take(half));
    }

    /// Takes a message in. Returns what is to be told of it.
    #[inline]
    fn push(&mut self, mut envelope: Box<Envelope>) -> Option<News> {
        envelope.counted = false;
        let share = envelope.share.take();
        let pool = envelope.home.as_ref()?;
        let news = match self.uncount_one(pool, share) {
            true => Some(look(pool, share)),
            false => None,
        };
        if self.free.len() >= pool.magazine_len {
            self.empty(pool);
        }
        self.free.push(envelope);
        self.page.set_free(self.free.len());
        news
    }

    #[cold]
    fn empty(&mut self, pool: &Pool) {
        pool.store(self.free.drain(..self.free.len().div_ceil(2)));
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        if let (Some(pool), Some(magazine)) = (self.pool.upgrade(), self.magazine.take()) {
            pool.close_page(&magazine.page);
            pool.store(magazine.free.into_iter());
        }
    }
}
