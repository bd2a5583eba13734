//! Looks up host names away from the engine thread, for a lookup may block for seconds.
//!
//! The transport starts lookups and takes their results; both return at once. The lookups run on a
//! few threads of their own, started on demand and ended when idle. Nobody ever waits for one of
//! them: they are detached, and what they find after the resolver is gone is dropped.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;
use std::time::{Duration, Instant};

use crate::core::transport::Token;
use crate::sync::{Arc, Condvar, Mutex};

/// Addresses of one name that are tried at most.
const ADDRESSES_PER_NAME: usize = 64;

/// Finds the addresses of a host, with a port put to each. It may block; a resolver thread calls it.
pub(crate) type Lookup = Arc<dyn Fn(&str, u16) -> io::Result<Vec<SocketAddr>> + Send + Sync>;

/// Tells the engine that a result waits. A resolver thread calls it, with no lock held.
pub(crate) type Wake = Arc<dyn Fn() + Send + Sync>;

/// The bounds of a resolver.
#[derive(Debug, Clone)]
pub(crate) struct ResolverOptions {
    /// Threads at the same time, and so lookups at the same time.
    pub(crate) threads: usize,
    /// How long a thread without work stays.
    pub(crate) idle: Duration,
    /// Lookups that were started and whose result was not taken yet. One more is refused.
    pub(crate) waiting: usize,
    /// A lookup that has waited longer for a thread is answered `TimedOut` and not made: whoever
    /// asked has given up, and after an outage the queue would be full of such.
    pub(crate) give_up: Duration,
}

impl Default for ResolverOptions {
    fn default() -> ResolverOptions {
        ResolverOptions {
            threads: 4,
            idle: Duration::from_secs(10),
            waiting: 1024,
            give_up: Duration::from_secs(10),
        }
    }
}

/// What a lookup came to: addresses, never none, or why there are none.
pub(crate) type LookupResult = (Token, io::Result<Vec<SocketAddr>>);

/// The engine's side of the lookups.
pub(crate) struct Resolver {
    shared: Arc<Shared>,
}

/// What the engine's side and the threads have in common.
struct Shared {
    options: ResolverOptions,
    lookup: Lookup,
    wake: Wake,
    state: Mutex<State>,
    /// Notified once for every job queued, and all threads when the resolver goes.
    work: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    results: Vec<LookupResult>,
    /// Jobs, lookups under way and results together; at most `options.waiting`.
    outstanding: usize,
    /// At most `options.threads`.
    threads: usize,
    /// Those of them that wait for work, notified or not; each will take a job or end.
    idle: usize,
    closed: bool,
}

struct Job {
    host: String,
    port: u16,
    token: Token,
    since: Instant,
}

/// The system's own lookup: hosts file, DNS, and whatever else it was told to ask.
pub(crate) fn system_lookup() -> Lookup {
    Arc::new(|host, port| Ok((host, port).to_socket_addrs()?.collect()))
}

impl Resolver {
    /// A resolver without any thread yet.
    pub(crate) fn new(options: ResolverOptions, lookup: Lookup, wake: Wake) -> Resolver {
        let state = Mutex::new(State::default());
        let shared = Shared {
            options,
            lookup,
            wake,
            state,
            work: Condvar::new(),
        };
        Resolver {
            shared: Arc::new(shared),
        }
    }

    /// Starts to look up `host`; the result will be found under `token`.
    ///
    /// # Errors
    /// `QuotaExceeded` when too many lookups wait already; what the system said when the first
    /// thread could not be started.
    pub(crate) fn start(&self, host: &str, port: u16, token: Token) -> io::Result<()> {
        let state = &mut *self.shared.state.lock();
        if state.outstanding >= self.shared.options.waiting {
            let text = format!("{} name lookups are waiting already", state.outstanding);
            return Err(io::Error::new(io::ErrorKind::QuotaExceeded, text));
        }
        // Threads that were told of a job but have not taken it yet still count as idle.
        if state.jobs.len() >= state.idle && state.threads < self.shared.options.threads {
            match self.start_thread() {
                Ok(()) => state.threads += 1,
                // The threads that there are get to it later.
                Err(_) if state.threads > 0 => {}
                Err(error) => return Err(error),
            }
        }
        state.jobs.push_back(Job {
            host: host.to_owned(),
            port,
            token,
            since: Instant::now(),
        });
        state.outstanding += 1;
        self.shared.work.notify_one();
        Ok(())
    }

    fn start_thread(&self) -> io::Result<()> {
        let shared = self.shared.clone();
        let builder = thread::Builder::new().name("tofu-resolver".to_owned());
        // The handle is dropped: nobody waits for the thread.
        builder.spawn(move || shared.work()).map(drop)
    }

    /// Takes the results that have come in since the last call.
    pub(crate) fn take_results(&self) -> Vec<LookupResult> {
        let state = &mut *self.shared.state.lock();
        state.outstanding -= state.results.len();
        std::mem::take(&mut state.results)
    }
}

impl Drop for Resolver {
    fn drop(&mut self) {
        let state = &mut *self.shared.state.lock();
        state.closed = true;
        state.jobs.clear();
        state.results.clear();
        self.shared.work.notify_all();
    }
}

impl Shared {
    /// A thread's life: job after job until there is none for a while.
    fn work(&self) {
        while let Some(job) = self.next_job() {
            let result = self.look_up(&job);
            if self.deliver(job.token, result) {
                (self.wake)();
            }
        }
    }

    /// Waits for a job. With `None` the calling thread has signed off and must end: had it still
    /// counted as a thread then, a job queued in between could find nobody.
    fn next_job(&self) -> Option<Job> {
        let mut state = self.state.lock();
        state.idle += 1;
        let nothing_to_do = |state: &mut State| state.jobs.is_empty() && !state.closed;
        self.work
            .wait_while_for(&mut state, nothing_to_do, self.options.idle);
        state.idle -= 1;
        let job = state.jobs.pop_front();
        if job.is_none() {
            state.threads -= 1;
        }
        job
    }

    fn look_up(&self, job: &Job) -> io::Result<Vec<SocketAddr>> {
        if job.since.elapsed() > self.options.give_up {
            let text = "the name lookup waited too long for a free thread";
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        let lookup = AssertUnwindSafe(|| (self.lookup)(&job.host, job.port));
        let mut addresses = catch_unwind(lookup)
            .unwrap_or_else(|_| Err(io::Error::other("the name lookup panicked")))?;
        if addresses.is_empty() {
            return Err(io::Error::new(
                io::ErrorKind::AddrNotAvailable,
                "the name has no address",
            ));
        }
        addresses.truncate(ADDRESSES_PER_NAME);
        Ok(addresses)
    }

    /// Puts a result where the engine finds it; `false` when the engine is gone.
    fn deliver(&self, token: Token, result: io::Result<Vec<SocketAddr>>) -> bool {
        let mut state = self.state.lock();
        if state.closed {
            return false;
        }
        state.results.push((token, result));
        true
    }
}

impl fmt::Debug for Resolver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.shared.state.lock();
        f.debug_struct("Resolver")
            .field("outstanding", &state.outstanding)
            .field("threads", &state.threads)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
