//! `cargo xtask bench syscalls`: what tofu asks of the kernel for each message, and in idleness.
//!
//! strace writes down every call of both processes; counted is what stands between the two marks
//! that the client writes to its error output. Traced calls are slow, so that threads sleep at other
//! moments than they would otherwise: the counts are close to the truth, the times are not.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::cases::PEERS;
use super::peers;
use super::record;
use super::table::number;
use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

const RESULTS: &str = "benches/results/syscalls.md";

const ANSWER_LIMIT: Duration = Duration::from_secs(30);
const RUN_LIMIT: Duration = Duration::from_secs(90);

/// How long each goes on.
const MILLISECONDS: u64 = 1000;

/// Kinds of calls that are named in the table.
const NAMED: usize = 6;

/// The name of what is traced, and what the program is told.
const WORK: &[(&str, &[&str])] = &[
    ("lat tcp", &["lat"]),
    ("lat uds", &["lat", "transport=uds"]),
    ("lat tcp, no spinning", &["lat", "spin=off"]),
    (
        "lat uds, no spinning",
        &["lat", "transport=uds", "spin=off"],
    ),
    ("thr tcp 64 B", &["thr"]),
    ("thr tcp 1 KiB", &["thr", "size=1024"]),
    ("thr tcp 60000 B", &["thr", "size=60000"]),
    ("thr uds 64 B", &["thr", "transport=uds"]),
    ("win tcp 1", &["win"]),
    ("win tcp 100", &["win", "connections=100"]),
    ("idle, 100 connections", &["idle", "connections=100"]),
];

#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Arguments {
    /// Keep the table in benches/results
    #[arg(long)]
    keep: bool,
}

/// The calls of both processes between the marks, by name.
type Calls = BTreeMap<String, u64>;

pub(super) fn run(arguments: &Arguments) -> Report {
    let mut report = Report::new();
    let mut version = Command::new("strace");
    version.arg("--version").stderr(Stdio::null());
    if process::output(&mut version, Deadline::after(ANSWER_LIMIT)).is_err() {
        report.add_not_run("syscalls", "no strace; Debian has it under that name");
        return report;
    }
    let counted = count_all().and_then(|table| {
        println!("\n{table}");
        let path = workspace::root().join(RESULTS);
        match arguments.keep {
            true => fs::write(path, table).context("cannot write the table"),
            false => Ok(()),
        }
    });
    report.add("syscalls", counted);
    report
}

/// The table, with what has to be known about it.
fn count_all() -> Result<String> {
    let tofu: Vec<_> = PEERS.iter().filter(|peer| peer.name == "tofu").collect();
    let program = peers::build(&tofu)?;
    let mut table = preface()?;
    for (name, words) in WORK {
        let row = count(&program, words).with_context(|| format!("cannot count {name}"))?;
        table.push_str(&format!("| {name} | {row} |\n"));
    }
    Ok(table)
}

fn preface() -> Result<String> {
    let (date, commit, machine) = record::origin()?;
    Ok(format!(
        "# tofu's system calls\n\n\
         Written by `cargo xtask bench syscalls --keep` on {date}, commit {commit}, {machine}.\n\n\
         Calls of both processes together, under strace, which makes each of them slow: batches are\n\
         smaller and sleeps more frequent than in earnest. A message there and back counts once.\n\
         What stands there for idleness is per second; the sleep of the program itself is left out.\n\n\
         | work | messages | calls each | of which |\n|---|---:|---:|---|\n"
    ))
}

/// The cells of one row behind its name.
fn count(program: &Path, words: &[&str]) -> Result<String> {
    let folder = tempfile::tempdir()?;
    let trace = folder.path().join("trace");
    let run = peers::command(program, words, "tofu", MILLISECONDS)?;
    let mut command = Command::new("strace");
    command.args(["-f", "-qq", "-o"]).arg(&trace);
    command
        .arg(run.command.get_program())
        .args(run.command.get_args());
    command.arg("marks=on").env("TMPDIR", folder.path());
    // The marks need not be seen.
    command.stderr(Stdio::null());
    let output = process::output(&mut command, Deadline::after(RUN_LIMIT))?;
    let messages = output.lines().find_map(|line| line.strip_prefix("count "));
    let calls = between_marks(&fs::read_to_string(&trace)?)?;
    Ok(match messages {
        Some(messages) => describe(&calls, messages.parse()?, messages),
        None => describe(
            &calls,
            Duration::from_millis(MILLISECONDS).as_secs_f64(),
            "none",
        ),
    })
}

fn between_marks(trace: &str) -> Result<Calls> {
    let mut calls = Calls::new();
    let mut marks = 0;
    for line in trace.lines() {
        // The thread's number, then the call; what is resumed was counted when it began.
        let Some((_, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if call.starts_with("write(2, \"mark ") {
            marks += 1;
            continue;
        }
        let Some((name, _)) = call.split_once('(') else {
            continue;
        };
        let is_call =
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
        if marks == 1 && is_call && name != "clock_nanosleep" {
            *calls.entry(name.to_owned()).or_default() += 1;
        }
    }
    ensure!(marks == 2, "{marks} marks in the trace instead of 2");
    Ok(calls)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn describe(calls: &Calls, units: f64, messages: &str) -> String {
    let each = |count: u64| number(count as f64 / units);
    let mut by_count: Vec<(&String, &u64)> = calls.iter().collect();
    by_count.sort_by_key(|(name, count)| (std::cmp::Reverse(**count), (*name).clone()));
    let named = by_count.iter().take(NAMED);
    let named: Vec<String> = named
        .map(|(name, count)| format!("{name} {}", each(**count)))
        .collect();
    let all = each(calls.values().sum());
    format!("{messages} | {all} | {}", named.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "\
10 read(3, \"\", 1) = 0
10 write(2, \"mark begin\\n\", 11) = 11
11 sendmsg(5, {...}, 0) = 80
12 epoll_wait(4,  <unfinished ...>
10 clock_nanosleep(CLOCK_REALTIME, 0, ...) = 0
12 <... epoll_wait resumed>[], 1024, -1) = 1
12 --- SIGCHLD {si_signo=SIGCHLD} ---
11 sendmsg(5, {...}, 0) = 80
10 write(2, \"mark end\\n\", 9) = 9
10 exit_group(0) = ?
12 +++ exited with 0 +++
";

    #[test]
    fn what_stands_between_the_marks_is_counted_once() {
        let calls = between_marks(TRACE).unwrap();
        assert_eq!(
            describe(&calls, 2.0, "2"),
            "2 | 1.50 | sendmsg 1.00, epoll_wait 0.500"
        );
        assert!(between_marks("10 read(3) = 0\n").is_err());
    }
}
