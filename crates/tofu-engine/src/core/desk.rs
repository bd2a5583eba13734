//! What every socket of the core works with during a turn: the time, the shared structures, the
//! staged deliveries, the ready list, the timers and the scratch buffer.

use std::collections::{BTreeMap, VecDeque};

use tofu_msg::{ChannelNumber, MessageId};

use crate::close::Cause;
use crate::core::channel::Channel;
use crate::core::conversation::State;
use crate::core::groups::Groups;
use crate::core::outgoing::CHUNK_LEN;
use crate::core::time::Time;
use crate::core::timers::Timers;
use crate::core::transport::{Token, Transport};
use crate::msg::{Msg, Report};
use crate::options::Options;
use crate::shared::group::GroupId;
use crate::shared::pool::ShareIndex;
use crate::shared::{Arc, Shared};

/// The core's common belongings; the socket table and the transport stand beside it.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) shared: Arc<Shared>,
    pub(crate) now: Time,
    pub(crate) groups: Groups,
    pub(crate) timers: Timers,
    /// Sockets with something to do that no event will remind us of.
    pub(crate) ready: VecDeque<Token>,
    /// Everything is read into this first. Always at least `CHUNK_LEN` long.
    pub(crate) scratch: Vec<u8>,
    /// Bytes held of frames that are not whole or could not be delivered.
    held_bytes: usize,
    /// The part of them that belongs to connections without a HelloRequest.
    greeting_bytes: usize,
    /// Channels that are not read because too much is held, and connections without a
    /// HelloRequest that are not read because of such as they.
    held_back: [Vec<Token>; 2],
    /// Connections without a HelloRequest that hold bytes, by their arrival. The oldest is always
    /// read on, so that there is one that can finish.
    greeters: BTreeMap<u64, Token>,
    /// The oldest of them when those held back were last looked at.
    exempt: Option<u64>,
    arrivals: u64,
}

/// Whether a channel may be read now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Room {
    /// So many frames may be delivered.
    Frames(usize),
    /// None: the inbox is full; the receiver will make room.
    Full,
    /// None: the pool has no message to spare.
    PoolEmpty,
}

impl Desk {
    pub(crate) fn new(shared: Arc<Shared>) -> Desk {
        Desk {
            shared,
            now: Time::START,
            groups: Groups::default(),
            timers: Timers::default(),
            ready: VecDeque::new(),
            scratch: vec![0; CHUNK_LEN],
            held_bytes: 0,
            greeting_bytes: 0,
            held_back: [Vec::new(), Vec::new()],
            greeters: BTreeMap::new(),
            exempt: None,
            arrivals: 0,
        }
    }

    pub(crate) fn options(&self) -> &Options {
        &self.shared.options
    }

    /// Serves a socket of the ready list before all others. The one that was put there last is found
    /// at once.
    pub(crate) fn move_to_front(&mut self, token: Token) {
        if let Some(place) = self.ready.iter().rposition(|&ready| ready == token) {
            self.ready.remove(place);
            self.ready.push_front(token);
        }
    }

    /// Brings the count of held bytes up to date with a channel.
    pub(crate) fn count_held<T: Transport>(&mut self, channel: &mut Channel<T>) {
        let held = channel.inflow.held_bytes();
        let before = std::mem::replace(&mut channel.counted_held, held);
        self.held_bytes = self.held_bytes + held - before;
        // A connection that has just said Hello takes what it holds out of this count.
        let was_greeting = std::mem::replace(&mut channel.counted_greeting, false);
        let is_greeting = channel.conversation.state() == State::Greeting;
        channel.counted_greeting = is_greeting;
        self.greeting_bytes -= if was_greeting { before } else { 0 };
        self.greeting_bytes += if is_greeting { held } else { 0 };
        if is_greeting && held > 0 {
            self.greeters.insert(channel.arrival, channel.token);
        } else if was_greeting {
            self.greeters.remove(&channel.arrival);
        }
    }

