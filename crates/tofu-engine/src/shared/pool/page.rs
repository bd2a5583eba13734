//! A thread's page: what it has taken out of a pool and given back since it last settled.
//!
//! Written by its one thread without a lock, read by whoever holds the pool's lock. So the hot path
//! touches no memory that other threads write, and the counts are exact all the same, but for what the
//! thread does while they are read.

use crate::shared::pool::ShareIndex;
use crate::sync::{AtomicI64, AtomicU64, AtomicUsize, Ordering};

/// Less than this stands on a page, either way: nobody need look at it to tell that there is room.
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

    /// One message was taken. False, and nothing is changed, where the page must be settled first. Its
    /// thread only.
    #[inline]
    pub(super) fn take_one(&self) -> bool {
        let count = self.of_none.load(Ordering::Relaxed) + 1;
        let has_room = count < SETTLED_AT;
        if has_room {
            self.of_none.store(count, Ordering::Release);
        }
        has_room
    }

    /// One message was given back. False, and nothing is changed, where the page must be settled first,
    /// for it is nearly full or of another share. Its thread only.
    #[inline]
    pub(super) fn give_one(&self, share: Option<ShareIndex>) -> bool {
        let (counter, is_its_own) = match share {
            Some(share) => {
                let own = self.share.load(Ordering::Relaxed);
                (&self.of_share, own == u64::from(share.0))
            }
            None => (&self.of_none, true),
        };
        let count = counter.load(Ordering::Relaxed) - 1;
        let has_room = is_its_own && count > -SETTLED_AT;
        if has_room {
            counter.store(count, Ordering::Release);
        }
        has_room
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
