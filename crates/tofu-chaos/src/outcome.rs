//! What a row found out: figures, and whether they are good enough.
//!
//! Made by the rows from `Facts`; sent from a row's process to the supervisor as one line.

use std::fmt;

/// How a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    Failed,
    /// Something that the row needs is not here: neither passed nor failed.
    NotRun,
}

/// A row's verdict and the figures behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    /// One line.
    pub(crate) observed: String,
}

/// Marks an outcome among the lines of a row's process.
const MARK: &str = "outcome ";

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Verdict::Passed => "pass",
            Verdict::Failed => "FAIL",
            Verdict::NotRun => "not run",
        })
    }
}

impl Outcome {
    pub(crate) fn failed(observed: impl Into<String>) -> Outcome {
        Outcome {
            verdict: Verdict::Failed,
            observed: observed.into(),
        }
    }

    pub(crate) fn not_run(why: impl Into<String>) -> Outcome {
        Outcome {
            verdict: Verdict::NotRun,
            observed: why.into(),
        }
    }

    /// The line that tells the supervisor.
    pub(crate) fn to_line(&self) -> String {
        let observed = self.observed.replace(['\n', '\r'], " ");
        format!("{MARK}{}\t{observed}", self.verdict)
    }

    /// The outcome that a line tells, if it tells one.
    pub(crate) fn from_line(line: &str) -> Option<Outcome> {
        let (word, observed) = line.strip_prefix(MARK)?.split_once('\t')?;
        let verdicts = [Verdict::Passed, Verdict::Failed, Verdict::NotRun];
        let verdict = verdicts
            .into_iter()
            .find(|verdict| verdict.to_string() == word)?;
        Some(Outcome {
            verdict,
            observed: observed.to_owned(),
        })
    }
}

/// The figures of a row, as they come in.
#[derive(Debug, Default)]
pub(crate) struct Facts {
    texts: Vec<String>,
    failed: bool,
}

impl Facts {
    /// A figure that says something and decides nothing.
    pub(crate) fn note(&mut self, text: impl Into<String>) {
        self.texts.push(text.into());
    }

    /// A figure that must be good; one that is not stands out.
    pub(crate) fn check(&mut self, good: bool, text: impl AsRef<str>) {
        let text = text.as_ref();
        self.texts.push(if good {
            text.to_owned()
        } else {
            format!("[NOT GOOD: {text}]")
        });
        self.failed |= !good;
    }

    pub(crate) fn outcome(self) -> Outcome {
        Outcome {
            verdict: if self.failed {
                Verdict::Failed
            } else {
                Verdict::Passed
            },
            observed: self.texts.join(", "),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outcome_survives_its_line() {
        let mut facts = Facts::default();
        facts.note("12 cuts");
        facts.check(true, "3 ms");
        let passed = facts.outcome();
        assert_eq!(passed.observed, "12 cuts, 3 ms");
        for outcome in [passed, Outcome::failed("a"), Outcome::not_run("no tool")] {
            assert_eq!(Outcome::from_line(&outcome.to_line()), Some(outcome));
        }
        assert_eq!(Outcome::from_line("ready tcp|127.0.0.1|1"), None);
    }

    #[test]
    fn one_bad_figure_fails_the_row() {
        let mut facts = Facts::default();
        facts.check(false, "400 ms");
        facts.check(true, "0 lost");
        let outcome = facts.outcome();
        assert_eq!(outcome.verdict, Verdict::Failed);
        assert_eq!(outcome.observed, "[NOT GOOD: 400 ms], 0 lost");
    }
}
