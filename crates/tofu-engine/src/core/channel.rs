//! One connection: the socket's side of a channel, from the first attempt to the last word.
//!
//! This file holds what a channel is and its deadlines; sending is in `flush`, receiving in `fill`,
//! connecting in `attempt`, ending in `closing`. It is driven by the engine core and never blocks.

use tofu_msg::{ChannelNumber, MessageId, Status};

use crate::close::{Cause, CloseInfo};
use crate::core::attempt::Attempt;
use crate::core::census::Admission;
use crate::core::conversation::{Conversation, State};
use crate::core::deadlines::{Deadlines, Passed, Timer};
use crate::core::desk::Desk;
use crate::core::inflow::Inflow;
use crate::core::outgoing::Outgoing;
use crate::core::time::Time;
use crate::core::transport::{PeerInfo, Stream, Token, Transport};
use crate::shared::Arc;
use crate::shared::group::GroupId;
use crate::shared::pool::ShareIndex;

/// What has passed over a channel; becomes its close information.
#[derive(Debug, Clone, Default)]
pub(crate) struct Account {
    pub(crate) messages_sent: u64,
    pub(crate) messages_received: u64,
    pub(crate) last_id_sent: Option<MessageId>,
    pub(crate) last_id_received: Option<MessageId>,
    /// Bytes handed to the kernel since the last proof of receipt.
    pub(crate) bytes_unconfirmed: u64,
}

/// How a channel ends.
#[derive(Debug)]
pub(crate) struct Ending {
    pub(crate) cause: Cause,
    pub(crate) manner: Manner,
}

/// What is done with the socket of a channel that ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manner {
    /// Our direction is ended, and the peer's read away until it ends too, so that the tail of
    /// what we sent is not lost.
    Linger,
    /// The peer has ended already: nothing of ours can be lost by closing.
    Gone,
    /// At once, by a reset.
    Abrupt,
}

/// How far a channel got in its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Progress {
    /// As far as the socket went; an event will tell when there is more.
    Waiting,
    /// As far as one turn may go; it belongs back on the ready list.
    Again,
}

impl Ending {
    pub(crate) fn new(manner: Manner, status: Status, text: &'static str) -> Ending {
        Ending {
            cause: Cause::new(status, text),
            manner,
        }
    }

    /// The peer, with its ByeResponse, confirmed our ByeRequest.
    pub(crate) fn confirmed() -> Ending {
        Ending::new(
            Manner::Linger,
            Status::SUCCESS,
            "closed by ByeRequest and ByeResponse",
        )
    }

    /// The peer ended the channel without a ByeRequest of ours.
    pub(crate) fn by_peer(text: &'static str) -> Ending {
        Ending::new(Manner::Linger, Status::PEER_DISCONNECTED, text)
    }
}

/// A connection.
///
/// Invariants: `number` is assigned from the moment the application can know the channel;
/// `attempt` is there until the connection is made; `undelivered` implies that `inflow.held`
/// begins with a whole, valid frame; a `parked` channel is not read.
pub(crate) struct Channel<T: Transport> {
    pub(crate) token: Token,
    pub(crate) number: ChannelNumber,
    pub(crate) group: GroupId,
    pub(crate) share: ShareIndex,
    /// Id of the HelloRequest.
    pub(crate) id: MessageId,
    pub(crate) conversation: Conversation,
    pub(crate) attempt: Option<Box<Attempt<T>>>,
    pub(crate) stream: Option<T::Stream>,
    pub(crate) peer: Option<Arc<PeerInfo>>,
    /// What this connection is counted under, if it was accepted.
    pub(crate) admission: Option<Admission>,
    /// Bytes of `inflow` that the desk has counted as held.
    pub(crate) counted_held: usize,
    /// The place of this connection among all that were accepted; 0 for one that was made.
    pub(crate) arrival: u64,
    /// They are counted as those of a connection without a HelloRequest.
    pub(crate) counted_greeting: bool,
    /// The listener that waits for this connection's HelloRequest, and the place in its line.
    pub(crate) listener: Option<(Token, u64)>,
    pub(crate) outgoing: Outgoing,
    pub(crate) inflow: Inflow,
    /// Sticky: set by events, cleared only when the socket says `WouldBlock` (or a short read).
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer's end was announced: a short read proves nothing any more.
    pub(crate) hung_up: bool,
    /// Stands on the ready list.
    pub(crate) queued: bool,
    pub(crate) parked: bool,
    /// Parked because the engine holds too much, not for want of room in its group.
    pub(crate) held_back: bool,
    pub(crate) undelivered: bool,
    /// The place in the line of those that wait for room, kept until something is delivered.
    pub(crate) ticket: Option<u64>,
    /// Bytes thrown away behind our last word.
    pub(crate) drained: usize,
    /// Nothing more can be written; why.
    pub(crate) write_failed: Option<Box<Cause>>,
    /// The peer's direction has ended cleanly.
    pub(crate) input_ended: bool,
    /// Nothing more is posted; the channel closes for this cause when all is sent.
    pub(crate) finishing: Option<Box<Cause>>,
    pub(crate) account: Account,
    pub(crate) deadlines: Deadlines,
}

