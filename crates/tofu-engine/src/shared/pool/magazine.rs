//! A thread's magazine: a few unused messages and its page, for one pool, without a lock.
//!
//! Filled from and emptied into the pool by halves. It goes with its thread: what it holds returns to
//! the pool then, and whatever a thread gives back while it ends goes there directly.
//!
//! Taking and giving each have a short way for what is nearly always so, which changes nothing where
//! it is not, and a further one behind it that makes it so and tries again.

use std::cell::RefCell;

use crate::msg::Envelope;
use crate::shared::pool::page::Page;
use crate::shared::pool::{Pool, ShareIndex, Spare, Tally};
use crate::sync::{Arc, Ordering, Weak, compiler_fence, thread_local};

/// Threads with a magazine, at most; others go to the pool itself.
pub(super) const MAXIMUM_MAGAZINES: usize = 32;

/// A message with more capacity than this is not kept here: a magazine is small in memory as well.
const KEEP_CAPACITY: usize = 2048;

thread_local! {
    static MAGAZINES: RefCell<Magazines> = const { RefCell::new(Magazines::NONE) };
}

/// What a thread has for the pools that it uses.
struct Magazines {
    /// Of the pool that was used last the further way. Most programs have one engine.
    first: Entry,
    further: Vec<Entry>,
}

/// What a thread knows of one pool.
struct Entry {
    /// Where the pool lies, which is nowhere else while `pool` keeps its place. 0: there is none.
    address: usize,
    pool: Weak<Pool>,
    /// `None` where the pool has as many as may be.
    magazine: Option<Magazine>,
}

/// Invariant: `free` never grows beyond the capacity that it was made with, or 0 once it is forgotten.
struct Magazine {
    page: Arc<Page>,
    /// Last in, first out: the one used last is the one in the cache.
    #[expect(
        clippy::vec_box,
        reason = "a message is handed out by pointer, never moved"
    )]
    free: Vec<Box<Envelope>>,
}

/// A message that no magazine has taken.
pub(super) struct Refused {
    pub(super) envelope: Box<Envelope>,
    /// What its tally says is counted no longer; whoever waits for room is still to be told.
    pub(super) is_uncounted: bool,
}

/// An unused message, counted from now on if it is to be; `None` where the first magazine has none at
/// hand.
#[inline(always)]
pub(super) fn take(pool: &Arc<Pool>, count: bool) -> Option<Box<Envelope>> {
    let taken = MAGAZINES.try_with(|magazines| {
        let mut magazines = magazines.borrow_mut();
        magazines.first_of(pool)?.pop(count)
    });
    // A thread that is ending has no magazine any more.
    taken.ok().flatten()
}

/// The same where it took more than that. The outer `None`: there is no magazine here; the inner one:
/// nothing is free.
pub(super) fn take_further(pool: &Arc<Pool>, count: bool) -> Option<Option<Box<Envelope>>> {
    with(pool, |magazine| {
        let envelope = magazine.pop(count);
        if envelope.is_some() {
            return envelope;
        }
        magazine.prepare_to_take(pool);
        magazine.pop(count)
    })
}

/// Takes a message back that is no longer in use into this thread's first magazine, where nothing
/// stands against it.
#[inline(always)]
pub(super) fn give(envelope: Box<Envelope>) -> Result<(), Refused> {
    // What does not count any more comes from the engine, which has no use for it.
    let is_kept = envelope.tally != Tally::Nowhere
        && envelope.side.is_none()
        && envelope.message.capacity() <= KEEP_CAPACITY;
    // A thread that is ending has no magazine any more.
    if !is_kept || MAGAZINES.try_with(|_| ()).is_err() {
        return Err(Refused::unchanged(envelope));
    }
    MAGAZINES.with(|magazines| {
        let mut magazines = magazines.borrow_mut();
        let home = envelope.home.as_ref();
        match home.and_then(|pool| magazines.first_of(pool)) {
            Some(magazine) => magazine.keep(envelope),
            None => Err(Refused::unchanged(envelope)),
        }
    })
}

/// The same for what `give` refused, after having cleared away what stood against it.
pub(super) fn give_further(refused: Refused) -> Result<(), Refused> {
    let envelope = &refused.envelope;
    let is_kept = envelope.tally != Tally::Nowhere && envelope.message.capacity() <= KEEP_CAPACITY;
    if !is_kept || refused.is_uncounted || MAGAZINES.try_with(|_| ()).is_err() {
        return Err(refused);
    }
    MAGAZINES.with(|magazines| {
        let mut magazines = magazines.borrow_mut();
        let home = refused.envelope.home.as_ref();
        match home.and_then(|pool| magazines.find(pool)) {
            Some(magazine) => magazine.keep_further(refused.envelope),
            None => Err(refused),
        }
    })
}

/// Moves unused messages out of this thread's magazine into `spare`, at most so many.
pub(super) fn lend(pool: &Arc<Pool>, spare: &mut Spare, count: usize) {
    with(pool, |magazine| {
        let rest = magazine.free.len().saturating_sub(count);
        spare.0.extend(magazine.free.drain(rest..));
        magazine.page.set_free(rest);
    });
}

/// Counts one message more. `None`: there is no magazine here.
pub(super) fn count_one(pool: &Arc<Pool>) -> Option<()> {
    with(pool, |magazine| {
        while !magazine.page.take_one() {
            magazine.settle(pool, None);
        }
    })
}

