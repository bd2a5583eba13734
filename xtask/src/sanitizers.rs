//! `cargo xtask san`: the tests under tools that see what tests do not.
//!
//! AddressSanitizer with LeakSanitizer, ThreadSanitizer, and valgrind's memcheck, each over its
//! list of tests (`sanitizers/parts`). Every tool writes what it finds to files, child processes
//! included, so nothing is lost with a process that a test kills, and nothing is missed because the
//! test passes. `ci` does not run it: each tool builds and runs everything anew, and slower.

mod parts;
mod tools;

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;

use self::parts::Part;
use crate::deadline::Deadline;
use crate::report::Report;
use crate::{logged, process};

/// The limit for all of one tool's building.
const BUILD_LIMIT: Duration = Duration::from_secs(20 * 60);

/// The limit for one part of the tests under one tool.
const PART_LIMIT: Duration = Duration::from_secs(10 * 60);

/// So much of what was found is shown with the outcome; the rest stays in the files.
const SHOWN_LINES: usize = 40;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this tool (may be repeated); all of them by default
    #[arg(long)]
    kind: Vec<Kind>,
    /// Only the parts with this word in their name
    #[arg(long, value_name = "WORD")]
    part: Option<String>,
}

/// A tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Reads and writes outside of what is allocated, and memory that is never freed
    Address,
    /// Accesses from two threads that nothing orders
    Thread,
    /// Values never written, and memory never freed, also in what is not ours
    Memcheck,
}

/// A row of the closing table.
struct Row {
    kind: Kind,
    name: &'static str,
    tests: logged::Tests,
    took: Duration,
}

pub(crate) fn run(arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let mut rows = Vec::new();
    for &kind in Kind::value_variants() {
        if arguments.kind.is_empty() || arguments.kind.contains(&kind) {
            run_kind(kind, arguments, &mut report, &mut rows);
        }
    }
    print!("{}", table(&rows));
    report
}

fn run_kind(kind: Kind, arguments: &Arguments, report: &mut Report, rows: &mut Vec<Row>) {
    if let Err(why) = tools::missing(kind) {
        report.add_not_run(kind.name(), &why);
        return;
    }
    let is_wanted = |part: &&Part| {
        let word = arguments.part.as_deref().unwrap_or_default();
        part.name.contains(word)
    };
    let parts: Vec<&Part> = parts::of(kind).iter().filter(is_wanted).collect();
    if let Err(error) = build(kind, &parts) {
        report.add(&format!("{}: build", kind.name()), Err(error));
        return;
    }
    for part in parts {
        let name = format!("{}: {}", kind.name(), part.name);
        match run_part(kind, part) {
            Err(error) => report.add(&name, Err(error)),
            Ok((row, outcome)) => {
                rows.push(row);
                report.add(&name, outcome);
            }
        }
    }
}

/// Apart from running, so that the limits of the parts hold for their tests alone.
fn build(kind: Kind, parts: &[&Part]) -> Result<()> {
    let deadline = Deadline::after(BUILD_LIMIT);
    for part in parts {
        let mut command = tools::cargo_test(kind)?;
        command.args(part.targets).arg("--no-run");
        process::run(&mut command, deadline)?;
    }
    Ok(())
}

/// The row for the table, and whether all went well.
fn run_part(kind: Kind, part: &Part) -> Result<(Row, Result<()>)> {
    let folder = tools::folder(kind).join("found").join(part.name);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot empty {}", folder.display()))?;
    }
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    let mut command = tools::cargo_test(kind)?;
    command.args(part.targets).arg("--no-fail-fast");
    tools::report_to(kind, &folder, &mut command);
    let log = folder.with_extension("log");
    let started = Instant::now();
    let (tests, ended) = logged::run(&mut command, &log, Deadline::after(PART_LIMIT))?;
    let row = Row {
        kind,
        name: part.name,
        tests,
        took: started.elapsed(),
    };
    let judged = judge(tests, ended, &folder);
    Ok((row, judged.and_then(|()| tools::was_at_work(kind, &folder))))
}

/// Tests that pass are not enough: nothing must have been found, and something must have been run.
fn judge(tests: logged::Tests, ended: Result<()>, folder: &Path) -> Result<()> {
    let found = found(folder)?;
    if !found.is_empty() {
        let shown: Vec<&str> = found.lines().take(SHOWN_LINES).collect();
        bail!(
            "found, all of it in {}:\n{}",
            folder.display(),
            shown.join("\n")
        );
    }
    ended?;
    if tests.passed == 0 {
        bail!("no test was run");
    }
    Ok(())
}

/// What the tool wrote, of all processes.
fn found(folder: &Path) -> Result<String> {
    let mut text = String::new();
    let files = fs::read_dir(folder);
    for file in files.with_context(|| format!("cannot list {}", folder.display()))? {
        let path = file.context("cannot list what was found")?.path();
        let content = fs::read(&path);
        let content = content.with_context(|| format!("cannot read {}", path.display()))?;
        text += &String::from_utf8_lossy(&content);
    }
    Ok(text)
}

fn table(rows: &[Row]) -> String {
    let mut text = format!("{:<9} {:<28} {:>8}  tests\n", "tool", "part", "seconds");
    for row in rows {
        let (kind, seconds) = (row.kind.name(), row.took.as_secs_f64());
        text += &format!("{kind:<9} {:<28} {seconds:>8.1}  {}\n", row.name, row.tests);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOME: logged::Tests = logged::Tests {
        passed: 3,
        failed: 0,
    };

    #[test]
    fn what_a_tool_wrote_fails_tests_that_pass() {
        let folder = tempfile::tempdir().unwrap();
        // Valgrind leaves an empty file for each process in which it found nothing.
        fs::write(folder.path().join("1"), "").unwrap();
        judge(SOME, Ok(()), folder.path()).unwrap();
        fs::write(folder.path().join("2"), "WARNING: data race\n").unwrap();
        let error = judge(SOME, Ok(()), folder.path()).unwrap_err().to_string();
        assert!(error.contains("data race"), "{error}");
    }

    #[test]
    fn failed_tests_and_no_tests_fail() {
        let folder = tempfile::tempdir().unwrap();
        assert!(judge(SOME, Err(anyhow::anyhow!("ended")), folder.path()).is_err());
        let none = logged::Tests::default();
        assert!(judge(none, Ok(()), folder.path()).is_err());
    }

    #[test]
    fn every_kind_has_parts_and_each_part_a_name_of_its_own() {
        for &kind in Kind::value_variants() {
            let mut names: Vec<_> = parts::of(kind).iter().map(|part| part.name).collect();
            let count = names.len();
            names.sort_unstable();
            names.dedup();
            assert!(count > 0 && names.len() == count, "{kind:?}");
        }
    }
}
