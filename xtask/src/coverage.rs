//! `cargo xtask coverage`: the lines that the tests reach, crate by crate.
//!
//! Builds the tests and the simulator with the compiler's own counters, in a build folder of their
//! own, runs them, and reads the counters with the tools of the compiler's LLVM. `tofu-msg`,
//! `tofu-addr` and the engine's core are held to a share. Lines that only tests compile are not
//! counted. `ci` does not run it: it builds and runs everything a second time, and slower.

mod lines;
mod table;
mod tools;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use self::tools::Tools;
use crate::deadline::Deadline;
use crate::report::Report;
use crate::{logged, process, workspace};

/// The packages whose tests are run; those of the tools, benches and examples reach nothing more.
const PACKAGES: [&str; 6] = [
    "tofu-msg",
    "tofu-addr",
    "tofu-engine",
    "tofu-chnls",
    "tofu-net",
    "tofu-testkit",
];

/// What the simulator needs; given everywhere, so that each crate is compiled once.
const FEATURES: &str = "tofu-testkit/sim";

/// The simulator, as a program.
const SIMULATOR: &str = "simulate";

/// A debug build's checks and a bearable speed.
const OPTIMISATION: &str = "1";

/// All tests together.
const TESTS_LIMIT: Duration = Duration::from_secs(10 * 60);

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Also list every file with the lines that were not reached
    #[arg(long)]
    files: bool,
    /// How many seeds of the simulated network to run beside the tests
    #[arg(long, default_value_t = 3000)]
    seeds: u64,
}

pub(crate) fn run(arguments: &Arguments, deadline: Deadline) -> Report {
    let mut report = Report::new();
    match tools::find(deadline) {
        Err(why) => report.add_not_run("coverage", &format!("{why:#}")),
        Ok(tools) => {
            if let Err(error) = measure(&mut report, &tools, arguments, deadline) {
                report.add("coverage", Err(error));
            }
        }
    }
    report
}

/// A failed test is told, and the lines are counted all the same.
fn measure(
    report: &mut Report,
    tools: &Tools,
    arguments: &Arguments,
    deadline: Deadline,
) -> Result<()> {
    let profiles = folder().join("profiles");
    // What an earlier run reached says nothing of today's code.
    if profiles.exists() {
        fs::remove_dir_all(&profiles)
            .with_context(|| format!("cannot remove {}", profiles.display()))?;
    }
    let programs = build(deadline)?;
    let mut tests = cargo("test");
    tests.args(["--lib", "--bins", "--tests", "--no-fail-fast"]);
    let log = folder().join("tests.log");
    let limit = deadline.within(TESTS_LIMIT);
    let (tests, ended) = logged::run(counting(&mut tests, &profiles), &log, limit)?;
    println!("-- {tests}");
    report.add("tests", ended);
    report.add(
        "simulated seeds",
        simulate(&programs, arguments.seeds, &profiles, deadline),
    );
    let reached = tools.read(&folder(), &profiles, &programs, deadline)?;
    let files = lines::shipped(&reached, workspace::root())?;
    print!("{}", table::describe(&files, arguments.files));
    table::judge(report, &files);
    Ok(())
}

/// Builds all that will run; the programs hold the map from counters to lines.
fn build(deadline: Deadline) -> Result<Vec<PathBuf>> {
    const MESSAGES: &str = "--message-format=json-render-diagnostics";
    let mut tests = cargo("test");
    tests.args(["--lib", "--bins", "--tests", "--no-run", MESSAGES]);
    let mut simulator = cargo("build");
    simulator.args(["--example", SIMULATOR, MESSAGES]);
    let mut all = Vec::new();
    for mut command in [tests, simulator] {
        let programs = programs(&process::output(&mut command, deadline)?)?;
        ensure!(!programs.is_empty(), "cargo built no program");
        all.extend(programs);
    }
    Ok(all)
}

/// The programs among what cargo says that it made.
fn programs(messages: &str) -> Result<Vec<PathBuf>> {
    let mut programs = Vec::new();
    for line in messages.lines().filter(|line| line.starts_with('{')) {
        let message: Value = serde_json::from_str(line).context("cargo printed no JSON")?;
        if let Some(program) = message["executable"].as_str() {
            programs.push(PathBuf::from(program));
        }
    }
    Ok(programs)
}

fn simulate(programs: &[PathBuf], seeds: u64, profiles: &Path, deadline: Deadline) -> Result<()> {
    let is_simulator = |path: &&PathBuf| path.file_name().is_some_and(|name| name == SIMULATOR);
    let program = programs.iter().find(is_simulator);
    let mut command = Command::new(program.context("cargo built no simulator")?);
    command.args(["--seeds", &seeds.to_string()]);
    let log = folder().join("simulation.log");
    let (_, ended) = logged::run(counting(&mut command, profiles), &log, deadline)?;
    ended
}

/// The same packages and features for each command, so that nothing is compiled twice.
fn cargo(what: &str) -> Command {
    let mut command = workspace::cargo();
    command.args([what, "--features", FEATURES]);
    for package in PACKAGES {
        command.args(["--package", package]);
    }
    command
        .env("CARGO_TARGET_DIR", folder())
        .env("CARGO_PROFILE_DEV_OPT_LEVEL", OPTIMISATION)
        .env("CARGO_PROFILE_TEST_OPT_LEVEL", OPTIMISATION)
        .env("RUSTFLAGS", "-C instrument-coverage");
    command
}

/// Has each process write its counters to a file of its own: tests kill some of them.
fn counting<'a>(command: &'a mut Command, profiles: &Path) -> &'a mut Command {
    command.env("LLVM_PROFILE_FILE", profiles.join("%p-%m.profraw"))
}

fn folder() -> PathBuf {
    workspace::target_directory().join("coverage")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_picked_from_what_cargo_says() {
        let messages = "{\"reason\":\"compiler-artifact\",\"executable\":null}\n\
                        {\"reason\":\"compiler-artifact\",\"executable\":\"/a/tests-1\"}\n\
                        {\"reason\":\"build-finished\",\"success\":true}\n";
        assert_eq!(programs(messages).unwrap(), [PathBuf::from("/a/tests-1")]);
        assert!(programs("{broken").is_err());
    }

    #[test]
    fn a_missing_simulator_is_an_error() {
        let deadline = Deadline::after(Duration::from_secs(5));
        let error = simulate(&[], 1, Path::new("/nowhere"), deadline).unwrap_err();
        assert!(error.to_string().contains("no simulator"));
    }
}
