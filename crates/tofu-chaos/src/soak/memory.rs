//! How a process's memory develops: samples, and the slope that is the median of all slopes between
//! two of them, which a few outliers do not move.

use std::time::{Duration, Instant};

/// At most so many samples are kept; then every second one goes.
const MOST: usize = 512;

/// The part of the run in which memory may still grow: pools fill, the fleet gets to know its faults.
const WARM_UP: f64 = 0.25;

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

    /// MiB in ten minutes, once it is warm.
    pub(super) fn slope(&self) -> f64 {
        let end = self.samples.last().map_or(0.0, |(time, _)| *time);
        let warm: Vec<_> = self
            .samples
            .iter()
            .filter(|(time, _)| *time >= end * WARM_UP)
            .collect();
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
}
