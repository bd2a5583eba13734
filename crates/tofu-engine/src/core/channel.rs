//! One connection: the socket's side of a channel, from the first attempt to the last word.
//!
//! This file holds what a channel is and its deadlines; sending is in `flush`, receiving in `fill`,
//! connecting in `attempt`, ending in `closing`. It is driven by the engine core and never blocks.

use std::time::Duration;

use tofu_msg::{ChannelNumber, MessageId, Status};

use crate::close::{Cause, CloseInfo};
use crate::core::attempt::Attempt;
use crate::core::conversation::Conversation;
use crate::core::desk::Desk;
use crate::core::inflow::Inflow;
use crate::core::outgoing::Outgoing;
use crate::core::time::Time;
use crate::core::transport::{PeerInfo, Token, Transport};
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

impl Manner {
    /// How a channel whose deadline of this name has passed is closed: where the peer is known
    /// to take nothing, waiting for it is of no use.
    pub(crate) fn after_timeout(status: Status) -> Manner {
        match status {
            Status::BYE_TIMEOUT | Status::FRAME_TIMEOUT => Manner::Linger,
            _ => Manner::Gone,
        }
    }
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
    pub(crate) peer: Option<PeerInfo>,
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
    pub(crate) undelivered: bool,
    /// Nothing more can be written; why.
    pub(crate) write_failed: Option<Cause>,
    /// The peer's direction has ended cleanly.
    pub(crate) input_ended: bool,
    /// Nothing more is posted; the channel closes for this cause when all is sent.
    pub(crate) finishing: Option<Cause>,
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
            listener: None,
            outgoing: Outgoing::default(),
            inflow: Inflow::default(),
            readable: false,
            writable: false,
            hung_up: false,
            queued: false,
            parked: false,
            undelivered: false,
            write_failed: None,
            input_ended: false,
            finishing: None,
            account: Account::default(),
            deadlines: Deadlines::default(),
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
        let received = self.fill(desk)?;
        Ok(if sent == Progress::Again {
            sent
        } else {
            received
        })
    }

    /// Nothing more will be posted: the channel closes for `cause` when all is sent, at the
    /// latest at `deadline`.
    pub(crate) fn finish(&mut self, cause: Cause, deadline: Time) {
        self.finishing.get_or_insert(cause);
        let earlier = self.deadlines.finish.is_some_and(|at| at <= deadline);
        if !earlier {
            self.deadlines.finish = Some(deadline);
        }
    }

    /// The close information, as things stand.
    pub(crate) fn close_info(&self, cause: Cause) -> CloseInfo {
        let mut info = CloseInfo::new(cause);
        info.confirmed = self.conversation.is_confirmed();
        info.peer.clone_from(&self.peer);
        info.messages_sent = self.account.messages_sent;
        info.messages_received = self.account.messages_received;
        info.last_id_sent = self.account.last_id_sent;
        info.last_id_received = self.account.last_id_received;
        info.bytes_unconfirmed = self.account.bytes_unconfirmed;
        info.partial_frame_bytes = self.inflow.held_bytes();
        info
    }
}

/// The deadlines of one channel; each is there only while it runs.
#[derive(Debug, Default)]
pub(crate) struct Deadlines {
    /// Where the channel stands in the timers.
    pub(crate) armed: Option<Time>,
    /// Of the phase the channel is in: connecting, greeting, waiting for a ByeResponse, draining.
    pub(crate) phase: Option<(Time, Status)>,
    /// For the frame being received to be whole.
    pub(crate) frame: Option<Time>,
    /// What was left of the frame's time when reading paused.
    pub(crate) frame_left: Option<Duration>,
    /// What was left of a phase that waits for the peer when reading paused.
    pub(crate) phase_left: Option<(Duration, Status)>,
    /// For a channel that only sends the rest.
    pub(crate) finish: Option<Time>,
    /// For the peer to take a byte.
    pub(crate) stall: Option<Time>,
    /// For a connection attempt to be tried again.
    pub(crate) retry: Option<Time>,
}

impl Deadlines {
    /// The earliest that runs.
    pub(crate) fn earliest(&self) -> Option<Time> {
        let phase = self.phase.map(|(at, _)| at);
        [phase, self.frame, self.stall, self.retry, self.finish]
            .into_iter()
            .flatten()
            .min()
    }

    /// The one that has passed, as the cause it is.
    pub(crate) fn expired(&self, now: Time) -> Option<Cause> {
        if let Some((at, status)) = self.phase {
            if at <= now {
                return Some(Cause::new(status, timeout_text(status)));
            }
        }
        for (deadline, status) in [
            (self.frame, Status::FRAME_TIMEOUT),
            (self.stall, Status::WRITE_STALL_TIMEOUT),
        ] {
            if deadline.is_some_and(|at| at <= now) {
                return Some(Cause::new(status, timeout_text(status)));
            }
        }
        None
    }

    /// Reading pauses: what waits for the peer stands still.
    pub(crate) fn pause(&mut self, now: Time) {
        if let Some(at) = self.frame.take() {
            self.frame_left = Some(at.since(now));
        }
        if let Some((at, status @ (Status::HANDSHAKE_TIMEOUT | Status::BYE_TIMEOUT))) = self.phase {
            self.phase = None;
            self.phase_left = Some((at.since(now), status));
        }
    }

    /// Reading goes on.
    pub(crate) fn resume(&mut self, now: Time) {
        if let Some(left) = self.frame_left.take() {
            self.frame = Some(now.after(left));
        }
        if let Some((left, status)) = self.phase_left.take() {
            self.phase = Some((now.after(left), status));
        }
    }
}

fn timeout_text(status: Status) -> &'static str {
    match status {
        Status::CONNECT_TIMEOUT => "the connection was not made within the connect timeout",
        Status::HANDSHAKE_TIMEOUT => "no HelloRequest came within the handshake timeout",
        Status::BYE_TIMEOUT => "no ByeResponse came within the bye timeout",
        Status::LINGER_TIMEOUT => "the peer did not close within the linger timeout",
        Status::FRAME_TIMEOUT => "a frame was begun and not finished within the frame timeout",
        Status::WRITE_STALL_TIMEOUT => "the peer took no byte within the write stall timeout",
        _ => "a deadline has passed",
    }
}
