//! `cargo xtask sim`: seeds of the simulated network, and the planted bugs that it must find.
//!
//! Builds the test kit's program in release and runs it; what is drawn and judged is the test kit's
//! business. Within `ci` it runs for a bounded time, the planted bugs first.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

/// The limit for building the program.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// The limit for running it: the largest number of seeds that is asked for takes hours.
const RUN_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// So many seeds are run within `ci`, or as many as this time allows.
const SMOKE_SEEDS: u64 = 200_000;
const SMOKE_SECONDS: u64 = 150;

/// The program, and the features of the test kit that it is built with.
const PROGRAM: &str = "simulate";
const FEATURES: &str = "sim";
const PLANTED_FEATURES: &str = "planted-bugs";

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How many seeds to run
    #[arg(long, default_value_t = 10_000)]
    seeds: u64,
    /// The first of them
    #[arg(long, default_value_t = 1)]
    first: u64,
    /// Threads; as many as there are processors by default
    #[arg(long)]
    jobs: Option<u64>,
    /// Run only this seed and print all that happens
    #[arg(long)]
    seed: Option<u64>,
    /// Instead, look for every planted bug
    #[arg(long, conflicts_with = "seed")]
    planted: bool,
}

/// What was asked for.
pub(crate) fn run(arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let features = features(arguments.planted);
    let run = Deadline::after(RUN_LIMIT);
    let outcome = build(features, Deadline::after(BUILD_LIMIT))
        .and_then(|()| process::run(program(features).args(arguments.words()), run));
    report.add("simulation", outcome);
    report
}

/// The test kit's tests with the simulator among them, the planted bugs, then seeds for a while.
pub(crate) fn smoke(deadline: Deadline) -> Report {
    let mut report = Report::new();
    let mut tests = workspace::cargo();
    tests.args(["test", "--package", "tofu-testkit", "--features", FEATURES]);
    report.add("tests", process::run(&mut tests, deadline));
    let (seeds, seconds) = (SMOKE_SEEDS.to_string(), SMOKE_SECONDS.to_string());
    for (part, planted, words) in [
        ("planted bugs", true, vec!["--planted"]),
        (
            "seeds",
            false,
            vec!["--seeds", &seeds, "--seconds", &seconds],
        ),
    ] {
        let features = features(planted);
        let outcome = build(features, deadline)
            .and_then(|()| process::run(program(features).args(words), deadline));
        report.add(part, outcome);
    }
    report
}

impl Arguments {
    /// The program's arguments.
    fn words(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut number = |name: &str, value: u64| words.extend([name.into(), value.to_string()]);
        match self.seed {
            Some(seed) => number("--seed", seed),
            None => {
                number("--seeds", self.seeds);
                number("--first", self.first);
            }
        }
        if let Some(jobs) = self.jobs {
            number("--jobs", jobs);
        }
        if self.planted {
            words.push("--planted".into());
        }
        words
    }
}

fn features(planted: bool) -> &'static str {
    match planted {
        true => PLANTED_FEATURES,
        false => FEATURES,
    }
}

/// Each set of features has a build folder of its own, so that neither build undoes the other.
fn target(features: &str) -> PathBuf {
    workspace::target_directory().join("sim").join(features)
}

fn build(features: &str, deadline: Deadline) -> Result<()> {
    let mut command = workspace::cargo();
    command
        .args(["build", "--release", "--package", "tofu-testkit"])
        .args(["--example", PROGRAM, "--features", features])
        .arg("--target-dir")
        .arg(target(features));
    process::run(&mut command, deadline)
}

fn program(features: &str) -> Command {
    let mut command = Command::new(target(features).join("release/examples").join(PROGRAM));
    command.current_dir(workspace::root());
    command
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(seed: Option<u64>, planted: bool) -> Arguments {
        Arguments {
            seeds: 5,
            first: 7,
            jobs: Some(2),
            seed,
            planted,
        }
    }

    #[test]
    fn what_is_asked_for_is_handed_on() {
        let seeds = arguments(None, false).words();
        assert_eq!(seeds, ["--seeds", "5", "--first", "7", "--jobs", "2"]);
        let one = arguments(Some(9), false).words();
        assert_eq!(one, ["--seed", "9", "--jobs", "2"]);
        assert!(arguments(None, true).words().contains(&"--planted".into()));
    }
}
