//! Markdown of what was measured: a table per shape, and what it is held to.

use std::fmt::Write as _;

use super::cases::{CASES, Case, Measure, PEERS};
use super::samples::{Samples, Spread};
use super::targets::{Row, TARGETS};

/// Everything about one shape, below its heading.
pub(super) fn describe(shape: &str, samples: &Samples) -> String {
    let mut text = values(shape, samples);
    text.push_str(&absent(shape, samples));
    text.push_str(&targets(shape, samples));
    text.push_str(&failures(shape, samples));
    text
}

fn cases<'all>(
    shape: &str,
    samples: &'all Samples,
) -> impl Iterator<Item = &'static Case> + use<'all> {
    let cases = CASES.iter().filter(|case| samples.has(case.name));
    let shape = shape.to_owned();
    cases.filter(move |case| case.shape == shape)
}

/// A row for each case and measure, a column for each library that was run.
fn values(shape: &str, samples: &Samples) -> String {
    let was_run =
        |name: &str| cases(shape, samples).any(|case| samples.runs(case.name, name).is_some());
    let names = PEERS.iter().map(|peer| peer.name);
    let peers: Vec<&str> = names.filter(|name| was_run(name)).collect();
    let mut text = format!("| | | {} |\n|---|---|", peers.join(" | "));
    text.push_str(&"---:|".repeat(peers.len()));
    text.push('\n');
    for case in cases(shape, samples) {
        for measure in case.measures {
            let cells = peers.iter().map(|peer| cell(samples, case, peer, measure));
            let cells: Vec<String> = cells.collect();
            line(&mut text, &[case.name, measure.title, &cells.join(" | ")]);
        }
    }
    text
}

/// Says which libraries that know this work were not run.
fn absent(shape: &str, samples: &Samples) -> String {
    let was_run =
        |name: &str| cases(shape, samples).any(|case| samples.runs(case.name, name).is_some());
    let could = PEERS
        .iter()
        .filter(|peer| cases(shape, samples).any(|case| case.suits(peer)));
    let names = could.map(|peer| peer.name).filter(|name| !was_run(name));
    let names: Vec<&str> = names.collect();
    match names.is_empty() {
        true => String::new(),
        false => format!("\nNot in this run: {}.\n", names.join(", ")),
    }
}

/// The median, and in brackets what it was at least and at most.
fn cell(samples: &Samples, case: &Case, peer: &str, measure: &Measure) -> String {
    match samples.spread(case.name, peer, measure.name) {
        None => "-".to_owned(),
        Some(spread) => {
            let Spread {
                median,
                least,
                most,
            } = spread.divided_by(measure.unit);
            let [median, least, most] = [median, least, most].map(number);
            format!("{median} ({least}–{most})")
        }
    }
}

fn targets(shape: &str, samples: &Samples) -> String {
    let rows = TARGETS.iter().filter_map(|target| target.judge(samples));
    let rows: Vec<Row> = rows.filter(|row| is_of(row, shape)).collect();
    if rows.is_empty() {
        return String::new();
    }
    let mut text =
        "\n| tofu's | is | must | goal | reached |\n|---|---:|---:|---:|---|\n".to_owned();
    for row in rows {
        let value = row.value.map_or_else(|| "-".to_owned(), number);
        line(
            &mut text,
            &[&row.what, &value, &row.must, &row.goal, row.verdict],
        );
    }
    text
}

fn is_of(row: &Row, shape: &str) -> bool {
    CASES
        .iter()
        .any(|case| case.shape == shape && row.what.starts_with(&format!("{}, ", case.name)))
}

fn failures(shape: &str, samples: &Samples) -> String {
    let mut text = String::new();
    for case in cases(shape, samples) {
        for peer in PEERS {
            let runs = samples.runs(case.name, peer.name);
            for failure in runs.iter().flat_map(|runs| &runs.failures) {
                // Writing into a String cannot fail.
                let _ = write!(text, "\n- {}, {}: {failure}", case.name, peer.name);
            }
        }
    }
    match text.is_empty() {
        true => text,
        false => format!("\nRuns that failed:\n{text}\n"),
    }
}

fn line(text: &mut String, cells: &[&str]) {
    text.push_str(&format!("| {} |\n", cells.join(" | ")));
}

/// Three significant digits.
pub(super) fn number(value: f64) -> String {
    let digits = match value.abs() {
        0.0..1.0 => 3,
        1.0..10.0 => 2,
        10.0..100.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$}")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_shape_in_words() {
        let mut samples = Samples::default();
        for (peer, p50) in [("tofu", 20.0), ("libzmq", 100.0), ("tofu", 22.0)] {
            let measures = BTreeMap::from([("p50_us".to_owned(), p50)]);
            samples.add("lat tcp", peer, Ok(measures));
        }
        samples.add("lat tcp", "nng", Err(anyhow::anyhow!("hung")));
        let text = describe("lat", &samples);
        assert!(
            text.starts_with("| | | tofu | libzmq | nng |\n|---|---|---:|---:|---:|\n"),
            "{text}"
        );
        assert!(
            text.contains("| lat tcp | p50, µs | 21.0 (20.0–22.0) | 100 (100–100) | - |"),
            "{text}"
        );
        assert!(
            text.contains("| lat tcp, p50_us : libzmq | 0.210 | ≤ 0.25 | ≤ 0.18 | must |"),
            "{text}"
        );
        assert!(text.contains("- lat tcp, nng: hung"), "{text}");
        assert!(
            text.contains("Not in this run: floor4, tokio, tokio-actor, message-io.")
                && text.contains("| lat tcp, p50_us : floor4 | - |  | ≤ 1.2 | not measured |"),
            "{text}"
        );
        assert_eq!(describe("thr", &samples).lines().count(), 2);
    }
}
