//! `cargo xtask chaos`: the fault matrix on real sockets, one line for each row.
//!
//! The rows live in `tofu-chaos`, which is built in release and run here under a time limit; it
//! prints its own table, limits each row by itself, and fails when a row fails. Where a row needs
//! a tool or a right that is not there it says "not run".

use std::time::Duration;

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

/// The limit for building the engine and the rows.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// The limits for all rows together, in the short form and in the full one.
const SHORT_LIMIT: Duration = Duration::from_secs(20 * 60);
const FULL_LIMIT: Duration = Duration::from_secs(90 * 60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Run only these rows, by number or name, as in `2,9,cycles`
    #[arg(long)]
    rows: Option<String>,
    /// Run every row at its full length
    #[arg(long)]
    all: bool,
    /// Length of the flood in row 11, in seconds
    #[arg(long, value_name = "SECONDS")]
    flood: Option<u32>,
    /// Repeat the run that printed this seed
    #[arg(long)]
    seed: Option<u64>,
}

impl Arguments {
    /// The same for the program that has the rows.
    fn passed_on(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.all {
            arguments.push("--all".to_owned());
        }
        arguments.extend(self.rows.iter().map(|rows| format!("--rows={rows}")));
        let flood = self.flood.iter();
        arguments.extend(flood.map(|seconds| format!("--flood={seconds}")));
        arguments.extend(self.seed.iter().map(|seed| format!("--seed={seed}")));
        arguments
    }

    fn limit(&self) -> Duration {
        let limit = if self.all { FULL_LIMIT } else { SHORT_LIMIT };
        limit + Duration::from_secs(self.flood.unwrap_or(0).into())
    }
}

/// Builds the rows and runs the chosen ones.
pub(crate) fn run(arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let built = process::run(cargo("build").arg("--quiet"), Deadline::after(BUILD_LIMIT));
    let is_built = built.is_ok();
    report.add("build", built);
    if is_built {
        let mut command = cargo("run");
        command.arg("--quiet").arg("--").args(arguments.passed_on());
        let deadline = Deadline::after(arguments.limit());
        report.add("rows", process::run(&mut command, deadline));
    } else {
        report.add_not_run("rows", "the build failed");
    }
    report
}

fn cargo(task: &str) -> std::process::Command {
    let mut command = workspace::cargo();
    command.arg(task);
    command.args(["--release", "--package", "tofu-chaos"]);
    // One row makes the engine's thread panic.
    command.args(["--features", "fault-injection"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_choice_is_passed_on() {
        let all = Arguments {
            rows: Some("11,cycles".to_owned()),
            all: true,
            flood: Some(20),
            seed: Some(7),
        };
        let expected = ["--all", "--rows=11,cycles", "--flood=20", "--seed=7"];
        assert_eq!(all.passed_on(), expected);
        assert_eq!(all.limit(), FULL_LIMIT + Duration::from_secs(20));
        let none = Arguments {
            rows: None,
            all: false,
            flood: None,
            seed: None,
        };
        assert!(none.passed_on().is_empty());
        assert_eq!(none.limit(), SHORT_LIMIT);
    }
}
