//! Receiving: from the kernel into frames, judged one by one and staged for the group's inbox.
//!
//! Reads until the socket has no more, the turn's share is used, or there is no room to deliver;
//! then the channel is parked and the kernel's buffers push back on the peer. Only headers are
//! looked at.

use std::io::{self, Read};

use tofu_msg::Status;

use crate::close::Cause;
use crate::core::channel::{Channel, Ending, Manner, Progress};
use crate::core::conversation::State;
use crate::core::desk::{Desk, Room};
use crate::core::flush::disconnected;
use crate::core::time::Time;
use crate::core::transport::Transport;
use crate::msg::Report;
use crate::shared::inbox::Delivery;

/// The least that is read at once; also what a connection may bring of its HelloRequest while those
/// of others hold too much.
const SHORT_READ: usize = 4096;

/// So much is read for every message that may be delivered.
const SMALL_FRAME: usize = 256;

/// What is left of a turn's share for one channel.
#[derive(Debug)]
pub(crate) struct Budget {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
    /// Bytes read so far.
    read: usize,
}

/// What a read brought.
enum Arrived {
    Bytes(usize),
    Nothing,
    End,
    Failed(io::Error),
}

impl<T: Transport> Channel<T> {
    /// Receives, as far as the socket, the turn and the room allow.
    pub(crate) fn fill(&mut self, desk: &mut Desk) -> Result<Progress, Ending> {
        let options = desk.options();
        let mut budget = Budget {
            messages: options.turn_messages,
            bytes: options.turn_bytes,
            read: 0,
        };
        let result = self.fill_within(desk, &mut budget);
        desk.shared.counters.bytes_received.add(budget.read as u64);
        result
    }

    fn fill_within(&mut self, desk: &mut Desk, budget: &mut Budget) -> Result<Progress, Ending> {
        if self.hung_up && self.stream.is_some() && planted!(desk.options(), TailDropped) {
            return Err(self.gone());
        }
        if self.held_back && self.write_failed.is_some() {
            // It ends when it is read, and gives up what it holds.
            mark!(desk, "held back: a broken connection goes on");
            (self.parked, self.held_back) = (false, false);
            self.deadlines.resume(desk.now);
        }
        while (self.readable || self.undelivered) && !self.parked && self.stream.is_some() {
            if self.conversation.state() == State::Draining {
                return self.discard(desk, budget);
            }
            if budget.messages == 0 || budget.bytes == 0 {
                return Ok(Progress::Again);
            }
            if self.is_held_back(desk) {
                break;
            }
            match desk.room(self.group, self.share) {
                Room::Frames(_) if self.is_others_turn(desk) => self.stand_in_line(desk),
                Room::Frames(room) => {
                    self.fill_once(desk, budget, room)?;
                    desk.count_held(self);
                }
                full => self.park(desk, full),
            }
        }
        if self.write_failed.is_some() && !self.parked && !self.undelivered {
            mark!(desk, "a broken connection has nothing more to read");
            return Err(self.broken());
        }
        Ok(Progress::Waiting)
    }

    /// One read, into the large frame that is being gathered or into the scratch buffer.
    fn fill_once(
        &mut self,
        desk: &mut Desk,
        budget: &mut Budget,
        room: usize,
    ) -> Result<(), Ending> {
        let arrived = if self.inflow.large.is_some() {
            let arrived = self.read_large(budget);
            self.deliver_large_if_whole(desk, budget)?;
            arrived
        } else if self.undelivered {
            let len = self.inflow.unload(&mut desk.scratch);
            self.undelivered = false;
            self.cut(desk, len, room, budget)?;
            Arrived::Nothing
        } else {
            let start = self.inflow.unload(&mut desk.scratch);
            let end = self
                .read_limit(desk, start, room)
                .min(start.saturating_add(budget.bytes));
            let arrived = self.read_into(&mut desk.scratch[start..end], budget);
            match arrived {
                Arrived::Bytes(count) => self.cut(desk, start + count, room, budget)?,
                _ => self.inflow.keep(&desk.scratch[..start]),
            }
            arrived
        };
        match arrived {
            Arrived::Bytes(_) => {
                self.note_activity(desk);
                Ok(())
            }
            Arrived::Nothing => Ok(()),
            Arrived::End => self.end_of_input(desk),
            Arrived::Failed(error) => {
                let cause = disconnected(Status::RECV_FAILED, "receiving", &error);
                Err(Ending {
                    cause: self.write_failed.take().map_or(cause, |cause| *cause),
                    manner: Manner::Gone,
                })
            }
        }
    }

