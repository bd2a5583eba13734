//! A point in time that a wait must not pass. Internal; the public calls take a `Duration`.

use std::io;
use std::time::{Duration, Instant};

/// How long to sleep between two looks at something that has no event to wait for.
pub(crate) const POLL_INTERVAL: Duration = Duration::from_millis(1);

/// The end of a wait; none if it lies beyond what the clock can say.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    pub(crate) fn after(duration: Duration) -> Deadline {
        Deadline(Instant::now().checked_add(duration))
    }

    pub(crate) fn remaining(self) -> Duration {
        match self.0 {
            Some(end) => end.saturating_duration_since(Instant::now()),
            None => Duration::MAX,
        }
    }

    pub(crate) fn has_passed(self) -> bool {
        self.remaining().is_zero()
    }

    /// What remains, as a socket timeout: never zero, which would mean none, and never more than
    /// a socket option takes.
    pub(crate) fn socket_timeout(self) -> Duration {
        self.remaining()
            .clamp(POLL_INTERVAL, Duration::from_secs(3600))
    }

    /// Calls `attempt` until it gives anything but `WouldBlock` or `Interrupted`, at least once;
    /// after the deadline the error is `TimedOut` and names `what`.
    pub(crate) fn retry<T>(
        self,
        what: &str,
        mut attempt: impl FnMut() -> io::Result<T>,
    ) -> io::Result<T> {
        loop {
            match attempt() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.has_passed() {
                        return Err(io::Error::new(io::ErrorKind::TimedOut, what.to_owned()));
                    }
                }
                outcome => return outcome,
            }
        }
    }
}
