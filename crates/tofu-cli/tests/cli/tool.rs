//! Running the program: to its end, or in the background as a listener. Nothing outlives a test,
//! and nothing is waited for without a deadline.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use tofu::prelude::Endpoint;
use tofu_testkit::{RawListener, TempUdsPath};

/// How long anything may take; far more than it does.
pub(crate) const LIMIT: Duration = Duration::from_secs(60);

/// The program.
pub(crate) const TOFU: &str = env!("CARGO_BIN_EXE_tofu");

/// How a run ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Ended {
    /// Standard output as text, of a run that succeeded and complained of nothing.
    #[track_caller]
    pub(crate) fn text(&self) -> &str {
        assert_eq!((self.code, &*self.stderr), (0, ""));
        std::str::from_utf8(&self.stdout).unwrap()
    }

    /// The one line on standard error of a run that failed with this status.
    #[track_caller]
    pub(crate) fn failed(&self, code: i32) -> &str {
        assert_eq!(self.code, code, "{self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap();
        assert!(!line.contains('\n'), "more than one line: {}", self.stderr);
        line.strip_prefix("tofu: ").unwrap()
    }
}

impl From<Output> for Ended {
    fn from(output: Output) -> Ended {
        Ended {
            code: output.status.code().unwrap(),
            stdout: output.stdout,
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

/// A command line of the program.
pub(crate) fn tofu(arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Command {
    let mut command = Command::new(TOFU);
    command.args(arguments).env_remove("NO_COLOR");
    command.stdin(Stdio::null());
    command
}

/// Runs the program to its end, without input.
#[track_caller]
pub(crate) fn run(arguments: &[&str]) -> Ended {
    finish(start(tofu(arguments)))
}

/// Runs the program to its end with this input.
#[track_caller]
pub(crate) fn run_with(arguments: &[&str], input: &[u8]) -> Ended {
    let mut command = tofu(arguments);
    command.stdin(Stdio::piped());
    let mut child = start(command);
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_vec();
    // The program may end without reading all of it.
    let writer = thread::spawn(move || drop(stdin.write_all(&input)));
    let ended = finish(child);
    writer.join().unwrap();
    ended
}

/// Starts a command with its output in pipes.
pub(crate) fn start(mut command: Command) -> Child {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

/// Waits for the end, and kills what does not come to one.
#[track_caller]
pub(crate) fn finish(child: Child) -> Ended {
    let pid = child.id();
    let ended = in_background(move || child.wait_with_output());
    match ended.recv_timeout(LIMIT) {
        Ok(output) => output.unwrap().into(),
        Err(_) => {
            signal(pid, Signal::KILL);
            panic!("it did not end: {:?}", ended.recv().unwrap());
        }
    }
}

/// Does something that blocks on a thread of its own, so that the wait for it has a deadline.
pub(crate) fn in_background<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Receiver<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || sender.send(work()));
    receiver
}

/// Sends a signal to a process that was started here.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    kill_process(pid, signal).unwrap();
}

/// A raw listener on a Unix domain socket, and the path that has to outlive it.
pub(crate) fn raw_listener() -> (RawListener, TempUdsPath) {
    let path = TempUdsPath::new().unwrap();
    (RawListener::bind_uds(&path).unwrap(), path)
}

/// `tofu listen` in the background, killed when dropped.
pub(crate) struct Listen {
    child: Child,
    /// Where it listens, as it has told.
    pub(crate) address: String,
    stdout: Option<BufReader<ChildStdout>>,
    stderr: BufReader<ChildStderr>,
    _path: Option<TempUdsPath>,
}

impl Listen {
    /// On a Unix domain socket of its own.
    #[track_caller]
    pub(crate) fn uds(options: &[&str]) -> Listen {
        let path = TempUdsPath::new().unwrap();
        let address = format!("uds|{}", path.as_path().display());
        let mut listen = Listen::at(&address, options);
        listen._path = Some(path);
        listen
    }

    /// On a Unix domain socket of its own, as a server for others: it answers, and prints nothing
    /// that somebody would have to read.
    #[track_caller]
    pub(crate) fn echo() -> Listen {
        let path = TempUdsPath::new().unwrap();
        let address = format!("uds|{}", path.as_path().display());
        let mut listen = Listen::start(&address, &["--echo"], Stdio::null());
        listen._path = Some(path);
        listen
    }

    #[track_caller]
    pub(crate) fn at(address: &str, options: &[&str]) -> Listen {
        Listen::start(address, options, Stdio::piped())
    }

    #[track_caller]
    fn start(address: &str, options: &[&str], stdout: Stdio) -> Listen {
        let mut command = tofu([&["listen", address], options].concat());
        command.stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut line = String::new();
        stderr.read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ");
        Listen {
            address: address.unwrap_or_else(|| panic!("{line}")).to_owned(),
            child,
            stdout,
            stderr,
            _path: None,
        }
    }

    pub(crate) fn endpoint(&self) -> Endpoint {
        self.address.parse().unwrap()
    }

    pub(crate) fn signal(&self, which: Signal) {
        signal(self.child.id(), which);
    }

    /// The next line of standard output.
    #[track_caller]
    pub(crate) fn line(&mut self) -> String {
        let mut stdout = self.stdout.take().unwrap();
        let read = in_background(move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (line, stdout)
        });
        let (line, stdout) = read.recv_timeout(LIMIT).expect("a line in time");
        self.stdout = Some(stdout);
        line
    }

    /// Standard output, to be given to another process or closed.
    pub(crate) fn take_stdout(&mut self) -> ChildStdout {
        self.stdout.take().unwrap().into_inner()
    }

    /// Waits for its end.
    #[track_caller]
    pub(crate) fn end(mut self) -> Ended {
        let stdout = self.stdout.take();
        let read = in_background(move || {
            let mut content = Vec::new();
            if let Some(mut stdout) = stdout {
                stdout.read_to_end(&mut content).unwrap();
            }
            content
        });
        let stdout = read.recv_timeout(LIMIT).expect("an end in time");
        let mut stderr = String::new();
        self.stderr.read_to_string(&mut stderr).unwrap();
        let status: ExitStatus = self.child.wait().unwrap();
        Ended {
            code: status.code().unwrap(),
            stdout,
            stderr,
        }
    }
}

impl Drop for Listen {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _gone = self.child.kill();
        let _gone = self.child.wait();
    }
}
