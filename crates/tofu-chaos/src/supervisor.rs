//! Runs the chosen rows one after the other, each in a process of its own under a hard limit, and
//! prints one line for each.
//!
//! A row that hangs is killed, and so are all that it has started: each of them dies with its
//! parent.

use std::process::{Child, ChildStdin, Command, ExitCode, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::kit::lines::read_lines;
use crate::outcome::Outcome;
use crate::rows::{Extent, PROGRESS};
use crate::table::{ROWS, Row};

/// Which rows are run.
#[derive(Debug, clap::Args)]
pub(crate) struct Choice {
    /// Run only these rows, by number or name, as in `2,9,cycles`
    #[arg(long, value_delimiter = ',')]
    rows: Vec<String>,
}

impl Choice {
    fn rows(&self) -> Result<Vec<&'static Row>> {
        if self.rows.is_empty() {
            return Ok(ROWS.iter().collect());
        }
        let chosen = self.rows.iter().map(|id| {
            let row = ROWS.iter().find(|row| row.id == id);
            let ids: Vec<_> = ROWS.iter().map(|row| row.id).collect();
            row.with_context(|| format!("there is no row {id}; there are {}", ids.join(", ")))
        });
        chosen.collect()
    }
}

/// Runs the rows; fails when one fails.
pub(crate) fn run(choice: &Choice, extent: &Extent) -> Result<ExitCode> {
    let rows = choice.rows()?;
    raise_priority();
    let seed = extent.seed.unwrap_or_else(tofu_testkit::seed);
    let extent = Extent {
        seed: Some(seed),
        ..extent.clone()
    };
    println!("seed {seed} (repeat with --seed {seed}), load {}", load());
    println!("row | fault | observed | demanded | verdict");
    let mut counts = [0; 3];
    for row in rows {
        let started = Instant::now();
        let outcome = watch(row, &extent).unwrap_or_else(|error| {
            Outcome::failed(format!("the row could not be run: {error:#}"))
        });
        counts[outcome.verdict as usize] += 1;
        println!(
            "{:>6} | {:<38} | {} | {} | {} ({:.1} s)",
            row.id,
            row.fault,
            outcome.observed,
            row.demanded,
            outcome.verdict,
            started.elapsed().as_secs_f64()
        );
    }
    let [passed, failed, not_run] = counts;
    println!("{passed} passed, {failed} failed, {not_run} not run");
    Ok(if failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Puts this process and all it starts before other work on the machine, where the system allows
/// that: what is judged here is the engine, not who else is running.
fn raise_priority() {
    const PRIORITY: i32 = -10;
    // Without the right to do so everything is only noisier.
    let _ = rustix::process::setpriority_process(None, PRIORITY);
}

/// How busy the machine is, for whoever reads latencies later.
fn load() -> String {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().unwrap_or("unknown").to_owned()
}

/// A row's process; killed when it is dropped.
struct Process {
    child: Child,
    /// The row ends itself when this closes.
    _lifeline: Option<ChildStdin>,
    lines: Receiver<String>,
}

impl Drop for Process {
    fn drop(&mut self) {
        // What has ended already cannot be killed, and need not be.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(row: &Row, extent: &Extent) -> Result<Process> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(["row", row.id]).args(extent.arguments());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().context("cannot start the row's process")?;
    let lifeline = child.stdin.take();
    let stdout = child.stdout.take().context("the row has no output")?;
    let (lines, _) = read_lines(stdout);
    Ok(Process {
        child,
        _lifeline: lifeline,
        lines,
    })
}

/// Runs one row within its limit.
fn watch(row: &Row, extent: &Extent) -> Result<Outcome> {
    let limit = Duration::from_secs(if extent.all { row.limit_all } else { row.limit });
    let deadline = Instant::now() + limit + Duration::from_secs(extent.flood.unwrap_or(0));
    let mut process = start(row, extent)?;
    let mut progress = String::from("its start");
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        match process.lines.recv_timeout(left) {
            Ok(line) => {
                if let Some(outcome) = Outcome::from_line(&line) {
                    return Ok(outcome);
                }
                match line.strip_prefix(PROGRESS) {
                    Some(text) => text.clone_into(&mut progress),
                    None => println!("       {line}"),
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                let seconds = limit.as_secs();
                return Ok(Outcome::failed(format!(
                    "killed: still running after {seconds} s, at {progress}"
                )));
            }
            Err(RecvTimeoutError::Disconnected) => {
                let status = process.child.wait().context("cannot wait for the row")?;
                bail!("its process ended at {progress} with {status}");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::Verdict;

    #[test]
    fn rows_are_chosen_by_their_ids() {
        let all = Choice { rows: Vec::new() };
        assert_eq!(all.rows().unwrap().len(), ROWS.len());
        let some = Choice {
            rows: vec!["9".to_owned(), "cycles".to_owned()],
        };
        let ids: Vec<_> = some.rows().unwrap().iter().map(|row| row.id).collect();
        assert_eq!(ids, ["9", "cycles"]);
        let wrong = Choice {
            rows: vec!["99".to_owned()],
        };
        assert!(wrong.rows().unwrap_err().to_string().contains("no row 99"));
    }

    #[test]
    fn verdicts_count_in_their_places() {
        assert_eq!(Verdict::Passed as usize, 0);
        assert_eq!(Verdict::Failed as usize, 1);
        assert_eq!(Verdict::NotRun as usize, 2);
    }
}
