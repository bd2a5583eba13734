//! The engine's budget of bytes queued for sending, over all channels.

use tofu_msg::ChannelNumber;

use crate::sync::{Alone, AtomicUsize, Mutex, Ordering};

/// Bytes posted and not wholly handed to the kernel.
///
/// Each post adds once it is admitted, so several threads may overdraw it by a message each.
#[derive(Debug)]
pub(crate) struct SendBudget {
    queued: Alone<AtomicUsize>,
    limit: usize,
    /// Channels that were refused for it; each is told when there is room again. A channel may
    /// stand here as often as it was refused since the last look, which the flag in its outbox
    /// bounds to once.
    refused: Mutex<Vec<ChannelNumber>>,
}

impl SendBudget {
    pub(crate) fn new(limit: usize) -> SendBudget {
        SendBudget {
            queued: Alone::default(),
            limit,
            refused: Mutex::default(),
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

    /// Notes a channel that was refused.
    pub(crate) fn refuse(&self, number: ChannelNumber) {
        self.refused.lock().push(number);
    }

    /// Whether a channel was refused since they were last looked at.
    pub(crate) fn has_refused(&self) -> bool {
        !self.refused.lock().is_empty()
    }

    /// The channels that were refused, if a good part of the budget is free again.
    pub(crate) fn take_refused(&self) -> Vec<ChannelNumber> {
        if self.queued.load(Ordering::Relaxed) > self.limit / 2 {
            return Vec::new();
        }
        std::mem::take(&mut *self.refused.lock())
    }

    /// Bytes queued now.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}
