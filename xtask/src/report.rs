//! What a command found out, part by part, and the text that says so.
//!
//! A check that could not be made is neither passed nor failed: it is "not run" with the reason,
//! and it is always printed, so that no gap looks like a success.

use std::fmt::Write as _;
use std::process::ExitCode;

/// How one part of a command ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    /// With what failed, one or several lines.
    Failed(String),
    /// With why it could not be run.
    NotRun(String),
}

impl Outcome {
    fn word(&self) -> &'static str {
        match self {
            Outcome::Passed => "passed",
            Outcome::Failed(_) => "FAILED",
            Outcome::NotRun(_) => "not run",
        }
    }

    fn reason(&self) -> &str {
        match self {
            Outcome::Passed => "",
            Outcome::Failed(why) | Outcome::NotRun(why) => why,
        }
    }
}

/// The outcomes of a command's parts, in the order in which they were made.
#[derive(Debug, Default)]
pub(crate) struct Report {
    parts: Vec<(String, Outcome)>,
}

impl Report {
    pub(crate) fn new() -> Report {
        Report::default()
    }

    /// Adds a part that was run.
    pub(crate) fn add(&mut self, part: &str, result: anyhow::Result<()>) {
        let outcome = match result {
            Ok(()) => Outcome::Passed,
            Err(error) => Outcome::Failed(format!("{error:#}")),
        };
        self.parts.push((part.to_owned(), outcome));
    }

    /// Adds a part that passes if nothing was found.
    pub(crate) fn add_findings(&mut self, part: &str, findings: &[String]) {
        let outcome = match findings {
            [] => Outcome::Passed,
            _ => Outcome::Failed(findings.join("\n")),
        };
        self.parts.push((part.to_owned(), outcome));
    }

    /// Adds a part that could not be run.
    pub(crate) fn add_not_run(&mut self, part: &str, why: &str) {
        self.parts
            .push((part.to_owned(), Outcome::NotRun(why.to_owned())));
    }

    pub(crate) fn has_failed(&self) -> bool {
        self.parts
            .iter()
            .any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    }

    /// One word for the whole: failed if any part failed, passed if any part was run.
    pub(crate) fn verdict(&self) -> &'static str {
        let passed = self
            .parts
            .iter()
            .any(|(_, outcome)| *outcome == Outcome::Passed);
        match (self.has_failed(), passed) {
            (true, _) => "FAILED",
            (false, true) => "passed",
            (false, false) => "not run",
        }
    }

    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.has_failed() {
            ExitCode::FAILURE
        } else {
            ExitCode::SUCCESS
        }
    }

    /// Every part with its outcome and a closing line, for a command that was run by itself.
    pub(crate) fn describe(&self, name: &str) -> String {
        let mut text = String::new();
        for (part, outcome) in &self.parts {
            push_part(&mut text, part, outcome);
        }
        push_line(&mut text, &format!("{name}: {}", self.verdict()));
        text
    }

    /// Only the parts that did not pass, for the table behind all steps.
    pub(crate) fn describe_gaps(&self) -> String {
        let mut text = String::new();
        for (part, outcome) in &self.parts {
            if *outcome != Outcome::Passed {
                push_part(&mut text, part, outcome);
            }
        }
        text
    }
}

fn push_part(text: &mut String, part: &str, outcome: &Outcome) {
    let mut lines = outcome.reason().lines();
    match lines.next() {
        None => push_line(text, &format!("  {part}: {}", outcome.word())),
        Some(first) => push_line(text, &format!("  {part}: {}: {first}", outcome.word())),
    }
    for line in lines {
        push_line(text, &format!("    {line}"));
    }
}

fn push_line(text: &mut String, line: &str) {
    // Writing into a String cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_failure_fails_the_whole() {
        let mut report = Report::new();
        report.add("good", Ok(()));
        assert_eq!(report.verdict(), "passed");
        report.add("bad", Err(anyhow::anyhow!("broken")));
        report.add_not_run("absent", "no tool");
        assert_eq!(report.verdict(), "FAILED");
        assert!(report.has_failed());
        assert_eq!(
            report.describe_gaps(),
            "  bad: FAILED: broken\n  absent: not run: no tool\n"
        );
    }

    #[test]
    fn what_was_not_run_does_not_pass() {
        let mut report = Report::new();
        report.add_not_run("absent", "no tool");
        assert_eq!(report.verdict(), "not run");
        assert!(!report.has_failed());
    }

    #[test]
    fn findings_fail_and_are_all_printed() {
        let mut report = Report::new();
        report.add_findings("clean", &[]);
        report.add_findings("dirty", &["one".to_owned(), "two".to_owned()]);
        assert_eq!(
            report.describe("words"),
            "  clean: passed\n  dirty: FAILED: one\n    two\nwords: FAILED\n"
        );
    }
}
