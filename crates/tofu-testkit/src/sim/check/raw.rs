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
/// Where raw peers listen.
const PLACES: [&str; 2] = ["tcp|raw|1", "uds|/raw"];

/// A raw peer.
#[derive(Debug)]
pub(crate) struct Raw {
    pub(super) end: End,
    pub(super) key: Key,
    /// What it has still to write.
    pub(super) out: Vec<u8>,
    pub(super) decoder: Decoder,
    /// Ends its direction when all is written.
    pub(super) finishing: bool,
    /// It has stopped in the middle of a frame, for good.
    pub(super) cut: bool,
    /// It reads nothing for now.
    pub(super) deaf: bool,
    pub(super) over: bool,
}

impl Scenario {
    /// One raw peer does something, or a new one connects.
    pub(crate) fn act_raw(&mut self) -> Judged {
        let which = self.pick(MOST);
        if which >= self.raw.len() {
            return match self.sim.random(2) {
                0 => self.connect_raw(),
                _ => {
                    self.accept_raw();
                    Ok(())
                }
            };
        }
        match self.sim.random(24) {
            0 => self.raw[which].finishing = true,
            1 => self.leave(which, false),
            2 if !self.plan.quiet => self.leave(which, true),
            3 | 21 => self.talk_garbage(which, None),
            22 => self.answer_unasked(which),
            4..7 => {
                self.say_raw(which, OpCode::ByeRequest, 0);
                if self.sim.random(4) == 0 {
                    self.talk_garbage(which, None);
                }
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

    /// Raw peers listen as well.
    pub(crate) fn listen_raw(&mut self) {
        for place in PLACES {
            // Nobody else has these places.
            let _listening = self.sim.network().listen(place, None);
        }
    }

    /// Raw listeners take what waits.
    fn accept_raw(&mut self) {
        for place in PLACES {
            loop {
                let Some(end) = self.sim.network().take_waiting(place) else {
                    break;
                };
                self.sim.network().half(end).taken = true;
                self.add_raw(end);
                self.marks.hit("raw peer: accepted");
            }
        }
    }

    fn add_raw(&mut self, end: End) -> Key {
        let key = (self.apps.len(), end.connection);
        self.raw.push(Raw {
            end,
            key,
            out: Vec::new(),
            decoder: Decoder::new(),
            finishing: false,
            cut: false,
            deaf: false,
            over: false,
        });
        key
    }

    fn connect_raw(&mut self) -> Judged {
        let known: Vec<String> = {
            let network = self.sim.network();
            let engines = network.listeners.iter().filter(|it| it.1.owner.is_some());
            engines.map(|(address, _)| address.clone()).collect()
        };
        if known.is_empty() {
            return Ok(());
        }
        let address = &known[self.pick(known.len())];
        let Ok(end) = self.sim.network().connect(address, None) else {
            return Ok(());
        };
        let key = self.add_raw(end);
        let mut channel = Channel::new(Role::Initiator, 0);
        channel.end = Some(end);
        self.ledger.open(key, channel)?;
        // Some never say Hello.
        if self.sim.random(8) > 0 {
            let endpoint = address.parse().map_err(|error| format!("{error}"))?;
            let mut hello = Message::default();
            let formatted = Address::connect_to(endpoint).format(&mut hello);
            formatted.map_err(|error| error.to_string())?;
            self.add_lines(&mut hello)?;
            let which = self.raw.len() - 1;
            self.post_raw(which, hello, 1);
            if !self.plan.quiet && self.sim.random(6) == 0 {
                self.cut_raw(which);
            }
        }
        self.marks.hit("raw peer");
        Ok(())
    }

    /// Says something, if it may still say that.
    pub(super) fn say_raw(&mut self, which: usize, op_code: OpCode, id: u64) {
        let raw = &self.raw[which];
        let Some(channel) = self.ledger.channels.get(&raw.key) else {
            return;
        };
        let greets = channel.role == Role::Initiator && channel.posted.is_empty();
        let silent = greets || channel.bye_answered || channel.signalled;
        let answers = op_code == OpCode::ByeResponse;
        if raw.finishing || raw.cut || silent || (channel.bye_posted && !answers) {
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
        self.sim.note(
            &numbers,
            format_args!("raw peer {} says {op_code} {serial}", key.1),
        );
    }

    /// Closes at once, with a reset or not.
    pub(super) fn leave(&mut self, which: usize, abrupt: bool) {
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
        if self.raw[which].deaf && !self.calm {
            return Ok(());
        }
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
                let id = message.message_id().value();
                match message.op_code() {
                    OpCode::ByeRequest => self.take_bye(which, id),
                    OpCode::HelloRequest => self.take_hello(which, id),
                    _ => {}
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
        self.accept_raw();
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
