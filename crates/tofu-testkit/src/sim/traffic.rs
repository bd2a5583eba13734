//! What an end of a simulated connection does: reading, writing, ending, closing.
//!
//! The same for engines' streams and for raw peers; errors are those of a kernel.

use std::io::{self, ErrorKind};

use crate::sim::connection::{Connection, End, Half, Phase};
use crate::sim::network::{Arrival, Network};
use tofu_engine::driver::Readiness;

impl Network {
    /// A new connection on its way to `address`.
    pub(crate) fn new_connection(&mut self, address: &str) -> usize {
        let most = self.capacity;
        let half = |capacity| Half {
            capacity,
            ..Half::default()
        };
        let least = most.div_ceil(4);
        let capacities = [(); 2].map(|()| least + self.up_to(most - least + 1) - 1);
        self.connections.push(Connection {
            phase: Phase::Connecting,
            halves: capacities.map(half),
            address: address.to_owned(),
        });
        self.connections.len() - 1
    }

    /// Reads; `whole` says that fewer bytes than there are would be taken for all there are.
    pub(crate) fn read(&mut self, end: End, space: &mut [u8], whole: bool) -> io::Result<usize> {
        if self.breaks(end) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.fails(end) {
            return Err(ErrorKind::OutOfMemory.into());
        }
        if self.blocks(end, true) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let half = self.half(end);
        if half.arrived.is_empty() {
            return match () {
                () if half.reset && !half.reset_told => {
                    half.reset_told = true;
                    Err(ErrorKind::ConnectionReset.into())
                }
                () if half.end_arrived || half.reset => Ok(0),
                () => Err(ErrorKind::WouldBlock.into()),
            };
        }
        let there = half.arrived.len().min(space.len());
        let rate = self.faults.partial;
        let count = if !whole && self.chance(rate) {
            self.up_to(there)
        } else {
            there
        };
        let half = self.half(end);
        let (front, back) = half.arrived.as_slices();
        let split = front.len().min(count);
        space[..split].copy_from_slice(&front[..split]);
        space[split..count].copy_from_slice(&back[..count - split]);
        half.arrived.drain(..count);
        half.read += count as u64;
        let moment = (half.read, half.written);
        half.reads.push(moment);
        let room = half.room() >= half.capacity.div_ceil(3);
        self.moves += 1;
        self.note_traffic(4, end, count, "read");
        let other = end.other();
        if room && self.half(other).wants_room {
            self.half(other).wants_room = false;
            self.tell_later(other, false);
        }
        Ok(count)
    }

    /// Writes as much of the slices as there is room for.
    pub(crate) fn write(&mut self, end: End, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
        if self.connections[end.connection].phase != Phase::Established {
            return Err(ErrorKind::NotConnected.into());
        }
        if self.breaks(end) {
            return Err(ErrorKind::ConnectionReset.into());
        }
        if self.fails(end) {
            return match self.random.below(2) {
                0 => Ok(0),
                _ => Err(ErrorKind::OutOfMemory.into()),
            };
        }
        let half = self.half(end);
        if half.reset || half.write_ended {
            half.reset_told |= half.reset;
            return Err(ErrorKind::BrokenPipe.into());
        }
        if self.blocks(end, false) {
            return Err(ErrorKind::WouldBlock.into());
        }
        let room = self.half(end.other()).room();
        if room == 0 {
            self.half(end).wants_room = true;
            return Err(ErrorKind::WouldBlock.into());
        }
        let len = slices.iter().map(|slice| slice.len()).sum::<usize>();
        let rate = self.faults.partial;
        let count = if self.chance(rate) {
            self.up_to(len.min(room))
        } else {
            len.min(room)
        };
        let mut bytes = Vec::with_capacity(count);
        for slice in slices {
            let part = slice.len().min(count - bytes.len());
            bytes.extend_from_slice(&slice[..part]);
        }
        self.half(end).written += count as u64;
        self.moves += 1;
        self.note_traffic(5, end, count, "written");
        self.send_bytes(end.other(), bytes);
        Ok(count)
    }

