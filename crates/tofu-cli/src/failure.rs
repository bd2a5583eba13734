//! How a command ends when it does not end well: an exit status for scripts, one line for people.
//!
//! Every module returns these; only `main` prints them and exits. The statuses are promised in
//! `tofu --help`, so a number here never changes its meaning.

use tofu::prelude::EngineError;

/// What every step of a command returns.
pub(crate) type Outcome<T = ()> = Result<T, Failure>;

/// The exit statuses other than 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum ExitStatus {
    /// What has no status of its own.
    Failure = 1,
    /// The command line is wrong.
    Usage = 2,
    /// There is no connection, or no listener.
    NoConnection = 3,
    /// The answer did not come in time.
    NoAnswer = 4,
    /// The connection ended before the work was done.
    ConnectionLost = 5,
    /// The bytes are no frames.
    BadBytes = 6,
    /// Whoever reads our standard output has left.
    OutputClosed = 7,
    /// Ctrl-C, as a shell numbers it.
    Interrupted = 130,
}

/// The exit statuses for people.
pub(crate) const EXIT_STATUSES: &str = "\
Exit status:
  0    all went well
  1    a failure of another kind: a file that cannot be read, a full disk ...
  2    the command line is wrong: an unknown option, a malformed address ...
  3    no connection: refused, no such host or path, not tofu; or the address is taken
  4    no answer in time
  5    the connection was lost before the work was done
  6    the bytes are no frames
  7    standard output was closed by its reader
  130  interrupted by Ctrl-C; listen, ping and perf end by it in good order, with 0

Each error is one line on standard error.";

/// Why a command ends.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Failure {
    pub(crate) status: ExitStatus,
    /// What was wrong, and with which value.
    pub(crate) text: String,
}

impl Failure {
    pub(crate) fn new(status: ExitStatus, text: impl Into<String>) -> Failure {
        Failure {
            status,
            text: text.into(),
        }
    }

    pub(crate) fn interrupted() -> Failure {
        Failure::new(ExitStatus::Interrupted, "interrupted")
    }
}

impl From<EngineError> for Failure {
    fn from(error: EngineError) -> Failure {
        Failure::new(ExitStatus::Failure, error.to_string())
    }
}
