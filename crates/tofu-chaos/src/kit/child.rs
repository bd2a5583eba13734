//! Another process of this program: somebody who can be killed, stopped or starved.
//!
//! Started by the rows, from their main thread: a child dies with the thread that started it. It
//! says what it has to say line by line, and is told what to do in the same way.

use std::io::Write;
use std::process::{ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::LIMIT;
use super::lines::{End, read_lines};

/// A running child; killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Child {
    process: std::process::Child,
    input: ChildStdin,
    lines: Receiver<String>,
    end: End,
}

impl Child {
    /// Starts a child with the arguments behind `child`.
    pub(crate) fn start<I: AsRef<str>>(arguments: &[I]) -> Result<Child> {
        let program = std::env::current_exe().context("cannot find this program")?;
        Child::start_by(Command::new(program), arguments)
    }

    /// Starts a child by a command that runs this program.
    pub(crate) fn start_by<I: AsRef<str>>(mut command: Command, arguments: &[I]) -> Result<Child> {
        command
            .arg("child")
            .args(arguments.iter().map(AsRef::as_ref));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().context("cannot start a child")?;
        let input = process.stdin.take().context("a child without input")?;
        let output = process.stdout.take().context("a child without output")?;
        let (lines, end) = read_lines(output);
        Ok(Child {
            process,
            input,
            lines,
            end,
        })
    }

    pub(crate) fn pid(&self) -> u32 {
        self.process.id()
    }

    /// When the child's output ended, as it does when a process dies.
    pub(crate) fn ended_at(&self) -> Option<Instant> {
        self.end.get().copied()
    }

    /// Tells the child what to do.
    pub(crate) fn tell(&mut self, line: &str) -> Result<()> {
        writeln!(self.input, "{line}").context("the child does not listen any more")
    }

    /// The child's next line; `None` when it has ended, an error when none comes.
    pub(crate) fn line(&self, limit: Duration) -> Result<Option<String>> {
        match self.lines.recv_timeout(limit) {
            Ok(line) => Ok(Some(line)),
            Err(RecvTimeoutError::Disconnected) => Ok(None),
            Err(RecvTimeoutError::Timeout) => bail!("a child says nothing for {limit:?}"),
        }
    }

    /// The lines that have come and are not read yet.
    pub(crate) fn lines_so_far(&self) -> Vec<String> {
        self.lines.try_iter().collect()
    }

    /// What stands behind `word` in the first line that begins with it; others are skipped.
    pub(crate) fn expect(&self, word: &str, limit: Duration) -> Result<String> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let line = self
                .line(left)
                .with_context(|| format!("waiting for a child's `{word}`"))?;
            let line = line.with_context(|| format!("a child ended without `{word}`"))?;
            if let Some(rest) = line.strip_prefix(word) {
                return Ok(rest.trim().to_owned());
            }
            if line.starts_with("error") {
                bail!("a child reports: {line}");
            }
        }
    }

    /// Sends a signal. The child has not been waited for, so its number is still its own.
    pub(crate) fn signal(&self, signal: Signal) -> Result<()> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, signal).with_context(|| format!("cannot send {signal} to a child"))
    }

    /// Waits until the child is stopped by a signal: the kernel takes a moment.
    pub(crate) fn stop(&self) -> Result<()> {
        self.signal(Signal::SIGSTOP)?;
        let deadline = Instant::now() + LIMIT;
        while Instant::now() < deadline {
            let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.pid()))?;
            let (_, fields) = stat.rsplit_once(')').context("no name in /proc stat")?;
            if fields.trim_start().starts_with('T') {
                return Ok(());
            }
            thread::sleep(Duration::from_millis(1));
        }
        bail!("a child cannot be stopped")
    }

    /// Waits for the child's end.
    pub(crate) fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        while Instant::now() < deadline {
            if let Some(status) = self.process.try_wait()? {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(2));
        }
        bail!("a child does not end within {limit:?}")
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // What has ended already cannot be killed, and need not be.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
