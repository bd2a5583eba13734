//! Waiting for what comes soon without falling asleep: the idle strategy of both sides.
//!
//! The reactor's thread waits so for events, a receiving thread for deliveries. To wake a thread
//! that sleeps on another core takes several times as long as a round trip over loopback takes
//! otherwise; who yields its core in a loop instead notices within a microsecond. Four safeguards
//! keep that from costing others: see [`IdleStrategy::Adaptive`].

use std::time::{Duration, Instant};

#[cfg(feature = "net")]
use crate::shared::stats::{Counter, Counters};
use crate::sync::{AtomicU64, Ordering};

/// How the engine's thread and `wait_receive` wait when nothing is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum IdleStrategy {
    /// Looks for up to 50 µs before it sleeps, where waits of such a length have paid several times in
    /// a row for up to 200 µs, and between two looks yields its core to whoever can use it. Only while
    /// messages went both ways within the last 200 µs, or 2 ms where busy threads share the core; half as
    /// long after each time in vain; and after a yield that took longer than 200 µs and left little to do,
    /// for then others need the core, not at all for 25 times as long as it took. An idle engine sleeps.
    #[default]
    Adaptive,
    /// Sleeps at once: the least processor time when messages come now and then.
    Off,
    /// Never sleeps: both threads take all the time that nobody else wants. For a machine with a
    /// core to spare for each of them.
    Busy,
}

/// How long a thread looks before it sleeps.
const FULL: Duration = Duration::from_micros(50);
/// The same at most, where it has had to look for long and it has paid.
const MOST: Duration = Duration::from_micros(200);
/// What is left of that after many times in vain.
const LEAST: Duration = Duration::from_micros(3);
/// A sleep shorter than this was mostly the waking of both sides: without it looking would have paid.
const WAKING: Duration = Duration::from_micros(120);
/// Traffic both ways that is older than this is no reason to expect more.
const LIVELY: Duration = Duration::from_micros(200);
/// The same where busy threads share the core: as long as a few of them take to come round.
const LIVELY_SHARED: Duration = Duration::from_millis(2);
/// A yield longer than this went to somebody who works.
const CROWDED: Duration = Duration::from_micros(200);
/// Where what such a yield left to do takes this part of it or more, it went to those who make the work.
/// Else it was lost to others who need the core.
const WORTH: u32 = 10;
/// So many times as long as a lost one nobody looks: at most a 25th of the time is lost so.
const BARRED: u32 = 25;
/// For so long after a yield that was not lost the core counts as shared.
const SHARED: Duration = Duration::from_millis(20);

/// When messages last went both ways. Told by the reactor's thread; nobody else has one, so an
/// engine that its owner drives never spins.
#[derive(Debug)]
pub(crate) struct Traffic {
    started: Instant,
    /// Nanoseconds from the start until the earlier of the last sending and the last receiving; 0
    /// when there was not both.
    both_ways: AtomicU64,
}

impl Default for Traffic {
    fn default() -> Traffic {
        Traffic {
            started: Instant::now(),
            both_ways: AtomicU64::new(0),
        }
    }
}

impl Traffic {
    /// Messages have last gone both ways at `at`.
    #[cfg(feature = "net")]
    pub(crate) fn tell(&self, at: Instant) {
        let nanos = at.saturating_duration_since(self.started).as_nanos();
        let nanos = u64::try_from(nanos).unwrap_or(u64::MAX);
        self.both_ways.store(nanos, Ordering::Relaxed);
    }

    fn is_lively(&self, now: Instant, within: Duration) -> bool {
        let both_ways = self.both_ways.load(Ordering::Relaxed);
        both_ways > 0
            && now.saturating_duration_since(self.started)
                < Duration::from_nanos(both_ways).saturating_add(within)
    }
}

/// The eye of the reactor's thread on what goes out and comes in.
#[cfg(feature = "net")]
#[derive(Debug, Default)]
pub(crate) struct Watch {
    sent: Seen,
    received: Seen,
}

/// A count as it was when it was last looked at, and when it was last seen to have grown.
#[cfg(feature = "net")]
#[derive(Debug, Default)]
struct Seen {
    count: u64,
    grown: Option<Instant>,
}

#[cfg(feature = "net")]
impl Watch {
    /// Looks at the counters behind a turn.
    pub(crate) fn look(&mut self, counters: &Counters, traffic: &Traffic, now: Instant) {
        let moved = self.sent.look(&counters.bytes_sent, now)
            | self.received.look(&counters.bytes_received, now);
        if let (true, Some(sent), Some(received)) = (moved, self.sent.grown, self.received.grown) {
            traffic.tell(sent.min(received));
        }
    }
}

