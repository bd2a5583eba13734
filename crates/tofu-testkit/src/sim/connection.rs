//! A connection of the simulated network: two ends, each with what has arrived for it.
//!
//! Only state and the questions about it; `network` moves the bytes and announces what changed.

use std::collections::VecDeque;
use std::time::Duration;

use tofu_engine::driver::{Readiness, Token};

/// Which end of a connection: the one that connected, or the one that was accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct End {
    /// The connection, counted from 0.
    pub connection: usize,
    /// 0 for the side that connected, 1 for the other.
    pub side: usize,
}

impl End {
    /// The other end.
    #[must_use]
    pub fn other(self) -> End {
        End {
            side: 1 - self.side,
            ..self
        }
    }
}

/// How far a connection is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// On its way to the listener.
    Connecting,
    Established,
    /// Refused, or its listener was closed before it was accepted.
    Refused,
}

/// One end.
#[derive(Debug, Default)]
pub(crate) struct Half {
    /// Who is told of events; `None` before an accepted end is registered, and for raw ends.
    pub(crate) owner: Option<(usize, Token)>,
    /// What has arrived and was not read.
    pub(crate) arrived: VecDeque<u8>,
    /// Bytes on their way to this end.
    pub(crate) in_flight: usize,
    /// How many bytes this end holds, arrived or on their way.
    pub(crate) capacity: usize,
    /// Whatever comes to this end does not come sooner than what was sent before.
    pub(crate) last_arrival: Duration,
    /// The other end's direction has ended, and that has arrived.
    pub(crate) end_arrived: bool,
    /// A reset has arrived; reading has not told of it yet if `reset_told` is false.
    pub(crate) reset: bool,
    pub(crate) reset_told: bool,
    /// This end has ended its own direction.
    pub(crate) write_ended: bool,
    /// A write of this end was refused for want of room: it is to be told of room.
    pub(crate) wants_room: bool,
    pub(crate) reset_on_close: bool,
    /// The owner has closed it.
    pub(crate) closed: bool,
    /// Bytes taken from this end's owner.
    pub(crate) written: u64,
    /// Bytes that the owner has read.
    pub(crate) read: u64,
    /// By read: how many bytes had been read after it, and how many had been written by then.
    pub(crate) reads: Vec<(u64, u64)>,
    /// An accept has taken this end.
    pub(crate) taken: bool,
}

impl Half {
    /// Room for further bytes.
    pub(crate) fn room(&self) -> usize {
        self.capacity
            .saturating_sub(self.arrived.len() + self.in_flight)
    }

    /// How many bytes the owner had written when it had read so many.
    pub(crate) fn written_when_read(&self, count: u64) -> u64 {
        let at = self.reads.partition_point(|&(read, _)| read < count);
        self.reads
            .get(at)
            .map_or(self.written, |&(_, written)| written)
    }

    /// What a poller would say of this end when it is registered.
    pub(crate) fn readiness(&self, other_room: usize) -> Readiness {
        Readiness {
            readable: !self.arrived.is_empty() || self.end_arrived || self.reset,
            writable: other_room > 0 || self.reset,
            hung_up: self.end_arrived || self.reset,
        }
    }
}

/// A connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) phase: Phase,
    pub(crate) halves: [Half; 2],
    /// Where it was made to.
    pub(crate) address: String,
}
