//! A thread's magazine: a few unused messages and its page, for one pool, without a lock.
//!
//! Filled from and emptied into the pool by halves. It goes with its thread: what it holds returns to
//! the pool then, and whatever a thread gives back while it ends goes there directly.

use std::cell::RefCell;

use crate::msg::Envelope;
use crate::shared::pool::page::Page;
use crate::shared::pool::{Pool, ShareIndex};
use crate::sync::{Arc, Ordering, Weak, thread_local};

/// Threads with a magazine, at most; others go to the pool itself.
pub(super) const MAXIMUM_MAGAZINES: usize = 32;

/// A message with more capacity than this is not kept here: a magazine is small in memory as well.
const KEEP_CAPACITY: usize = 2048;

thread_local! {
    static MAGAZINES: RefCell<Vec<Entry>> = const { RefCell::new(Vec::new()) };
}

/// What a thread knows of one pool.
struct Entry {
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
fn find<'a>(entries: &'a mut Vec<Entry>, pool: &Arc<Pool>) -> Option<&'a mut Magazine> {
    let known = entries
        .iter()
        .position(|entry| std::ptr::eq(entry.pool.as_ptr(), Arc::as_ptr(pool)));
    let index = known.unwrap_or_else(|| {
        // And those of pools that are closed are forgotten.
        entries.retain(|entry| entry.pool.upgrade().is_some_and(|pool| !pool.is_closed()));
        entries.push(Entry {
            pool: Arc::downgrade(pool),
            magazine: pool.open_page().map(|page| Magazine {
                page,
                free: Vec::new(),
            }),
        });
        entries.len() - 1
    });
    entries[index].magazine.as_mut()
}

/// Runs `work` with this thread's magazine for a pool; `None` where it has none.
fn with<R>(pool: &Arc<Pool>, work: impl FnOnce(&mut Magazine) -> R) -> Option<R> {
    if pool.magazine_len == 0 {
        return None;
    }
    let used = MAGAZINES.try_with(|entries| find(&mut entries.borrow_mut(), pool).map(work));
    // A thread that is ending has none any more.
    used.ok().flatten()
}

/// An unused message, counted from now on if it is to be. The outer `None`: there is no magazine
/// here; the inner one: nothing is free.
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
pub(super) fn count_one(pool: &Arc<Pool>) -> Option<()> {
    with(pool, |magazine| magazine.count_one(pool))
}

/// Counts one message less. Whether somebody watches; `None`: there is no magazine here.
pub(super) fn uncount_one(pool: &Arc<Pool>, share: Option<ShareIndex>) -> Option<bool> {
    with(pool, |magazine| magazine.uncount_one(pool, share))
}

/// What became of a message that was given back.
pub(super) enum Given {
    /// It lies in the magazine.
    Quietly,
    /// It does; it counted against this share, and somebody watches the pool.
    Watched(Arc<Pool>, Option<ShareIndex>),
    /// There is no place for it here, and it counts as before.
    Not(Arc<Pool>, Box<Envelope>),
}

/// Takes a message back that is no longer in use into this thread's magazine.
pub(super) fn give(pool: Arc<Pool>, envelope: Box<Envelope>) -> Given {
    if pool.is_closed() {
        forget(&pool);
        return Given::Not(pool, envelope);
    }
    // What does not count any more comes from the engine, which has no use for it.
    let is_kept = envelope.counted && envelope.message.capacity() <= KEEP_CAPACITY;
    if pool.magazine_len == 0 || !is_kept {
        return Given::Not(pool, envelope);
    }
    let mut both = Some((pool, envelope));
    let mut given = Given::Quietly;
    // A thread that is ending has none any more.
    let _ending = MAGAZINES.try_with(|entries| {
        let mut entries = entries.borrow_mut();
        let (pool, _) = both.as_ref()?;
        let magazine = find(&mut entries, pool)?;
        let (pool, envelope) = both.take()?;
        given = magazine.push(pool, envelope);
        Some(())
    });
    match both {
        Some((pool, envelope)) => Given::Not(pool, envelope),
        None => given,
    }
}

/// Empties this thread's magazine for a pool that is closed.
fn forget(pool: &Arc<Pool>) {
    let _free = with(pool, |magazine| {
        magazine.page.set_free(0);
        std::mem::take(&mut magazine.free)
    });
}

impl Magazine {
    fn count_one(&mut self, pool: &Pool) {
        self.page.take_one();
        self.settle_if_full(pool);
    }

    fn uncount_one(&mut self, pool: &Pool, share: Option<ShareIndex>) -> bool {
        if let (false, Some(share)) = (self.page.is_for(share), share) {
            let mut state = pool.state.lock();
            state.counts.settle(&self.page);
            self.page.set_share(share);
        }
        self.page.give_one(share);
        self.settle_if_full(pool);
        pool.watched.load(Ordering::SeqCst)
    }

    fn settle_if_full(&self, pool: &Pool) {
        if self.page.is_full() {
            pool.state.lock().counts.settle(&self.page);
        }
    }

    fn pop(&mut self, pool: &Pool) -> Option<Box<Envelope>> {
        if self.free.is_empty() {
            let half = pool.magazine_len.div_ceil(2);
            let mut state = pool.state.lock();
            let taken = std::iter::from_fn(|| state.free.pop());
            self.free.extend(taken.take(half));
        }
        let envelope = self.free.pop();
        self.page.set_free(self.free.len());
        envelope
    }

    fn push(&mut self, pool: Arc<Pool>, mut envelope: Box<Envelope>) -> Given {
        envelope.counted = false;
        let share = envelope.share.take();
        let watched = self.uncount_one(&pool, share);
        if self.free.len() >= pool.magazine_len {
            pool.store(self.free.drain(..self.free.len().div_ceil(2)));
        }
        let given = match watched {
            true => Given::Watched(Arc::clone(&pool), share),
            false => Given::Quietly,
        };
        // Moved, not cloned: the pool's count of references is shared by all threads.
        envelope.home = Some(pool);
        self.free.push(envelope);
        self.page.set_free(self.free.len());
        given
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