    /// Sends bytes to an end, now and then in parts that arrive apart.
    fn send_bytes(&mut self, to: End, mut bytes: Vec<u8>) {
        self.half(to).in_flight += bytes.len();
        while !bytes.is_empty() {
            let rate = self.faults.partial / 4;
            let rest = if bytes.len() > 1 && self.chance(rate) {
                let part = self.up_to(bytes.len() - 1);
                bytes.split_off(part)
            } else {
                Vec::new()
            };
            let at = self.in_order(to);
            self.send(at, Arrival::Bytes(to, bytes));
            bytes = rest;
        }
    }

    /// When something sent to this end now arrives: not before what was sent earlier.
    fn in_order(&mut self, to: End) -> std::time::Duration {
        let at = self.arrival_time();
        let half = self.half(to);
        half.last_arrival = half.last_arrival.max(at);
        half.last_arrival
    }

    /// Ends this end's direction.
    pub(crate) fn end_writing(&mut self, end: End) -> io::Result<()> {
        let half = self.half(end);
        if half.reset {
            return Err(ErrorKind::NotConnected.into());
        }
        if half.write_ended {
            return Ok(());
        }
        half.write_ended = true;
        self.note_traffic(6, end, 0, "ends writing");
        let at = self.in_order(end.other());
        self.send(at, Arrival::EndOfStream(end.other()));
        Ok(())
    }

    /// Closes this end: with a reset if that was asked for or bytes were left unread.
    pub(crate) fn close(&mut self, end: End) {
        let half = self.half(end);
        if std::mem::replace(&mut half.closed, true) {
            return;
        }
        half.owner = None;
        let abrupt = half.reset_on_close || !half.arrived.is_empty();
        half.arrived.clear();
        let over = half.reset || half.write_ended;
        half.write_ended = true;
        self.note_traffic(7, end, usize::from(abrupt), "closed, by reset");
        if self.connections[end.connection].phase == Phase::Established {
            if abrupt {
                self.send_reset(end.other());
            } else if !over {
                let at = self.in_order(end.other());
                self.send(at, Arrival::EndOfStream(end.other()));
            }
        }
    }

    /// A reset overtakes what is on its way to this end, or a part of it.
    pub(crate) fn send_reset(&mut self, to: End) {
        let last = self.half(to).last_arrival.max(self.now);
        let span = last - self.now;
        let at = self.now + self.some_time(span);
        self.send(at, Arrival::Reset(to));
    }

    /// Whether the network breaks this connection now.
    fn breaks(&mut self, end: End) -> bool {
        let rate = self.faults.reset;
        if self.connections[end.connection].phase != Phase::Established
            || self.half(end).reset
            || !self.chance(rate)
        {
            return false;
        }
        self.note_traffic(8, end, 0, "the network breaks it");
        self.break_connection(end);
        let half = self.half(end);
        half.reset = true;
        half.reset_told = true;
        self.tell(end, true, true, true);
        true
    }

    /// Both ends of a connection see a reset.
    pub(crate) fn break_connection(&mut self, end: End) {
        self.send_reset(end.other());
        self.send_reset(end);
    }

    /// Whether a call fails although nothing is wrong with the connection.
    fn fails(&mut self, end: End) -> bool {
        let rate = self.faults.fail;
        self.half(end).owner.is_some() && self.chance(rate)
    }

    /// Whether a call says that it would block although it need not; an event follows.
    fn blocks(&mut self, end: End, reading: bool) -> bool {
        let rate = self.faults.would_block;
        let half = self.half(end);
        // Somebody without a poller could not be told, and a broken connection never blocks.
        if half.owner.is_none() || half.reset || !self.chance(rate) {
            return false;
        }
        self.tell_later(end, reading);
        true
    }

    /// Announces an end as ready, as late as anything else may come.
    fn tell_later(&mut self, end: End, reading: bool) {
        if let Some((engine, token)) = self.half(end).owner {
            let at = self.arrival_time();
            let readiness = Readiness {
                readable: reading,
                writable: !reading,
                hung_up: false,
            };
            self.send(at, Arrival::Event(engine, token, readiness));
        }
    }

    fn note_traffic(&mut self, kind: u64, end: End, count: usize, what: &str) {
        let (connection, side) = (end.connection, end.side);
        let numbers = [kind, connection as u64, side as u64, count as u64];
        self.trace
            .note(&numbers, format_args!("{connection}/{side} {what} {count}"));
    }
}
