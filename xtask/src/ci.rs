//! `cargo xtask ci`: every check, one after the other, and a table at the end.
//!
//! Each step has a time limit; what hangs is killed and named. A failed step does not keep the
//! next ones from running, so one run shows all that is wrong.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::builder::PossibleValuesParser;

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{
    bench, book, boundaries, examples, fuzz, models, msrv, process, sim, soak, tidy, workspace,
};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Leave a step out (may be repeated)
    #[arg(long, value_name = "STEP", value_parser = PossibleValuesParser::new(step_names()))]
    skip: Vec<String>,
    /// Run only this step (may be repeated)
    #[arg(long, value_name = "STEP", value_parser = PossibleValuesParser::new(step_names()))]
    only: Vec<String>,
}

struct Step {
    name: &'static str,
    limit: Duration,
    run: fn(Deadline) -> Report,
}

const fn step(name: &'static str, seconds: u64, run: fn(Deadline) -> Report) -> Step {
    Step {
        name,
        limit: Duration::from_secs(seconds),
        run,
    }
}

/// In the order of their running: the quick ones that fail most often first.
const STEPS: &[Step] = &[
    step("fmt", 60, format),
    step("tidy", 60, |_| tidy::run()),
    step("clippy", 420, lint),
    step("test", 600, test),
    step("doc", 300, document),
    step("book", 60, book::only_build),
    step("msrv", 300, msrv::run),
    step("boundaries", 300, boundaries::run),
    step("models", 300, models::smoke),
    step("examples", 420, examples::run),
    step("bench", 420, |_| bench::smoke()),
    step("fuzz", 420, fuzz::smoke),
    step("sim", 600, sim::smoke),
    step("soak", 240, soak::smoke),
];

fn step_names() -> impl Iterator<Item = &'static str> {
    STEPS.iter().map(|step| step.name)
}

/// A row of the closing table.
enum Row {
    Over {
        name: &'static str,
        report: Report,
        took: Duration,
    },
    LeftOut {
        name: &'static str,
        why: &'static str,
    },
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let rows: Vec<Row> = STEPS.iter().map(|step| run_step(step, arguments)).collect();
    print!("\n{}", table(&rows));
    if rows.iter().any(Row::has_failed) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

fn run_step(step: &Step, arguments: &Arguments) -> Row {
    let name = step.name;
    if let Some(why) = arguments.why_not(name) {
        return Row::LeftOut { name, why };
    }
    println!("\n== {name}");
    let started = Instant::now();
    let report = (step.run)(Deadline::after(step.limit));
    let took = started.elapsed();
    let title = format!("== {name} in {:.1} s", took.as_secs_f64());
    print!("{}", report.describe(&title));
    Row::Over { name, report, took }
}

impl Row {
    fn has_failed(&self) -> bool {
        matches!(self, Row::Over { report, .. } if report.has_failed())
    }

    /// The step with its outcome, and under it whatever did not pass.
    fn describe(&self) -> String {
        match self {
            Row::LeftOut { name, why } => format!("{name:<12} not run: {why}\n"),
            Row::Over { name, report, took } => {
                let verdict = report.verdict();
                let seconds = took.as_secs_f64();
                let gaps = report.describe_gaps();
                format!("{name:<12} {verdict:<8} {seconds:>8.1}\n{gaps}")
            }
        }
    }
}

impl Arguments {
    /// Why the step is not wanted; nothing if it is.
    fn why_not(&self, name: &str) -> Option<&'static str> {
        let names = |list: &[String]| list.iter().any(|item| item == name);
        if names(&self.skip) {
            return Some("left out by --skip");
        }
        let is_left_out = !self.only.is_empty() && !names(&self.only);
        is_left_out.then_some("left out by --only")
    }
}

fn table(rows: &[Row]) -> String {
    let rows: String = rows.iter().map(Row::describe).collect();
    format!("step         outcome   seconds\n{rows}")
}

