//! A channel's outbox: what has been posted to it and not yet taken by the core, and what may still
//! be posted.
//!
//! It lies in the channel's registry slot under the slot's lock. Closing takes the same lock, so
//! nothing is ever posted behind a channel's last word or to a number in its next life.

mod admit;
mod look;
mod reserve;

pub use look::{ChannelInfo, ChannelState};
pub(crate) use reserve::Reservation;

use std::ops::Range;

use tofu_addr::Address;
use tofu_msg::{BinaryHeader, ChannelNumber, Message, MessageId, OpCode, OpType};

use crate::core::outgoing::Outgoing;
use crate::core::transport::{PeerInfo, Token};
use crate::msg::Msg;
use crate::options::Options;
use crate::shared::group::{GroupId, GroupShared};
use crate::shared::send_budget::SendBudget;
use crate::sync::Arc;

/// Which side of a connection a channel is, or that it is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Role {
    /// Accepts connections.
    #[default]
    Listener,
    /// Posted the HelloRequest.
    Initiator,
    /// Received the HelloRequest.
    Acceptor,
}

/// Where the channel of this number is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Phase {
    /// The number has never been used.
    #[default]
    Vacant,
    Open,
    /// Nothing may be posted any more; what was posted is still being sent.
    Closing,
    /// Its last word has been said; the number rests.
    Closed,
}

/// What a new channel is to become.
#[derive(Debug)]
pub(crate) enum Opening {
    Listen {
        welcome: Msg,
        address: Address,
        group: Arc<GroupShared>,
    },
    Connect {
        id: MessageId,
        address: Address,
        group: Arc<GroupShared>,
    },
}

/// What the core takes out of an outbox.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    /// First, if the core has not seen the channel yet.
    pub(crate) opening: Option<Box<Opening>>,
    /// A ByeSignal: before everything else.
    pub(crate) abort: Option<Msg>,
    pub(crate) outgoing: Outgoing,
    pub(crate) token: Option<Token>,
}

impl Taken {
    /// Every message in it, in the order in which they come back when none can be sent.
    pub(crate) fn for_each_message(mut self, mut each: impl FnMut(Msg)) {
        self.abort.into_iter().for_each(&mut each);
        if let Some(Opening::Listen { welcome, .. }) = self.opening.map(|opening| *opening) {
            each(welcome);
        }
        self.outgoing.drain_unsent(each);
    }
}

/// Invariants: `queued_messages`/`queued_bytes` count what was posted and not wholly handed to the
/// kernel, wherever it is, and what is reserved; `drawn_ahead` is 0 while nothing is queued; `listed`
/// is set while the number stands in the worklist; `outgoing` is empty unless the phase is `Open` or `Closing`;
/// `takes_data` is set while the phase is `Open`, the role not `Listener`, and no bye has been posted.
#[derive(Debug, Default)]
pub(crate) struct Outbox {
    phase: Phase,
    /// How often the number has been given out.
    life: u64,
    role: Role,
    group: Option<GroupId>,
    /// Its group may post data, whatever has been said before.
    takes_data: bool,
    token: Option<Token>,
    hello_response_posted: bool,
    bye_request_posted: bool,
    bye_response_posted: bool,
    peer_said_bye: bool,
    listed: bool,
    opening: Option<Box<Opening>>,
    abort: Option<Msg>,
    outgoing: Outgoing,
    queued_messages: usize,
    queued_bytes: usize,
    /// Drawn from the engine's budget beyond what is queued.
    drawn_ahead: usize,
    /// Ids for the next messages, out of those that were set aside for this channel.
    ids: Range<u64>,
    /// A post was refused for a full queue; the application is told when there is room.
    refused: bool,
    /// Somebody waits for room in a call.
    waited_for: bool,
    /// Who is at the other end, once connected.
    peer: Option<Arc<PeerInfo>>,
    connected: bool,
}

/// Who is to hear that there is room again.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Room {
    /// The application, by a notice.
    pub(crate) notice: bool,
    /// Those who wait in a call.
    pub(crate) waiters: bool,
    /// Somebody is to hear, but only once the engine's budget has room as well.
    pub(crate) budget_is_full: bool,
}

/// What a post does when the queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WhenFull {
    /// It is refused, and a notice tells of room.
    Refuse,
    /// It waits and tries again.
    Wait,
    /// It has room of its own, and is refused only for what goes beyond that.
    Reserved(Reservation),
}

/// What posting a frame asks the caller to do once the lock is released.
#[derive(Debug)]
pub(crate) struct Appended {
    /// The number stands in the worklist; else it must be put there.
    pub(crate) is_listed: bool,
    /// The copied message, to be put back into the pool.
    pub(crate) spent: Option<Msg>,
}

impl Outbox {
    /// Begins a new life of this number.
    pub(crate) fn open(&mut self, role: Role, group: GroupId, token: Option<Token>) {
        *self = Outbox {
            phase: Phase::Open,
            life: self.life + 1,
            role,
            group: Some(group),
            takes_data: role != Role::Listener,
            token,
            ..Outbox::default()
        };
    }

    /// The next id of this channel's own; `more` sets further ones aside.
    #[inline]
    pub(crate) fn next_id(&mut self, more: impl FnOnce() -> Range<u64>) -> MessageId {
        if self.ids.is_empty() {
            self.ids = more();
        }
        MessageId::new(self.ids.next().unwrap_or(1))
    }

