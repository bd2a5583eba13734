//! The engine's budget of bytes queued for sending, over all channels.

use crate::sync::{AtomicUsize, Ordering};

/// Bytes posted and not wholly handed to the kernel.
///
/// Each post adds once it is admitted, so several threads may overdraw it by a message each.
#[derive(Debug)]
pub(crate) struct SendBudget {
    queued: AtomicUsize,
    limit: usize,
}

impl SendBudget {
    pub(crate) fn new(limit: usize) -> SendBudget {
        SendBudget {
            queued: AtomicUsize::new(0),
            limit,
        }
    }

    /// Whether `bytes` more would be too much.
    pub(crate) fn is_full(&self, bytes: usize) -> bool {
        self.queued.load(Ordering::Relaxed).saturating_add(bytes) > self.limit
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.queued.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn release(&self, bytes: usize) {
        let before = self.queued.fetch_sub(bytes, Ordering::Relaxed);
        debug_assert!(before >= bytes, "{bytes} released of {before}");
    }

    /// Bytes queued now.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}