fn format(deadline: Deadline) -> Report {
    let mut report = Report::new();
    report.add("workspace", cargo(&["fmt", "--all", "--check"], deadline));
    // Workspaces of their own.
    for (part, manifest) in [
        ("fuzz", "fuzz/Cargo.toml"),
        ("peers", "benches/peers/Cargo.toml"),
    ] {
        if workspace::root().join(manifest).is_file() {
            let arguments = ["fmt", "--manifest-path", manifest, "--check"];
            report.add(part, cargo(&arguments, deadline));
        }
    }
    report
}

/// Clippy also holds the declared Rust version, as far as the standard library goes; `msrv` holds
/// it for the language.
fn lint(deadline: Deadline) -> Report {
    let deny = ["--", "-D", "warnings"];
    let workspace = ["clippy", "--workspace", "--all-targets", "--all-features"];
    let core = [
        "clippy",
        "--package",
        "tofu-engine",
        "--no-default-features",
    ];
    let mut report = Report::new();
    report.add(
        "workspace",
        cargo(&[&workspace[..], &deny].concat(), deadline),
    );
    report.add(
        "tofu-engine without its driver",
        cargo(&[&core[..], &deny].concat(), deadline),
    );
    report
}

/// The examples in the documentation are among the tests.
fn test(deadline: Deadline) -> Report {
    let mut report = Report::new();
    report.add("workspace", cargo(&["test", "--workspace"], deadline));
    report
}

fn document(deadline: Deadline) -> Report {
    let mut command = workspace::cargo();
    command
        .args(["doc", "--workspace", "--no-deps"])
        .env("RUSTDOCFLAGS", "-D warnings");
    let mut report = Report::new();
    report.add("workspace", process::run(&mut command, deadline));
    report
}

fn cargo(arguments: &[&str], deadline: Deadline) -> Result<()> {
    process::run(workspace::cargo().args(arguments), deadline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(skip: &[&str], only: &[&str]) -> Arguments {
        let own = |list: &[&str]| list.iter().map(|&item| item.to_owned()).collect();
        Arguments {
            skip: own(skip),
            only: own(only),
        }
    }

    #[test]
    fn skip_and_only_choose_the_steps() {
        assert_eq!(arguments(&[], &[]).why_not("test"), None);
        assert!(arguments(&["test"], &[]).why_not("test").is_some());
        assert_eq!(arguments(&["test"], &[]).why_not("fmt"), None);
        assert_eq!(arguments(&[], &["test"]).why_not("test"), None);
        assert!(arguments(&[], &["test"]).why_not("fmt").is_some());
    }

    #[test]
    fn a_step_left_out_is_in_the_table_with_the_reason() {
        let never = step("never", 1, |_| unreachable!());
        let row = run_step(&never, &arguments(&["never"], &[]));
        assert!(!row.has_failed());
        let text = table(&[row]);
        assert!(
            text.ends_with("never        not run: left out by --skip\n"),
            "{text}"
        );
    }

    #[test]
    fn a_failed_part_is_named_in_the_table() {
        let mut report = Report::new();
        report.add("good part", Ok(()));
        report.add("bad part", Err(anyhow::anyhow!("`cargo x` hung")));
        let row = Row::Over {
            name: "some",
            report,
            took: Duration::from_secs(2),
        };
        assert!(row.has_failed());
        let text = table(&[row]);
        let expected = "some         FAILED        2.0\n  bad part: FAILED: `cargo x` hung\n";
        assert!(text.ends_with(expected), "{text}");
    }

    #[test]
    fn a_step_is_run_under_its_limit() {
        let hang = step("hang", 0, |deadline| {
            let mut report = Report::new();
            let mut command = std::process::Command::new("sleep");
            report.add("sleep", process::run(command.arg("600"), deadline));
            report
        });
        let row = run_step(&hang, &arguments(&[], &[]));
        assert!(
            row.describe().contains("`sleep 600` hung"),
            "{}",
            row.describe()
        );
    }
}