    /// Appends the frame of small data that is admitted and drawn for. Whether the number stands in the
    /// worklist already; if not, it must be put there.
    #[inline]
    pub(crate) fn append_plain(
        &mut self,
        header: &BinaryHeader,
        message: &Message,
        fresh: impl FnOnce() -> Vec<u8>,
    ) -> bool {
        self.outgoing.push_plain(header, message, fresh);
        std::mem::replace(&mut self.listed, true)
    }

    /// Appends an admitted message's frame.
    pub(crate) fn append(
        &mut self,
        header: &BinaryHeader,
        message: Msg,
        large: usize,
        budget: &SendBudget,
        fresh: impl FnOnce() -> Vec<u8>,
    ) -> Appended {
        match header.op_code {
            OpCode::HelloResponse => self.hello_response_posted = true,
            OpCode::ByeRequest => (self.bye_request_posted, self.takes_data) = (true, false),
            OpCode::ByeResponse => (self.bye_response_posted, self.takes_data) = (true, false),
            _ => {}
        }
        self.draw(header.frame_len(), budget);
        let spent = if header.payload_len() < large {
            self.outgoing.push_small(header, &message, fresh);
            Some(message)
        } else {
            self.outgoing.push_large(header, message);
            None
        };
        Appended {
            is_listed: std::mem::replace(&mut self.listed, true),
            spent,
        }
    }

    /// Puts what the channel is to become; the caller lists the number.
    pub(crate) fn set_opening(&mut self, opening: Opening) {
        self.opening = Some(Box::new(opening));
        self.listed = true;
    }

    /// Takes an admitted ByeSignal: the channel's last post. The caller lists the number as urgent.
    pub(crate) fn set_abort(&mut self, signal: Msg) {
        (self.phase, self.takes_data) = (Phase::Closing, false);
        self.abort = Some(signal);
    }

    /// The core takes what there is.
    pub(crate) fn take(&mut self) -> Taken {
        self.listed = false;
        Taken {
            opening: self.opening.take(),
            abort: self.abort.take(),
            outgoing: std::mem::take(&mut self.outgoing),
            token: self.token,
        }
    }

    /// The channel's socket, if the core has given it one.
    pub(crate) fn token(&self) -> Option<Token> {
        self.token
    }

    /// The core has given the channel a socket.
    pub(crate) fn set_token(&mut self, token: Token) {
        self.token = Some(token);
    }

    /// The peer's ByeRequest is about to be delivered: a ByeResponse may be posted from now on.
    pub(crate) fn peer_said_bye(&mut self) {
        self.peer_said_bye = true;
    }

    /// So much has been handed to the kernel. Says who is to hear of the room.
    pub(crate) fn settle(
        &mut self,
        messages: usize,
        bytes: usize,
        (options, budget): (&Options, &SendBudget),
    ) -> Room {
        self.queued_messages -= messages.min(self.queued_messages);
        let settled = bytes.min(self.queued_bytes);
        self.queued_bytes -= settled;
        self.give_back_to(budget, settled);
        let below_half = self.queued_messages <= options.send_queue_messages / 2
            && self.queued_bytes <= options.send_queue_bytes / 2;
        if self.phase != Phase::Open || !below_half || !(self.refused || self.waited_for) {
            return Room::default();
        }
        // An empty queue takes a message whatever others have queued.
        if self.queued_messages > 0 && budget.is_full(0) {
            return Room {
                budget_is_full: true,
                ..Room::default()
            };
        }
        Room {
            notice: std::mem::take(&mut self.refused),
            waiters: std::mem::take(&mut self.waited_for),
            budget_is_full: false,
        }
    }

    /// The connection is made.
    pub(crate) fn set_connected(&mut self, peer: Arc<PeerInfo>) {
        self.connected = true;
        self.peer = Some(peer);
    }

    /// What it has drawn from the engine's budget.
    pub(crate) fn drawn(&self) -> usize {
        self.queued_bytes + self.drawn_ahead
    }

    /// The group of a channel that lives.
    pub(crate) fn group_if_alive(&self) -> Option<GroupId> {
        self.group
            .filter(|_| matches!(self.phase, Phase::Open | Phase::Closing))
    }

    /// Whether nothing is queued anywhere, and nothing counted as such.
    #[cfg(test)]
    pub(crate) fn is_settled(&self) -> bool {
        self.outgoing.is_empty() && self.queued_messages == 0 && self.queued_bytes == 0
    }

    /// Nothing more may be posted; what is queued goes to the core.
    pub(crate) fn begin_closing(&mut self) -> Taken {
        if self.phase == Phase::Open {
            (self.phase, self.takes_data) = (Phase::Closing, false);
        }
        self.take()
    }

    /// The channel has ended: whatever was posted up to now goes to the core, nothing follows.
    /// Also returns how much goes back to the engine's budget.
    pub(crate) fn close(&mut self) -> (Taken, usize) {
        (self.phase, self.takes_data) = (Phase::Closed, false);
        self.token = None;
        self.peer = None;
        self.queued_messages = 0;
        let drawn = self.drawn();
        (self.queued_bytes, self.drawn_ahead) = (0, 0);
        (self.take(), drawn)
    }
}

/// The op codes that open a channel.
pub(crate) fn opens_channel(op_code: OpCode) -> bool {
    matches!(op_code, OpCode::HelloRequest | OpCode::WelcomeRequest)
}

/// Whether `more` may be set on this op code.
pub(crate) fn may_continue(op_code: OpCode) -> bool {
    op_code.op_type() == OpType::Regular
}

/// A channel's number as an index.
pub(crate) fn index(number: ChannelNumber) -> usize {
    usize::from(number.value())
}