    fn read_into(&mut self, space: &mut [u8], budget: &mut Budget) -> Arrived {
        let Some(stream) = &mut self.stream else {
            return Arrived::Nothing;
        };
        let result = stream.read(space).map(|count| (count, count < space.len()));
        self.note_read(result, budget)
    }

    fn read_large(&mut self, budget: &mut Budget) -> Arrived {
        let (Some(stream), Some(large)) = (&mut self.stream, &mut self.inflow.large) else {
            return Arrived::Nothing;
        };
        let result = large.read_from(stream);
        self.note_read(result, budget)
    }

    /// Draws from a read's result what it says about the socket.
    fn note_read(&mut self, result: io::Result<(usize, bool)>, budget: &mut Budget) -> Arrived {
        match result {
            Ok((0, _)) => {
                self.readable = false;
                Arrived::End
            }
            Ok((count, short)) => {
                budget.bytes = budget.bytes.saturating_sub(count);
                budget.read += count;
                if short && T::SHORT_READ_MEANS_DRAINED && !self.hung_up {
                    self.readable = false;
                }
                Arrived::Bytes(count)
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.readable = false;
                Arrived::Nothing
            }
            Err(error) => {
                self.readable = false;
                Arrived::Failed(error)
            }
        }
    }

    /// The peer has ended its direction, and everything before that has been staged.
    fn end_of_input(&mut self, desk: &mut Desk) -> Result<(), Ending> {
        if self.write_failed.is_some() {
            mark!(desk, "a broken connection was read to its end");
            return Err(self.broken());
        }
        if self.input_ended {
            return Ok(());
        }
        if self.inflow.held_bytes() > 0 {
            let text = "the peer closed in the middle of a frame";
            return Err(Ending::new(Manner::Gone, Status::PEER_DISCONNECTED, text));
        }
        match self.conversation.state() {
            State::Connecting | State::Greeting | State::ByeSent => Err(self.gone()),
            State::ByeCrossed if self.conversation.is_confirmed() => {
                if self.outgoing.is_empty() {
                    return Err(Ending::confirmed());
                }
                mark!(desk, "crossed: the peer ended before our answer was out");
                // Our ByeResponse is on its way out, and the peer may still read it.
                self.input_ended = true;
                self.finish(Ending::confirmed().cause, Time::NEVER);
                Ok(())
            }
            State::ByeCrossed => Err(self.gone()),
            State::Draining => Err(Ending::answered()),
            State::Open | State::ByeReceived => {
                self.input_ended = true;
                mark!(desk, "the peer has ended its direction");
                if self.finishing.is_none() {
                    // The peer may still read: what the application answers to the last of its
                    // messages goes out. The receiver tells when it has taken them all.
                    desk.groups
                        .stage(self.group, Delivery::EndOfInput(self.token));
                }
                Ok(())
            }
        }
    }

    fn gone(&self) -> Ending {
        Ending::new(
            Manner::Gone,
            Status::PEER_DISCONNECTED,
            "the peer closed the connection",
        )
    }

    /// The ending of a channel whose writes failed.
    fn broken(&mut self) -> Ending {
        match self.write_failed.take() {
            Some(cause) => Ending {
                cause: *cause,
                manner: Manner::Gone,
            },
            None => self.gone(),
        }
    }

    /// Reads away what comes behind our last word.
    fn discard(&mut self, desk: &mut Desk, budget: &mut Budget) -> Result<Progress, Ending> {
        self.inflow = Default::default();
        while self.readable {
            if budget.bytes == 0 {
                return Ok(Progress::Again);
            }
            let mut scratch = std::mem::take(&mut desk.scratch);
            let arrived = self.read_into(&mut scratch, budget);
            desk.scratch = scratch;
            match arrived {
                Arrived::End => return Err(Ending::answered()),
                // A reset behind our flushed ByeResponse is how some peers close.
                Arrived::Failed(_) => {
                    mark!(desk, "a reset behind our last word");
                    return Err(Ending::answered());
                }
                Arrived::Bytes(count) => self.drained += count,
                Arrived::Nothing => {}
            }
            if self.drained > desk.options().linger_drain {
                let text = "the peer went on sending behind its ByeRequest and our ByeResponse";
                return Err(Ending::new(Manner::Gone, Status::LINGER_TIMEOUT, text));
            }
        }
        Ok(Progress::Waiting)
    }

