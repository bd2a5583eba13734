//! Time as the core knows it: a reading that is passed in, never taken.
//!
//! The driver measures from the engine's start, the simulator from zero; the core only compares
//! and adds. All sums saturate, so that a limit of `Duration::MAX` means "never".

use std::time::Duration;

/// A moment, as nanoseconds since the engine's start (or the simulation's).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Time(u64);

impl Time {
    /// The moment the engine started.
    pub const START: Time = Time(0);
    /// A moment that never comes.
    pub const NEVER: Time = Time(u64::MAX);

    /// The moment `elapsed` after the start; saturates at [`Time::NEVER`].
    #[must_use]
    pub fn from_start(elapsed: Duration) -> Time {
        Time(u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX))
    }

    /// This moment plus `duration`; saturates at [`Time::NEVER`].
    #[must_use]
    pub fn after(self, duration: Duration) -> Time {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        Time(self.0.saturating_add(nanos))
    }

    /// How long from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Time) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_saturate() {
        assert_eq!(Time::START.after(Duration::MAX), Time::NEVER);
        assert_eq!(Time::NEVER.after(Duration::from_secs(1)), Time::NEVER);
        assert_eq!(Time::START.since(Time::NEVER), Duration::ZERO);
        let second = Time::from_start(Duration::from_secs(1));
        assert_eq!(second.since(Time::START), Duration::from_secs(1));
    }
}
