//! The reactor's thread: one poll loop around the core.
//!
//! It polls, hands events and resolved names to the core, lets it take its turn, and sleeps until
//! the next event, deadline or wake. Nothing else happens on this thread, and no socket work on any
//! other.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Waker};

use crate::core::engine::Readiness;
use crate::core::stopping::ShutdownReport;
use crate::core::time::Time;
use crate::driver::{Driver, Handle};
use crate::error::EngineError;
use crate::net::resolver::{Resolver, ResolverOptions, system_lookup};
use crate::net::socket::SocketOptions;
use crate::net::token::{SOCKET_FILES, WAKER, unpack};
use crate::net::transport::MioTransport;
use crate::options::Options;
use crate::shared::Shared;
use crate::shared::idle::{Spinner, Watch};
use crate::sync::{Arc, Condvar, Mutex};
use crate::trace::warning;

/// Events taken from the poller at once.
const EVENTS: usize = 1024;

/// Looks at a poller that always has more, before a turn.
const LOOKS: usize = 64;

/// How the thread has ended, for those who wait for it.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    report: Mutex<Option<ShutdownReport>>,
    ended: Condvar,
}

impl Outcome {
    fn set(&self, report: ShutdownReport) {
        *self.report.lock() = Some(report);
        self.ended.notify_all();
    }

    /// Waits for the thread's end; `None` if it did not come in time.
    pub(crate) fn wait(&self, deadline: Instant) -> Option<ShutdownReport> {
        let mut report = self.report.lock();
        while report.is_none() {
            if self.ended.wait_until(&mut report, deadline).timed_out() {
                break;
            }
        }
        report.clone()
    }
}

/// A running reactor thread.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) handle: Handle,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) thread: JoinHandle<()>,
}

/// Starts the thread.
pub(crate) fn start(options: Options) -> Result<Running, EngineError> {
    let poll = Poll::new().map_err(EngineError::NotStarted)?;
    let waker = Waker::new(poll.registry(), WAKER).map_err(EngineError::NotStarted)?;
    let waker = Arc::new(waker);
    let for_answers = Arc::clone(&waker);
    let registry = poll
        .registry()
        .try_clone()
        .map_err(EngineError::NotStarted)?;
    let driver = Driver::new(
        options,
        move || wake(&waker),
        |options| {
            let resolver_options = ResolverOptions {
                waiting: options.lookups,
                give_up: options.connect_timeout,
                ..ResolverOptions::default()
            };
            let answered = Arc::new(move || wake(&for_answers));
            let resolver = Resolver::new(resolver_options, system_lookup(), answered);
            MioTransport::new(registry, resolver, SocketOptions::from(options))
        },
    );
    let handle = driver.handle();
    let outcome = Arc::new(Outcome::default());
    let ending = Arc::clone(&outcome);
    let thread = Builder::new()
        .name("tofu-reactor".into())
        .spawn(move || supervise(poll, driver, &ending))
        .map_err(EngineError::NotStarted)?;
    Ok(Running {
        handle,
        outcome,
        thread,
    })
}

/// Wakes the poll. It can only fail when the poller itself is beyond use; the loop then notices.
fn wake(waker: &Waker) {
    let _woken = waker.wake();
}

/// Runs the loop and, however it ends, tells everyone who waits: the driver, dropped in any case,
/// tells the groups.
fn supervise(poll: Poll, driver: Driver<MioTransport>, outcome: &Outcome) {
    let run = catch_unwind(AssertUnwindSafe(move || EventLoop::new(poll, driver).run()));
    let report = match run {
        Ok(Ok(report)) => report,
        Ok(Err(_)) | Err(_) => {
            warning!("the engine's thread has failed");
            ShutdownReport::default()
        }
    };
    outcome.set(report);
}

struct EventLoop {
    poll: Poll,
    driver: Driver<MioTransport>,
    started: Instant,
    shared: Arc<Shared>,
    watch: Watch,
    spinner: Spinner,
}

