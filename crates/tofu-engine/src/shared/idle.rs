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
    /// messages went both ways within the last 2 ms; half as long after each time in vain; and after a
    /// yield that took longer than 200 µs and left little to do, for then others need the core, not at
    /// all for 25 times as long as it took. An idle engine sleeps.
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
/// Traffic both ways that is older than this is no reason to expect more. It covers the rounds of a few
/// threads that are all busy with it and share two cores.
const LIVELY: Duration = Duration::from_millis(2);
/// A yield longer than this went to somebody who works.
const CROWDED: Duration = Duration::from_micros(200);
/// Where less than this part of such a yield is then spent on what it left to do, it was lost to others
/// who need the core, and so many times as long nobody looks: at most a 25th of the time is lost so.
/// Where it is more, it went to those who make the work.
const BARRED: u32 = 25;

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

    fn is_lively(&self, now: Instant) -> bool {
        let both_ways = self.both_ways.load(Ordering::Relaxed);
        both_ways > 0
            && now.saturating_duration_since(self.started)
                < Duration::from_nanos(both_ways).saturating_add(LIVELY)
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

    /// Whether a long yield before the work that ends now was lost to others.
    fn judge(&mut self, now: Instant) {
        let Some(Crowded { yielded, resumed }) = self.crowded.take() else {
            return;
        };
        let worked = now.saturating_duration_since(resumed);
        if worked.saturating_mul(BARRED) < yielded {
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
                if barred || due || !traffic.is_lively(now) {
                    return None;
                }
                Some(Some(now + self.budget))
            }
        }
    }

    /// The thread has slept for so long. A short sleep behind a look in vain restores what that has
    /// cost: otherwise both sides would sleep because the other does.
    pub(crate) fn slept(&mut self, time: Duration) {
        if let Some(crowded) = &mut self.crowded {
            crowded.resumed += time;
        }
        if std::mem::take(&mut self.missed) && time < WAKING {
            self.pays(FULL);
        }
    }
}

#[cfg(all(test, feature = "net"))]
mod tests {
    use super::*;

    fn lively(now: Instant) -> Traffic {
        let traffic = Traffic {
            started: now - Duration::from_secs(1),
            both_ways: AtomicU64::new(0),
        };
        traffic.tell(now);
        traffic
    }

    /// How often a spin that never finds anything has looked.
    fn looks(spinner: &mut Spinner, traffic: &Traffic, deadline: Option<Instant>) -> usize {
        let mut looks = 0;
        let found = spinner.spin(traffic, Instant::now(), deadline, || {
            looks += 1;
            false
        });
        assert!(!found);
        looks
    }

    #[test]
    fn nobody_looks_where_messages_go_one_way_or_the_deadline_has_passed() {
        let now = Instant::now();
        let mut spinner = Spinner::new(IdleStrategy::Adaptive);
        assert_eq!(looks(&mut spinner, &Traffic::default(), None), 0);
        assert_eq!(looks(&mut spinner, &lively(now - LIVELY), None), 0);
        assert_eq!(looks(&mut spinner, &lively(now), Some(now)), 0);
        assert_eq!(
            looks(&mut Spinner::new(IdleStrategy::Off), &lively(now), None),
            0
        );
    }

    #[test]
    fn what_was_in_vain_halves_the_time_and_what_paid_restores_it() {
        let traffic = lively(Instant::now() + Duration::from_secs(1000));
        let mut spinner = Spinner::new(IdleStrategy::Adaptive);
        assert!(looks(&mut spinner, &traffic, None) > 0);
        let barred = spinner.barred_until.is_some();
        assert!(barred || spinner.budget == FULL / 2, "{spinner:?}");
        (spinner.barred_until, spinner.budget) = (None, LEAST);
        assert!(looks(&mut spinner, &traffic, None) > 0);
        assert_eq!(spinner.budget, LEAST, "it does not fall to nothing");
        spinner.barred_until = None;
        assert!(spinner.spin(&traffic, Instant::now(), None, || true));
        assert_eq!(spinner.budget, FULL);
    }

    #[test]
    fn a_short_sleep_restores_only_what_looking_just_before_it_has_cost() {
        let mut spinner = Spinner::new(IdleStrategy::Adaptive);
        (spinner.budget, spinner.missed) = (LEAST, true);
        spinner.slept(WAKING);
        assert_eq!(spinner.budget, LEAST, "a long one");
        spinner.slept(Duration::from_micros(20));
        assert_eq!(spinner.budget, LEAST, "nobody had looked");
        spinner.missed = true;
        spinner.slept(Duration::from_micros(20));
        assert!(spinner.budget >= FULL);
    }

    #[test]
    fn long_waits_that_pay_again_and_again_allow_longer_ones_until_one_does_not() {
        let traffic = lively(Instant::now() + Duration::from_secs(1000));
        let mut spinner = Spinner::new(IdleStrategy::Adaptive);
        spinner.pays(FULL / 2);
        assert_eq!(spinner.budget, FULL, "it was not long");
        for _ in 0..10 {
            spinner.pays(FULL);
        }
        assert_eq!(spinner.budget, MOST);
        while spinner.budget == MOST {
            looks(&mut spinner, &traffic, None);
            spinner.barred_until = None;
        }
        assert_eq!(spinner.budget, FULL);
    }

    /// A spinner that has just had a long yield.
    fn crowded() -> Spinner {
        let traffic = lively(Instant::now() + Duration::from_secs(1000));
        let mut spinner = Spinner::new(IdleStrategy::Adaptive);
        let mut slow = || {
            let start = Instant::now();
            while start.elapsed() <= CROWDED {
                std::hint::spin_loop();
            }
            false
        };
        assert!(!spinner.spin(&traffic, Instant::now(), None, &mut slow));
        spinner
    }

    /// Whether it looks at all at `now`.
    fn looks_at(spinner: &mut Spinner, now: Instant) -> bool {
        spinner.spin(&lively(now), now, None, || true)
    }

    #[test]
    fn a_long_yield_that_left_little_to_do_bars_further_looking() {
        let mut spinner = crowded();
        let Crowded { yielded, resumed } = spinner.crowded.unwrap();
        assert!(yielded > CROWDED);
        let little = yielded / BARRED - Duration::from_nanos(1);
        assert!(!looks_at(&mut spinner, resumed + little));
        let barred = resumed + yielded * BARRED;
        assert!(!looks_at(&mut spinner, barred - Duration::from_nanos(1)));
        assert!(looks_at(&mut spinner, barred));
    }

    #[test]
    fn a_long_yield_that_left_enough_to_do_was_not_lost() {
        let mut spinner = crowded();
        let Crowded { yielded, resumed } = spinner.crowded.unwrap();
        assert!(yielded > CROWDED);
        assert!(looks_at(
            &mut spinner,
            resumed + yielded / BARRED + Duration::from_nanos(1)
        ));
    }

    #[test]
    fn sleep_behind_a_long_yield_is_no_work() {
        let mut spinner = crowded();
        let Crowded { yielded, resumed } = spinner.crowded.unwrap();
        assert!(yielded > CROWDED);
        spinner.slept(yielded);
        assert!(!looks_at(&mut spinner, resumed + yielded));
    }

    #[test]
    fn the_busy_one_looks_until_its_deadline() {
        let deadline = Instant::now() + Duration::from_millis(5);
        let mut spinner = Spinner::new(IdleStrategy::Busy);
        assert!(looks(&mut spinner, &Traffic::default(), Some(deadline)) > 0);
        assert!(Instant::now() >= deadline);
    }
}
