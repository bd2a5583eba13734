//! Connecting: from an address to a connected stream, target after target, within one deadline.
//!
//! Drives a channel's `attempt`; what the channel becomes then is no concern of this file.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::time::Duration;

use tofu_addr::Address;
use tofu_msg::Status;

use crate::close::Cause;
use crate::core::channel::{Channel, Ending, Manner};
use crate::core::deadlines::Timer;
use crate::core::desk::Desk;
use crate::core::transport::{Resolution, Stream, Transport};
use crate::shared::Arc;
use crate::trace::event;

/// A target whose backlog is full is tried again after this long; no event tells of room.
const RETRY: Duration = Duration::from_millis(10);

/// A connection attempt under way.
pub(crate) struct Attempt<T: Transport> {
    address: Address,
    /// What is still to be tried, in order.
    targets: VecDeque<T::Target>,
    /// Why the last target failed.
    last_error: Option<io::Error>,
}

impl<T: Transport> fmt::Debug for Attempt<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

impl<T: Transport> Channel<T> {
    /// Begins to connect to `address`.
    pub(crate) fn begin_attempt(
        &mut self,
        desk: &Desk,
        transport: &mut T,
        address: Address,
    ) -> Result<(), Ending> {
        let resolution = transport.resolve(&address, self.token);
        self.deadlines
            .start(Timer::Connect, desk.now, desk.options().connect_timeout);
        let attempt = Attempt {
            address,
            targets: VecDeque::new(),
            last_error: None,
        };
        self.attempt = Some(Box::new(attempt));
        match resolution {
            Resolution::Pending => Ok(()),
            Resolution::Ready(targets) => self.resolved(desk, transport, Ok(targets)),
            Resolution::Failed(error) => self.resolved(desk, transport, Err(error)),
        }
    }

    /// The name's targets have come, or none.
    pub(crate) fn resolved(
        &mut self,
        desk: &Desk,
        transport: &mut T,
        result: io::Result<Vec<T::Target>>,
    ) -> Result<(), Ending> {
        let Some(attempt) = &mut self.attempt else {
            return Ok(());
        };
        match result {
            Ok(targets) => attempt.targets = targets.into(),
            Err(error) => attempt.last_error = Some(error),
        }
        self.try_next_target(desk, transport)
    }

    /// Starts on the next target that does not fail at once.
    pub(crate) fn try_next_target(&mut self, desk: &Desk, transport: &mut T) -> Result<(), Ending> {
        self.deadlines.stop(Timer::Retry);
        self.stream = None;
        let Some(attempt) = &mut self.attempt else {
            return Ok(());
        };
        while let Some(target) = attempt.targets.front() {
            match transport.connect(target, self.token) {
                Ok(stream) => {
                    self.stream = Some(stream);
                    attempt.targets.pop_front();
                    // Some transports connect at once; asking costs one call.
                    self.writable = true;
                    return self.continue_attempt(desk, transport);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    mark!(desk, "connect: the backlog is full");
                    self.deadlines.start(Timer::Retry, desk.now, RETRY);
                    return Ok(());
                }
                Err(error) => {
                    mark!(desk, "connect: a target failed at once");
                    attempt.last_error = Some(error);
                    attempt.targets.pop_front();
                }
            }
        }
        Err(attempt.failed())
    }

    /// The socket was reported ready: asks how the attempt stands.
    pub(crate) fn continue_attempt(
        &mut self,
        desk: &Desk,
        transport: &mut T,
    ) -> Result<(), Ending> {
        let (Some(attempt), Some(stream)) = (&mut self.attempt, &mut self.stream) else {
            return Ok(());
        };
        match stream.finish_connect() {
            Ok(true) => {
                let peer = Arc::new(stream.peer());
                event!(channel = self.number.value(), peer = %peer.endpoint, "connected");
                desk.shared.counters.connections_made.add(1);
                desk.shared.registry.with(self.number, |outbox| {
                    outbox.set_connected(Arc::clone(&peer));
                });
                self.peer = Some(peer);
                self.attempt = None;
                if !planted!(desk.options(), TimerNotStopped) {
                    self.deadlines.stop(Timer::Connect);
                }
                self.writable = true;
                Ok(())
            }
            Ok(false) => {
                mark!(desk, "connect: an event before there was a result");
                (self.readable, self.writable) = (false, false);
                Ok(())
            }
            Err(error) => {
                mark!(desk, "connect: an attempt failed");
                attempt.last_error = Some(error);
                self.hung_up = false;
                self.try_next_target(desk, transport)
            }
        }
    }
}

impl<T: Transport> Attempt<T> {
    /// Nothing is left to try.
    fn failed(&self) -> Ending {
        let doing = format!("connecting to {}", self.address);
        let cause = match &self.last_error {
            Some(error) => Cause::system(connect_status(error), &doing, error),
            None => Cause::new(Status::CONNECT_FAILED, format!("{doing}: no target")),
        };
        Ending {
            cause,
            manner: Manner::Gone,
        }
    }
}

fn connect_status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::NotFound => Status::UDS_PATH_NOT_FOUND,
        io::ErrorKind::QuotaExceeded => Status::TOO_MANY_LOOKUPS,
        io::ErrorKind::TimedOut => Status::CONNECT_TIMEOUT,
        _ => Status::CONNECT_FAILED,
    }
}
