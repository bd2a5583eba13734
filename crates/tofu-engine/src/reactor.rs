//! `Reactor`: the handle by which the application owns an engine.

use std::fmt;
use std::thread::{self, JoinHandle, ThreadId};
use std::time::{Duration, Instant};

use crate::core::stopping::ShutdownReport;
use crate::driver::Handle;
use crate::error::EngineError;
use crate::group::Group;
use crate::msg::Msg;
use crate::net::reactor::{Outcome, Running, start};
use crate::options::Options;
use crate::shared::pool::Allocation;
use crate::shared::stats::Stats;
use crate::sync::{Arc, Mutex};

/// How long beyond its deadline a call waits for the reactor's thread to answer.
const MARGIN: Duration = Duration::from_secs(1);

/// An engine: a pool of messages, channel groups, and one thread that does all socket work.
///
/// Clones are handles to the same engine. The thread stops on [`shutdown`](Reactor::shutdown) or
/// when the last clone is dropped; groups, posters and messages do not keep it alive, and answer
/// `ShutdownStarted` from then on.
///
/// ```
/// use std::time::Duration;
/// use tofu_engine::{Options, Reactor};
///
/// # fn main() -> Result<(), tofu_engine::EngineError> {
/// let engine = Reactor::start(Options::default())?;
/// let message = engine.message()?;
/// engine.put(message);
/// let report = engine.shutdown(Duration::from_secs(1));
/// assert!(report.complete);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Reactor {
    inner: Arc<Inner>,
}

struct Inner {
    handle: Handle,
    outcome: Arc<Outcome>,
    own_thread: ThreadId,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Reactor {
    /// Starts an engine.
    ///
    /// # Errors
    /// [`EngineError::NotStarted`] when the system refuses a poller or a thread.
    pub fn start(options: Options) -> Result<Reactor, EngineError> {
        let Running {
            handle,
            outcome,
            thread,
        } = start(options)?;
        let inner = Inner {
            handle,
            outcome,
            own_thread: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
        };
        Ok(Reactor {
            inner: Arc::new(inner),
        })
    }

    /// A message from the pool. `None` only with [`Allocation::PoolOnly`], when none is free.
    ///
    /// # Errors
    /// When the engine has ended.
    #[inline]
    pub fn get(&self, allocation: Allocation) -> Result<Option<Msg>, EngineError> {
        self.inner.handle.get(allocation)
    }

    /// A message, from the pool or new.
    ///
    /// # Errors
    /// When the engine has ended.
    #[inline]
    pub fn message(&self) -> Result<Msg, EngineError> {
        self.inner.handle.message()
    }

    /// Gives a message back to its pool; the same as dropping it.
    #[inline]
    pub fn put(&self, message: Msg) {
        self.inner.handle.put(message);
    }

    /// Makes a channel group.
    ///
    /// # Errors
    /// When the engine has ended.
    pub fn create_group(&self) -> Result<Group, EngineError> {
        self.inner.handle.create_group()
    }

    /// Stops the engine: what was posted may still be sent for `grace`, and closing connections
    /// may take their leave; then everything ends. Unsent messages and one `channel_closed` per
    /// channel are left in the groups' inboxes, and every `wait_receive` ends after handing them
    /// out.
    ///
    /// Returns when the engine's thread has ended, at the latest one second after `grace`. Safe to
    /// call again: the first call counts, every call has the same report. Only on the engine's own
    /// thread, where wakers run, it does not wait, and has an empty one.
    pub fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.inner.shutdown(grace)
    }

    /// What the engine has done and how it stands. Costs a look at every channel; meant for
    /// monitoring, not for every message.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.inner.handle.stats()
    }

    /// Makes the engine's thread panic, as a defect of tofu would: every wait then ends with
    /// `ProcessingFailed`. For tests of how a program takes that.
    #[cfg(feature = "fault-injection")]
    pub fn plant_panic(&self) {
        self.inner
            .handle
            .shared
            .worklist
            .add(|work| work.panic = true);
    }

    /// Channels alive now, listeners included.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.inner.handle.channel_count()
    }
}

impl Inner {
    fn shutdown(&self, grace: Duration) -> ShutdownReport {
        self.handle.request_shutdown(grace);
        if thread::current().id() == self.own_thread {
            // In a waker, perhaps with the last of a task: who waited here would wait for himself.
            return ShutdownReport::default();
        }
        let deadline = Instant::now().checked_add(grace.saturating_add(MARGIN));
        // A grace beyond the clock's range waits for ever, in steps.
        let report = loop {
            let until = deadline.unwrap_or_else(|| Instant::now() + MARGIN);
            match self.outcome.wait(until) {
                Some(report) => break report,
                None if deadline.is_some() => return ShutdownReport::default(),
                None => {}
            }
        };
        if let Some(thread) = self.thread.lock().take() {
            // It has said its last word and is only returning; a panic was caught inside.
            let _ended = thread.join();
        }
        report
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.shutdown(Duration::ZERO);
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("channels", &self.channel_count())
            .finish_non_exhaustive()
    }
}
