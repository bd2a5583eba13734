//! What a run measured: names and values, printed one per line.

use std::fmt;
use std::time::Duration;

#[derive(Debug, Default)]
pub(crate) struct Measures {
    values: Vec<(&'static str, f64)>,
}

impl Measures {
    pub(crate) fn add(&mut self, name: &'static str, value: f64) {
        self.values.push((name, value));
    }

    /// `count` in `time`, per second.
    pub(crate) fn add_rate(&mut self, name: &'static str, count: u64, time: Duration) {
        self.add(name, count as f64 / time.as_secs_f64());
    }

    /// Processor time of both processes per message.
    pub(crate) fn add_processor_time(&mut self, time: Duration, count: u64) {
        self.add("cpu_us", time.as_secs_f64() * 1e6 / count as f64);
    }

    /// Median and 99th percentile of round trips, in microseconds.
    pub(crate) fn add_trips(&mut self, mut nanoseconds: Vec<u32>) {
        nanoseconds.sort_unstable();
        for (name, part) in [("p50_us", 50), ("p99_us", 99)] {
            if let Some(value) = nanoseconds.get(nanoseconds.len() * part / 100) {
                self.add(name, f64::from(*value) / 1000.0);
            }
        }
    }
}

impl fmt::Display for Measures {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, value) in &self.values {
            writeln!(formatter, "{name} {value}")?;
        }
        Ok(())
    }
}