    /// The number of the next accepted connection.
    pub(crate) fn next_arrival(&mut self) -> u64 {
        self.arrivals += 1;
        self.arrivals
    }

    /// Whether this is the oldest connection without a HelloRequest that holds bytes.
    pub(crate) fn is_oldest_greeter(&self, arrival: u64) -> bool {
        self.greeters
            .first_key_value()
            .is_some_and(|(&oldest, _)| oldest == arrival)
    }

    /// A channel ends: nothing of it is held any more.
    pub(crate) fn forget_held<T: Transport>(&mut self, channel: &mut Channel<T>) {
        let before = std::mem::take(&mut channel.counted_held);
        self.held_bytes -= before;
        if std::mem::take(&mut channel.counted_greeting) {
            self.greeting_bytes -= before;
            self.greeters.remove(&channel.arrival);
        }
    }

    /// Checks the count of held bytes against the channels' own.
    pub(crate) fn check_held(&self, held: usize) -> Result<(), String> {
        if self.held_bytes != held || self.greeting_bytes > held {
            let (all, greeting) = (self.held_bytes, self.greeting_bytes);
            return Err(format!(
                "{held} bytes are held, counted are {all} ({greeting} greeting)"
            ));
        }
        Ok(())
    }

    /// Whether channels (or those without a HelloRequest) are to be read no further.
    pub(crate) fn holds_too_much(&self, greeting: bool) -> bool {
        self.held_bytes >= self.options().receive_budget
            || (greeting && self.greeting_bytes >= self.options().handshake_bytes)
    }

    /// Notes a channel that is not read until less is held.
    pub(crate) fn hold_back(&mut self, token: Token, greeting: bool) {
        self.held_back[usize::from(greeting)].push(token);
    }

    /// Channels that were held back and may go on now.
    pub(crate) fn take_held_back(&mut self) -> Vec<Token> {
        let mut released = Vec::new();
        for greeting in [false, true] {
            if !self.holds_too_much(greeting) {
                released.append(&mut self.held_back[usize::from(greeting)]);
            }
        }
        // There is a new oldest: it goes on, whatever is held.
        let oldest = self
            .greeters
            .first_key_value()
            .map(|(&arrival, &token)| (arrival, token));
        if self.exempt != oldest.map(|(arrival, _)| arrival) {
            self.exempt = oldest.map(|(arrival, _)| arrival);
            if let Some((_, token)) = oldest {
                let waiting = self.held_back[1].iter().position(|&held| held == token);
                if waiting.is_some() {
                    mark!(self, "held back: the oldest goes on");
                }
                released.extend(waiting.map(|at| self.held_back[1].remove(at)));
            }
        }
        released
    }

    /// How much may be delivered to a group now.
    pub(crate) fn room(&mut self, group: GroupId, share: ShareIndex) -> Room {
        let options = &self.shared.options;
        let Some(entry) = self.groups.get_mut(group) else {
            return Room::Full;
        };
        if entry.destruction.is_some() {
            return Room::Frames(usize::MAX);
        }
        let (messages, bytes) = (options.inbox_messages, options.inbox_bytes);
        let inbox = entry.shared.inbox.room(entry.staged_load, messages, bytes);
        if inbox == 0 && planted!(self.options(), InboxLimitIgnored) {
            return Room::Frames(usize::MAX);
        }
        if inbox == 0 {
            return Room::Full;
        }
        match self.shared.pool.room(share) {
            0 => Room::PoolEmpty,
            room => Room::Frames(room.min(inbox)),
        }
    }

    /// Stages a notice of the engine about a channel.
    pub(crate) fn notify(
        &mut self,
        group: GroupId,
        number: ChannelNumber,
        id: MessageId,
        report: Report,
        cause: Cause,
    ) {
        let msg = Msg::notice(report, number, id, report.status()).with_cause(cause);
        self.groups.stage_message(group, msg);
    }

    /// Replaces the scratch buffer whose bytes were handed over.
    pub(crate) fn renew_scratch(&mut self) {
        self.scratch = self.shared.chunks.take_full();
    }
}