impl EventLoop {
    fn new(poll: Poll, driver: Driver<MioTransport>) -> EventLoop {
        let shared = driver.handle().shared;
        EventLoop {
            poll,
            driver,
            started: Instant::now(),
            spinner: Spinner::new(shared.options.idle),
            watch: Watch::default(),
            shared,
        }
    }

    fn run(mut self) -> io::Result<ShutdownReport> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.sleep(&mut events)?;
            self.take_events(&mut events)?;
            for (token, result) in self.driver.transport().take_resolved() {
                self.driver.resolved(token, result);
            }
            let now = self.now();
            if self.driver.is_deadline_due(now) {
                // A deadline is judged only by a time that was read before the last look: the
                // process may have been stopped between the poll and the clock.
                self.look(&mut events)?;
                self.take_events(&mut events)?;
            }
            for token in self.driver.transport().look_for_files(now) {
                self.driver.path_gone(token);
            }
            self.driver.turn(now);
            let Shared {
                counters, traffic, ..
            } = &*self.shared;
            self.watch
                .look(counters, traffic, self.started + now.since(Time::START));
            if let Some(report) = self.driver.finished() {
                return Ok(report);
            }
        }
    }

    /// Polls: without waiting while there is something to do, else until something happens.
    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        if self.spin(events)? {
            return Ok(());
        }
        let now = self.now();
        let turn = self.driver.prepare_sleep(now);
        let look = self.driver.transport().next_look().map(|at| at.since(now));
        let timeout = [turn, look].into_iter().flatten().min();
        let polled = self.poll.poll(events, timeout);
        self.driver.awake();
        if timeout != Some(Duration::ZERO) {
            self.spinner.slept(self.now().since(now));
        }
        match polled {
            // Perhaps after a long pause: what has arrived meanwhile comes before any deadline.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.look(events),
            other => other,
        }
    }

    /// Looks for events and work for a while, as the idle strategy has it. Whether it has found some.
    fn spin(&mut self, events: &mut Events) -> io::Result<bool> {
        if !self.driver.is_idle() {
            return Ok(false);
        }
        events.clear();
        let next = [
            self.driver.next_deadline(),
            self.driver.transport().next_look(),
        ];
        let next = next.into_iter().flatten().min();
        let deadline = next.and_then(|at| self.started.checked_add(at.since(Time::START)));
        let (poll, driver) = (&mut self.poll, &self.driver);
        let mut failed = None;
        let found = self
            .spinner
            .spin(&self.shared.traffic, Instant::now(), deadline, || {
                match poll.poll(events, Some(Duration::ZERO)) {
                    Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                        failed = Some(error);
                        true
                    }
                    // Work that is found does not keep anybody from looking at the poller.
                    polled => polled.is_ok() && !events.is_empty() || !driver.is_idle(),
                }
            });
        failed.map_or(Ok(found), Err)
    }

    /// Takes what the poller has, without waiting.
    fn look(&mut self, events: &mut Events) -> io::Result<()> {
        loop {
            match self.poll.poll(events, Some(Duration::ZERO)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    /// Hands the events to the driver; where there were as many as can be taken at once there may
    /// be more, and they too come before any deadline.
    fn take_events(&mut self, events: &mut Events) -> io::Result<()> {
        for look in 0..LOOKS {
            if look > 0 {
                self.look(events)?;
            }
            let mut count = 0;
            for event in &*events {
                count += 1;
                match event.token() {
                    WAKER => {}
                    SOCKET_FILES => self.driver.transport().take_file_events(),
                    token => self.driver.event(unpack(token), readiness(event)),
                }
            }
            if count < EVENTS {
                break;
            }
        }
        Ok(())
    }

    fn now(&self) -> Time {
        Time::from_start(self.started.elapsed())
    }
}

/// What the poller says about a socket, in the core's terms.
pub(super) fn readiness(event: &mio::event::Event) -> Readiness {
    Readiness {
        readable: event.is_readable(),
        writable: event.is_writable(),
        hung_up: event.is_read_closed() || event.is_write_closed() || event.is_error(),
    }
}

#[cfg(test)]
mod tests;