/// Counts one message less. Whether somebody watches; `None`: there is no magazine here.
pub(super) fn uncount_one(pool: &Arc<Pool>, share: Option<ShareIndex>) -> Option<bool> {
    with(pool, |magazine| {
        while !magazine.page.give_one(share) {
            magazine.settle(pool, share);
        }
        is_watched(pool)
    })
}

/// Empties this thread's magazine for a pool that is closed.
pub(super) fn forget(pool: &Arc<Pool>) {
    let _free = with(pool, |magazine| {
        magazine.page.set_free(0);
        std::mem::take(&mut magazine.free)
    });
}

/// Runs `work` with this thread's magazine for a pool; `None` where it has none.
fn with<R>(pool: &Arc<Pool>, work: impl FnOnce(&mut Magazine) -> R) -> Option<R> {
    let used = MAGAZINES.try_with(|magazines| magazines.borrow_mut().find(pool).map(work));
    // A thread that is ending has none any more.
    used.ok().flatten()
}

/// Whether somebody waits for room. Comes behind what may have made it.
#[inline]
fn is_watched(pool: &Pool) -> bool {
    // Not ordered behind the store by the processor, which would cost more than all the rest: whoever
    // begins to watch looks at the pages again when what was on its way has arrived. But the
    // compiler must not put it in front: the thread could be stopped in between for longer.
    compiler_fence(Ordering::SeqCst);
    pool.watched.load(Ordering::Relaxed)
}

impl Refused {
    #[inline]
    fn unchanged(envelope: Box<Envelope>) -> Refused {
        Refused {
            envelope,
            is_uncounted: false,
        }
    }
}

impl Entry {
    const NONE: Entry = Entry {
        address: 0,
        pool: Weak::new(),
        magazine: None,
    };

    fn is_open(&self) -> bool {
        self.pool.upgrade().is_some_and(|pool| !pool.is_closed())
    }
}

impl Magazines {
    const NONE: Magazines = Magazines {
        first: Entry::NONE,
        further: Vec::new(),
    };

    #[inline]
    fn first_of(&mut self, pool: &Arc<Pool>) -> Option<&mut Magazine> {
        match self.first.address == Arc::as_ptr(pool).addr() {
            true => self.first.magazine.as_mut(),
            false => None,
        }
    }

    /// This thread's magazine for a pool, if it may have one; opened at its first use. It is the first
    /// from now on.
    fn find(&mut self, pool: &Arc<Pool>) -> Option<&mut Magazine> {
        let address = Arc::as_ptr(pool).addr();
        if self.first.address != address {
            let known = self
                .further
                .iter()
                .position(|entry| entry.address == address);
            let index = known.unwrap_or_else(|| self.open(pool));
            std::mem::swap(&mut self.first, &mut self.further[index]);
        }
        self.first.magazine.as_mut()
    }

    /// Returns where among the further ones it stands.
    #[cold]
    fn open(&mut self, pool: &Arc<Pool>) -> usize {
        // Those of pools that are closed are forgotten.
        self.further.retain(Entry::is_open);
        if !self.first.is_open() {
            self.first = Entry::NONE;
        }
        self.further.push(Entry {
            address: Arc::as_ptr(pool).addr(),
            pool: Arc::downgrade(pool),
            magazine: pool.open_page().map(|page| Magazine {
                page,
                free: Vec::with_capacity(pool.magazine_len),
            }),
        });
        self.further.len() - 1
    }
}

impl Magazine {
    #[inline(always)]
    fn pop(&mut self, count: bool) -> Option<Box<Envelope>> {
        if self.free.is_empty() || (count && !self.page.take_one()) {
            return None;
        }
        let envelope = self.free.pop();
        self.page.set_free(self.free.len());
        envelope
    }

    fn prepare_to_take(&mut self, pool: &Pool) {
        let mut state = pool.state.lock();
        state.counts.settle(&self.page);
        if self.free.is_empty() {
            let half = pool.magazine_len.div_ceil(2);
            let taken = std::iter::from_fn(|| state.free.pop());
            self.free.extend(taken.take(half));
        }
    }

    /// Takes a message in, unless something stands against it, or somebody waits for room: then the
    /// pool itself gets it.
    #[inline(always)]
    fn keep(&mut self, mut envelope: Box<Envelope>) -> Result<(), Refused> {
        let share = envelope.tally.share();
        let Some(pool) = envelope.home.as_deref() else {
            return Err(Refused::unchanged(envelope));
        };
        if self.free.len() == self.free.capacity() || !self.page.give_one(share) {
            return Err(Refused::unchanged(envelope));
        }
        if is_watched(pool) {
            return Err(Refused {
                envelope,
                is_uncounted: true,
            });
        }
        envelope.tally = Tally::Nowhere;
        self.free.push(envelope);
        self.page.set_free(self.free.len());
        Ok(())
    }

    fn keep_further(&mut self, envelope: Box<Envelope>) -> Result<(), Refused> {
        let envelope = match self.keep(envelope) {
            Err(refused) if !refused.is_uncounted => refused.envelope,
            kept => return kept,
        };
        if let Some(pool) = envelope.home.as_deref() {
            self.settle(pool, envelope.tally.share());
            if self.free.len() == self.free.capacity() {
                pool.store(self.free.drain(..self.free.len().div_ceil(2)));
                self.page.set_free(self.free.len());
            }
        }
        self.keep(envelope)
    }

    /// Empties the page, for messages of this share if need be.
    fn settle(&mut self, pool: &Pool, share: Option<ShareIndex>) {
        let mut state = pool.state.lock();
        state.counts.settle(&self.page);
        if let Some(share) = share {
            self.page.set_share(share);
        }
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
