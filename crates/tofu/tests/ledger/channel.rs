//! One channel as its application sees it: what it still has to post, and what may come.

use std::sync::atomic::Ordering;
use tofu::engine::CloseInfo;
use tofu::prelude::*;

use crate::book::Book;
use crate::plan::{Connection, End, fill, number_of};

/// A channel.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) connection: usize,
    /// 0 initiator, 1 acceptor.
    pub(crate) side: usize,
    number: ChannelNumber,
    plan: Connection,
    next: u64,
    /// A post was refused with `queue_full`: the notice must come.
    blocked: bool,
    /// A post was refused because the channel, the group or the engine ends.
    refused: bool,
    bye_sent: bool,
    signal_sent: bool,
    /// The id of the peer's ByeRequest, to be answered.
    bye_received: Option<MessageId>,
    answered: bool,
    confirmed: bool,
    /// All messages: taken by `post`, come back, received.
    counts: Counts,
}

/// What a channel's close information is compared with.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) posted: u64,
    pub(crate) returned: u64,
    pub(crate) received: u64,
}

impl Channel {
    /// A channel whose Hello was posted, or received and (perhaps) answered.
    pub(crate) fn new(
        number: ChannelNumber,
        connection: usize,
        side: usize,
        plan: Connection,
        counts: Counts,
    ) -> Channel {
        Channel {
            connection,
            side,
            number,
            plan,
            next: 0,
            blocked: false,
            refused: false,
            bye_sent: false,
            signal_sent: false,
            bye_received: None,
            answered: false,
            confirmed: false,
            counts,
        }
    }

    /// What is to be posted next.
    fn next_op_code(&self) -> Option<OpCode> {
        if self.refused || self.signal_sent {
            return None;
        }
        if let End::Signal(side, after) = self.plan.end {
            let all = after.min(self.plan.messages[side]);
            if side == self.side && self.next >= all {
                return Some(OpCode::ByeSignal);
            }
        }
        if self.blocked || self.answered {
            None
        } else if self.next < self.plan.messages[self.side] {
            Some(OpCode::Signal)
        } else if self.plan.end.is_bye_of(self.side) && !self.bye_sent {
            Some(OpCode::ByeRequest)
        } else {
            self.bye_received.map(|_| OpCode::ByeResponse)
        }
    }

    /// Posts one message if there is one to post.
    pub(crate) fn step(&mut self, engine: &Reactor, poster: &Poster, book: &Book) -> bool {
        let Some(op_code) = self.next_op_code() else {
            return false;
        };
        let Ok(mut message) = engine.message() else {
            self.refused = true;
            return false;
        };
        if op_code == OpCode::Signal {
            fill(&mut message, self.connection, self.side, self.next);
        } else {
            message.set_op_code(op_code);
            message.set_message_id(self.bye_received.unwrap_or(MessageId::new(u64::MAX)));
        }
        message.set_channel_number(self.number);
        match poster.post(message) {
            Ok(_) => self.note_posted(op_code, book),
            Err(error) => self.note_refused(&error),
        }
        true
    }

    fn note_posted(&mut self, op_code: OpCode, book: &Book) {
        self.counts.posted += u64::from(op_code != OpCode::ByeSignal);
        match op_code {
            OpCode::ByeRequest => self.bye_sent = true,
            OpCode::ByeResponse => self.answered = true,
            OpCode::ByeSignal => self.signal_sent = true,
            _ => {
                self.next += 1;
                book.posted(self.connection, self.side);
            }
        }
    }

    fn note_refused(&mut self, error: &PostError) {
        match error.kind() {
            PostErrorKind::QueueFull => self.blocked = true,
            PostErrorKind::ChannelClosed
            | PostErrorKind::InvalidChannelGroup
            | PostErrorKind::ShutdownStarted => self.refused = true,
            _ => panic!("{error}"),
        }
    }

    /// The peer has said something.
    pub(crate) fn hear(&mut self, message: &Msg, book: &Book) {
        let other = 1 - self.side;
        self.counts.received += 1;
        match message.op_code() {
            OpCode::HelloResponse => assert_eq!(self.side, 0),
            OpCode::ByeRequest => self.bye_received = Some(message.message_id()),
            OpCode::ByeResponse => self.confirmed = true,
            _ => {
                let number = number_of(message, self.connection, other);
                book.delivered(self.connection, other, number);
            }
        }
    }

    /// The engine gives something back.
    pub(crate) fn take_back(&mut self, message: &Msg, book: &Book) {
        self.counts.returned += u64::from(message.op_code() != OpCode::ByeSignal);
        if self.side == 0 {
            book.returned_to_clients.fetch_add(1, Ordering::Relaxed);
        }
        match message.op_code() {
            OpCode::Request | OpCode::Response | OpCode::Signal => {
                let number = number_of(message, self.connection, self.side);
                book.returned(self.connection, self.side, number);
            }
            OpCode::ByeSignal => {
                assert!(self.signal_sent, "it came back twice, or was never posted");
                self.signal_sent = false;
                self.refused = true;
            }
            _ => {}
        }
    }

    /// There is room again in the send queue.
    pub(crate) fn unblock(&mut self) {
        assert!(self.blocked, "a send_queue_ready that nobody waits for");
        self.blocked = false;
    }

    /// The last word.
    pub(crate) fn close(&self, info: &CloseInfo, lossy: bool) {
        assert!(!self.signal_sent, "the ByeSignal did not come back");
        let Counts {
            posted,
            returned,
            received,
        } = self.counts;
        assert_eq!(posted, info.messages_sent + returned, "{self:?} {info:?}");
        assert_eq!(received, info.messages_received, "{self:?} {info:?}");
        if lossy || self.plan.raw.is_some() {
            return;
        }
        let said_bye = self.bye_sent;
        assert_eq!(info.confirmed, said_bye, "{self:?} {info:?}");
        assert_eq!(self.confirmed, said_bye, "{self:?} {info:?}");
    }
}
