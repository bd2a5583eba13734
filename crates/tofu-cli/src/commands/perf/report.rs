//! The figures of `tofu perf`: tables and a histogram for people, one line of JSON for programs.

use hdrhistogram::Histogram;
use serde::Serialize;

use super::load::Measured;
use super::{Arguments, Results};
use crate::failure::Outcome;
use crate::output::Output;

/// The percentiles that are told.
const PERCENTILES: [(&str, f64); 4] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9)];

/// The longest bar of the histogram, in characters.
const BAR: u64 = 50;

const NANOSECONDS_PER_MICROSECOND: u64 = 1000;

/// Bytes in what is called MB.
const MEGABYTE: f64 = 1e6;

pub(super) fn text(arguments: &Arguments, results: &Results, output: &mut Output) -> Outcome {
    let (address, size) = (&arguments.connect.address, arguments.size);
    output.line(format_args!(
        "{address}, requests with {size} bytes of body"
    ))?;
    let latency = &results.latency;
    output.line(format_args!(
        "\nlatency, one request at a time: {}",
        extent(latency)
    ))?;
    output.line(format_args!("{}", percentiles(&latency.histogram)))?;
    for row in rows(&latency.histogram) {
        output.line(format_args!("{row}"))?;
    }
    let Some(throughput) = &results.throughput else {
        return Ok(());
    };
    let window = throughput.window;
    output.line(format_args!(
        "\nthroughput, {window} requests in flight: {}",
        extent(throughput)
    ))?;
    let rate = per_second(throughput);
    let megabytes = rate * f64::from(size) / MEGABYTE;
    output.line(format_args!(
        "  {rate:.0} requests/s, {megabytes:.1} MB/s of body sent"
    ))?;
    output.line(format_args!("{}", percentiles(&throughput.histogram)))
}

fn extent(measured: &Measured) -> String {
    let seconds = measured.elapsed.as_secs_f64();
    format!("{} requests in {seconds:.2} s", measured.count())
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn per_second(measured: &Measured) -> f64 {
    measured.count() as f64 / measured.elapsed.as_secs_f64().max(f64::MIN_POSITIVE)
}

fn percentiles(histogram: &Histogram<u64>) -> String {
    let mut line = format!("  min {}", time(histogram.min()));
    for (name, percentile) in PERCENTILES {
        line += &format!(
            "  {name} {}",
            time(histogram.value_at_percentile(percentile))
        );
    }
    line + &format!("  max {}", time(histogram.max()))
}

/// Nanoseconds for people.
fn time(nanoseconds: u64) -> String {
    let (whole, unit) = match nanoseconds {
        0..1_000_000 => (1e3, "us"),
        1_000_000..1_000_000_000 => (1e6, "ms"),
        _ => (1e9, "s"),
    };
    #[expect(clippy::cast_precision_loss, reason = "three digits are kept anyway")]
    let value = nanoseconds as f64 / whole;
    format!("{value:.1} {unit}")
}

/// The row of a latency: 0 below a microsecond, one more for each doubling of that.
fn row_of(nanoseconds: u64) -> u32 {
    u64::BITS - (nanoseconds / NANOSECONDS_PER_MICROSECOND).leading_zeros()
}

/// A row for each doubling of the latency, from the shortest to the longest.
fn rows(histogram: &Histogram<u64>) -> Vec<String> {
    let first = row_of(histogram.min());
    let last = row_of(histogram.max());
    let mut counts = vec![0; usize::try_from(last.saturating_sub(first)).unwrap_or(0) + 1];
    for value in histogram.iter_recorded() {
        let row = row_of(value.value_iterated_to()).clamp(first, last) - first;
        if let Some(count) = usize::try_from(row)
            .ok()
            .and_then(|row| counts.get_mut(row))
        {
            *count += value.count_since_last_iteration();
        }
    }
    let highest = counts.iter().copied().max().unwrap_or(0).max(1);
    let bars = counts.iter().zip(first..);
    let row = |(count, row): (&u64, u32)| {
        let below = time(NANOSECONDS_PER_MICROSECOND.saturating_mul(2_u64.saturating_pow(row)));
        let len = usize::try_from((count * BAR).div_ceil(highest)).unwrap_or(0);
        format!("  < {below:>9} |{:<50} {count}", "#".repeat(len))
    };
    bars.map(row).collect()
}

#[derive(Serialize)]
struct Line {
    address: String,
    size: u16,
    latency: Figures,
    #[serde(skip_serializing_if = "Option::is_none")]
    throughput: Option<Figures>,
}

/// Times in nanoseconds.
#[derive(Serialize)]
struct Figures {
    window: usize,
    requests: u64,
    seconds: f64,
    requests_per_second: f64,
    min: u64,
    p50: u64,
    p90: u64,
    p99: u64,
    p999: u64,
    max: u64,
}

impl From<&Measured> for Figures {
    fn from(measured: &Measured) -> Figures {
        let histogram = &measured.histogram;
        Figures {
            window: measured.window,
            requests: measured.count(),
            seconds: measured.elapsed.as_secs_f64(),
            requests_per_second: per_second(measured),
            min: histogram.min(),
            p50: histogram.value_at_percentile(50.0),
            p90: histogram.value_at_percentile(90.0),
            p99: histogram.value_at_percentile(99.0),
            p999: histogram.value_at_percentile(99.9),
            max: histogram.max(),
        }
    }
}

pub(super) fn json(arguments: &Arguments, results: &Results, output: &mut Output) -> Outcome {
    let line = Line {
        address: arguments.connect.address.to_string(),
        size: arguments.size,
        latency: Figures::from(&results.latency),
        throughput: results.throughput.as_ref().map(Figures::from),
    };
    // Strings and numbers always have a form.
    output.line(format_args!(
        "{}",
        serde_json::to_string(&line).unwrap_or_default()
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_round_trip_is_in_one_row() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in [999, 1_500, 1_999, 5_000] {
            histogram.record(value).unwrap();
        }
        let full = "#".repeat(50);
        let half = "#".repeat(25);
        assert_eq!(
            rows(&histogram),
            [
                format!("  <    1.0 us |{half:<50} 1"),
                format!("  <    2.0 us |{full:<50} 2"),
                format!("  <    4.0 us |{:<50} 0", ""),
                format!("  <    8.0 us |{half:<50} 1"),
            ]
        );
    }

    #[test]
    fn times_have_fitting_units() {
        assert_eq!(time(1_500), "1.5 us");
        assert_eq!(time(2_000_000), "2.0 ms");
        assert_eq!(time(3_000_000_000), "3.0 s");
    }
}
