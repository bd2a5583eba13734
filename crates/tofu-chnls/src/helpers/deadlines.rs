//! Deadlines in their order, and how long a receive loop may wait for the next of several. Used by
//! every helper that has deadlines; the time is always an argument.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// How long to wait from `now` on: up to the earliest of `deadlines`, for ever (`Duration::MAX`)
/// where there is none, not at all where one has passed.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tofu_chnls::helpers::time_to_next;
///
/// let now = Instant::now();
/// let second = Duration::from_secs(1);
/// assert_eq!(time_to_next(now, [None, Some(now + 2 * second), Some(now + second)]), second);
/// assert_eq!(time_to_next(now, []), Duration::MAX);
/// ```
pub fn time_to_next(
    now: Instant,
    deadlines: impl IntoIterator<Item = Option<Instant>>,
) -> Duration {
    let earliest = deadlines.into_iter().flatten().min();
    earliest.map_or(Duration::MAX, |at| at.saturating_duration_since(now))
}

/// `now + duration`, or as good as never where that is out of range.
pub(super) fn after(now: Instant, duration: Duration) -> Instant {
    const YEARS: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
    now.checked_add(duration).unwrap_or_else(|| now + YEARS)
}

/// What is due when; a key may be there with several times.
#[derive(Debug)]
pub(super) struct Deadlines<K> {
    due: BTreeSet<(Instant, K)>,
}

impl<K: Ord> Deadlines<K> {
    pub(super) fn new() -> Deadlines<K> {
        Deadlines {
            due: BTreeSet::new(),
        }
    }

    pub(super) fn insert(&mut self, at: Instant, key: K) {
        self.due.insert((at, key));
    }

    pub(super) fn remove(&mut self, at: Instant, key: K) {
        self.due.remove(&(at, key));
    }

    /// When the next one is due.
    pub(super) fn next(&self) -> Option<Instant> {
        self.due.first().map(|(at, _)| *at)
    }

    /// Takes out one that is due.
    pub(super) fn pop_due(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        self.due.pop_first().map(|(_, key)| key)
    }
}
