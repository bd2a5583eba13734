//! A moment by which something must have ended.
//!
//! Every step gets one and hands it to all that it starts, so a step of several commands has one
//! limit for all of them together. It only tells the time; `process` acts on it.

use std::time::{Duration, Instant};

/// A moment by which something must have ended.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(Instant);

impl Deadline {
    /// The moment `limit` from now.
    pub(crate) fn after(limit: Duration) -> Deadline {
        Deadline(Instant::now() + limit)
    }

    /// The sooner one of this and `limit` from now.
    pub(crate) fn within(self, limit: Duration) -> Deadline {
        Deadline(self.0.min(Instant::now() + limit))
    }

    /// How long it is until then; zero once it has passed.
    pub(crate) fn remaining(self) -> Duration {
        self.0.saturating_duration_since(Instant::now())
    }

    pub(crate) fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn within_never_extends() {
        let near = Deadline::after(Duration::ZERO);
        assert!(near.has_passed());
        assert!(near.within(Duration::from_secs(60)).has_passed());
        let far = Deadline::after(Duration::from_secs(60));
        assert!(!far.has_passed());
        assert!(far.within(Duration::ZERO).has_passed());
    }
}
