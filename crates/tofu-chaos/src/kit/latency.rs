//! Round trips of a channel that has nothing to do with the fault: how long they take before it
//! and while it lasts.
//!
//! A machine with other work has outliers of its own, and they come in bursts. So each period is cut
//! into short windows, and the figure is the lower quartile of the windows' 99th percentiles: what
//! the fault itself costs shows in every window.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tofu::prelude::ChannelNumber;

use super::milliseconds;
use super::side::Side;

/// Length of a window.
const WINDOW: Duration = Duration::from_millis(100);

/// Time between two round trips.
const PAUSE: Duration = Duration::from_micros(200);

/// Below this the scheduler decides, not the engine.
const FLOOR: Duration = Duration::from_micros(500);

/// What a p99 may become while the fault lasts.
pub(crate) const DEMANDED: &str = "p99 <= 2x (or 0.5 ms)";

/// The same beside another demand.
pub(crate) const STOPPED: &str = "0 lost, others' p99 <= 2x (or 0.5 ms)";

/// The 99th percentile.
pub(crate) fn p99(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    let place = times.len() * 99 / 100;
    times.get(place).copied().unwrap_or_default()
}

/// Measures for as long; the lower quartile of the windows' p99.
pub(crate) fn measure(
    side: &mut Side,
    channel: ChannelNumber,
    length: Duration,
) -> Result<Duration> {
    let end = Instant::now() + length;
    let mut windows = Vec::new();
    while Instant::now() < end {
        let end = Instant::now() + WINDOW;
        let mut times = Vec::new();
        while Instant::now() < end {
            times.push(side.round_trip(channel)?);
            thread::sleep(PAUSE);
        }
        windows.push(p99(&mut times));
    }
    ensure!(!windows.is_empty(), "nothing was measured");
    windows.sort_unstable();
    Ok(windows[windows.len() / 4])
}

/// Two measurements compared: whether the second is good enough, and both in words.
pub(crate) fn compare(before: Duration, during: Duration) -> (bool, String) {
    let text = format!(
        "p99 {} before, {} during",
        milliseconds(before),
        milliseconds(during)
    );
    (during <= (before * 2).max(FLOOR), text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_percentile_and_the_comparison() {
        let mut times: Vec<_> = (0..200).rev().map(Duration::from_millis).collect();
        assert_eq!(p99(&mut times), Duration::from_millis(198));
        assert_eq!(p99(&mut []), Duration::ZERO);
        let ms = Duration::from_millis;
        assert!(compare(ms(1), ms(2)).0);
        assert!(!compare(ms(1), ms(3)).0);
        assert!(compare(Duration::from_micros(100), Duration::from_micros(400)).0);
    }
}
