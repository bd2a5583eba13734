//! Raw peers: they speak frames over the simulated network without an engine, and leave as badly
//! as peers do: in the middle of a frame, with half a close, with garbage.
//!
//! The books treat them as the channels of one more engine.

use std::io::{ErrorKind, IoSlice};

use tofu_addr::Address;
use tofu_msg::{Decoder, Message, MessageId, OpCode, Status};

use crate::sim::check::ledger::{Channel, Judged, Key, Role};
use crate::sim::check::scenario::Scenario;
use crate::sim::connection::{End, Phase};

/// As many at a time.
const MOST: usize = 6;

/// A raw peer.
#[derive(Debug)]
pub(crate) struct Raw {
    end: End,
    key: Key,
    /// What it has still to write.
    out: Vec<u8>,
    decoder: Decoder,
    /// Ends its direction when all is written.
    finishing: bool,
    over: bool,
}

impl Scenario {
    /// One raw peer does something, or a new one connects.
    pub(crate) fn act_raw(&mut self) -> Judged {
        let which = self.pick(MOST);
        if which >= self.raw.len() {
            return self.connect_raw();
        }
        match self.sim.random(24) {
            0 => self.raw[which].finishing = true,
            1 => self.leave(which, false),
            2 if !self.plan.quiet => self.leave(which, true),
            3 => self.talk_garbage(which),
            4..7 => {
                self.say_raw(which, OpCode::ByeRequest, 0);
            }
            7..14 => self.serve_raw(which)?,
            _ => {
                for _ in 0..=self.sim.random(8) {
                    let id = 1 + self.sim.random(1000);
                    self.say_raw(which, OpCode::Request, id);
                }
                self.write_raw(which);
            }
        }
        self.raw.retain(|raw| !raw.over);
        Ok(())
    }

    fn connect_raw(&mut self) -> Judged {
        let known: Vec<String> = self.sim.network().listeners.keys().cloned().collect();
        if known.is_empty() {
            return Ok(());
        }
        let address = &known[self.pick(known.len())];
        let Ok(end) = self.sim.network().connect(address, None) else {
            return Ok(());
        };
        let key = (self.apps.len(), end.connection);
        let mut channel = Channel::new(Role::Initiator, 0);
        channel.end = Some(end);
        self.ledger.open(key, channel)?;
        self.raw.push(Raw {
            end,
            key,
            out: Vec::new(),
            decoder: Decoder::new(),
            finishing: false,
            over: false,
        });
        // Some never say Hello.
        if self.sim.random(8) > 0 {
            let endpoint = address.parse().map_err(|error| format!("{error}"))?;
            let mut hello = Message::default();
            let formatted = Address::connect_to(endpoint).format(&mut hello);
            formatted.map_err(|error| error.to_string())?;
            self.post_raw(self.raw.len() - 1, hello, 1);
        }
        self.marks.hit("raw peer");
        Ok(())
    }

    /// Says something, if it may still say that.
    fn say_raw(&mut self, which: usize, op_code: OpCode, id: u64) {
        let raw = &self.raw[which];
        let Some(channel) = self.ledger.channels.get(&raw.key) else {
            return;
        };
        let silent = channel.posted.is_empty() || channel.bye_answered || channel.signalled;
        let answers = op_code == OpCode::ByeResponse;
        if raw.finishing || silent || (channel.bye_posted && !answers) {
            return;
        }
        self.post_raw(which, Message::new(op_code), id.max(1));
    }

    /// Puts a message behind what is to be written.
    fn post_raw(&mut self, which: usize, mut message: Message, id: u64) {
        let len = self.body_len();
        let op_code = message.op_code();
        message.set_message_id(MessageId::new(id));
        let serial = self.ledger.draft(&mut message, op_code, len);
        let key = self.raw[which].key;
        self.ledger.posted(key, serial, &message.header());
        message.encode_into(&mut self.raw[which].out);
        let numbers = [50, key.1 as u64, serial as u64];
        let text = format_args!("raw peer {} says {op_code} {serial}", key.1);
        self.sim.note(&numbers, text);
    }