#[cfg(feature = "net")]
impl Seen {
    fn look(&mut self, counter: &Counter, now: Instant) -> bool {
        let count = counter.value();
        let grown = count != self.count;
        if grown {
            (self.count, self.grown) = (count, Some(now));
        }
        grown
    }
}

/// One thread's experience with looking before it sleeps.
#[derive(Debug)]
pub(crate) struct Spinner {
    strategy: IdleStrategy,
    budget: Duration,
    barred_until: Option<Instant>,
    crowded: Option<Crowded>,
    /// Busy threads have shared the core until a while before.
    shared_until: Option<Instant>,
    /// It has just looked in vain.
    missed: bool,
}

/// A yield that went to somebody who works. Whether it was lost shows at the next wait.
#[derive(Debug, Clone, Copy)]
struct Crowded {
    yielded: Duration,
    /// When this thread went on to work.
    resumed: Instant,
}

impl Spinner {
    pub(crate) fn new(strategy: IdleStrategy) -> Spinner {
        Spinner {
            strategy,
            budget: FULL,
            barred_until: None,
            crowded: None,
            shared_until: None,
            missed: false,
        }
    }

    /// Looks again and again, as long as it is likely to pay, at most until `deadline`. Returns whether
    /// `is_ready` was true at last.
    pub(crate) fn spin(
        &mut self,
        traffic: &Traffic,
        now: Instant,
        deadline: Option<Instant>,
        mut is_ready: impl FnMut() -> bool,
    ) -> bool {
        self.judge(now);
        let Some(end) = self.end(traffic, now, deadline) else {
            return false;
        };
        let mut before = now;
        while !is_ready() {
            std::thread::yield_now();
            let looked = Instant::now();
            let yielded = looked.duration_since(before);
            if self.strategy == IdleStrategy::Adaptive && yielded > CROWDED {
                self.crowded = Some(Crowded {
                    yielded,
                    resumed: looked,
                });
                return is_ready();
            }
            if end.is_some_and(|end| looked >= end) {
                self.budget = (self.budget / 2).clamp(LEAST, FULL);
                self.missed = true;
                return is_ready();
            }
            before = looked;
        }
        self.pays(before.duration_since(now));
        true
    }

    /// Judges a long yield before the work that ends now, if there was one.
    fn judge(&mut self, now: Instant) {
        let Some(Crowded { yielded, resumed }) = self.crowded.take() else {
            return;
        };
        let worked = now.saturating_duration_since(resumed);
        if worked.saturating_mul(WORTH) >= yielded {
            self.shared_until = now.checked_add(SHARED);
        } else {
            self.barred_until = resumed.checked_add(yielded.saturating_mul(BARRED));
        }
    }

    /// Looking for so long was right, or would have been.
    fn pays(&mut self, waited: Duration) {
        self.budget = self.budget.max(FULL);
        if waited > FULL / 2 {
            self.budget = (self.budget * 3 / 2).min(MOST);
        }
    }

    /// When to give up; the outer `None` forbids to begin, the inner one never to.
    fn end(
        &mut self,
        traffic: &Traffic,
        now: Instant,
        deadline: Option<Instant>,
    ) -> Option<Option<Instant>> {
        match self.strategy {
            IdleStrategy::Off => None,
            IdleStrategy::Busy => Some(deadline),
            IdleStrategy::Adaptive => {
                let barred = self.barred_until.is_some_and(|until| now < until);
                let due = deadline.is_some_and(|deadline| deadline <= now);
                let is_shared = self.shared_until.is_some_and(|until| now < until);
                let within = if is_shared { LIVELY_SHARED } else { LIVELY };
                if barred || due || !traffic.is_lively(now, within) {
                    return None;
                }
                Some(Some(now + self.budget))
            }
        }
    }

    /// The thread has slept for so long. A short sleep behind a look in vain restores what that has
    /// cost: otherwise both sides would sleep because the other does.
    pub(crate) fn slept(&mut self, time: Duration) {
        // Behind a long yield that left nothing to do at once, a short sleep does not count as work, and a long
        // one shows that the yield was lost.
        match &mut self.crowded {
            Some(crowded) if time < WAKING => crowded.resumed += time,
            Some(crowded) => {
                let lost = crowded.resumed;
                self.judge(lost);
            }
            None => {}
        }
        if std::mem::take(&mut self.missed) && time < WAKING {
            self.pays(FULL);
        }
    }
}

#[cfg(all(test, feature = "net"))]
mod tests;
