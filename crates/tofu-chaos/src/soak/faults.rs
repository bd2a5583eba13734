//! The faults of the soak: draws one every few seconds, from a bag in which every kind is once, and
//! undoes what has to be undone.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::Result;
use nix::sys::signal::Signal;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tofu::prelude::*;
use tofu_testkit::Random;

use super::fleet::Fleet;
use super::member::Holdings;
use crate::kit::raw::{dial, frame};

/// What may happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A process is killed by SIGKILL and begins anew. Half of them are stopped before, so that much
    /// is under way to them.
    Kill,
    /// A process is stopped for a while.
    Stop,
    /// The system takes a listener's TCP connections away from both sides (`ss -K`).
    System,
    /// A process ends channels without a word: the peers see a reset.
    Reset,
    /// Raw peers reset their connection in the middle of a frame, send garbage, or say nothing.
    Strangers,
    /// A process may open no further descriptor for a while.
    Descriptors,
    /// A process receives nothing for a while.
    Deaf,
    /// A process ends channels in good order.
    Bye,
}

/// Every kind, and its name on the page.
pub(super) const KINDS: [(Kind, &str); 8] = [
    (Kind::Kill, "kill -9"),
    (Kind::Stop, "SIGSTOP"),
    (Kind::System, "ss -K"),
    (Kind::Reset, "reset"),
    (Kind::Strangers, "strangers"),
    (Kind::Descriptors, "EMFILE"),
    (Kind::Deaf, "deaf"),
    (Kind::Bye, "Bye"),
];

/// What is to be undone, for which place and life.
#[derive(Debug)]
struct Undo {
    at: Instant,
    index: usize,
    life: u32,
    kind: Kind,
}

/// Draws the faults, and counts them.
#[derive(Debug)]
pub(super) struct Faults {
    random: Random,
    /// The longest time between two faults, in milliseconds; the shortest is a third of it.
    pace: u64,
    next: Instant,
    bag: Vec<Kind>,
    undo: Vec<Undo>,
    pub(super) counts: [u64; KINDS.len()],
    /// Connections that the system has closed.
    pub(super) system_closed: usize,
    /// Why `ss -K` is not run.
    pub(super) no_system: Option<String>,
}

impl Faults {
    /// Faults for a run of this length: every few seconds, or faster in a short one.
    pub(super) fn new(length: Duration, random: Random) -> Faults {
        let pace = if length < Duration::from_secs(60) {
            750
        } else {
            6000
        };
        Faults {
            random,
            pace,
            next: Instant::now(),
            bag: Vec::new(),
            undo: Vec::new(),
            counts: [0; KINDS.len()],
            system_closed: 0,
            no_system: None,
        }
    }

    /// Undoes what is due, and lets the next fault happen when it is time.
    pub(super) fn turn(&mut self, fleet: &mut Fleet) -> Result<()> {
        let now = Instant::now();
        while let Some(place) = self.undo.iter().position(|undo| undo.at <= now) {
            let undo = self.undo.swap_remove(place);
            undo.run(fleet)?;
        }
        if now < self.next {
            return Ok(());
        }
        let wait = self.pace / 3 + self.random.below(self.pace * 2 / 3);
        self.next = now + Duration::from_millis(wait);
        if self.bag.is_empty() {
            self.bag = KINDS.iter().map(|(kind, _)| *kind).collect();
        }
        let place = self.random.below(self.bag.len() as u64);
        let kind = self.bag.swap_remove(usize::try_from(place)?);
        self.cause(kind, fleet)
    }

    /// Undoes everything.
    pub(super) fn end(&mut self, fleet: &mut Fleet) -> Result<()> {
        self.undo.drain(..).try_for_each(|undo| undo.run(fleet))
    }

