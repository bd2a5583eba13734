//! The rows of the coverage table, their shares, and the text of it.
//!
//! Called by `coverage`. Integers only, so a share is never rounded up to what it must be.

use std::fmt::Write as _;

use super::lines::FileLines;
use crate::report::Report;

/// A crate, or a part of one.
struct Row {
    name: &'static str,
    folder: &'static str,
    /// In percent; what is below fails the command.
    at_least: Option<usize>,
}

const fn row(name: &'static str, folder: &'static str, at_least: Option<usize>) -> Row {
    Row {
        name,
        folder,
        at_least,
    }
}

/// A file counts for the first row whose folder it is in.
const ROWS: &[Row] = &[
    row("tofu-msg", "crates/tofu-msg/src/", Some(95)),
    row("tofu-addr", "crates/tofu-addr/src/", Some(95)),
    row(
        "tofu-engine, core",
        "crates/tofu-engine/src/core/",
        Some(95),
    ),
    row("tofu-engine, rest", "crates/tofu-engine/src/", None),
    row("tofu-chnls", "crates/tofu-chnls/src/", None),
];

/// How many lines there are, and how many were reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Share {
    lines: usize,
    reached: usize,
}

impl Share {
    /// Of all files of a row.
    fn of(row: &Row, files: &[FileLines]) -> Share {
        let mut share = Share::default();
        for file in files.iter().filter(|file| is_in(row, file)) {
            share.lines += file.count;
            share.reached += file.count - file.missed.len();
        }
        share
    }

    /// In percent, rounded down; nothing where there are no lines.
    fn percent(self) -> Option<String> {
        let hundredths = (self.reached * 10_000).checked_div(self.lines)?;
        Some(format!("{}.{:02}", hundredths / 100, hundredths % 100))
    }

    /// No lines at all means that they were not found, and reaches no share.
    fn is_at_least(self, percent: usize) -> bool {
        self.lines > 0 && self.reached * 100 >= self.lines * percent
    }
}

fn is_in(row: &Row, file: &FileLines) -> bool {
    let first = ROWS.iter().find(|row| file.path.starts_with(row.folder));
    first.is_some_and(|first| first.name == row.name)
}

/// The table, with each row's files below it if they are wanted.
pub(super) fn describe(files: &[FileLines], with_files: bool) -> String {
    let mut text = line("", "lines", "reached", "%", "");
    for row in ROWS {
        let least = row.at_least.map(|least| format!("  (at least {least})"));
        text += &numbers(row.name, Share::of(row, files), &least.unwrap_or_default());
        if with_files {
            for file in files.iter().filter(|file| is_in(row, file)) {
                text += &describe_file(row, file);
            }
        }
    }
    text
}

fn describe_file(row: &Row, file: &FileLines) -> String {
    let share = Share {
        lines: file.count,
        reached: file.count - file.missed.len(),
    };
    let name = file.path.strip_prefix(row.folder).unwrap_or(&file.path);
    numbers(&format!("  {name}"), share, &spans(&file.missed))
}

fn numbers(name: &str, share: Share, end: &str) -> String {
    let percent = share.percent().unwrap_or_default();
    let (lines, reached) = (share.lines.to_string(), share.reached.to_string());
    line(name, &lines, &reached, &percent, end)
}

fn line(name: &str, lines: &str, reached: &str, percent: &str, end: &str) -> String {
    let text = format!("{name:<32} {lines:>7} {reached:>8} {percent:>7}{end}");
    format!("{}\n", text.trim_end())
}

/// Line numbers with neighbours joined: `  not 3, 7-9`.
fn spans(numbers: &[usize]) -> String {
    let mut text = String::new();
    let mut rest = numbers;
    while let Some(&first) = rest.first() {
        let run = (first..).zip(rest).take_while(|(want, is)| want == *is);
        let length = run.count();
        text += if text.is_empty() { "  not " } else { ", " };
        // Writing into a String cannot fail.
        let _ = match length {
            1 => write!(text, "{first}"),
            _ => write!(text, "{first}-{}", first + length - 1),
        };
        rest = &rest[length..];
    }
    text
}

/// One part of the report for each row that is held to a share.
pub(super) fn judge(report: &mut Report, files: &[FileLines]) {
    for row in ROWS {
        let Some(least) = row.at_least else { continue };
        let share = Share::of(row, files);
        let findings = match (share.is_at_least(least), share.percent()) {
            (true, _) => vec![],
            (false, Some(percent)) => vec![format!("{percent} % of the lines")],
            (false, None) => vec!["no lines were found".to_owned()],
        };
        report.add_findings(&format!("{}, at least {least} %", row.name), &findings);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str, count: usize, missed: &[usize]) -> FileLines {
        FileLines {
            path: path.to_owned(),
            count,
            missed: missed.to_vec(),
        }
    }

    /// The core with so many lines, of which so many were missed; the others with all.
    fn files(lines: usize, missed: usize) -> Vec<FileLines> {
        let missed: Vec<usize> = (1..=missed).collect();
        vec![
            file("crates/tofu-addr/src/lib.rs", 10, &[]),
            file("crates/tofu-engine/src/core/cut.rs", lines, &missed),
            file("crates/tofu-engine/src/group.rs", 10, &[1, 2, 3, 7]),
            file("crates/tofu-msg/src/lib.rs", 10, &[]),
        ]
    }

    #[test]
    fn a_row_below_its_share_fails() {
        let verdict = |files: &[FileLines]| {
            let mut report = Report::new();
            judge(&mut report, files);
            (report.has_failed(), report.describe_gaps())
        };
        assert_eq!(verdict(&files(1000, 50)), (false, String::new()));
        let (failed, gaps) = verdict(&files(1000, 51));
        assert!(failed && gaps.contains("tofu-engine, core, at least 95 %: FAILED: 94.90 %"));
        let (failed, gaps) = verdict(&files(0, 0));
        assert!(failed && gaps.contains("no lines were found"), "{gaps}");
    }

    #[test]
    fn each_file_counts_once_and_shares_are_rounded_down() {
        let text = describe(&files(3000, 1), true);
        let rows: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert!(rows.contains(&vec!["cut.rs", "3000", "2999", "99.96", "not", "1"]));
        assert!(rows.contains(&vec!["tofu-engine,", "rest", "10", "6", "60.00"]));
        assert!(rows.contains(&vec!["group.rs", "10", "6", "60.00", "not", "1-3,", "7"]));
        assert!(!describe(&files(10, 0), false).contains("cut.rs"));
    }
}
