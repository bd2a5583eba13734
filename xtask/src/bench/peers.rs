//! `cargo xtask bench peers`: builds the programs, runs them in turn, and shows or keeps the result.
//!
//! One run is one process that starts the other one; it has a deadline of its own, and when that
//! passes both are killed and the run counts as failed. Nothing here knows a library.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::builder::PossibleValuesParser;

use super::cases::{CASES, Case, PEERS, Peer, shapes};
use super::machine::Load;
use super::samples::{Measures, Samples};
use super::{record, table};
use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

/// C libraries are compiled at their first time.
const BUILD_LIMIT: Duration = Duration::from_secs(15 * 60);

/// What a run may take beyond its measured time: opening thousands of connections.
const RUN_LIMIT: Duration = Duration::from_secs(25);

/// The share of others in the machine beyond which results are not worth keeping.
const CROWDED: f64 = 0.15;

/// Those of the quick look.
const QUICK_PEERS: [&str; 4] = ["tofu", "floor4", "libzmq", "tokio"];

/// Parts of the names of those that are run in passing, to see them run.
const SMOKE_CASES: [&str; 3] = ["lat tcp", "hogs 2", "pairs 4"];

const FOLDER: &str = "benches/peers";
const PROGRAM: &str = "tofu-peers";
const RESULTS: &str = "benches/results";

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Only this shape (may be repeated)
    #[arg(long, value_name = "SHAPE", value_parser = PossibleValuesParser::new(shapes()))]
    pub(super) shape: Vec<String>,
    /// Only cases whose name contains this (may be repeated)
    #[arg(long, value_name = "TEXT")]
    pub(super) case: Vec<String>,
    /// Only this library (may be repeated); the result is shown and not kept
    #[arg(long, value_name = "PEER", value_parser = PossibleValuesParser::new(PEERS.iter().map(|peer| peer.name)))]
    pub(super) peer: Vec<String>,
    /// How often each is run
    #[arg(long, default_value_t = 5)]
    pub(super) runs: u32,
    /// How long a run measures
    #[arg(long, default_value_t = 400)]
    pub(super) milliseconds: u64,
    /// Keep the result in benches/results even of some libraries or cases, or of a busy machine
    #[arg(long)]
    pub(super) keep: bool,
    /// Only write tables and pictures anew from the values in benches/results
    #[arg(long)]
    pub(super) redraw: bool,
    /// Only build
    #[arg(long)]
    pub(super) build_only: bool,
    /// Take the programs as they were built before
    #[arg(long, conflicts_with = "build_only")]
    pub(super) no_build: bool,
}

pub(super) fn run(arguments: &Arguments) -> Report {
    if arguments.redraw {
        let mut report = Report::new();
        report.add("results", record::redraw(&results()));
        return report;
    }
    compare(arguments, &|_| true)
}

fn results() -> PathBuf {
    workspace::root().join(RESULTS)
}

/// A few cases of tofu alone, once: whether the programs compile and run.
pub(super) fn smoke() -> Report {
    let arguments = Arguments {
        case: SMOKE_CASES.map(str::to_owned).to_vec(),
        peer: vec!["tofu".to_owned()],
        runs: 1,
        milliseconds: 100,
        ..Arguments::of_all()
    };
    compare(&arguments, &|_| true)
}

/// A few cases, few runs, the libraries that matter most.
pub(super) fn quick() -> Report {
    let arguments = Arguments {
        peer: QUICK_PEERS.map(str::to_owned).to_vec(),
        runs: 3,
        milliseconds: 300,
        ..Arguments::of_all()
    };
    compare(&arguments, &|case| case.is_quick)
}

fn compare(arguments: &Arguments, is_wanted: &dyn Fn(&Case) -> bool) -> Report {
    let mut report = Report::new();
    let peers = arguments.peers();
    let program = match arguments.no_build {
        true => Ok(program()),
        false => build(&peers),
    };
    let program = match program {
        Ok(program) => program,
        Err(error) => {
            report.add("build", Err(error));
            return report;
        }
    };
    report.add("build", Ok(()));
    if arguments.build_only {
        return report;
    }
    let cases = CASES
        .iter()
        .filter(|case| arguments.wants(case) && is_wanted(case));
    let cases: Vec<&Case> = cases.collect();
    let (samples, others) = measure(&program, &cases, &peers, arguments);
    let shapes: BTreeSet<&str> = cases.iter().map(|case| case.shape).collect();
    for shape in &shapes {
        println!("\n## {shape}\n\n{}", table::describe(shape, &samples));
    }
    let failures = samples.failures().into_iter();
    let failures: Vec<String> = failures
        .map(|(case, peer, failure)| format!("{case}, {peer}: {failure}"))
        .collect();
    report.add_findings("runs", &failures);
    if arguments.is_kept() && others > CROWDED && !arguments.keep {
        let percent = others * 100.0;
        let why = format!("others had up to {percent:.0} % of the processors; --keep keeps it");
        report.add_not_run("results", &why);
    } else if arguments.is_kept() {
        let shapes: Vec<&str> = shapes.into_iter().collect();
        report.add("results", keep(&shapes, &samples, others, arguments));
    }
    report
}

fn keep(shapes: &[&str], samples: &Samples, others: f64, arguments: &Arguments) -> Result<()> {
    let circumstances = record::circumstances(arguments.runs, arguments.milliseconds, others)?;
    record::keep(&results(), shapes, &circumstances, samples)
}

impl Arguments {
    fn of_all() -> Arguments {
        Arguments {
            shape: Vec::new(),
            case: Vec::new(),
            peer: Vec::new(),
            runs: 1,
            milliseconds: 10,
            keep: false,
            redraw: false,
            build_only: false,
            no_build: false,
        }
    }

