//! What raw peers do that no engine does: frames that may not be sent, frames that are cut off, answers
//! to nothing, and deafness.

use tofu_msg::{Message, OpCode};

use crate::sim::check::ledger::{Channel, Role};
use crate::sim::check::raw::Raw;
use crate::sim::check::scenario::Scenario;

impl Scenario {
    /// Only a part of what it has to write is ever written.
    pub(super) fn cut_raw(&mut self, which: usize) {
        let len = self.raw[which].out.len();
        let kept = self.pick(len.saturating_sub(1)) + 1;
        let raw = &mut self.raw[which];
        raw.out.truncate(kept);
        raw.cut = true;
        if let Some(channel) = self.ledger.channels.get_mut(&raw.key) {
            channel.signalled = true;
        }
        self.marks.hit("raw peer: cut frame");
    }

    /// It has said all that it wants to, and takes no further byte.
    fn fall_deaf(&mut self, which: usize) {
        let raw = &mut self.raw[which];
        raw.finishing = true;
        raw.deaf = true;
        self.sim.network().half(raw.end).capacity = 1;
    }

    /// Those that have stopped in the middle of a frame leave; those that took nothing listen again.
    pub(crate) fn end_cut_raw(&mut self) {
        for which in 0..self.raw.len() {
            let raw = &mut self.raw[which];
            if std::mem::take(&mut raw.deaf) {
                let (end, other) = (raw.end, raw.end.other());
                let mut network = self.sim.network();
                network.half(end).capacity = 1 << 20;
                if std::mem::take(&mut network.half(other).wants_room) {
                    network.tell(other, false, true, false);
                }
            }
            if self.raw[which].cut {
                self.leave(which, false);
            }
        }
        self.raw.retain(|raw| !raw.over);
    }

    /// Bytes that no engine sends, or a frame that it cannot say now.
    pub(super) fn talk_garbage(&mut self, which: usize, wanted: Option<u64>) {
        let mut kind = self.sim.random(12);
        let behind_bye = 6 + self.sim.random(4);
        let raw = &mut self.raw[which];
        let Some(channel) = self.ledger.channels.get_mut(&raw.key) else {
            return;
        };
        if raw.cut || channel.signalled {
            return;
        }
        if channel.bye_posted && kind % 4 > 0 {
            kind = behind_bye;
        }
        let kind = wanted.unwrap_or(kind);
        let Some(frame) = wrong_frame(kind, channel) else {
            return;
        };
        raw.out.extend_from_slice(&frame);
        // Nothing more is said, and nothing that was said is sure to arrive.
        channel.signalled = true;
        self.marks.hit("raw peer: garbage");
    }

    /// Answers a HelloRequest, or not, or wrongly.
    pub(super) fn take_hello(&mut self, which: usize, id: u64) {
        let Raw { end, key, .. } = self.raw[which];
        if let Some(channel) = self.ledger.channels.get_mut(&key) {
            channel.end = Some(end);
        }
        let way = self.sim.random(16);
        match way {
            0 => self.say_raw(which, OpCode::ByeRequest, 0),
            1..4 => return,
            _ => self.say_raw(which, OpCode::HelloResponse, id),
        }
        if way == 0 || way == 4 {
            self.talk_garbage(which, Some(9));
        }
    }

    /// A ByeResponse to no ByeRequest.
    pub(super) fn answer_unasked(&mut self, which: usize) {
        let key = self.raw[which].key;
        let channel = self.ledger.channels.get(&key);
        if channel.is_some_and(|channel| !channel.bye_posted) && self.sim.random(2) == 0 {
            self.say_raw(which, OpCode::ByeResponse, 1);
        }
    }

    /// Answers a ByeRequest; now and then only behind one of its own.
    pub(super) fn take_bye(&mut self, which: usize, id: u64) {
        let crosses = self.sim.random(2) == 0;
        if crosses {
            self.say_raw(which, OpCode::ByeRequest, 0);
        }
        self.say_raw(which, OpCode::ByeResponse, id);
        if crosses && !self.calm {
            match self.sim.random(5) {
                0 => self.talk_garbage(which, Some(8)),
                1..=3 => self.fall_deaf(which),
                _ => {}
            }
        }
    }
}

/// A frame that a peer may not send where it stands; never one that would be delivered.
fn wrong_frame(kind: u64, channel: &Channel) -> Option<Vec<u8>> {
    let initiator = channel.role == Role::Initiator;
    let greeted = !initiator || !channel.posted.is_empty();
    let op_code = match kind {
        0 | 1 => OpCode::WelcomeRequest,
        2 | 3 => OpCode::Request,
        4 if greeted => OpCode::HelloRequest,
        5 if greeted => OpCode::ByeSignal,
        6 if channel.bye_posted => OpCode::Request,
        7 if channel.bye_posted => OpCode::ByeRequest,
        8 if channel.bye_posted && channel.bye_answered => OpCode::ByeResponse,
        9 if initiator || channel.hello_answered || channel.bye_posted => OpCode::HelloResponse,
        10 => OpCode::ByeRequest,
        _ => return None,
    };
    let mut message = Message::new(op_code);
    message.set_message_id(1.into());
    message.set_more(kind == 10);
    let mut frame = Vec::new();
    message.encode_into(&mut frame);
    match kind {
        1 => frame[2] = 0xF,
        // The origin bit: only an engine speaks so, to its own application.
        2 | 3 => frame[2] |= 0x10,
        // More than is read away behind a last word.
        6 => frame = frame.repeat(80),
        _ => {}
    }
    Some(frame)
}
