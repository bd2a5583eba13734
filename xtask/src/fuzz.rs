//! `cargo xtask fuzz`: the cargo-fuzz targets for a bounded time, and the short run within `ci`.
//!
//! Inputs that a run finds are kept in the build folder and used by the next one. The corpus in
//! `fuzz/corpus` is only read: what stands there is chosen by people and replayed by
//! `cargo test`. Where nightly or cargo-fuzz is missing the report says "not run".

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

/// The time of each target within `ci`.
const SMOKE_SECONDS: u64 = 3;

/// The limit for building all targets.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What a target may take beyond its fuzzing time: starting, reading the corpus, writing a crash.
const RUN_GRACE: Duration = Duration::from_secs(60);

/// One input may take this long; beyond it libFuzzer reports a hang.
const INPUT_SECONDS: u64 = 10;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// How long each target runs, in seconds
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// Run only this target
    #[arg(long)]
    target: Option<String>,
}

/// Each target, or the one asked for, as long as asked for.
pub(crate) fn run(arguments: &Arguments) -> Report {
    let mut report = Report::new();
    if let Err(why) = missing_tool() {
        report.add_not_run("targets", &why);
        return report;
    }
    let targets = targets(Deadline::after(RUN_GRACE)).and_then(|all| match &arguments.target {
        None => Ok(all),
        Some(one) => {
            ensure!(
                all.contains(one),
                "no target `{one}`; there are: {}",
                all.join(", ")
            );
            Ok(vec![one.clone()])
        }
    });
    match targets {
        Err(error) => report.add("targets", Err(error)),
        Ok(targets) => hunt(&mut report, &targets, arguments.seconds, None),
    }
    report
}

/// Each target for a few seconds, all within the deadline.
pub(crate) fn smoke(deadline: Deadline) -> Report {
    let mut report = Report::new();
    if let Err(why) = missing_tool() {
        report.add_not_run("targets", &why);
        return report;
    }
    match targets(deadline) {
        Err(error) => report.add("targets", Err(error)),
        Ok(targets) => hunt(&mut report, &targets, SMOKE_SECONDS, Some(deadline)),
    }
    report
}

/// Builds all targets, then runs the named ones, one after the other.
fn hunt(report: &mut Report, targets: &[String], seconds: u64, deadline: Option<Deadline>) {
    let by = |limit: Duration| match deadline {
        Some(deadline) => deadline.within(limit),
        None => Deadline::after(limit),
    };
    let mut build = workspace::cargo_of("nightly");
    build.args(["fuzz", "build"]);
    let built = process::run(&mut build, by(BUILD_LIMIT));
    let is_built = built.is_ok();
    report.add("build", built);
    for target in targets {
        if is_built {
            let deadline = by(Duration::from_secs(seconds).saturating_add(RUN_GRACE));
            report.add(target, run_target(target, seconds, deadline));
        } else {
            report.add_not_run(target, "the build failed");
        }
    }
}

/// What libFuzzer writes is long and tells little while all is well, so it goes into a file and is
/// shown only if the run fails.
fn run_target(target: &str, seconds: u64, deadline: Deadline) -> Result<()> {
    let found = found_inputs(target);
    fs::create_dir_all(&found).with_context(|| format!("cannot create {}", found.display()))?;
    let log = found.with_extension("log");
    let file = File::create(&log).with_context(|| format!("cannot create {}", log.display()))?;
    let mut command = run_command(target, seconds, &found);
    let result = process::run(command.stderr(file), deadline);
    let text = fs::read(&log).with_context(|| format!("cannot read {}", log.display()))?;
    let text = String::from_utf8_lossy(&text);
    match result {
        Ok(()) => println!("-- {target}: {} inputs in {seconds} s", inputs_tried(&text)),
        Err(_) => println!("-- {target}:\n{text}"),
    }
    result
}

/// The number of inputs that a run tried, by its own account.
fn inputs_tried(log: &str) -> &str {
    let count = log
        .lines()
        .find_map(|line| line.strip_prefix("stat::number_of_executed_units:"));
    count.map_or("an unknown number of", str::trim)
}

/// The first folder is the one that libFuzzer writes to; it only reads the ones behind it.
fn run_command(target: &str, seconds: u64, found: &Path) -> Command {
    let mut command = workspace::cargo_of("nightly");
    command.args(["fuzz", "run", target]).arg(found);
    let corpus = workspace::root().join("fuzz/corpus").join(target);
    if corpus.is_dir() {
        command.arg(corpus);
    }
    command.arg("--");
    command.arg(format!("-max_total_time={seconds}"));
    command.arg(format!("-timeout={INPUT_SECONDS}"));
    command.args(["-verbosity=0", "-print_final_stats=1"]);
    let words = workspace::root().join(format!("fuzz/{target}.dict"));
    if words.is_file() {
        command.arg(format!("-dict={}", words.display()));
    }
    command
}

fn found_inputs(target: &str) -> PathBuf {
    workspace::target_directory()
        .join("fuzz-corpus")
        .join(target)
}

/// The names of all targets.
fn targets(deadline: Deadline) -> Result<Vec<String>> {
    let mut list = workspace::cargo_of("nightly");
    list.args(["fuzz", "list"]);
    let names: Vec<String> = process::output(&mut list, deadline)?
        .lines()
        .map(str::to_owned)
        .collect();
    ensure!(!names.is_empty(), "cargo fuzz lists no target");
    Ok(names)
}

/// Why fuzzing is not possible here.
fn missing_tool() -> Result<(), String> {
    if !workspace::root().join("fuzz/Cargo.toml").is_file() {
        return Err("there is no fuzz/Cargo.toml".to_owned());
    }
    if !workspace::has("nightly", &["--version"]) {
        return Err("no nightly toolchain; `rustup toolchain install nightly`".to_owned());
    }
    if !workspace::has("nightly", &["fuzz", "--version"]) {
        return Err("no cargo-fuzz; `cargo install cargo-fuzz --locked`".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_found_never_goes_into_the_kept_corpus() {
        let found = found_inputs("header");
        let command = run_command("header", 7, &found);
        let arguments: Vec<_> = command
            .get_args()
            .map(|text| text.to_string_lossy())
            .collect();
        assert_eq!(arguments[..4], ["+nightly", "fuzz", "run", "header"]);
        assert_eq!(PathBuf::from(arguments[4].as_ref()), found);
        assert!(!found.starts_with(workspace::root().join("fuzz")));
        assert!(
            arguments
                .iter()
                .any(|argument| argument == "-max_total_time=7")
        );
    }

    #[test]
    fn the_number_of_inputs_is_read_from_the_log() {
        let log = "INFO: x\nstat::number_of_executed_units: 58398\nstat::peak_rss_mb: 1\n";
        assert_eq!(inputs_tried(log), "58398");
        assert_eq!(inputs_tried(""), "an unknown number of");
    }
}
