//! The engine's budget of bytes queued for sending, over all channels.

use tofu_msg::ChannelNumber;

use crate::options::Options;
use crate::sync::{Alone, AtomicUsize, Mutex, Ordering};

/// What a channel draws ahead, at most.
const AHEAD: usize = 16 * 1024;

/// A budget below this is kept to the byte: nothing is drawn ahead.
const EXACT_BELOW: usize = 16 * 1024 * 1024;

/// Bytes posted and not wholly handed to the kernel, and what channels that have some queued have
/// drawn ahead: so a post does not write what all threads share.
///
/// Each post draws once it is admitted, so several threads may overdraw it by a message each.
#[derive(Debug)]
pub(crate) struct SendBudget {
    queued: Alone<AtomicUsize>,
    limit: usize,
    /// What a channel may draw ahead; nothing where the budget is small.
    ahead: usize,
    /// Channels that were refused for it; each is told when there is room again. A channel may
    /// stand here as often as it was refused since the last look, which the flag in its outbox
    /// bounds to once.
    refused: Mutex<Vec<ChannelNumber>>,
}

impl SendBudget {
    pub(crate) fn new(options: &Options) -> SendBudget {
        let limit = options.send_budget;
        let ahead = match limit {
            ..EXACT_BELOW => 0,
            _ => (limit / 4096).min(AHEAD),
        };
        #[cfg(feature = "marks")]
        let ahead = options.send_budget_ahead.unwrap_or(ahead);
        SendBudget {
            queued: Alone::default(),
            limit,
            ahead,
            refused: Mutex::default(),
        }
    }

    /// Whether `bytes` more would be too much.
    #[inline]
    pub(crate) fn is_full(&self, bytes: usize) -> bool {
        self.queued.load(Ordering::Relaxed).saturating_add(bytes) > self.limit
    }

    /// Draws for a post of so many bytes and, for those that follow, what a channel with so much in
    /// its queue may draw ahead. Returns that part.
    pub(crate) fn draw(&self, bytes: usize, queued: usize) -> usize {
        let ahead = self.ahead(queued);
        self.queued.fetch_add(bytes + ahead, Ordering::Relaxed);
        ahead
    }

    /// What a channel with so much in its queue may hold on top: little beside the whole budget and
    /// beside what is queued, so that many channels with a little each do not use the budget up.
    #[inline]
    pub(crate) fn ahead(&self, queued: usize) -> usize {
        self.ahead.min(queued / 4)
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

    /// Bytes queued or drawn ahead now.
    pub(crate) fn queued(&self) -> usize {
        self.queued.load(Ordering::Relaxed)
    }
}
