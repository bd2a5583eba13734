//! `ConnectorOptions`: how long a connector pauses, and when it gives up. The pauses' randomness has
//! its state here too, so that a seed repeats a run.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

/// The pauses and limits of a [`Connector`](super::Connector).
///
/// The pause before an attempt doubles with each failure, from `first_delay` up to `longest_delay`,
/// and is drawn between the half and the whole of that, so that many clients which lost one server
/// do not come back at the same moment.
///
/// `Duration::MAX` and `u32::MAX` switch a limit off.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct ConnectorOptions {
    /// The pause after the first failure. Default 100 ms.
    pub first_delay: Duration,
    /// What the pauses do not grow beyond. Default 10 s.
    pub longest_delay: Duration,
    /// From a HelloRequest being posted to the peer's answer. When it passes, the attempt's channel
    /// is closed and the attempt has failed. Default 30 s.
    pub attempt_timeout: Duration,
    /// How long a connection must last for the failures before it to be forgotten. One that ends
    /// earlier counts as a failure, or a server that accepts and closes at once would be connected
    /// to without pause or end. Default 1 s.
    pub stable_after: Duration,
    /// How many failures without a lasting connection in between make the connector give up. Default
    /// off; 0 is taken as 1.
    pub attempts: u32,
    /// How long the connector tries without a lasting connection before it gives up. Default off.
    pub give_up_after: Duration,
    seed: u64,
    /// The generator's state.
    random: u64,
}

impl Default for ConnectorOptions {
    fn default() -> ConnectorOptions {
        let seed = RandomState::new().build_hasher().finish();
        ConnectorOptions {
            first_delay: Duration::from_millis(100),
            longest_delay: Duration::from_secs(10),
            attempt_timeout: Duration::from_secs(30),
            stable_after: Duration::from_secs(1),
            attempts: u32::MAX,
            give_up_after: Duration::MAX,
            seed,
            random: seed,
        }
    }
}

impl ConnectorOptions {
    /// Sets [`first_delay`](Self#structfield.first_delay).
    #[must_use]
    pub fn first_delay(mut self, value: Duration) -> ConnectorOptions {
        self.first_delay = value;
        self
    }

    /// Sets [`longest_delay`](Self#structfield.longest_delay).
    #[must_use]
    pub fn longest_delay(mut self, value: Duration) -> ConnectorOptions {
        self.longest_delay = value;
        self
    }

    /// Sets [`attempt_timeout`](Self#structfield.attempt_timeout).
    #[must_use]
    pub fn attempt_timeout(mut self, value: Duration) -> ConnectorOptions {
        self.attempt_timeout = value;
        self
    }

    /// Sets [`stable_after`](Self#structfield.stable_after).
    #[must_use]
    pub fn stable_after(mut self, value: Duration) -> ConnectorOptions {
        self.stable_after = value;
        self
    }

    /// Sets [`attempts`](Self#structfield.attempts).
    #[must_use]
    pub fn attempts(mut self, value: u32) -> ConnectorOptions {
        self.attempts = value;
        self
    }

    /// Sets [`give_up_after`](Self#structfield.give_up_after).
    #[must_use]
    pub fn give_up_after(mut self, value: Duration) -> ConnectorOptions {
        self.give_up_after = value;
        self
    }

    /// Fixes the seed of the pauses, which is a random one otherwise.
    #[must_use]
    pub fn seed(mut self, value: u64) -> ConnectorOptions {
        self.seed = value;
        self.random = value;
        self
    }

    /// The seed: with it, the pauses are the same again.
    #[must_use]
    pub fn seed_in_use(&self) -> u64 {
        self.seed
    }

    /// The pause after so many failures.
    pub(super) fn delay(&mut self, failures: u32) -> Duration {
        let doublings = failures.saturating_sub(1).min(31);
        let whole = self
            .first_delay
            .saturating_mul(1 << doublings)
            .min(self.longest_delay);
        let half = whole / 2;
        let parts = self.next_random() >> 32;
        half + mul_fraction(whole - half, parts)
    }

    /// SplitMix64: small, and even for consecutive seeds well spread.
    fn next_random(&mut self) -> u64 {
        self.random = self.random.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.random;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
}

/// `duration * parts / 2^32`; `parts` is below 2^32.
fn mul_fraction(duration: Duration, parts: u64) -> Duration {
    let nanos = (duration.as_nanos() * u128::from(parts)) >> 32;
    Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
}
