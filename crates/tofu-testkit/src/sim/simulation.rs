//! The simulation itself: engines over one network, one clock and one generator.

use std::cell::{RefCell, RefMut};
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use tofu_engine::Options;
use tofu_engine::driver::{Handle, ShutdownReport};

use crate::Random;
use crate::sim::engine::Engine;
use crate::sim::faults::Faults;
use crate::sim::midway::Work;
use crate::sim::network::Network;
use crate::sim::trace::{Trace, Tracing};

/// Something in an engine did not hold: a defect of tofu.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("engine {engine}: {what}")]
pub struct Violation {
    /// Which engine.
    pub engine: usize,
    /// What did not hold.
    pub what: String,
}

/// What a step was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// This engine had a turn.
    Turn(usize),
    /// Time passed, and something may have arrived.
    Passed,
    /// Nothing happens until the limit; the clock stands there.
    Idle,
}

/// Engines over a simulated network with virtual time: the same seed gives the same run.
///
/// The caller plays the applications, between steps, through [`handle`](Simulation::handle): posts,
/// and receives with a timeout of zero. See the [module](crate::sim) for an example.
pub struct Simulation {
    network: Rc<RefCell<Network>>,
    engines: Vec<Engine>,
}

impl fmt::Debug for Simulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Simulation")
            .field("now", &self.now())
            .field("engines", &self.engines)
            .finish_non_exhaustive()
    }
}

impl Simulation {
    /// A simulation without engines and without faults.
    #[must_use]
    pub fn new(seed: u64) -> Simulation {
        Simulation::traced(seed, Tracing::Hash)
    }

    /// The same, which also keeps or prints what happens.
    #[must_use]
    pub fn traced(seed: u64, tracing: Tracing) -> Simulation {
        let network = Network::new(Random::new(seed), Trace::new(tracing));
        Simulation {
            network: Rc::new(RefCell::new(network)),
            engines: Vec::new(),
        }
    }

    /// Starts an engine; returns its index. Whether its reads are whole (a short read proves that
    /// nothing is left) is drawn.
    pub fn add_engine(&mut self, options: Options) -> usize {
        let index = self.engines.len();
        let whole = {
            let mut network = self.network.borrow_mut();
            network.inbound.push(Default::default());
            network.drought.push(Duration::ZERO);
            network.random.below(2) == 0
        };
        let engine = Engine::new(&self.network, index, options, whole);
        self.engines.push(engine);
        index
    }

    /// The calls on an engine.
    ///
    /// # Panics
    /// If there is no engine of this index.
    #[must_use]
    pub fn handle(&self, engine: usize) -> Handle {
        self.engines[engine].handle.clone()
    }

    /// The report of an engine that was shut down.
    #[must_use]
    pub fn shutdown_report(&self, engine: usize) -> Option<ShutdownReport> {
        self.engines.get(engine)?.report.clone()
    }

    /// Sets what may go wrong from now on. Pauses and droughts under way end.
    pub fn set_faults(&mut self, faults: Faults) {
        let mut network = self.network.borrow_mut();
        network.faults = faults;
        let now = network.now;
        network.drought.iter_mut().for_each(|until| *until = now);
        for engine in &mut self.engines {
            engine.paused_until = now;
        }
    }

    /// How many bytes each end of a connection made from now on may hold: a quarter of `most` to all of it. And how many
    /// connections wait at a listener opened from now on.
    pub fn set_room(&mut self, most: usize, backlog: usize) {
        let mut network = self.network.borrow_mut();
        network.capacity = most.max(1);
        network.backlog = backlog.max(1);
    }