    fn peers(&self) -> Vec<&'static Peer> {
        let is_wanted =
            |peer: &&Peer| self.peer.is_empty() || self.peer.iter().any(|name| name == peer.name);
        PEERS.iter().filter(is_wanted).collect()
    }

    fn wants(&self, case: &Case) -> bool {
        let has_shape = self.shape.is_empty() || self.shape.iter().any(|shape| shape == case.shape);
        let has_name = self.case.is_empty()
            || self
                .case
                .iter()
                .any(|text| case.name.contains(text.as_str()));
        has_shape && has_name
    }

    fn is_kept(&self) -> bool {
        self.keep || (self.peer.is_empty() && self.case.is_empty())
    }
}

/// Builds the program with these libraries in it, in release. Returns where it is.
pub(super) fn build(peers: &[&Peer]) -> Result<PathBuf> {
    let mut features: Vec<&str> = peers.iter().map(|peer| peer.feature).collect();
    features.dedup();
    let mut command = workspace::cargo();
    command.args(["build", "--release"]).arg("--manifest-path");
    command.arg(workspace::root().join(FOLDER).join("Cargo.toml"));
    command.args(["--features", &features.join(",")]);
    command.arg("--target-dir").arg(target());
    process::run(&mut command, Deadline::after(BUILD_LIMIT)).context(
        "libzmq needs a C++ compiler, nng a C compiler and cmake; `--peer` names those to take",
    )?;
    Ok(program())
}

fn target() -> PathBuf {
    workspace::target_directory().join("peers")
}

fn program() -> PathBuf {
    target().join("release").join(PROGRAM)
}

/// Runs case by case. Also returns the largest share of the machine that others had meanwhile.
fn measure(
    program: &Path,
    cases: &[&Case],
    peers: &[&Peer],
    arguments: &Arguments,
) -> (Samples, f64) {
    let mut samples = Samples::default();
    let mut most = 0.0_f64;
    for case in cases {
        let before = Load::now().ok();
        measure_case(program, case, peers, arguments, &mut samples);
        let others = before.and_then(|before| Some(Load::now().ok()?.of_others_since(&before)));
        let others = others.unwrap_or_default();
        most = most.max(others);
        let percent = others * 100.0;
        eprintln!(
            "{}: done; others had {percent:.0} % of the processors",
            case.name
        );
    }
    (samples, most)
}

/// Round by round all libraries: what disturbs the machine for a while disturbs them all.
fn measure_case(
    program: &Path,
    case: &Case,
    peers: &[&Peer],
    arguments: &Arguments,
    samples: &mut Samples,
) {
    for round in 1..=case.runs(arguments.runs) {
        for peer in peers.iter().filter(|peer| case.suits(peer)) {
            if samples.has_failed(case.name, peer.name) {
                // It would fail again, and may take long to do so.
                continue;
            }
            let outcome = run_once(program, case, peer.name, arguments.milliseconds);
            if let Err(error) = &outcome {
                eprintln!("{}, {}, run {round}: {error:#}", case.name, peer.name);
            }
            samples.add(case.name, peer.name, outcome);
        }
    }
}

fn run_once(program: &Path, case: &Case, peer: &str, milliseconds: u64) -> Result<Measures> {
    let mut command = command(program, case.words, peer, milliseconds)?;
    let limit = RUN_LIMIT + Duration::from_millis(milliseconds);
    parse(&process::output(
        &mut command.command,
        Deadline::after(limit),
    )?)
}

/// A run, with a folder of its own for sockets, which goes with it.
pub(super) struct Run {
    pub(super) command: Command,
    _sockets: tempfile::TempDir,
}

/// The words begin with the shape.
pub(super) fn command(
    program: &Path,
    words: &[&str],
    peer: &str,
    milliseconds: u64,
) -> Result<Run> {
    let sockets = tempfile::tempdir().context("cannot make a folder for sockets")?;
    let mut command = Command::new(program);
    command.args(["run", peer]).args(words);
    command.arg(format!("milliseconds={milliseconds}"));
    command.env("TMPDIR", sockets.path());
    Ok(Run {
        command,
        _sockets: sockets,
    })
}

fn parse(output: &str) -> Result<Measures> {
    let mut measures = Measures::new();
    for line in output.lines() {
        let (name, value) = line.split_once(' ').context("no name and value")?;
        measures.insert(name.to_owned(), value.parse()?);
    }
    ensure!(!measures.is_empty(), "it measured nothing");
    Ok(measures)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(peer: &[&str], case: &[&str]) -> Arguments {
        let own = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Arguments {
            shape: own(&["lat"]),
            case: own(case),
            peer: own(peer),
            ..Arguments::of_all()
        }
    }

    #[test]
    fn only_what_is_whole_is_kept() {
        assert!(arguments(&[], &[]).is_kept());
        assert!(!arguments(&["tofu"], &[]).is_kept());
        assert!(!arguments(&[], &["uds"]).is_kept());
    }

    #[test]
    fn libraries_and_cases_are_chosen() {
        let some = arguments(&["nng", "tofu"], &["uds"]);
        let names: Vec<&str> = some.peers().iter().map(|peer| peer.name).collect();
        assert_eq!(names, ["tofu", "nng"]);
        let cases: Vec<&str> = CASES
            .iter()
            .filter(|case| some.wants(case))
            .map(|case| case.name)
            .collect();
        assert_eq!(
            cases,
            [
                "lat uds",
                "lat uds, no spinning",
                "lat uds, no spinning, one core"
            ]
        );
    }

    #[test]
    fn the_programs_lines_are_read() {
        let measures = parse("p50_us 12.5\np99_us 40\n").unwrap();
        assert_eq!(measures["p50_us"].to_string(), "12.5");
        assert!(parse("").is_err() && parse("p50_us x\n").is_err());
    }
}
