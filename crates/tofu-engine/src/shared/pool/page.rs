//! A thread's page: what it has taken out of a pool and given back since it last settled.
//!
//! Written by its one thread without a lock, read by whoever holds the pool's lock. So the hot path
//! touches no memory that other threads write, and the counts are exact all the same, but for what the
//! thread does while they are read.

use crate::shared::pool::ShareIndex;
use crate::sync::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// A page on which so much stands is settled: nobody need look at it to tell that there is room.
pub(super) const SETTLED_AT: i64 = 256;

/// No share.
const NONE: u64 = u64::MAX;

/// Alone in its cache lines, for another thread may write the neighbour.
#[derive(Debug)]
#[repr(align(128))]
pub(super) struct Page {
    /// Messages of no share.
    of_none: AtomicI64,
    /// Messages of `share`.
    of_share: AtomicI64,
    /// Which share; changed under the pool's lock only.
    share: AtomicU64,
    /// Unused messages that its thread keeps.
    free: AtomicUsize,
}

impl Default for Page {
    fn default() -> Page {
        Page {
            of_none: AtomicI64::new(0),
            of_share: AtomicI64::new(0),
            share: AtomicU64::new(NONE),
            free: AtomicUsize::new(0),
        }
    }
}

impl Page {
    /// The count as it stands; while its thread goes on, at least as much as there was at some moment.
    pub(super) fn in_use(&self) -> i64 {
        // Between two settlings it only falls: read first, it is not lower than beside the other.
        let of_share = self.of_share.load(Ordering::Acquire);
        of_share + self.of_none.load(Ordering::Acquire)
    }

    pub(super) fn in_use_of(&self, share: ShareIndex) -> i64 {
        match self.share.load(Ordering::Relaxed) == u64::from(share.0) {
            true => self.of_share.load(Ordering::Acquire),
            false => 0,
        }
    }

    /// One message was taken. Whether the page is to be settled now. Its thread only.
    #[inline]
    pub(super) fn take_one(&self) -> bool {
        let count = self.of_none.load(Ordering::Relaxed) + 1;
        self.of_none.store(count, Ordering::Release);
        count >= SETTLED_AT
    }

    /// One message was given back. Whether the page is to be settled now. Its thread only, and `share`
    /// must be the page's.
    #[inline]
    pub(super) fn give_one(&self, share: Option<ShareIndex>) -> bool {
        let counter = match share {
            Some(_) => &self.of_share,
            None => &self.of_none,
        };
        let count = counter.load(Ordering::Relaxed) - 1;
        counter.store(count, Ordering::Release);
        count <= -SETTLED_AT
    }

    /// Whether a message of this share can be given back here.
    #[inline]
    pub(super) fn is_for(&self, share: Option<ShareIndex>) -> bool {
        share.is_none_or(|share| self.share.load(Ordering::Relaxed) == u64::from(share.0))
    }

    /// From now on its messages are of this share. Under the pool's lock, on a settled page.
    pub(super) fn set_share(&self, share: ShareIndex) {
        self.share.store(u64::from(share.0), Ordering::Relaxed);
    }

    /// Empties it: what stood there. Its thread only, under the pool's lock.
    pub(super) fn take(&self) -> (i64, Option<(ShareIndex, i64)>) {
        let of_share = self.of_share.load(Ordering::Relaxed);
        self.of_share.store(0, Ordering::Release);
        let of_none = self.of_none.load(Ordering::Relaxed);
        self.of_none.store(0, Ordering::Release);
        let share = u32::try_from(self.share.load(Ordering::Relaxed)).ok();
        let in_use = of_none + of_share;
        (in_use, share.map(|share| (ShareIndex(share), of_share)))
    }

    /// Unused messages that its thread keeps.
    pub(super) fn free(&self) -> usize {
        self.free.load(Ordering::Relaxed)
    }

    #[inline]
    pub(super) fn set_free(&self, free: usize) {
        self.free.store(free, Ordering::Relaxed);
    }
}
