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
use tofu_msg::Status;

use crate::core::closing::ShutdownReport;
use crate::core::engine::{Core, Readiness};
use crate::core::time::Time;
use crate::error::EngineError;
use crate::net::resolver::{Resolver, ResolverOptions, system_lookup};
use crate::net::socket::SocketOptions;
use crate::net::token::{SOCKET_FILES, WAKER, unpack};
use crate::net::transport::MioTransport;
use crate::options::Options;
use crate::shared::Shared;
use crate::sync::{Arc, Condvar, Mutex};
use crate::trace::warning;

/// Events taken from the poller at once.
const EVENTS: usize = 1024;

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
    pub(crate) shared: Arc<Shared>,
    pub(crate) outcome: Arc<Outcome>,
    pub(crate) thread: JoinHandle<()>,
}

/// Starts the thread.
pub(crate) fn start(options: Options) -> Result<Running, EngineError> {
    let poll = Poll::new().map_err(EngineError::NotStarted)?;
    let waker = Waker::new(poll.registry(), WAKER).map_err(EngineError::NotStarted)?;
    let waker = Arc::new(waker);
    let for_work = Arc::clone(&waker);
    let shared = Shared::new(options, Box::new(move || wake(&for_work)));
    let resolver_options = ResolverOptions {
        waiting: shared.options.lookups,
        give_up: shared.options.connect_timeout,
        ..ResolverOptions::default()
    };
    let resolver = Resolver::new(
        resolver_options,
        system_lookup(),
        Arc::new(move || wake(&waker)),
    );
    let registry = poll
        .registry()
        .try_clone()
        .map_err(EngineError::NotStarted)?;
    let socket_options = SocketOptions::from(&shared.options);
    let transport = MioTransport::new(registry, resolver, socket_options);
    let core = Core::new(Arc::clone(&shared), transport);
    let outcome = Arc::new(Outcome::default());
    let ending = Arc::clone(&outcome);
    let engine = Arc::clone(&shared);
    let thread = Builder::new()
        .name("tofu-reactor".into())
        .spawn(move || supervise(poll, core, &engine, &ending))
        .map_err(EngineError::NotStarted)?;
    Ok(Running {
        shared,
        outcome,
        thread,
    })
}

/// Wakes the poll. It can only fail when the poller itself is beyond use; the loop then notices.
fn wake(waker: &Waker) {
    let _woken = waker.wake();
}

/// Runs the loop and, however it ends, tells everyone who waits.
fn supervise(poll: Poll, core: Core<MioTransport>, shared: &Shared, outcome: &Outcome) {
    let run = catch_unwind(AssertUnwindSafe(move || EventLoop::new(poll, core).run()));
    let (status, report) = match run {
        Ok(Ok(report)) => (Status::SHUTDOWN_STARTED, report),
        Ok(Err(_)) | Err(_) => {
            warning!("the engine's thread has failed");
            (Status::PROCESSING_FAILED, ShutdownReport::default())
        }
    };
    shared.end(status);
    outcome.set(report);
}

struct EventLoop {
    poll: Poll,
    core: Core<MioTransport>,
    started: Instant,
}

impl EventLoop {
    fn new(poll: Poll, core: Core<MioTransport>) -> EventLoop {
        EventLoop {
            poll,
            core,
            started: Instant::now(),
        }
    }

    fn run(mut self) -> io::Result<ShutdownReport> {
        let mut events = Events::with_capacity(EVENTS);
        loop {
            self.sleep(&mut events)?;
            for event in &events {
                match event.token() {
                    WAKER => {}
                    SOCKET_FILES => self.core.transport.take_file_events(),
                    token => self.core.event(unpack(token), readiness(event)),
                }
            }
            for (token, result) in self.core.transport.take_resolved() {
                self.core.resolved(token, result);
            }
            let now = self.now();
            for token in self.core.transport.look_for_files(now) {
                self.core.path_gone(token);
            }
            self.core.turn(now);
            if let Some(report) = self.core.finished_report() {
                return Ok(report);
            }
        }
    }

    /// Polls: without waiting while there is something to do, else until something happens.
    fn sleep(&mut self, events: &mut Events) -> io::Result<()> {
        let worklist = Arc::clone(&self.core.desk.shared.worklist);
        let timeout = if self.core.has_ready() || !worklist.prepare_sleep() {
            Some(Duration::ZERO)
        } else {
            let moments = [self.core.next_deadline(), self.core.transport.next_look()];
            let next = moments.into_iter().flatten().min();
            next.map(|at| at.since(self.now()))
        };
        let polled = self.poll.poll(events, timeout);
        worklist.awake();
        match polled {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {
                events.clear();
                Ok(())
            }
            other => other,
        }
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
