//! An engine without a thread or a socket: for whoever has an event loop of their own, or none.
//!
//! [`Driver`] holds the same core that the reactor's thread runs. Its owner brings a
//! [`Transport`] and tells it what has become ready and what time it is; in between, posting and
//! receiving work as with a [`Reactor`](crate::Reactor), on a [`Handle`].
//!
//! ```text
//! loop {
//!     sleep until a socket is ready, `wake` was called, or `next_turn` has passed
//!     awake();  event(..) for each ready socket;  turn(now)
//! }
//! ```

use std::fmt;
use std::io;
use std::time::Duration;

use crate::core::engine::Core;
use crate::error::EngineError;
use crate::group::Group;
use crate::msg::Msg;
use crate::options::Options;
use crate::shared::Shared;
use crate::shared::pool::Allocation;
use crate::shared::stats::Stats;
use crate::sync::Arc;

pub use crate::core::engine::Readiness;
pub use crate::core::stopping::ShutdownReport;
pub use crate::core::time::Time;
pub use crate::core::transport::{Credentials, PeerInfo, Resolution, Stream, Token, Transport};

/// The calls on an engine, whoever drives it. Cheap to clone; keeps nothing running.
#[derive(Clone)]
pub struct Handle {
    pub(crate) shared: Arc<Shared>,
}

impl Handle {
    /// A message from the pool. `None` only with [`Allocation::PoolOnly`], when none is free.
    ///
    /// # Errors
    /// When the engine has ended.
    #[inline]
    pub fn get(&self, allocation: Allocation) -> Result<Option<Msg>, EngineError> {
        self.check()?;
        Ok(self.shared.pool.get(allocation))
    }

    /// A message, from the pool or new.
    ///
    /// # Errors
    /// When the engine has ended.
    #[inline]
    pub fn message(&self) -> Result<Msg, EngineError> {
        match self.get(Allocation::Always)? {
            Some(msg) => Ok(msg),
            None => unreachable!("Allocation::Always always gives a message"),
        }
    }

    /// Gives a message back to its pool; the same as dropping it.
    pub fn put(&self, message: Msg) {
        drop(message);
    }

    /// Makes a channel group.
    ///
    /// # Errors
    /// When the engine has ended.
    pub fn create_group(&self) -> Result<Group, EngineError> {
        let group = self.shared.create_group()?;
        Ok(Group::new(group, Arc::clone(&self.shared)))
    }

    /// Asks the engine to stop within `grace`; the first to ask decides.
    pub fn request_shutdown(&self, grace: Duration) {
        // Nothing is opened from here on, so the loop sees every channel there will ever be.
        self.shared.registry.close();
        self.shared.worklist.add(|work| {
            work.shutdown.get_or_insert(grace);
        });
    }

    /// What the engine has done and how it stands. Costs a look at every channel; meant for
    /// monitoring, not for every message.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.stats()
    }

    /// Channels alive now, listeners included.
    #[must_use]
    pub fn channel_count(&self) -> usize {
        self.shared.registry.alive()
    }

    #[inline]
    fn check(&self) -> Result<(), EngineError> {
        match self.shared.is_ended() {
            false => Ok(()),
            true => self.check_end(),
        }
    }

    #[cold]
    fn check_end(&self) -> Result<(), EngineError> {
        match self.shared.ended() {
            Some(status) => Err(EngineError::from_status(status)),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("channels", &self.channel_count())
            .finish_non_exhaustive()
    }
}

/// An engine that its owner drives.
pub struct Driver<T: Transport> {
    core: Core<T>,
    shared: Arc<Shared>,
}

impl<T: Transport> Driver<T> {
    /// An engine over `transport`. `wake` is called, from any thread, when a sleeping owner has
    /// something to do; it must not block.
    pub fn new(
        options: Options,
        wake: impl Fn() + Send + Sync + 'static,
        transport: impl FnOnce(&Options) -> T,
    ) -> Driver<T> {
        let shared = Shared::new(options, Box::new(wake));
        let core = Core::new(Arc::clone(&shared), transport(&shared.options));
        Driver { core, shared }
    }

    /// The calls on this engine.
    #[must_use]
    pub fn handle(&self) -> Handle {
        Handle {
            shared: Arc::clone(&self.shared),
        }
    }

    /// The transport.
    pub fn transport(&mut self) -> &mut T {
        &mut self.core.transport
    }

    /// A socket is ready. A token that is no longer valid is ignored.
    pub fn event(&mut self, token: Token, readiness: Readiness) {
        self.core.event(token, readiness);
    }

    /// A resolution that was `Pending` has ended. A token that is no longer valid is ignored.
    pub fn resolved(&mut self, token: Token, result: io::Result<Vec<T::Target>>) {
        self.core.resolved(token, result);
    }

    /// The socket file of a listener is gone or has been replaced; to be told once per loss.
    pub fn path_gone(&mut self, token: Token) {
        self.core.path_gone(token);
    }

    /// One turn: takes what was posted, serves what is ready, delivers what has come.
    pub fn turn(&mut self, now: Time) {
        self.core.turn(now);
    }

    /// Before sleeping: how long the owner may sleep at the most; `None` is for ever. From this
    /// call to [`awake`](Driver::awake), whoever leaves something to do calls `wake`.
    pub fn prepare_sleep(&mut self, now: Time) -> Option<Duration> {
        if self.core.has_ready() || !self.shared.worklist.prepare_sleep() {
            return Some(Duration::ZERO);
        }
        self.core.next_deadline().map(|at| at.since(now))
    }

    /// Whether a deadline has passed at `now`. Whoever reads the clock behind the poller looks at the
    /// poller once more before a turn in which this is so: what has arrived counts first.
    #[must_use]
    pub fn is_deadline_due(&self, now: Time) -> bool {
        self.core.next_deadline().is_some_and(|at| at <= now)
    }

    /// When the core wants its next turn at the latest.
    #[cfg(feature = "net")]
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        self.core.next_deadline()
    }

    /// Whether there is nothing to do, as far as this thread has noticed.
    #[cfg(feature = "net")]
    pub(crate) fn is_idle(&self) -> bool {
        !self.core.has_ready() && !self.shared.worklist.is_pending()
    }

    /// After sleeping.
    pub fn awake(&mut self) {
        self.shared.worklist.awake();
    }

    /// The report of a shutdown that is finished: nothing remains to be driven.
    #[must_use]
    pub fn finished(&self) -> Option<ShutdownReport> {
        self.core.finished_report()
    }

    /// Checks what must hold between turns.
    ///
    /// # Errors
    /// What does not hold: a defect of tofu.
    pub fn check_invariants(&mut self) -> Result<(), String> {
        self.core.check_invariants()
    }
}

impl<T: Transport> Drop for Driver<T> {
    /// Ends the engine for everyone who holds a handle, a group or a message of it.
    fn drop(&mut self) {
        let status = match self.core.finished_report() {
            Some(_) => tofu_msg::Status::SHUTDOWN_STARTED,
            None => tofu_msg::Status::PROCESSING_FAILED,
        };
        self.shared.end(status);
    }
}

impl<T: Transport> fmt::Debug for Driver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("shared", &self.shared)
            .finish_non_exhaustive()
    }
}