impl<T: Transport> Channel<T> {
    /// A channel at its beginning.
    pub(crate) fn new(
        token: Token,
        group: GroupId,
        share: ShareIndex,
        conversation: Conversation,
    ) -> Channel<T> {
        Channel {
            token,
            number: ChannelNumber::UNASSIGNED,
            group,
            share,
            id: MessageId::UNASSIGNED,
            conversation,
            attempt: None,
            stream: None,
            peer: None,
            admission: None,
            counted_held: 0,
            arrival: 0,
            counted_greeting: false,
            listener: None,
            outgoing: Outgoing::default(),
            inflow: Inflow::default(),
            readable: false,
            writable: false,
            hung_up: false,
            queued: false,
            parked: false,
            held_back: false,
            undelivered: false,
            ticket: None,
            drained: 0,
            write_failed: None,
            input_ended: false,
            finishing: None,
            account: Account::default(),
            deadlines: Deadlines::default(),
        }
    }

    /// Whether it is connected, could send, and has nothing to send.
    pub(crate) fn is_writable_and_idle(&self) -> bool {
        self.writable && self.attempt.is_none() && self.outgoing.is_empty()
    }

    /// The poller told of room, which does not matter now.
    pub(crate) fn room_was_known(&mut self) {
        if let Some(stream) = &mut self.stream {
            stream.room_was_known();
        }
    }

    /// One turn of this channel: connects, sends, receives.
    pub(crate) fn serve(&mut self, desk: &mut Desk, transport: &mut T) -> Result<Progress, Ending> {
        if self.attempt.is_some() && (self.readable || self.writable) {
            self.continue_attempt(desk, transport)?;
        }
        if self.attempt.is_some() {
            return Ok(Progress::Waiting);
        }
        let sent = self.flush(desk)?;
        let received = self.fill(desk);
        desk.count_held(self);
        let received = received?;
        Ok(if sent == Progress::Again {
            sent
        } else {
            received
        })
    }

    /// A moment of this channel has come: one of its deadlines, or one that has been pushed back.
    pub(crate) fn timer(&mut self, desk: &mut Desk, transport: &mut T) -> Result<Progress, Ending> {
        let looks = [Timer::Look, Timer::WriteStall];
        if looks
            .iter()
            .any(|&timer| self.deadlines.is_past(timer, desk.now))
        {
            // The kernel tells of room only when there is plenty; a write finds the least. So the
            // write stall counts from about when the peer last took something.
            let stall = self.deadlines.at(Timer::WriteStall);
            self.deadlines.stop(Timer::Look);
            self.writable = true;
            self.flush(desk)?;
            if self.deadlines.at(Timer::WriteStall) != stall {
                mark!(desk, "a write stall that was none");
                // It moved, or failed, which the channel's next turn looks into.
                return Ok(Progress::Again);
            }
        }
        match self.deadlines.passed(desk.now) {
            Passed::Nothing => {}
            Passed::Retry => self.try_next_target(desk, transport)?,
            Passed::End(cause, manner) => return Err(Ending { cause, manner }),
            Passed::Finish => {
                mark!(desk, "the time for the rest is over");
                return Err(match self.finishing.take() {
                    Some(cause) if self.conversation.state() != State::Draining => Ending {
                        cause: *cause,
                        manner: Manner::Linger,
                    },
                    _ => Ending::answered(),
                });
            }
        }
        Ok(Progress::Waiting)
    }

    /// Nothing more will be posted: the channel closes for `cause` when all is sent, at the
    /// latest at `deadline`.
    pub(crate) fn finish(&mut self, cause: Cause, deadline: Time) {
        self.finishing.get_or_insert_with(|| Box::new(cause));
        self.deadlines.bring_forward(Timer::Finish, deadline);
    }

    /// The close information, as things stand.
    pub(crate) fn close_info(&self, cause: Cause) -> CloseInfo {
        let mut info = CloseInfo::new(cause);
        info.confirmed = self.conversation.is_confirmed();
        info.peer = self.peer.as_deref().cloned();
        info.messages_sent = self.account.messages_sent;
        info.messages_received = self.account.messages_received;
        info.last_id_sent = self.account.last_id_sent;
        info.last_id_received = self.account.last_id_received;
        info.bytes_unconfirmed = self.account.bytes_unconfirmed;
        info.partial_frame_bytes = self.inflow.held_bytes();
        info
    }
}
