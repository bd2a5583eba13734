//! One engine of a simulation: its driver, its sleep, and whether its turns get anywhere.

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tofu_engine::driver::{Driver, Handle, Readiness, ShutdownReport, Time, Token};
use tofu_engine::{Options, Stats};

use crate::sim::network::Network;
use crate::sim::transport::SimTransport;

/// So many turns in a row may get nowhere although the engine does not want to sleep.
const IDLE_TURNS: u32 = 3;
/// What a turn does that looks whether a channel has use for scarce room: one for each that waits.
const GOES_ON: &str = "a channel that was not read goes on";
/// What may take more messages into use than the pool has: a channel that ends delivers all that it
/// holds.
const AT_THE_END: &str = "what waited for room is delivered at the end";

/// A driver, whatever its streams say of short reads.
trait Drive {
    fn event(&mut self, token: Token, readiness: Readiness);
    fn resolved(&mut self, token: Token, result: io::Result<Vec<String>>);
    fn path_gone(&mut self, token: Token);
    fn turn(&mut self, now: Time);
    fn prepare_sleep(&mut self, now: Time) -> Option<Duration>;
    fn awake(&mut self);
    fn finished(&self) -> Option<ShutdownReport>;
    fn check(&mut self) -> Result<(), String>;
}

impl<const WHOLE: bool> Drive for Driver<SimTransport<WHOLE>> {
    fn event(&mut self, token: Token, readiness: Readiness) {
        Driver::event(self, token, readiness);
    }

    fn resolved(&mut self, token: Token, result: io::Result<Vec<String>>) {
        Driver::resolved(self, token, result);
    }

    fn path_gone(&mut self, token: Token) {
        Driver::path_gone(self, token);
    }

    fn turn(&mut self, now: Time) {
        Driver::turn(self, now);
    }

    fn prepare_sleep(&mut self, now: Time) -> Option<Duration> {
        Driver::prepare_sleep(self, now)
    }

    fn awake(&mut self) {
        Driver::awake(self);
    }

    fn finished(&self) -> Option<ShutdownReport> {
        Driver::finished(self)
    }

    fn check(&mut self) -> Result<(), String> {
        self.check_invariants()
    }
}

/// An engine and when it runs next.
pub(crate) struct Engine {
    /// `None` once it has ended.
    drive: Option<Box<dyn Drive>>,
    pub(crate) handle: Handle,
    woken: Arc<AtomicBool>,
    /// It did not want to sleep.
    again: bool,
    /// When it wants to be woken at the latest, by the network's clock.
    wake_at: Option<Duration>,
    pub(crate) paused_until: Duration,
    /// How far its clock is ahead.
    pub(crate) ahead: Duration,
    /// How far it has jumped back, in all.
    pub(crate) set_back: Duration,
    pub(crate) report: Option<ShutdownReport>,
    idle_turns: u32,
    /// Turns in a row that did nothing but let go channels that had waited for room.
    vain_turns: usize,
    goings_on: u64,
    /// What had been done after the turn before.
    done: (u64, Stats),
    pub(crate) in_use_maximum: usize,
}

impl fmt::Debug for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine")
            .field("handle", &self.handle)
            .finish_non_exhaustive()
    }
}

