//! Sending: from a channel's queue into the kernel, one vectored write at a time.
//!
//! Counts what is wholly sent, moves the conversation on, and reports back to the outbox, so that
//! the application may post again. A failed write does not end the channel at once: what the
//! peer has sent before is read first.

use std::io::{self, IoSlice, Write};
use std::time::Duration;

use tofu_msg::Status;

use crate::close::Cause;
use crate::core::channel::{Channel, Ending, Manner, Progress};
use crate::core::conversation::{Sent, State};
use crate::core::deadlines::Timer;
use crate::core::desk::Desk;
use crate::core::outgoing::Outgoing;
use crate::core::segments::SentFrames;
use crate::core::transport::{Stream, Transport};
use crate::msg::Report;
use crate::shared::outbox::Outbox;

/// Slices in one vectored write.
const SLICES: usize = 64;

/// How often a channel looks for room while the write stall runs, at least within the stall.
const LOOKS: u32 = 4;

/// And the longest time between two looks.
const LOOK: Duration = Duration::from_secs(1);

/// Writes what lies in several pieces; `mixed_up` is a defect built in on purpose.
fn write_vectored(
    stream: &mut impl Write,
    outgoing: &Outgoing,
    limit: usize,
    mixed_up: bool,
) -> io::Result<usize> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let used = outgoing.slices(&mut slices, limit);
    if mixed_up && used > 1 && outgoing.is_cut() {
        slices.swap(0, 1);
    }
    stream.write_vectored(&slices[..used])
}

/// What a stretch of sending has brought about.
#[derive(Debug, Default)]
struct Tally {
    messages: usize,
    bytes: usize,
    /// Bytes that the kernel took, whole frames or not.
    written: usize,
    event: Option<Sent>,
}

impl<T: Transport> Channel<T> {
    /// Sends what is queued, as far as the socket and the turn allow.
    pub(crate) fn flush(&mut self, desk: &mut Desk) -> Result<Progress, Ending> {
        let mut tally = Tally::default();
        let mut progress = Progress::Waiting;
        let mut moved = false;
        while self.writable && self.write_failed.is_none() && !self.outgoing.is_empty() {
            let options = desk.options();
            if tally.messages >= options.turn_messages || tally.written >= options.turn_bytes {
                progress = Progress::Again;
                break;
            }
            moved |= self.write_once(desk, &mut tally);
        }
        self.settle(desk, &tally);
        self.arm_stall(desk, moved);
        self.react(desk, tally.event)?;
        self.finish_if_sent()?;
        Ok(progress)
    }

    /// One vectored write; `true` if the kernel took something.
    fn write_once(&mut self, desk: &Desk, tally: &mut Tally) -> bool {
        let Some(stream) = &mut self.stream else {
            return false;
        };
        let options = desk.options();
        let in_bytes = options.turn_bytes - tally.written;
        let limit = self
            .outgoing
            .stretch(options.turn_messages - tally.messages)
            .min(in_bytes);
        let result = match self.outgoing.single_slice(limit) {
            Some(bytes) => stream.write(bytes),
            None => {
                let mixed_up = planted!(options, WrongOrderAfterCut);
                write_vectored(stream, &self.outgoing, limit, mixed_up)
            }
        };
        match result {
            Ok(0) => {
                mark!(desk, "a write took nothing");
                let error = io::Error::from(io::ErrorKind::WriteZero);
                let cause = Cause::system(Status::SEND_FAILED, "sending", &error);
                self.write_failed = Some(Box::new(cause));
                false
            }
            Ok(count) => {
                self.take_sent(count, desk, tally);
                true
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.writable = false;
                false
            }
            Err(error) => {
                let cause = disconnected(Status::SEND_FAILED, "sending", &error);
                self.write_failed = Some(Box::new(cause));
                // Whatever else the peer sent is still to be read.
                self.readable = true;
                false
            }
        }
    }

    /// Accounts for `count` bytes that the kernel took.
    fn take_sent(&mut self, count: usize, desk: &Desk, tally: &mut Tally) {
        tally.written += count;
        self.account.bytes_unconfirmed += count as u64;
        desk.shared.counters.bytes_sent.add(count as u64);
        let (conversation, account) = (&mut self.conversation, &mut self.account);
        let sent = |frames: SentFrames| {
            tally.messages += frames.count;
            tally.bytes += frames.len;
            account.messages_sent += frames.count as u64;
            account.last_id_sent = Some(frames.message_id);
            match conversation.sent(frames.op_code) {
                Sent::Nothing => {}
                event => tally.event = Some(event),
            }
        };
        self.outgoing
            .advance(count, sent, |buffer| desk.shared.chunks.give(buffer));
    }

    /// Tells the outbox how much room there is again, and the application if it was refused.
    fn settle(&mut self, desk: &mut Desk, tally: &Tally) {
        if tally.messages == 0 {
            return;
        }
        desk.shared
            .counters
            .messages_sent
            .add(tally.messages as u64);
        self.tell_room(desk, tally.messages, tally.bytes);
    }

