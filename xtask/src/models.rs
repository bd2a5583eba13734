//! `cargo xtask models`: what threads share, under the schedules that a model checker draws.
//!
//! The models stand in tofu-engine beside the structures; this only runs them, in release and in a
//! build folder of their own, for their locks are not the real ones.

use clap::Args;

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

/// How long to look.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Schedules per model
    #[arg(long, default_value_t = 100_000)]
    schedules: u32,
}

/// Schedules per model within `ci`.
const SHORT: Arguments = Arguments { schedules: 1000 };

pub(crate) fn smoke(deadline: Deadline) -> Report {
    run(&SHORT, deadline)
}

pub(crate) fn run(arguments: &Arguments, deadline: Deadline) -> Report {
    let mut command = workspace::cargo();
    command.args(["test", "--release", "--package", "tofu-engine", "--lib"]);
    command.args(["--no-default-features", "--features", "model", "models::"]);
    command.env("TOFU_SCHEDULES", arguments.schedules.to_string());
    command.env(
        "CARGO_TARGET_DIR",
        workspace::target_directory().join("models"),
    );
    let mut report = Report::new();
    let part = format!("{} schedules per model", arguments.schedules);
    report.add(&part, process::run(&mut command, deadline));
    report
}
