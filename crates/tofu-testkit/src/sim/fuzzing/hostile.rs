//! The target `hostile_peer`: peers that write spoilt traffic to a server, beside an honest client
//! whose conversation with it must stay correct and in time.
//!
//! The server echoes whatever it is asked. All of the client's answers must come, in order, soon
//! by the simulation's clock; what the server's application sees of a hostile peer must be what its
//! bytes say; and when the hostile ones are gone, nothing of them may be left.

use std::collections::BTreeMap;
use std::time::Duration;

use tofu_addr::Address;
use tofu_engine::{Group, Msg, Options, Report};
use tofu_msg::{Message, MessageId, OpCode, Origin};

use crate::sim::connection::End;
use crate::sim::faults::Faults;
use crate::sim::fuzzing::input::Input;
use crate::sim::fuzzing::mutation::traffic;
use crate::sim::fuzzing::planted;
use crate::sim::fuzzing::story::{self, Said, Story};
use crate::sim::fuzzing::wire::Wire;
use crate::sim::simulation::{Simulation, Step};
use crate::sim::transport::end_of;

const PLACES: [&str; 2] = ["tcp|server|1", "uds|/server"];
const MOST_EVENTS: usize = 200;
const MOST_WIRES: usize = 8;
/// One that has written so much gets no more to write.
const MOST_SENT: usize = 32 * 1024;
/// More turns than a round trip of the honest client takes, whatever the others do.
const MOST_TURNS: usize = 400;
/// Within so much time everything that waits for somebody else has given up.
const ALL_TIMEOUTS: Duration = Duration::from_secs(200);
/// Steps in which everything comes to rest.
const MOST_STEPS: usize = 200_000;

/// What the server's application has received of one channel.
#[derive(Debug)]
struct Seen {
    end: Option<End>,
    said: Vec<Said>,
    closed: bool,
}

/// The server, its honest client, and the others.
#[derive(Debug)]
struct Town {
    sim: Simulation,
    server: Group,
    client: Group,
    channels: BTreeMap<u16, Seen>,
    wires: Vec<Wire>,
    lines: usize,
    /// The number of the client's channel, its last question, whether the answer is awaited, and for
    /// how many turns.
    channel: u16,
    asked: u64,
    waiting: bool,
    turns: usize,
}

/// Plays hostile traffic against a server, beside an honest client.
///
/// # Panics
/// If the client is not served, or the server's application sees what nobody said, or something is
/// left of a peer that is gone.
pub fn hostile_peer(data: &[u8]) {
    let mut input = Input::new(data);
    let Some(mut town) = Town::new(&mut input) else {
        return;
    };
    for _ in 0..MOST_EVENTS {
        if input.is_empty() {
            break;
        }
        town.happen(&mut input);
    }
    town.is_in_order();
    town.is_served();
    town.takes_a_newcomer();
    town.is_left_as_found();
}

fn draw_options(input: &mut Input<'_>) -> Options {
    Options::default()
        .pool_maximum(input.one_of(&[64, 2, 5, 1000]))
        .pool_initial(2)
        .inbox_messages(input.one_of(&[1000, 1, 4]))
        .turn_messages(input.one_of(&[1024, 1, 5]))
        .turn_bytes(input.one_of(&[1 << 18, 30, 1000]))
        .large_message(input.one_of(&[8192, 1, 100]))
        .header_lines(input.one_of(&[usize::MAX, 1, 2]))
        .handshake_bytes(input.one_of(&[1 << 20, 1, 1000]))
        .send_queue_bytes(input.one_of(&[1 << 20, 200]))
        .pending_handshakes(input.one_of(&[64, 1, 2]))
        .linger_drain(input.one_of(&[1 << 20, 100]))
}

impl Town {
    fn new(input: &mut Input<'_>) -> Option<Town> {
        let options = planted(draw_options(input));
        let lines = options.header_lines;
        let mut sim = Simulation::new(u64::from(input.byte()));
        let servers = sim.add_engine(options);
        let clients = sim.add_engine(Options::default());
        let server = sim.handle(servers).create_group().ok()?;
        let client = sim.handle(clients).create_group().ok()?;
        let faults = Faults {
            partial: input.one_of(&[0, 200]),
            ..Faults::none()
        };
        sim.set_faults(faults);
        for place in PLACES {
            open(&server, &Address::listen_on(place.parse().ok()?));
        }
        let mut town = Town {
            sim,
            server,
            client,
            channels: BTreeMap::new(),
            wires: Vec::new(),
            lines,
            channel: 0,
            asked: 0,
            waiting: false,
            turns: 0,
        };
        town.rest();
        open(&town.client, &Address::connect_to(PLACES[0].parse().ok()?));
        town.rest();
        assert_ne!(town.channel, 0, "the client is not welcomed");
        Some(town)
    }

