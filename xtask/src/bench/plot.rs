//! Pictures of what was measured: bars, one panel for each case of a shape, as SVG.
//!
//! Made by `record`; the README shows some of them, so their names stay. They bring their own paper
//! along and know of dark surroundings: no reader has to find black on black.

use std::fmt::Write as _;

use super::cases::{CASES, Case, PEERS};
use super::samples::{Samples, Spread};
use super::table::number;

/// Panels beside each other.
const COLUMNS: usize = 2;

const NAME_WIDTH: f64 = 84.0;
const BAR_WIDTH: f64 = 250.0;
const VALUE_WIDTH: f64 = 60.0;
const PANEL_WIDTH: f64 = NAME_WIDTH + BAR_WIDTH + VALUE_WIDTH;
const BAR_HEIGHT: f64 = 18.0;
const TITLE_HEIGHT: f64 = 24.0;
const MARGIN: f64 = 14.0;

/// tofu stands out from the others.
const STYLE: &str = "\
<style>
.paper { fill: #ffffff } text { fill: #1f2328 } .range { stroke: #1f2328; stroke-width: 1.5 }
.title { font-weight: bold } .name { text-anchor: end } .tofu { fill: #c2502e } .other { fill: #9db1be }
@media (prefers-color-scheme: dark) {
.paper { fill: #0d1117 } text { fill: #e6edf3 } .range { stroke: #e6edf3 }
.tofu { fill: #e0683f } .other { fill: #4d6273 }
}
</style>
";

/// The picture of a shape; none where nothing was measured.
pub(super) fn draw(shape: &str, samples: &Samples) -> Option<String> {
    let cases = CASES.iter().filter(|case| case.shape == shape);
    let panels = cases.map(|case| (case, bars(case, samples)));
    let panels: Vec<_> = panels.filter(|(_, bars)| !bars.is_empty()).collect();
    let mut body = String::new();
    let mut top = MARGIN;
    for row in panels.chunks(COLUMNS) {
        let mut left = MARGIN;
        let mut bottom = top;
        for (case, bars) in row {
            bottom = panel(&mut body, case, bars, left, top).max(bottom);
            left += PANEL_WIDTH + MARGIN;
        }
        top = bottom + MARGIN;
    }
    let columns = u16::try_from(panels.len().min(COLUMNS)).ok()?;
    (columns > 0).then(|| {
        let width = MARGIN + f64::from(columns) * (PANEL_WIDTH + MARGIN);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{top}\" \
             viewBox=\"0 0 {width} {top}\" font-family=\"sans-serif\" font-size=\"12\">\n{STYLE}\
             <rect width=\"100%\" height=\"100%\" class=\"paper\"/>\n{body}</svg>\n"
        )
    })
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

/// Draws a panel. Returns where it ends.
fn panel(body: &mut String, case: &Case, bars: &[(&str, Spread)], left: f64, top: f64) -> f64 {
    let measure = case.measures[0];
    let better = match measure.is_rate() {
        true => "more is better",
        false => "less is better",
    };
    let title = format!("{}: {} ({better})", case.name, measure.title);
    text(body, left, top + BAR_HEIGHT - 5.0, "title", &title);
    let most = bars.iter().map(|(_, spread)| spread.most);
    let scale = BAR_WIDTH / most.fold(f64::MIN_POSITIVE, f64::max);
    let mut y = top + TITLE_HEIGHT;
    for (name, spread) in bars {
        bar(body, name, spread, scale, left + NAME_WIDTH, y);
        y += BAR_HEIGHT;
    }
    y
}

/// A bar up to the median, a line from the least to the most, and the number behind them.
fn bar(body: &mut String, name: &str, spread: &Spread, scale: f64, left: f64, y: f64) {
    let [median, least, most] =
        [spread.median, spread.least, spread.most].map(|value| left + value * scale);
    let class = if name == "tofu" { "tofu" } else { "other" };
    let middle = y + BAR_HEIGHT / 2.0;
    let baseline = middle + 4.0;
    text(body, left - 6.0, baseline, "name", name);
    // Writing into a String cannot fail.
    let _ = writeln!(
        body,
        "<rect x=\"{left:.1}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" class=\"{class}\"/>",
        y + 2.0,
        (median - left).max(1.0),
        BAR_HEIGHT - 4.0,
    );
    let _ = writeln!(
        body,
        "<line x1=\"{least:.1}\" x2=\"{most:.1}\" y1=\"{middle:.1}\" y2=\"{middle:.1}\" \
         class=\"range\"/>",
    );
    let behind = median.max(most) + 6.0;
    text(body, behind, baseline, "value", &number(spread.median));
}

fn text(body: &mut String, x: f64, y: f64, class: &str, content: &str) {
    let content = content.replace('&', "&amp;").replace('<', "&lt;");
    // Writing into a String cannot fail.
    let _ = writeln!(
        body,
        "<text x=\"{x:.1}\" y=\"{y:.1}\" class=\"{class}\">{content}</text>"
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
        assert_eq!(picture.matches("class=\"tofu\"").count(), 1, "{picture}");
        assert_eq!(picture.matches("class=\"other\"").count(), 1, "{picture}");
        assert!(
            picture.contains("width=\"187.5\"") && picture.contains("x2=\"348.0\""),
            "{picture}"
        );
        assert!(picture.contains(">3.00<"), "{picture}");
        assert!(picture.contains("(more is better)"), "{picture}");
        assert_eq!(draw("lat", &samples), None);
    }

    #[test]
    fn panels_stand_beside_each_other() {
        let mut samples = Samples::default();
        for case in ["win tcp 1", "win tcp 100", "win tcp 1000"] {
            let measures = BTreeMap::from([("per_s".to_owned(), 1e6)]);
            samples.add(case, "tofu", Ok(measures));
        }
        let picture = draw("win", &samples).unwrap();
        let right = MARGIN + PANEL_WIDTH + MARGIN;
        for (x, panels) in [(MARGIN, 2), (right, 1)] {
            let titles = picture
                .lines()
                .filter(|line| line.contains("class=\"title\""));
            let of_column = titles.filter(|line| line.contains(&format!("x=\"{x:.1}\"")));
            assert_eq!(of_column.count(), panels, "{picture}");
        }
    }
}
