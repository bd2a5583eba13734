//! Child processes that end: each in a process group of its own, under a deadline.
//!
//! Everything that xtask starts goes through here. When the deadline passes, on Ctrl-C and on drop
//! the whole group is killed, so a hanging test leaves nothing behind. Only groups that were
//! started here are ever signalled.

use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, kill_process_group, waitid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::deadline::Deadline;

/// How often a running child is looked at.
const POLL: Duration = Duration::from_millis(10);

/// How long a killed or ended child's output may still take to arrive.
const OUTPUT_GRACE: Duration = Duration::from_secs(5);

/// The exit code that shells use for "ended by Ctrl-C".
const INTERRUPTED: i32 = 130;

/// The groups that run now, for the signal thread. A group leaves the list before its leader is
/// reaped, hence no number in it can belong to anybody else.
static RUNNING: Mutex<Vec<Pid>> = Mutex::new(Vec::new());

fn running() -> MutexGuard<'static, Vec<Pid>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Kills all children when we are told to end. Without it they would go on, for the terminal's
/// Ctrl-C reaches only our own group.
pub(crate) fn stop_children_on_signal() -> Result<()> {
    let mut signals =
        Signals::new([SIGINT, SIGTERM, SIGHUP]).context("cannot listen for signals")?;
    thread::spawn(move || {
        if signals.forever().next().is_some() {
            let groups = running();
            for group in groups.iter() {
                kill_group(*group);
            }
            // The list stays locked until we are gone: nothing can be started any more.
            std::process::exit(INTERRUPTED);
        }
    });
    Ok(())
}

/// Runs a command to its end with our own output; anything but success is an error.
pub(crate) fn run(command: &mut Command, deadline: Deadline) -> Result<()> {
    Process::start(command, deadline)?.wait()
}

/// Runs a command to its end and returns what it printed; anything but success is an error.
pub(crate) fn output(command: &mut Command, deadline: Deadline) -> Result<String> {
    command.stdout(Stdio::piped());
    let mut process = Process::start(command, deadline)?;
    let lines = process.lines()?;
    process.wait()?;
    let mut text = String::new();
    let deadline = Deadline::after(OUTPUT_GRACE);
    while let Some(line) = next_line(&lines, deadline)? {
        text.push_str(&line);
        text.push('\n');
    }
    Ok(text)
}

/// The next line of a child, `None` behind the last one; past the deadline it is an error.
pub(crate) fn next_line(lines: &Receiver<String>, deadline: Deadline) -> Result<Option<String>> {
    match lines.recv_timeout(deadline.remaining()) {
        Ok(line) => Ok(Some(line)),
        Err(RecvTimeoutError::Disconnected) => Ok(None),
        Err(RecvTimeoutError::Timeout) => bail!("no further line of output in time"),
    }
}

/// A running child and all that it starts.
#[derive(Debug)]
pub(crate) struct Process {
    name: String,
    child: Child,
    group: Pid,
    started: Instant,
    deadline: Deadline,
    is_reaped: bool,
}

impl Process {
    /// Starts the command with no input, as the leader of a new process group.
    pub(crate) fn start(command: &mut Command, deadline: Deadline) -> Result<Process> {
        Process::start_with(command, Stdio::null(), deadline)
    }

    /// The same with an input that [`Process::input`] hands out.
    pub(crate) fn start_to_type(command: &mut Command, deadline: Deadline) -> Result<Process> {
        Process::start_with(command, Stdio::piped(), deadline)
    }

    fn start_with(command: &mut Command, input: Stdio, deadline: Deadline) -> Result<Process> {
        let name = describe(command);
        // Held from before the start, so that the signal thread sees every group.
        let mut groups = running();
        let child = command.stdin(input).process_group(0).spawn();
        let child = child.with_context(|| format!("cannot start `{name}`"))?;
        let group = Pid::from_child(&child);
        groups.push(group);
        Ok(Process {
            name,
            child,
            group,
            started: Instant::now(),
            deadline,
            is_reaped: false,
        })
    }

    /// Where to type. Once only, and only if it was started so; dropping it ends the input.
    pub(crate) fn input(&mut self) -> Option<ChildStdin> {
        self.child.stdin.take()
    }

    /// The lines of the child's output as they come. Once only, and only if it was piped.
    pub(crate) fn lines(&mut self) -> Result<Receiver<String>> {
        let stdout = self.child.stdout.take();
        let stdout = stdout.with_context(|| format!("`{}`: no output to read", self.name))?;
        Ok(read_lines(stdout))
    }