    /// One event of a hostile peer, and some turns.
    fn happen(&mut self, input: &mut Input<'_>) {
        let byte = input.byte();
        let (event, turns) = (byte & 0x0F, usize::from(byte >> 4));
        let which = input.below(self.wires.len().max(1));
        let more = self.wires.len() < MOST_WIRES;
        match (event, self.wires.get_mut(which)) {
            (0 | 1, _) | (_, None) if more => {
                let place = input.one_of(&PLACES);
                if let Some(mut wire) = Wire::connect(&self.sim, place) {
                    wire.out = traffic(input);
                    self.wires.push(wire);
                }
            }
            (2 | 3, Some(wire)) => wire.write(&self.sim, input.below(256)),
            (4..=6, Some(wire)) => wire.write(&self.sim, usize::MAX),
            (7, Some(wire)) if wire.sent.len() < MOST_SENT => {
                let more = traffic(input);
                wire.out.extend_from_slice(&more);
            }
            (8 | 9, Some(wire)) => wire.read(&self.sim, 16 * input.below(256)),
            (10, Some(wire)) => wire.set_capacity(&self.sim, input.len()),
            (11, Some(wire)) => wire.end_writing(&self.sim),
            (12, Some(wire)) => wire.close(&self.sim, false),
            (13, Some(wire)) => wire.close(&self.sim, true),
            (14, _) => self.pass(Duration::from_millis(input.one_of(&[1, 50, 3000, 40_000]))),
            _ => {}
        }
        for _ in 0..turns {
            self.ask();
            let now = self.sim.now();
            self.step(now);
        }
    }

    /// A step, not beyond `limit`, and what the applications do then.
    fn step(&mut self, limit: Duration) -> bool {
        let step = self.sim.step(limit);
        assert!(step.is_ok(), "{step:?}");
        self.turns += usize::from(matches!(step, Ok(Step::Turn(_))));
        self.serve();
        self.receive();
        step != Ok(Step::Idle)
    }

    fn pass(&mut self, time: Duration) {
        let limit = self.sim.now() + time;
        while self.sim.now() < limit {
            self.step(limit);
        }
    }

    /// Runs until nothing happens for a while.
    fn rest(&mut self) {
        for _ in 0..MOST_STEPS {
            let limit = self.sim.now() + Duration::from_millis(20);
            if !self.step(limit) {
                return;
            }
        }
        assert!(!self.sim.is_busy(), "it does not come to rest");
    }

    /// The server's application takes and answers everything.
    fn serve(&mut self) {
        while let Ok(Some(msg)) = self.server.receive(Duration::ZERO) {
            let number = msg.channel_number().value();
            if msg.origin() == Origin::Peer {
                self.see(number, &msg);
                self.reply(msg);
            } else if msg.report() == Some(Report::ChannelClosed) {
                if let Some(seen) = self.channels.get_mut(&number) {
                    assert!(!std::mem::replace(&mut seen.closed, true), "closed twice");
                }
                self.compare(number);
            }
        }
    }

    fn see(&mut self, number: u16, msg: &Msg) {
        if msg.op_code() == OpCode::HelloRequest {
            let end = msg.peer().and_then(|peer| end_of(&peer.endpoint));
            let seen = Seen {
                end: end.map(End::other),
                said: Vec::new(),
                closed: false,
            };
            let known = self.channels.insert(number, seen);
            assert!(known.is_none(), "{number} is given out again");
        }
        let seen = self.channels.get_mut(&number);
        assert!(seen.is_some(), "nobody knows channel {number}");
        if let Some(seen) = seen {
            assert!(!seen.closed, "{msg:?} behind the end");
            seen.said.push(Said::of(msg));
        }
    }

    /// An answer, if there is one and room for it.
    fn reply(&self, mut msg: Msg) {
        if msg.op_code() != OpCode::Signal && msg.make_reply().is_some() {
            let _refused = self.server.sender().post(msg);
        }
    }

