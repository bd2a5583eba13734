//! `Ampe`: the engine's interface, and its implementation for the reactor.

use std::time::Duration;

use tofu_engine::{Allocation, DestroyReport, EngineError, Msg, Reactor, ShutdownReport};

use crate::ChannelGroup;

/// An engine: it owns messages and channel groups.
///
/// The trait is object-safe, so that a program can be written against `dyn Ampe` and tested with an
/// engine of its own.
///
/// ```
/// use std::time::Duration;
/// use tofu_chnls::{Ampe, ChannelGroup};
/// use tofu_engine::{EngineError, Options, Reactor};
///
/// fn work(engine: &dyn Ampe) -> Result<(), EngineError> {
///     let mut group: ChannelGroup = engine.create()?;
///     group.update_receiver(None).expect("the inbox is empty");
///     assert!(group.wait_receive(Duration::from_secs(1))?.is_some());
///     Ok(())
/// }
///
/// work(&Reactor::start(Options::default())?)?;
/// # Ok::<(), EngineError>(())
/// ```
pub trait Ampe: Send + Sync {
    /// A message from the pool. `None` only with [`Allocation::PoolOnly`], when none is free.
    ///
    /// # Errors
    /// When the engine has ended.
    fn get(&self, allocation: Allocation) -> Result<Option<Msg>, EngineError>;

    /// A message, from the pool or new.
    ///
    /// # Errors
    /// When the engine has ended.
    fn message(&self) -> Result<Msg, EngineError>;

    /// Gives a message back to its pool; the same as dropping it.
    fn put(&self, message: Msg);

    /// Makes a channel group.
    ///
    /// # Errors
    /// When the engine has ended.
    fn create(&self) -> Result<ChannelGroup, EngineError>;

    /// Destroys a channel group: its channels may send what is queued for `grace`, then they are
    /// closed. Returns when they are gone, at the latest one second after `grace`.
    fn destroy(&self, group: ChannelGroup, grace: Duration) -> DestroyReport;

    /// Stops the engine; see [`Reactor::shutdown`].
    fn shutdown(&self, grace: Duration) -> ShutdownReport;
}

impl Ampe for Reactor {
    fn get(&self, allocation: Allocation) -> Result<Option<Msg>, EngineError> {
        Reactor::get(self, allocation)
    }

    fn message(&self) -> Result<Msg, EngineError> {
        Reactor::message(self)
    }

    fn put(&self, message: Msg) {
        Reactor::put(self, message);
    }

    fn create(&self) -> Result<ChannelGroup, EngineError> {
        self.create_group().map(ChannelGroup::from)
    }

    fn destroy(&self, group: ChannelGroup, grace: Duration) -> DestroyReport {
        group.destroy(grace)
    }

    fn shutdown(&self, grace: Duration) -> ShutdownReport {
        Reactor::shutdown(self, grace)
    }
}
