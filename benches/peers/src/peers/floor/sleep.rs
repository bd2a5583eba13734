//! Looking for work for a while before sleeping: when that is worth it, and for how long.
//!
//! Four safeguards: only while there is traffic both ways; half the time after a miss, until a sleep
//! turns out to have been short; always yielding; not at all for a while when a yield shows that
//! others need the processor.

use std::thread;
use std::time::{Duration, Instant};

const LONGEST: Duration = Duration::from_micros(50);
const SHORTEST: Duration = Duration::from_micros(2);
const RECENTLY: Duration = Duration::from_micros(200);
const LONG_YIELD: Duration = Duration::from_micros(200);
const RETREAT: Duration = Duration::from_millis(100);

pub(super) struct Spinner {
    is_on: bool,
    budget: Duration,
    sent: Last,
    received: Last,
    not_before: Instant,
    /// When the last wait began that ended with sleeping.
    missed: Option<Instant>,
}

/// When something happened last. The clock is looked at before waiting only, not each time.
struct Last {
    time: Instant,
    is_new: bool,
}

impl Last {
    fn new(time: Instant) -> Last {
        Last {
            time,
            is_new: false,
        }
    }

    fn at(&mut self, now: Instant) -> Instant {
        if std::mem::take(&mut self.is_new) {
            self.time = now;
        }
        self.time
    }
}

impl Spinner {
    pub(super) fn new(is_on: bool) -> Spinner {
        let now = Instant::now();
        Spinner {
            is_on,
            budget: LONGEST,
            sent: Last::new(now),
            received: Last::new(now),
            not_before: now,
            missed: None,
        }
    }

    pub(super) fn sent(&mut self) {
        self.sent.is_new = true;
    }

    pub(super) fn received(&mut self) {
        self.received.is_new = true;
    }

    /// Waits for a while. Returns whether there is work now; if not, it is time to sleep.
    pub(super) fn wait(&mut self, mut has_work: impl FnMut() -> bool) -> bool {
        let started = Instant::now();
        let both_ways = self.sent.at(started).min(self.received.at(started));
        let is_lively = started - both_ways < RECENTLY;
        if !self.is_on || !is_lively || started < self.not_before {
            return false;
        }
        let mut now = started;
        while now - started < self.budget {
            if has_work() {
                self.budget = LONGEST;
                return true;
            }
            thread::yield_now();
            let before = std::mem::replace(&mut now, Instant::now());
            if now - before > LONG_YIELD {
                self.not_before = now + RETREAT;
                return false;
            }
        }
        self.budget = (self.budget / 2).max(SHORTEST);
        self.missed = Some(started);
        false
    }

    /// There is work, after sleeping: was it sleep for nothing?
    pub(super) fn woken(&mut self) {
        if let Some(missed) = self.missed.take() {
            if missed.elapsed() < RECENTLY {
                self.budget = LONGEST;
            }
        }
    }
}