    /// Bytes that no engine sends, or a frame that it cannot say now.
    fn talk_garbage(&mut self, which: usize) {
        let raw = &mut self.raw[which];
        let mut wrong = Message::new(OpCode::WelcomeRequest).header().encode();
        if self.sim.random(2) == 0 {
            wrong[2] = 0xF;
        }
        raw.out.extend_from_slice(&wrong);
        // Nothing more is said, and nothing that was said is sure to arrive.
        if let Some(channel) = self.ledger.channels.get_mut(&raw.key) {
            channel.signalled = true;
        }
        self.marks.hit("raw peer: garbage");
    }

    /// Closes at once, with a reset or not.
    fn leave(&mut self, which: usize, abrupt: bool) {
        let raw = &mut self.raw[which];
        let mut network = self.sim.network();
        let half = network.half(raw.end);
        half.reset_on_close = abrupt;
        let cut = abrupt || !half.arrived.is_empty() || !raw.out.is_empty();
        network.close(raw.end);
        drop(network);
        raw.over = true;
        if let Some(channel) = self.ledger.channels.get_mut(&raw.key) {
            channel.signalled |= cut;
            channel.closed = Some(Status::SUCCESS);
            channel.gone = true;
        }
        let how = if cut { "cut off" } else { "closed" };
        self.marks.hit(format!("raw peer: {how}"));
    }

    /// Writes what there is room for.
    fn write_raw(&mut self, which: usize) {
        let raw = &mut self.raw[which];
        let mut network = self.sim.network();
        while !raw.out.is_empty() {
            match network.write(raw.end, &[IoSlice::new(&raw.out)]) {
                Ok(count) => drop(raw.out.drain(..count)),
                Err(_) => return,
            }
        }
        let established = network.connections[raw.end.connection].phase == Phase::Established;
        if raw.finishing && established && !network.half(raw.end).write_ended {
            let _ended = network.end_writing(raw.end);
            self.marks.hit("raw peer: half a close");
        }
    }

    /// Writes, reads all there is, answers a ByeRequest, and leaves when the engine has left.
    fn serve_raw(&mut self, which: usize) -> Judged {
        self.write_raw(which);
        let mut space = [0; 4096];
        loop {
            let raw = &mut self.raw[which];
            let read = self.sim.network().read(raw.end, &mut space, true);
            let mut bytes = match read {
                Ok(0) => return self.see_end(which),
                Ok(count) => &space[..count],
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(_) => return self.see_end(which),
            };
            while let Some(message) = decode(&mut self.raw[which].decoder, &mut bytes)? {
                let key = self.raw[which].key;
                self.ledger.delivered(key, 0, &message)?;
                if message.op_code() == OpCode::ByeRequest {
                    self.say_raw(which, OpCode::ByeResponse, message.message_id().value());
                }
            }
        }
        let end = self.raw[which].end;
        if self.sim.network().connections[end.connection].phase == Phase::Refused {
            return self.see_end(which);
        }
        self.write_raw(which);
        Ok(())
    }

    fn see_end(&mut self, which: usize) -> Judged {
        self.leave(which, false);
        Ok(())
    }

    /// Every raw peer reads and writes all it can.
    pub(crate) fn serve_all_raw(&mut self) -> Judged {
        for which in 0..self.raw.len() {
            self.serve_raw(which)?;
        }
        self.raw.retain(|raw| !raw.over);
        Ok(())
    }

    /// Every raw peer leaves.
    pub(crate) fn end_raw(&mut self) {
        for which in 0..self.raw.len() {
            self.leave(which, false);
        }
        self.raw.clear();
    }
}

/// The next whole message.
fn decode(decoder: &mut Decoder, bytes: &mut &[u8]) -> Result<Option<Message>, String> {
    decoder
        .decode(bytes)
        .map_err(|error| format!("an engine sent garbage: {error}"))
}