impl Engine {
    pub(crate) fn new(
        network: &Rc<RefCell<Network>>,
        index: usize,
        options: Options,
        whole: bool,
    ) -> Engine {
        let woken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&woken);
        let wake = move || flag.store(true, Ordering::SeqCst);
        let in_use_maximum = options.pool_maximum.max(1);
        let (drive, handle): (Box<dyn Drive>, Handle) = if whole {
            let transport = SimTransport::<true>::new(Rc::clone(network), index);
            let driver = Driver::new(options, wake, |_| transport);
            let handle = driver.handle();
            (Box::new(driver), handle)
        } else {
            let transport = SimTransport::<false>::new(Rc::clone(network), index);
            let driver = Driver::new(options, wake, |_| transport);
            let handle = driver.handle();
            (Box::new(driver), handle)
        };
        Engine {
            drive: Some(drive),
            handle,
            woken,
            again: true,
            wake_at: None,
            paused_until: Duration::ZERO,
            ahead: Duration::ZERO,
            set_back: Duration::ZERO,
            report: None,
            idle_turns: 0,
            vain_turns: 0,
            goings_on: 0,
            done: Default::default(),
            in_use_maximum,
        }
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.drive.is_none()
    }

    /// Whether it has something to do now.
    pub(crate) fn is_runnable(&self, network: &Network, index: usize) -> bool {
        let inbound = &network.inbound[index];
        self.drive.is_some()
            && self.paused_until <= network.now
            && (self.again
                || self.woken.load(Ordering::SeqCst)
                || !inbound.events.is_empty()
                || !inbound.resolved.is_empty()
                || self.wake_at.is_some_and(|at| at <= network.now))
    }

    /// When it will have something to do if nothing comes from outside.
    pub(crate) fn next_wake(&self) -> Option<Duration> {
        self.drive.as_ref()?;
        let due = self.again || self.woken.load(Ordering::SeqCst);
        let at = if due {
            Some(Duration::ZERO)
        } else {
            self.wake_at
        };
        at.map(|at| at.max(self.paused_until))
    }

    /// One waking: what the poller has, then a turn, then to sleep again.
    pub(crate) fn run(&mut self, network: &RefCell<Network>, index: usize) -> Result<(), String> {
        let (events, resolved, now) = collect(network, index);
        let Some(drive) = &mut self.drive else {
            return Ok(());
        };
        let called = self.woken.swap(false, Ordering::SeqCst);
        let due = self.wake_at.is_some_and(|at| at <= now) && !self.again;
        let now = Time::from_start(now + self.ahead);
        let reason = called || due || !events.is_empty() || !resolved.is_empty();
        drive.awake();
        for (token, readiness) in events {
            drive.event(token, readiness);
        }
        for (token, result) in resolved {
            drive.resolved(token, result.map_err(io::Error::from));
        }
        let lost = network.borrow_mut().lose_path(index);
        lost.into_iter().for_each(|token| drive.path_gone(token));
        let before = (
            self.handle.stats().pool_in_use,
            self.handle.mark(AT_THE_END),
        );
        drive.turn(now);
        drive.check()?;
        let slept = drive.prepare_sleep(now);
        self.again = slept == Some(Duration::ZERO);
        let clock = network.borrow().now;
        self.wake_at = slept.map(|slept| clock.saturating_add(slept));
        if let Some(report) = drive.finished() {
            self.report = Some(report);
            self.drive = None;
        }
        self.judge_turn(network, index, reason, before)
    }

    /// Whether the turn got anywhere, and kept to the pool.
    fn judge_turn(
        &mut self,
        network: &RefCell<Network>,
        index: usize,
        reason: bool,
        (in_use, ends): (usize, u64),
    ) -> Result<(), String> {
        let mut stats = self.handle.stats();
        let now_in_use = stats.pool_in_use;
        let has_ended = self.handle.mark(AT_THE_END) > ends;
        if now_in_use > in_use && now_in_use > self.in_use_maximum && !has_ended {
            let maximum = self.in_use_maximum;
            return Err(format!(
                "a turn took {now_in_use} messages of a pool of {maximum} into use"
            ));
        }
        (stats.turns, stats.wakes, stats.kept_bytes) = (0, 0, 0);
        let done = (network.borrow().moves, stats);
        let goings_on = self.handle.mark(GOES_ON);
        let goes_on = std::mem::replace(&mut self.goings_on, goings_on) != goings_on;
        if reason || done != self.done || !self.again {
            (self.idle_turns, self.vain_turns) = (0, 0);
        } else if goes_on {
            self.vain_turns += 1;
        } else {
            self.idle_turns += 1;
        }
        self.done = done;
        if self.vain_turns > 0 {
            let waiting = network.borrow().connections_of(index);
            if self.vain_turns > waiting {
                return Err(format!("{waiting} channels go on in vain, and again"));
            }
        }
        if self.idle_turns > IDLE_TURNS {
            return Err(format!("{IDLE_TURNS} turns in a row got nowhere"));
        }
        Ok(())
    }
}

/// Takes what the poller has for an engine; some of it may be left for the next time.
fn collect(network: &RefCell<Network>, index: usize) -> (Events, Resolved, Duration) {
    let mut network = network.borrow_mut();
    let network = &mut *network;
    let inbound = &mut network.inbound[index];
    let mut events: Events = std::mem::take(&mut inbound.events).into_iter().collect();
    let resolved = std::mem::take(&mut inbound.resolved);
    // A poller has no order that a program may rely on.
    for place in (1..events.len()).rev() {
        let other = network.random.below(place as u64 + 1);
        events.swap(place, usize::try_from(other).unwrap_or(0));
    }
    if events.len() > 1 && network.random.below(4) == 0 {
        let kept = events.len() / 2;
        for (token, readiness) in events.split_off(kept) {
            network.raise(index, token, readiness);
        }
    }
    let rate = network.faults.spurious;
    if network.chance(rate) {
        events.extend(event_without_cause(network, index));
    }
    (events, resolved, network.now)
}

type Events = Vec<(Token, Readiness)>;
type Resolved = Vec<crate::sim::network::Resolved>;

/// An event for any token there ever was.
fn event_without_cause(network: &mut Network, index: usize) -> Option<(Token, Readiness)> {
    let count = network.inbound[index].tokens.len() as u64;
    let chosen = usize::try_from(network.random.below(count)).ok()?;
    let token = *network.inbound[index].tokens.get(chosen)?;
    let bits = network.random.below(8);
    let readiness = Readiness {
        readable: bits & 1 != 0,
        writable: bits & 2 != 0,
        // Once announced, an end of the stream is there: it is never announced for nothing.
        hung_up: false,
    };
    Some((token, readiness))
}