    /// What the server has seen of a channel is what the peer's bytes say.
    fn compare(&self, number: u16) {
        let Some(seen) = self.channels.get(&number) else {
            return;
        };
        let Some(wire) = self.wires.iter().find(|wire| Some(wire.end) == seen.end) else {
            return;
        };
        let story = Story::read(&wire.sent, true, self.lines);
        let told = story.said.get(..seen.said.len());
        assert_eq!(told, Some(&seen.said[..]), "of {story:?}");
        // What was read of the answers is whole and in order.
        let read = story::written(&wire.received);
        assert!(read.len() <= seen.said.len(), "{read:?} answers {seen:?}");
    }

    /// The client asks its next question, if it has the answer to the last.
    fn ask(&mut self) {
        if std::mem::replace(&mut self.waiting, true) {
            return;
        }
        self.asked += 1;
        self.turns = 0;
        let mut msg = Msg::from(Message::new(OpCode::Request));
        msg.set_channel_number(self.channel.into());
        msg.set_message_id(MessageId::new(self.asked));
        let body = question(self.asked);
        let fits = msg.body_mut().append(&body);
        let posted = self.client.sender().post(msg);
        assert!(fits.is_ok() && posted.is_ok(), "{posted:?}");
    }

    /// The client takes its answer.
    fn receive(&mut self) {
        while let Ok(Some(msg)) = self.client.receive(Duration::ZERO) {
            assert_eq!(msg.origin(), Origin::Peer, "{msg:?}");
            if msg.op_code() == OpCode::HelloResponse {
                self.channel = msg.channel_number().value();
                continue;
            }
            let expected = (OpCode::Response, MessageId::new(self.asked));
            assert_eq!((msg.op_code(), msg.message_id()), expected);
            assert_eq!(msg.body().as_bytes(), question(self.asked));
            assert!(std::mem::take(&mut self.waiting), "a second answer");
        }
        let late = self.waiting && self.turns > MOST_TURNS;
        assert!(!late, "the client waits in vain");
    }

    fn is_in_order(&self) {
        for &number in self.channels.keys() {
            self.compare(number);
        }
    }

    /// The client gets some further answers at once.
    fn is_served(&mut self) {
        let asked = self.asked;
        let limit = self.sim.now() + Duration::from_millis(200);
        while self.waiting || self.asked < asked + 3 {
            self.ask();
            assert!(self.step(limit), "the client is not answered");
        }
    }

    /// Somebody new is let in at once, whatever the others have left unfinished.
    fn takes_a_newcomer(&mut self) {
        // Its Hello arrives whole: one in pieces may have to wait for those that were first.
        self.sim.set_faults(Faults::none());
        let wire = Wire::connect(&self.sim, PLACES[0]);
        assert!(wire.is_some(), "nobody can connect");
        let Some(mut wire) = wire else { return };
        let hello = Said {
            op: story::HELLO_REQUEST,
            id: 99,
            ..Said::default()
        };
        wire.out = hello.frame(1);
        let end = wire.end;
        self.wires.push(wire);
        let limit = self.sim.now() + Duration::from_millis(200);
        while !self.channels.values().any(|seen| seen.end == Some(end)) {
            if let Some(wire) = self.wires.last_mut() {
                wire.write(&self.sim, usize::MAX);
            }
            assert!(self.step(limit), "the newcomer is not let in");
        }
    }

    /// The hostile ones go, and nothing of them is left.
    fn is_left_as_found(&mut self) {
        for wire in &mut self.wires {
            wire.close(&self.sim, false);
        }
        let limit = self.sim.now() + ALL_TIMEOUTS;
        for _ in 0..MOST_STEPS {
            if self.others_are_gone() {
                return;
            }
            assert!(self.step(limit), "somebody is left: {:?}", self.channels);
        }
        assert!(self.others_are_gone(), "it does not come to rest");
    }

    fn others_are_gone(&self) -> bool {
        let stats = self.sim.handle(0).stats();
        let channels = &stats.channels;
        let alone = self.sim.handle(0).channel_count() == 3 && channels.open == 1;
        alone && stats.queued_messages <= 1 && stats.pool_in_use <= 1
    }
}

/// What the client asks: of lengths from nothing to some frames.
fn question(number: u64) -> Vec<u8> {
    let len = usize::try_from(number * 37 % 300).unwrap_or(0);
    vec![number.to_be_bytes()[7]; len]
}

fn open(group: &Group, address: &Address) {
    let mut msg = Msg::from(Message::default());
    let formatted = address.format(&mut msg);
    let posted = group.sender().post(msg);
    assert!(formatted.is_ok() && posted.is_ok(), "{posted:?}");
}