    /// Waits for the end, at most until the deadline; anything but success is an error.
    pub(crate) fn wait(mut self) -> Result<()> {
        while !self.has_exited()? {
            if self.deadline.has_passed() {
                let seconds = self.started.elapsed().as_secs_f64();
                let survivors = self.members();
                self.stop()?;
                bail!(
                    "`{}` hung: killed after {seconds:.1} s{survivors}",
                    self.name
                );
            }
            thread::sleep(POLL);
        }
        let status = self.stop()?;
        if !status.success() {
            bail!("`{}` ended with {status}", self.name);
        }
        Ok(())
    }

    /// Looks without reaping: until it is reaped the number of the group stays ours.
    fn has_exited(&self) -> Result<bool> {
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(self.group), options);
        Ok(status
            .with_context(|| format!("cannot wait for `{}`", self.name))?
            .is_some())
    }

    /// Kills what is left of the group and reaps its leader.
    fn stop(&mut self) -> Result<ExitStatus> {
        self.is_reaped = true;
        kill_group(self.group);
        running().retain(|group| *group != self.group);
        self.child
            .wait()
            .with_context(|| format!("cannot wait for `{}`", self.name))
    }

    /// The command lines in the group, to say what hangs; empty where `ps` cannot tell.
    fn members(&self) -> String {
        let listing = Command::new("ps")
            .args(["-A", "-o", "pgid=", "-o", "args="])
            .output();
        let Ok(listing) = listing else {
            return String::new();
        };
        let group = self.group.as_raw_nonzero().to_string();
        let listing = String::from_utf8_lossy(&listing.stdout);
        let members = listing.lines().filter_map(|line| {
            let (number, arguments) = line.trim().split_once(' ')?;
            (number == group).then(|| format!("\nit ran: {}", arguments.trim()))
        });
        members.collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !self.is_reaped {
            // A destructor has nobody to tell; the group is killed in any case.
            let _ = self.stop();
        }
    }
}

fn kill_group(group: Pid) {
    // The only failure is that nobody is left in it.
    let _ = kill_process_group(group, Signal::KILL);
}

/// Reads in a thread of its own, so that whoever waits for a line can have a deadline.
fn read_lines(stdout: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(stdout).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                break;
            }
        }
    });
    receiver
}

/// The command as one would type it, without the folders of the program.
fn describe(command: &Command) -> String {
    let program = command.get_program().to_string_lossy();
    let program = program.rsplit('/').next().unwrap_or(&program).to_owned();
    let arguments = command
        .get_args()
        .map(|argument| argument.to_string_lossy().into_owned());
    std::iter::once(program)
        .chain(arguments)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(20))
    }

    #[test]
    fn success_failure_and_absence_are_told_apart() {
        run(&mut shell("exit 0"), soon()).unwrap();
        let failed = run(&mut shell("exit 3"), soon()).unwrap_err().to_string();
        assert!(
            failed.contains("sh -c exit 3") && failed.contains("exit status: 3"),
            "{failed}"
        );
        let absent = run(&mut Command::new("there-is-no-such-program"), soon());
        assert!(absent.unwrap_err().to_string().contains("cannot start"));
    }

    #[test]
    fn output_is_whole() {
        assert_eq!(
            output(&mut shell("echo one; echo two"), soon()).unwrap(),
            "one\ntwo\n"
        );
    }

    #[test]
    fn a_hanging_child_is_killed_with_all_that_it_started() {
        let mut command = shell("sleep 600 & echo $!; wait");
        command.stdout(Stdio::piped());
        let started = Instant::now();
        let mut process =
            Process::start(&mut command, Deadline::after(Duration::from_millis(300))).unwrap();
        let lines = process.lines().unwrap();
        let grandchild: i32 = lines.recv().unwrap().parse().unwrap();
        let error = process.wait().unwrap_err().to_string();
        assert!(error.contains("hung"), "{error}");
        // The pipe closes only when its last holder, the grandchild, is gone.
        assert_eq!(
            next_line(&lines, soon()).unwrap(),
            None,
            "process {grandchild} lives on"
        );
        assert!(started.elapsed() < Duration::from_secs(60));
    }

    #[test]
    fn a_dropped_child_is_killed() {
        let mut command = shell("echo up; sleep 600");
        command.stdout(Stdio::piped());
        let mut process = Process::start(&mut command, soon()).unwrap();
        let lines = process.lines().unwrap();
        assert_eq!(next_line(&lines, soon()).unwrap().as_deref(), Some("up"));
        drop(process);
        assert_eq!(next_line(&lines, soon()).unwrap(), None);
    }
}
