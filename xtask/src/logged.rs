//! Test runs whose output goes into a file: hundreds of lines that tell little while all is well.
//!
//! Called by `coverage` and `sanitizers`. The file stays in the build folder; it is shown only if
//! the run fails. How many tests there were is read from what the test programs say of themselves.

use std::fmt;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::deadline::Deadline;
use crate::process;

/// How many tests passed and failed, of all programs of a run together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tests {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
}

impl Tests {
    /// Adds up the lines `test result: ok. 3 passed; 0 failed; ...`.
    fn read(log: &str) -> Tests {
        let mut tests = Tests::default();
        for line in log.lines() {
            let Some(words) = line.strip_prefix("test result: ") else {
                continue;
            };
            tests.passed += number_before(words, " passed");
            tests.failed += number_before(words, " failed");
        }
        tests
    }
}

impl fmt::Display for Tests {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} tests passed, {} failed",
            self.passed, self.failed
        )
    }
}

/// The number in front of a word; zero if there is none.
fn number_before(text: &str, word: &str) -> usize {
    let before = text.split(word).next().unwrap_or_default();
    let number = before.rsplit(' ').next().unwrap_or_default();
    number.parse().unwrap_or_default()
}

/// Runs the command with all its output in the file. What it says of its tests, and how it ended.
pub(crate) fn run(
    command: &mut Command,
    log: &Path,
    deadline: Deadline,
) -> Result<(Tests, Result<()>)> {
    if let Some(folder) = log.parent() {
        fs::create_dir_all(folder)
            .with_context(|| format!("cannot create {}", folder.display()))?;
    }
    let file = File::create(log).with_context(|| format!("cannot create {}", log.display()))?;
    let second = file.try_clone().context("cannot share a file")?;
    let ended = process::run(command.stdout(file).stderr(second), deadline);
    let text = fs::read(log).with_context(|| format!("cannot read {}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    if ended.is_err() {
        println!("-- {}:\n{text}", log.display());
    }
    Ok((Tests::read(&text), ended))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_tests_of_all_programs_are_counted() {
        let log = "running 2 tests\ntest result: ok. 12 passed; 0 failed; 0 ignored; 0 measured\n\
                   test result: FAILED. 136 passed; 2 failed; 0 ignored\nresult: ok. 9 passed;\n";
        let tests = Tests::read(log);
        assert_eq!((tests.passed, tests.failed), (148, 2));
        assert_eq!(Tests::read(""), Tests::default());
        assert_eq!(Tests::read("test result: ?\n"), Tests::default());
    }

    #[test]
    fn all_output_is_kept_and_the_end_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let log = folder.path().join("below/log");
        let mut command = Command::new("sh");
        command.args([
            "-c",
            "echo test result: ok. 1 passed >&2; echo here; exit 3",
        ]);
        let deadline = Deadline::after(Duration::from_secs(20));
        let (tests, ended) = run(&mut command, &log, deadline).unwrap();
        assert_eq!(tests.passed, 1);
        assert!(ended.unwrap_err().to_string().contains("exit status: 3"));
        assert!(fs::read_to_string(&log).unwrap().contains("here"));
    }
}
