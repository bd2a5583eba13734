//! A peer without an engine: it writes any bytes in any pieces, reads as much as it likes, and
//! keeps account of both.

use std::fmt;
use std::io::IoSlice;

use crate::sim::connection::{End, Phase};
use crate::sim::simulation::Simulation;

/// One end of a connection, in the hands of a target.
pub(super) struct Wire {
    pub(super) end: End,
    /// What it has still to write.
    pub(super) out: Vec<u8>,
    pub(super) sent: Vec<u8>,
    pub(super) received: Vec<u8>,
    /// It ends its direction when all is written.
    ending: bool,
    ended: bool,
    /// It has closed or reset the connection, or seen its end.
    pub(super) over: bool,
    /// It went without having written or read everything.
    pub(super) abrupt: bool,
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("end", &self.end)
            .field("sent", &self.sent.len())
            .field("received", &self.received.len())
            .field("ended", &self.ended)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

impl Wire {
    fn new(end: End) -> Wire {
        Wire {
            end,
            out: Vec::new(),
            sent: Vec::new(),
            received: Vec::new(),
            ending: false,
            ended: false,
            over: false,
            abrupt: false,
        }
    }

    /// Connects to an engine that listens.
    pub(super) fn connect(sim: &Simulation, address: &str) -> Option<Wire> {
        let end = sim.network().connect(address, None).ok()?;
        Some(Wire::new(end))
    }

    /// Accepts a connection of an engine.
    pub(super) fn accept(sim: &Simulation, address: &str) -> Option<Wire> {
        let end = sim.network().take_waiting(address)?;
        sim.network().half(end).taken = true;
        Some(Wire::new(end))
    }

    /// The engine's end has accepted this connection, or made it.
    pub(super) fn was_accepted(&self) -> bool {
        self.end.side == 0
    }

    /// Its direction has ended, one way or another.
    pub(super) fn has_ended(&self) -> bool {
        self.over || self.ended
    }

    /// Writes at most `count` bytes of what it has to write.
    pub(super) fn write(&mut self, sim: &Simulation, count: usize) {
        if self.over || self.ended {
            return;
        }
        let mut network = sim.network();
        let mut left = count.min(self.out.len());
        while left > 0 {
            match network.write(self.end, &[IoSlice::new(&self.out[..left])]) {
                Ok(count) => {
                    self.sent.extend(self.out.drain(..count));
                    left -= count;
                }
                Err(_) => return,
            }
        }
        if self.ending && self.out.is_empty() {
            self.ended = network.end_writing(self.end).is_ok();
        }
    }

    /// Reads at most `count` bytes.
    pub(super) fn read(&mut self, sim: &Simulation, count: usize) {
        let mut space = [0; 2048];
        let mut left = count;
        while left > 0 && !self.over {
            let len = left.min(space.len());
            let read = sim.network().read(self.end, &mut space[..len], true);
            match read {
                Ok(count) if count > 0 => {
                    self.received.extend_from_slice(&space[..count]);
                    left -= count;
                }
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => return,
                _ => self.close(sim, false),
            }
        }
    }

    /// Ends its direction as soon as everything is written.
    pub(super) fn end_writing(&mut self, sim: &Simulation) {
        self.ending = true;
        self.write(sim, usize::MAX);
    }

    /// Closes the connection, by a reset or as it comes.
    pub(super) fn close(&mut self, sim: &Simulation, abrupt: bool) {
        if std::mem::replace(&mut self.over, true) {
            return;
        }
        let mut network = sim.network();
        let half = network.half(self.end);
        half.reset_on_close |= abrupt;
        self.abrupt = abrupt || !half.arrived.is_empty() || !self.out.is_empty();
        network.close(self.end);
    }

    /// Nobody will ever be there: the attempt was refused.
    pub(super) fn is_refused(&self, sim: &Simulation) -> bool {
        sim.network().connections[self.end.connection].phase == Phase::Refused
    }

    /// Changes how many bytes this end holds that it has not read.
    pub(super) fn set_capacity(&self, sim: &Simulation, capacity: usize) {
        let mut network = sim.network();
        let half = network.half(self.end);
        half.capacity = capacity.max(1);
        let room = half.room() > 0;
        let other = self.end.other();
        if room && std::mem::take(&mut network.half(other).wants_room) {
            network.tell(other, false, true, false);
        }
    }
}
