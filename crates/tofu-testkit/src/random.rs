//! Randomness that a failed test can repeat: the seed is printed, and taken from the environment
//! when a run shall be repeated. Never for secrets.

use std::collections::hash_map::RandomState;
use std::env;
use std::hash::{BuildHasher, Hasher};

/// The environment variable that fixes the seed.
const SEED_VARIABLE: &str = "TOFU_SEED";

/// The seed for a test's randomness: the number in `TOFU_SEED`, decimal or `0x` hexadecimal, or a
/// fresh one. It is printed as `TOFU_SEED=...`, which the test runner shows with a failure.
///
/// # Panics
///
/// If `TOFU_SEED` is set and is no such number, because a run with another seed repeats nothing.
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a wrong seed must fail the test instead of being ignored"
)]
pub fn seed() -> u64 {
    let seed = match env::var_os(SEED_VARIABLE) {
        None => RandomState::new().build_hasher().finish(),
        Some(text) => match text.to_str().and_then(parse_seed) {
            Some(seed) => seed,
            None => panic!("{SEED_VARIABLE} is not a number of 64 bits: {text:?}"),
        },
    };
    println!("{SEED_VARIABLE}={seed}");
    seed
}

fn parse_seed(text: &str) -> Option<u64> {
    match text.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None => text.parse().ok(),
    }
}

/// A small generator (SplitMix64) that gives the same numbers for the same seed, everywhere.
///
/// ```
/// use tofu_testkit::Random;
/// let mut random = Random::new(tofu_testkit::seed());
/// assert!(random.below(6) < 6);
/// ```
#[derive(Debug, Clone)]
pub struct Random {
    state: u64,
}

impl Random {
    /// The generator of a seed; any is as good as another.
    pub const fn new(seed: u64) -> Random {
        Random { state: seed }
    }

    /// The next number, any of 64 bits.
    pub fn next_u64(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ (self.state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`; 0 if `bound` is 0. The bias is below `bound` in 2^64.
    pub fn below(&mut self, bound: u64) -> u64 {
        self.next_u64().checked_rem(bound).unwrap_or(0)
    }

    /// `len` bytes.
    pub fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next_u64().to_be_bytes()[0]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seeds_are_decimal_or_hexadecimal() {
        assert_eq!(parse_seed("18446744073709551615"), Some(u64::MAX));
        assert_eq!(parse_seed("0xff"), Some(255));
        for wrong in ["", "ff", "0x", "-1", " 1", "18446744073709551616"] {
            assert_eq!(parse_seed(wrong), None, "{wrong:?}");
        }
    }

    /// The first numbers of the published generator for seed 1234567.
    #[test]
    fn the_generator_is_splitmix64() {
        let mut random = Random::new(1_234_567);
        assert_eq!(random.next_u64(), 6_457_827_717_110_365_317);
        assert_eq!(random.next_u64(), 3_203_168_211_198_807_973);
        assert_eq!(random.next_u64(), 9_817_491_932_198_370_423);
    }

    #[test]
    fn numbers_stay_below_the_bound() {
        let mut random = Random::new(seed());
        assert!((0..10_000).all(|_| random.below(3) < 3));
        assert_eq!(random.below(0), 0);
        assert_eq!(random.bytes(17).len(), 17);
    }
}
