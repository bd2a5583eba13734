//! Pictures of what was measured: bars, one panel for each case of a shape, as SVG.

use std::fmt::Write as _;

use super::cases::{CASES, Case, PEERS};
use super::samples::{Samples, Spread};
use super::table::number;

const NAME_WIDTH: f64 = 100.0;
const BAR_WIDTH: f64 = 440.0;
const VALUE_WIDTH: f64 = 80.0;
const BAR_HEIGHT: f64 = 18.0;
const TITLE_HEIGHT: f64 = 30.0;
const MARGIN: f64 = 12.0;

/// tofu stands out from the others.
const OWN: &str = "#b5482a";
const OTHERS: &str = "#8fa3b0";
const RANGE: &str = "#333333";

/// The picture of a shape; none where nothing was measured.
pub(super) fn draw(shape: &str, samples: &Samples) -> Option<String> {
    let mut body = String::new();
    let mut top = MARGIN;
    for case in CASES.iter().filter(|case| case.shape == shape) {
        let bars = bars(case, samples);
        if !bars.is_empty() {
            top = panel(&mut body, case, &bars, top);
        }
    }
    if body.is_empty() {
        return None;
    }
    let width = 2.0 * MARGIN + NAME_WIDTH + BAR_WIDTH + VALUE_WIDTH;
    let height = top + MARGIN;
    Some(format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" \
         font-family=\"sans-serif\" font-size=\"12\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n{body}</svg>\n"
    ))
}

/// The libraries with what they reached in the case's first measure.
fn bars(case: &Case, samples: &Samples) -> Vec<(&'static str, Spread)> {
    let measure = case.measures[0];
    let bars = PEERS.iter().filter_map(|peer| {
        let spread = samples.spread(case.name, peer.name, measure.name)?;
        Some((peer.name, spread.divided_by(measure.unit)))
    });
    bars.collect()
}

/// Draws a panel from `top` on. Returns where the next one begins.
fn panel(body: &mut String, case: &Case, bars: &[(&str, Spread)], top: f64) -> f64 {
    let title = format!("{}: {}", case.name, case.measures[0].title);
    text(
        body,
        MARGIN,
        top + BAR_HEIGHT - 5.0,
        "font-weight=\"bold\"",
        &title,
    );
    let most = bars.iter().map(|(_, spread)| spread.most);
    let scale = BAR_WIDTH / most.fold(f64::MIN_POSITIVE, f64::max);
    let mut y = top + TITLE_HEIGHT - MARGIN / 2.0;
    for (name, spread) in bars {
        bar(body, name, spread, scale, y);
        y += BAR_HEIGHT;
    }
    y + MARGIN
}

/// A bar up to the median, a line from the least to the most, and the number behind them.
fn bar(body: &mut String, name: &str, spread: &Spread, scale: f64, y: f64) {
    let left = MARGIN + NAME_WIDTH;
    let [median, least, most] =
        [spread.median, spread.least, spread.most].map(|value| left + value * scale);
    let colour = if name == "tofu" { OWN } else { OTHERS };
    let middle = y + BAR_HEIGHT / 2.0;
    let baseline = middle + 4.0;
    text(body, left - 6.0, baseline, "text-anchor=\"end\"", name);
    // Writing into a String cannot fail.
    let _ = writeln!(
        body,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{colour}\"/>",
        y + 2.0,
        (median - left).max(1.0),
        BAR_HEIGHT - 4.0,
    );
    let _ = writeln!(
        body,
        "<line x1=\"{least:.1}\" x2=\"{most:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" \
         stroke=\"{RANGE}\" stroke-width=\"1.5\"/>",
    );
    text(
        body,
        median.max(most) + 6.0,
        baseline,
        "",
        &number(spread.median),
    );
}

fn text(body: &mut String, x: f64, y: f64, attributes: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    // Writing into a String cannot fail.
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{content}</text>"
    );
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_bar_for_each_library_and_the_longest_fills_the_width() {
        let mut samples = Samples::default();
        for (peer, value) in [("tofu", 2e6), ("libzmq", 1e6), ("tofu", 4e6)] {
            let measures = BTreeMap::from([("per_s".to_owned(), value)]);
            samples.add("thr tcp 64 B", peer, Ok(measures));
        }
        let picture = draw("thr", &samples).unwrap();
        assert_eq!(picture.matches(OWN).count(), 1, "{picture}");
        assert_eq!(picture.matches(OTHERS).count(), 1, "{picture}");
        assert!(
            picture.contains("width=\"330.0\"") && picture.contains("x2=\"552.0\""),
            "{picture}"
        );
        assert!(picture.contains(">3.00<"), "{picture}");
        assert_eq!(draw("lat", &samples), None);
    }
}