    /// How much time has passed.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.network.borrow().now
    }

    /// A number below `bound` from the generator of this run; 0 if `bound` is 0.
    pub fn random(&mut self, bound: u64) -> u64 {
        self.network.borrow_mut().random.below(bound)
    }

    /// Notes something that the caller did: its numbers for the hash, its text for the trace.
    pub fn note(&mut self, numbers: &[u64], text: fmt::Arguments<'_>) {
        self.network.borrow_mut().trace.note(numbers, text);
    }

    /// A hash of all that has happened, and of how many events that is.
    #[must_use]
    pub fn history(&self) -> (u64, u64) {
        let network = self.network.borrow();
        (network.trace.hash(), network.trace.events())
    }

    /// The last events, as far as [`Tracing::Last`] has kept them.
    #[must_use]
    pub fn last_events(&self) -> Vec<String> {
        let network = self.network.borrow();
        network.trace.last().map(str::to_owned).collect()
    }

    /// Has `work` done in the middle of a turn of the engine, behind so many reads and writes from now on,
    /// as by another thread; with several, in their order.
    pub(crate) fn do_midway(&mut self, engine: usize, after: u64, work: Work) {
        self.network.borrow_mut().midway.add(engine, after, work);
    }

    /// Has that done now for which there was no turn of the engine.
    pub(crate) fn do_the_rest(&mut self, engine: usize) {
        loop {
            let work = self.network.borrow_mut().midway.take_next(engine);
            let Some(work) = work else { return };
            work();
        }
    }

    pub(crate) fn network(&self) -> RefMut<'_, Network> {
        self.network.borrow_mut()
    }

    pub(crate) fn engine(&self, index: usize) -> &Engine {
        &self.engines[index]
    }

    /// How far clocks have jumped back: everything that waits for them may be so much later.
    pub(crate) fn set_back(&self) -> Duration {
        let engines = self.engines.iter().map(|engine| engine.set_back);
        engines.max().unwrap_or_default()
    }

    /// Whether an engine has something to do now, or something is on its way.
    #[must_use]
    pub fn is_busy(&self) -> bool {
        let network = self.network.borrow();
        let mut engines = self.engines.iter().enumerate();
        network.next_arrival().is_some()
            || engines.any(|(index, engine)| engine.is_runnable(&network, index))
    }

    /// One thing happens, not later than `limit`: an engine that has something to do has a turn, or
    /// time passes up to the next arrival or deadline.
    ///
    /// # Errors
    /// What does not hold in an engine.
    pub fn step(&mut self, limit: Duration) -> Result<Step, Violation> {
        self.network.borrow_mut().arrive();
        if let Some(index) = self.choose_runnable() {
            self.run(index)?;
            return Ok(Step::Turn(index));
        }
        let next = self.next_moment();
        let mut network = self.network.borrow_mut();
        let network = &mut *network;
        match next {
            Some(at) if at <= limit => {
                network.now = network.now.max(at);
                network.trace.now = network.now;
                network.arrive();
                Ok(Step::Passed)
            }
            _ => {
                network.now = network.now.max(limit);
                network.trace.now = network.now;
                Ok(Step::Idle)
            }
        }
    }

    /// Runs until nothing happens before `limit`.
    ///
    /// # Errors
    /// What does not hold in an engine.
    pub fn run_until(&mut self, limit: Duration) -> Result<(), Violation> {
        while self.now() < limit {
            self.step(limit)?;
        }
        Ok(())
    }

    /// Runs for so much virtual time.
    ///
    /// # Errors
    /// What does not hold in an engine.
    pub fn run_for(&mut self, time: Duration) -> Result<(), Violation> {
        self.run_until(self.now().saturating_add(time))
    }

    /// When something happens next.
    fn next_moment(&self) -> Option<Duration> {
        let network = self.network.borrow();
        let wakes = self.engines.iter().enumerate().filter_map(|(index, it)| {
            let inbound = &network.inbound[index];
            let waits = !inbound.events.is_empty() || !inbound.resolved.is_empty();
            match waits && !it.has_ended() {
                true => Some(it.paused_until),
                false => it.next_wake(),
            }
        });
        wakes.chain(network.next_arrival()).min()
    }

    fn choose_runnable(&mut self) -> Option<usize> {
        let mut network = self.network.borrow_mut();
        let runnable = |index: usize, it: &Engine| it.is_runnable(&network, index);
        let engines = self.engines.iter().enumerate();
        let found: Vec<usize> = engines
            .filter_map(|(index, it)| runnable(index, it).then_some(index))
            .collect();
        if found.len() < 2 {
            return found.first().copied();
        }
        let chosen = network.random.below(found.len() as u64);
        found.get(usize::try_from(chosen).ok()?).copied()
    }

    /// An engine's turn, or one of the things that happen to a process instead.
    fn run(&mut self, index: usize) -> Result<(), Violation> {
        let engine = &mut self.engines[index];
        {
            let mut network = self.network.borrow_mut();
            // A turn takes its time, so that nothing goes on for ever in no time.
            let cost = Duration::from_nanos(1 + network.random.below(20_000));
            network.now += cost;
            network.trace.now = network.now;
            let (pause, jump) = (network.faults.pause, network.faults.jump);
            if network.chance(pause) {
                let longest = network.faults.pause_time;
                engine.paused_until = network.now + network.some_time(longest);
                let until = engine.paused_until.as_secs_f64();
                let numbers = [10, index as u64];
                network.trace.note(
                    &numbers,
                    format_args!("engine {index} is paused until {until}"),
                );
                return Ok(());
            }
            if network.chance(jump) {
                let longest = network.faults.jump_time;
                let jump = network.some_time(longest);
                let before = engine.ahead;
                engine.ahead = match network.random.below(4) {
                    0 => engine.ahead.saturating_sub(jump),
                    _ => engine.ahead + jump,
                };
                engine.set_back += before.saturating_sub(engine.ahead);
                let ahead = engine.ahead.as_secs_f64();
                let numbers = [11, index as u64];
                network.trace.note(
                    &numbers,
                    format_args!("the clock of engine {index} jumps to {ahead} ahead"),
                );
            }
            let numbers = [12, index as u64];
            network
                .trace
                .note(&numbers, format_args!("engine {index} has a turn"));
        }
        let outcome = engine.run(&self.network, index);
        outcome.map_err(|what| Violation {
            engine: index,
            what,
        })
    }
}