    /// Where in the scratch buffer a read that begins at `start` ends. Where there is room for few
    /// messages, little is read: what could not be delivered would be held at the cost of others.
    fn read_limit(&self, desk: &Desk, start: usize, room: usize) -> usize {
        let greeting = self.conversation.state() == State::Greeting;
        let space = if greeting && desk.holds_too_much(true) {
            SHORT_READ
        } else {
            room.saturating_mul(SMALL_FRAME).max(SHORT_READ)
        };
        desk.scratch.len().min(start.saturating_add(space))
    }

    /// Stops reading while the engine holds too much of what is not whole or could not be
    /// delivered. A channel that can give up some of it by going on goes on.
    fn is_held_back(&mut self, desk: &mut Desk) -> bool {
        let greeting = self.conversation.state() == State::Greeting;
        // An open channel in the middle of a frame gives up what it holds by going on; a connection
        // without a HelloRequest that holds nothing may still bring a short one, whole.
        // The oldest of those always goes on, and so does one that ends when it is read.
        let goes_on = self.undelivered
            || self.write_failed.is_some()
            || greeting != (self.counted_held > 0)
            || (greeting && desk.is_oldest_greeter(self.arrival));
        if goes_on || !desk.holds_too_much(greeting) {
            return false;
        }
        (self.parked, self.held_back) = (true, true);
        desk.hold_back(self.token, greeting);
        desk.shared.counters.pauses_budget.add(1);
        if greeting {
            mark!(desk, "held back: a connection without a HelloRequest");
        } else {
            mark!(desk, "held back: an open channel");
            // A connection that has not said Hello gets no time for being held back.
            self.deadlines.pause(desk.now);
        }
        true
    }

    /// Delivers the whole frames that waited for room, when the channel ends: nothing that a peer
    /// sent is lost for want of room, and they are few.
    pub(crate) fn deliver_held(&mut self, desk: &mut Desk) {
        if !std::mem::take(&mut self.undelivered) || !self.number.is_assigned() {
            return;
        }
        mark!(desk, "what waited for room is delivered at the end");
        let len = self.inflow.unload(&mut desk.scratch);
        let mut unbound = Budget {
            messages: usize::MAX,
            bytes: usize::MAX,
            read: 0,
        };
        // The channel ends anyway; how these frames would have ended it changes nothing.
        let _ending = self.cut(desk, len, usize::MAX, &mut unbound);
    }

    /// Whether another channel of the group has waited for room, and longer than this one.
    fn is_others_turn(&self, desk: &mut Desk) -> bool {
        let group = desk.groups.get_mut(self.group);
        group.is_some_and(|group| group.is_others_turn(self.ticket))
    }

    /// There is room, but others have waited longer for it: takes its place in the line.
    fn stand_in_line(&mut self, desk: &mut Desk) {
        mark!(desk, "others have waited longer for room");
        self.parked = true;
        self.deadlines.pause(desk.now);
        self.ticket = desk
            .groups
            .stand_in_line(self.group, self.token, self.ticket);
    }

    /// Stops reading until there is room.
    fn park(&mut self, desk: &mut Desk, why: Room) {
        self.parked = true;
        self.readable &= !planted!(desk.options(), ForgottenReadiness);
        self.deadlines.pause(desk.now);
        let Some(group) = desk.groups.get_mut(self.group) else {
            return;
        };
        self.ticket = Some(group.park(self.token, self.ticket));
        let counters = &desk.shared.counters;
        match why {
            Room::PoolEmpty => counters.pauses_pool_empty.add(1),
            _ => counters.pauses_inbox_full.add(1),
        }
        // The application does not know a channel without a number yet.
        let known = self.number.is_assigned();
        if !known {
            mark!(desk, "no room for a HelloRequest");
        }
        if known && why == Room::PoolEmpty && !std::mem::replace(&mut group.pool_empty_told, true) {
            let text = "no pool message is free: reading pauses until messages are put back";
            let cause = Cause::new(Status::POOL_EMPTY, text);
            desk.notify(self.group, self.number, self.id, Report::PoolEmpty, cause);
        }
    }
}