    /// So much is no longer queued: tells whoever was refused that there is room again.
    pub(crate) fn tell_room(&mut self, desk: &mut Desk, messages: usize, bytes: usize) {
        let shared = &desk.shared;
        let limits = (&shared.options, &shared.send_budget);
        let settled = |outbox: &mut Outbox| outbox.settle(messages, bytes, limits);
        let Some(room) = shared.registry.with(self.number, settled) else {
            return;
        };
        if room.budget_is_full {
            mark!(desk, "room in the queue, but not in the send budget");
            shared.send_budget.refuse(self.number);
        }
        if room.waiters {
            if let Some(group) = desk.groups.get_mut(self.group) {
                group.shared.make_room(Some(self.number));
            }
        }
        if room.notice && !planted!(desk.options(), RoomNotTold) {
            let cause = Cause::new(Status::SEND_QUEUE_READY, "the send queue has room again");
            desk.notify(
                self.group,
                self.number,
                self.id,
                Report::SendQueueReady,
                cause,
            );
        }
    }

    /// The write stall runs while there are data that the peer does not take.
    fn arm_stall(&mut self, desk: &Desk, moved: bool) {
        if self.outgoing.is_empty() || self.attempt.is_some() || self.write_failed.is_some() {
            self.deadlines.stop(Timer::WriteStall);
            self.deadlines.stop(Timer::Look);
        } else {
            let timeout = desk.options().write_stall_timeout;
            if moved || !self.deadlines.is_running(Timer::WriteStall) {
                self.deadlines.start(Timer::WriteStall, desk.now, timeout);
            }
            let is_stalled = self.deadlines.is_running(Timer::WriteStall);
            if is_stalled && (moved || !self.deadlines.is_running(Timer::Look)) {
                let look = (timeout / LOOKS).min(LOOK);
                self.deadlines.start(Timer::Look, desk.now, look);
            }
        }
        if moved {
            self.note_activity(desk);
        }
    }

    /// The bye and idle timeouts begin afresh with every byte that the peer sends or takes.
    pub(crate) fn note_activity(&mut self, desk: &Desk) {
        let options = desk.options();
        if self.deadlines.is_running(Timer::Bye) {
            self.deadlines
                .start(Timer::Bye, desk.now, options.bye_timeout);
        }
        if self.number.is_assigned() {
            self.deadlines
                .start(Timer::Idle, desk.now, options.idle_timeout);
        }
    }

    /// What follows from a HelloRequest, ByeRequest or ByeResponse being out.
    fn react(&mut self, desk: &mut Desk, event: Option<Sent>) -> Result<(), Ending> {
        match event {
            None | Some(Sent::Nothing) => Ok(()),
            Some(Sent::Hello) => {
                let timeout = desk.options().hello_response_timeout;
                self.deadlines
                    .start(Timer::HelloResponse, desk.now, timeout);
                Ok(())
            }
            Some(Sent::Bye) => {
                self.deadlines
                    .start(Timer::Bye, desk.now, desk.options().bye_timeout);
                Ok(())
            }
            Some(Sent::Confirmed) => Err(Ending::confirmed()),
            Some(Sent::Drain) => self.begin_draining(desk),
        }
    }

    /// Our last word is out: ends our direction and reads the peer's away.
    fn begin_draining(&mut self, desk: &Desk) -> Result<(), Ending> {
        let ended = match &mut self.stream {
            Some(stream) => stream.shutdown_write().is_err() || self.input_ended,
            None => true,
        };
        if ended {
            mark!(desk, "nothing is left to drain");
            return Err(Ending::answered());
        }
        self.deadlines.stop(Timer::Bye);
        self.deadlines
            .start(Timer::Linger, desk.now, desk.options().linger_timeout);
        // What is read from here on goes nowhere: no room is needed for it.
        (self.parked, self.undelivered) = (false, false);
        self.readable = true;
        Ok(())
    }

    /// A channel that only had to send the rest is done when that is sent.
    pub(crate) fn finish_if_sent(&mut self) -> Result<(), Ending> {
        let draining = self.conversation.state() == State::Draining;
        if !self.outgoing.is_empty() || self.attempt.is_some() || draining {
            return Ok(());
        }
        match self.finishing.take() {
            None => Ok(()),
            Some(cause) => {
                let manner = if self.input_ended {
                    Manner::Gone
                } else {
                    Manner::Linger
                };
                Err(Ending {
                    cause: *cause,
                    manner,
                })
            }
        }
    }
}

impl Ending {
    /// The peer said Bye, and our answer is out.
    pub(crate) fn answered() -> Ending {
        Ending::new(
            Manner::Gone,
            Status::SUCCESS,
            "the peer's ByeRequest was answered",
        )
    }
}

/// The cause of a broken connection: a reset, a broken pipe or a peer that the kernel has given up
/// means that the peer went away.
pub(crate) fn disconnected(status: Status, doing: &str, error: &io::Error) -> Cause {
    let gone = matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset
            | io::ErrorKind::BrokenPipe
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::NotConnected
            | io::ErrorKind::TimedOut
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
    );
    Cause::system(
        if gone {
            Status::PEER_DISCONNECTED
        } else {
            status
        },
        doing,
        error,
    )
}
