//! `cargo xtask soak`: processes talk with each other for a long time while faults go on, and at the
//! end every message must have had one outcome.
//!
//! The soak is a part of `tofu-chaos`, which is built in release and run here; it limits itself and
//! prints one page. Within `ci` a short one is run, built like the tests.

use std::process::Command;
use std::time::Duration;

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

/// The limit for building the engine and the soak.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// How much longer than asked for it may take; it ends itself before that.
const ENDING: Duration = Duration::from_secs(5 * 60);

/// The length of the short one, in seconds.
const SMOKE_SECONDS: &str = "12";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long, in minutes
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// Messages posted in a second, all processes together
    #[arg(long)]
    rate: Option<u64>,
    /// Draw the same faults as the run that printed this seed
    #[arg(long)]
    seed: Option<u64>,
}

impl Arguments {
    /// The same for the program that has the soak.
    fn passed_on(&self) -> Vec<String> {
        let mut arguments = vec![format!("--minutes={}", self.minutes)];
        arguments.extend(self.rate.iter().map(|rate| format!("--rate={rate}")));
        arguments.extend(self.seed.iter().map(|seed| format!("--seed={seed}")));
        arguments
    }
}

/// Builds the soak and runs it for as long as asked.
pub(crate) fn run(arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let mut build = cargo("build");
    build.arg("--release");
    let built = process::run(&mut build, Deadline::after(BUILD_LIMIT));
    let is_built = built.is_ok();
    report.add("build", built);
    if is_built {
        let mut command = cargo("run");
        command.args(["--release", "--", "soak"]);
        command.args(arguments.passed_on());
        let minutes = arguments.minutes.saturating_mul(60);
        let deadline = Deadline::after(Duration::from_secs(minutes) + ENDING);
        report.add("soak", process::run(&mut command, deadline));
    } else {
        report.add_not_run("soak", "the build failed");
    }
    report
}

/// A short one. That it can fail is shown by the tests of `tofu-chaos`.
pub(crate) fn smoke(deadline: Deadline) -> Report {
    let mut report = Report::new();
    let mut command = cargo("run");
    command.args(["--", "soak", "--seconds", SMOKE_SECONDS]);
    report.add("soak", process::run(&mut command, deadline));
    report
}

fn cargo(task: &str) -> Command {
    let mut command = workspace::cargo();
    command.args([task, "--quiet", "--package", "tofu-chaos"]);
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_for_is_handed_on() {
        let mut arguments = Arguments {
            minutes: 20,
            rate: None,
            seed: None,
        };
        assert_eq!(arguments.passed_on(), ["--minutes=20"]);
        arguments.rate = Some(5);
        arguments.seed = Some(7);
        let expected = ["--minutes=20", "--rate=5", "--seed=7"];
        assert_eq!(arguments.passed_on(), expected);
    }
}
