//! What has happened in a simulation: a hash of all of it, and as text while somebody wants to
//! read it.
//!
//! Texts cost more than the simulation itself, so they are only made when a run is repeated to be
//! looked at.

use std::collections::VecDeque;
use std::fmt;
use std::time::Duration;

/// How much of a trace is kept as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tracing {
    /// Only the hash.
    Hash,
    /// The last so many events.
    Last(usize),
    /// Every event, printed as it happens.
    Print,
}

/// The events of a run.
#[derive(Debug)]
pub(crate) struct Trace {
    tracing: Tracing,
    hash: u64,
    events: u64,
    last: VecDeque<String>,
    pub(crate) now: Duration,
}

impl Trace {
    pub(crate) fn new(tracing: Tracing) -> Trace {
        Trace {
            tracing,
            hash: 0,
            events: 0,
            last: VecDeque::new(),
            now: Duration::ZERO,
        }
    }

    /// Notes an event: its numbers for the hash, its text for people.
    pub(crate) fn note(&mut self, numbers: &[u64], text: fmt::Arguments<'_>) {
        self.events += 1;
        for &number in numbers {
            let mixed = (self.hash ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            self.hash = mixed ^ (mixed >> 29);
        }
        match self.tracing {
            Tracing::Hash => {}
            Tracing::Print => println!("{:>12.6} {text}", self.now.as_secs_f64()),
            Tracing::Last(count) => {
                if self.last.len() == count {
                    self.last.pop_front();
                }
                let at = self.now.as_secs_f64();
                self.last.push_back(format!("{at:>12.6} {text}"));
            }
        }
    }

    pub(crate) fn hash(&self) -> u64 {
        self.hash
    }

    pub(crate) fn events(&self) -> u64 {
        self.events
    }

    pub(crate) fn last(&self) -> impl Iterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }
}
