//! How a process's memory develops: samples, and the slope that is the median of all slopes between
//! the least of a while and that of a later one, which neither bursts nor outliers move.

use std::time::{Duration, Instant};

/// At most so many samples are kept; then every second one goes.
const MOST: usize = 8192;

/// The part of the run in which memory may still grow: pools fill, the fleet gets to know its faults.
const WARM_UP: f64 = 0.25;

/// So many times the least of a while is looked at.
const WINDOWS: usize = 12;

/// Memory over time.
#[derive(Debug)]
pub(super) struct Memory {
    start: Instant,
    samples: Vec<(f64, f64)>,
    next: Instant,
    every: Duration,
}

impl Memory {
    pub(super) fn new() -> Memory {
        let start = Instant::now();
        Memory {
            start,
            samples: Vec::new(),
            next: start,
            every: Duration::from_millis(250),
        }
    }

    /// Notes what `read` finds, when it is time.
    pub(super) fn sample(&mut self, read: impl FnOnce() -> Option<u64>) {
        let now = Instant::now();
        if now < self.next {
            return;
        }
        self.next = now + self.every;
        if let Some(bytes) = read() {
            let minutes = (now - self.start).as_secs_f64() / 60.0;
            self.samples.push((minutes, mebibytes(bytes)));
        }
        if self.samples.len() >= MOST {
            let mut place = 0;
            self.samples.retain(|_| {
                place += 1;
                place % 2 == 0
            });
            self.every *= 2;
        }
    }

    /// The first sample, the last and the largest.
    pub(super) fn figures(&self) -> (f64, f64, f64) {
        let sizes = self.samples.iter().map(|(_, size)| *size);
        let first = self.samples.first().map_or(0.0, |(_, size)| *size);
        let last = self.samples.last().map_or(0.0, |(_, size)| *size);
        (first, last, sizes.fold(0.0, f64::max))
    }

    /// The least of each while, once it is warm. What a burst takes is given back, what leaks is not: it
    /// raises even the least.
    fn leasts(&self) -> Vec<(f64, f64)> {
        let end = self.samples.last().map_or(0.0, |(time, _)| *time);
        let samples = self.samples.iter().copied();
        let warm: Vec<_> = samples.filter(|(time, _)| *time >= end * WARM_UP).collect();
        let of_window = warm.len().div_ceil(WINDOWS).max(1);
        let least = |window: &[(f64, f64)]| {
            let least = window.iter().copied();
            least.min_by(|one, other| one.1.total_cmp(&other.1))
        };
        warm.chunks(of_window).filter_map(least).collect()
    }

    /// The same in words.
    pub(super) fn describe_leasts(&self) -> String {
        let sizes = self.leasts();
        let sizes = sizes.iter().map(|(_, size)| format!("{size:.1}"));
        sizes.collect::<Vec<_>>().join(" ")
    }

    /// MiB in ten minutes.
    pub(super) fn slope(&self) -> f64 {
        let warm = self.leasts();
        let mut slopes = Vec::new();
        for (index, (time, size)) in warm.iter().enumerate() {
            for (later, larger) in &warm[index + 1..] {
                if later > time {
                    slopes.push((larger - size) / (later - time) * 10.0);
                }
            }
        }
        slopes.sort_by(f64::total_cmp);
        slopes.get(slopes.len() / 2).copied().unwrap_or_default()
    }
}

fn mebibytes(bytes: u64) -> f64 {
    f64::from(u32::try_from(bytes / 1024).unwrap_or(u32::MAX)) / 1024.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slope_is_that_of_the_many() {
        let mut memory = Memory::new();
        memory.samples = (0..100)
            .map(|minute| f64::from(minute) / 10.0)
            .map(|minute| (minute, 20.0 + minute * 0.3))
            .collect();
        memory.samples[60].1 = 500.0;
        memory.samples[10].1 = 0.0;
        assert!((memory.slope() - 3.0).abs() < 0.1, "{}", memory.slope());
        assert_eq!(memory.figures().2, 500.0);
        memory.samples.clear();
        assert_eq!(memory.slope(), 0.0);
    }

    #[test]
    fn bursts_that_grow_are_no_leak_and_a_leak_beneath_them_is_one() {
        let mut memory = Memory::new();
        let bursts = |leak: f64| {
            let minutes = (0..200).map(|at| f64::from(at) / 10.0);
            minutes
                .map(|minute| (minute, 5.0 + minute * leak + minute * (minute * 10.0 % 5.0)))
                .collect()
        };
        memory.samples = bursts(0.0);
        assert!(memory.slope().abs() < 0.1, "{}", memory.slope());
        memory.samples = bursts(0.2);
        assert!((memory.slope() - 2.0).abs() < 0.2, "{}", memory.slope());
    }
}