    fn cause(&mut self, kind: Kind, fleet: &mut Fleet) -> Result<()> {
        let index = fleet.any(&mut self.random, kind == Kind::Kill);
        let while_it_lasts = Duration::from_millis(200 + self.random.below(self.pace * 2 / 3));
        let count = 5 + self.random.below(30);
        let has_happened = match kind {
            Kind::Kill if self.random.below(2) == 0 => {
                fleet.nodes[index].signal(Signal::SIGSTOP)?;
                self.undo_later(fleet, index, kind, while_it_lasts);
                true
            }
            Kind::Kill => {
                fleet.kill(index, while_it_lasts)?;
                true
            }
            Kind::Stop => {
                fleet.nodes[index].signal(Signal::SIGSTOP)?;
                self.undo_later(fleet, index, kind, while_it_lasts);
                true
            }
            Kind::System => self.close_by_system(fleet, index),
            Kind::Reset => {
                fleet.nodes[index].tell(&format!("reset {count}"));
                true
            }
            Kind::Strangers => self.visit(fleet, index),
            Kind::Descriptors => self.starve(fleet, index, while_it_lasts),
            Kind::Deaf => {
                let time = while_it_lasts.as_millis();
                fleet.nodes[index].tell(&format!("pause {time}"));
                true
            }
            Kind::Bye => {
                fleet.nodes[index].tell(&format!("bye {count}"));
                true
            }
        };
        let place = KINDS.iter().position(|(other, _)| *other == kind);
        self.counts[place.unwrap_or_default()] += u64::from(has_happened);
        Ok(())
    }

    fn undo_later(&mut self, fleet: &Fleet, index: usize, kind: Kind, after: Duration) {
        self.undo.push(Undo {
            at: Instant::now() + after,
            index,
            life: fleet.nodes[index].life,
            kind,
        });
    }

    /// Takes one listener's connections away; whether there were any that the system would close.
    fn close_by_system(&mut self, fleet: &Fleet, index: usize) -> bool {
        let Some(Endpoint::Tcp { port, .. }) = fleet.nodes[index].endpoints.first() else {
            return false;
        };
        let filter = format!("dst 127.0.0.1 and dport = :{port}");
        let output = Command::new("ss")
            .args(["-K", "-t", "-n", "-H"])
            .arg(filter)
            .stdin(Stdio::null())
            .output();
        match output {
            Err(error) => self.no_system = Some(format!("no `ss`: {error}")),
            Ok(output) => {
                let closed = String::from_utf8_lossy(&output.stdout);
                let closed = closed.lines().filter(|line| line.contains("127.0.0.1"));
                let closed = closed.count();
                self.system_closed += closed;
                return closed > 0;
            }
        }
        false
    }

    /// Raw peers come to both listeners of a node, and go without manners.
    fn visit(&mut self, fleet: &Fleet, index: usize) -> bool {
        let mut came = false;
        for endpoint in fleet.nodes[index].endpoints.iter().cycle().take(6) {
            // Where nobody listens just now, nobody comes.
            let Ok(raw) = dial(endpoint) else { continue };
            came = true;
            let mut message = Message::new(OpCode::Request);
            let _ = message.body_mut().append(&[7; 3000]);
            let mut bytes = frame(&message);
            match self.random.below(4) {
                0 => bytes.truncate(usize::try_from(self.random.below(3000)).unwrap_or(1)),
                1 => bytes.extend(self.random.bytes(500)),
                2 => bytes = self.random.bytes(5000),
                _ => bytes.clear(),
            }
            // It may be shown out before it has said everything.
            let _ = raw.send(&bytes);
            if self.random.below(2) == 0 {
                let _ = raw.reset();
            }
        }
        came
    }

    /// Allows a process fewer descriptors than it has, and lets everybody connect anew.
    fn starve(&mut self, fleet: &mut Fleet, index: usize, time: Duration) -> bool {
        let Some(pid) = fleet.nodes[index].pid() else {
            return false;
        };
        let Ok(held) = Holdings::of(pid) else {
            return false;
        };
        let limit = held.descriptors as u64 * 3 / 4;
        if limit_descriptors(pid, Some(limit)).is_err() {
            return false;
        }
        self.undo_later(fleet, index, Kind::Descriptors, time);
        for node in &mut fleet.nodes {
            node.tell("bye 5");
        }
        true
    }
}

impl Undo {
    fn run(self, fleet: &mut Fleet) -> Result<()> {
        let node = &fleet.nodes[self.index];
        let Some(pid) = node.pid().filter(|_| node.life == self.life) else {
            return Ok(());
        };
        match self.kind {
            Kind::Kill => fleet.kill(self.index, Duration::ZERO),
            Kind::Stop => node.signal(Signal::SIGCONT),
            Kind::Descriptors => limit_descriptors(pid, None),
            _ => Ok(()),
        }
    }
}

/// Limits the descriptors of a child that has not been waited for; without a limit as far as it may.
fn limit_descriptors(pid: u32, limit: Option<u64>) -> Result<()> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw);
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    let limits = Rlimit {
        current: limit.or(maximum),
        maximum,
    };
    prlimit(pid, Resource::Nofile, limits)?;
    Ok(())
}
