//! `cargo xtask tidy`: the style that no compiler checks.
//!
//! Each check is a function from files to findings, and each has tests that plant a fault and see
//! it found. `crate::source` takes the comments and literals away, so a check that looks for a word in
//! the code neither trips over a comment nor over its own list of words.

mod files;
mod layers;
mod rust;
mod text;
mod top_level;

use std::fmt;

use self::files::File;
use crate::book;
use crate::report::Report;

/// Something that is not as it should be, and where.
#[derive(Debug, PartialEq, Eq)]
struct Finding {
    path: String,
    /// From 1; 0 where no line is meant.
    line: usize,
    what: String,
}

impl Finding {
    fn new(file: &File, line: usize, what: impl Into<String>) -> Finding {
        Finding {
            path: file.path.clone(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.path, self.line, self.what)
    }
}

/// A check of one file, with the name that the report gives it.
type Check = (&'static str, fn(&File) -> Vec<Finding>);

const CHECKS: &[Check] = &[
    ("file lengths", rust::length),
    ("module headers", rust::header),
    ("unfinished or unsafe code", rust::forbidden_code),
    ("no test is left out", rust::ignored_tests),
    (
        "the core does no input or output",
        layers::core_without_driver,
    ),
    ("locks only in the sync module", layers::locks_in_one_place),
    ("white space", text::white_space),
    ("forbidden words", text::forbidden_words),
];

pub(crate) fn run() -> Report {
    let mut report = Report::new();
    let paths = match files::paths() {
        Ok(paths) => paths,
        Err(error) => {
            report.add("files", Err(error));
            return report;
        }
    };
    report.add_findings("top level", &top_level::check(&paths));
    match files::read_texts(&paths) {
        Ok(files) => {
            for (name, check) in CHECKS {
                let findings = files.iter().flat_map(check);
                let findings: Vec<String> = findings.map(|item| item.to_string()).collect();
                report.add_findings(name, &findings);
            }
        }
        Err(error) => report.add("files", Err(error)),
    }
    book::check(&mut report);
    report
}
