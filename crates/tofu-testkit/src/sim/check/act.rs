//! What an application does when it is its turn: one thing, drawn by the plan's weights.

use std::time::Duration;

use tofu_addr::Address;
use tofu_engine::Msg;
use tofu_msg::{ChannelNumber, Message, OpCode};

use crate::sim::check::ledger::{Judged, Role};
use crate::sim::check::scenario::{Scenario, Seat, number_of};

/// As many groups as an application has at most, destroyed ones included.
const MOST_SEATS: usize = 4;
/// As many connections as an application makes at most.
const MOST_CONNECTIONS: usize = 12;

impl Scenario {
    /// One action of an application.
    pub(crate) fn act(&mut self, engine: usize) -> Judged {
        self.do_the_rest(engine)?;
        self.poll_destructions(engine)?;
        self.pay_owed(engine)?;
        let seat = self.pick(self.apps[engine].seats.len());
        let weights = &self.plan.weights;
        let raw = if self.plan.raw { weights.raw } else { 0 };
        let actions: [(u64, Action); 14] = [
            (weights.receive, Action::Receive),
            (weights.post, Action::Post),
            (weights.hello, Action::Hello),
            (weights.listen, Action::Listen),
            (weights.bye, Action::Bye),
            (weights.signal, Action::Signal),
            (weights.unlisten, Action::Unlisten),
            (weights.update, Action::Update),
            (weights.misuse, Action::Misuse),
            (weights.create, Action::Create),
            (weights.destroy, Action::Destroy),
            (weights.shutdown, Action::Shutdown),
            (weights.release, Action::Release),
            (raw, Action::Raw),
        ];
        let sum = actions.iter().map(|(weight, _)| weight).sum();
        let mut drawn = self.sim.random(sum);
        for (weight, action) in actions {
            match drawn.checked_sub(weight) {
                Some(rest) => drawn = rest,
                None => return self.perform(engine, seat, action),
            }
        }
        Ok(())
    }

    fn perform(&mut self, engine: usize, seat: usize, action: Action) -> Judged {
        match action {
            Action::Raw => self.act_raw(),
            Action::Receive => {
                let most = 1 << self.sim.random(8);
                self.receive(engine, seat, most)
            }
            Action::Post => self.post_some(engine),
            Action::Hello => self.connect(engine, seat),
            Action::Listen => self.listen(engine, seat),
            Action::Bye => self.end_one(engine, OpCode::ByeRequest, false),
            Action::Signal => self.end_one(engine, OpCode::ByeSignal, false),
            Action::Unlisten => self.end_one(engine, OpCode::ByeSignal, true),
            Action::Update => self.update(engine, seat),
            Action::Misuse => self.misuse(engine, seat),
            Action::Create => self.create(engine),
            Action::Destroy => {
                let grace = Duration::from_millis(self.sim.random(3) * self.sim.random(500));
                self.destroy(engine, seat, grace);
                Ok(())
            }
            Action::Shutdown => {
                let grace = Duration::from_millis(self.sim.random(3) * self.sim.random(1000));
                self.shut_down(engine, grace);
                Ok(())
            }
            Action::Release => {
                let kept = self.pick(self.apps[engine].held.len() + 1);
                if self.sim.random(2) == 0 {
                    self.release_midway(engine, kept);
                } else {
                    self.apps[engine].held.truncate(kept);
                }
                Ok(())
            }
        }
    }

    fn post_some(&mut self, engine: usize) -> Judged {
        let open = self.channels(engine, |it| {
            it.role != Role::Listener && !it.bye_posted && !it.bye_answered && !it.signalled
        });
        if open.is_empty() {
            return Ok(());
        }
        let key = open[self.pick(open.len())];
        let midway = self.sim.random(3) == 0;
        for _ in 0..=self.sim.random(6) {
            let (op_code, id) = match self.sim.random(8) {
                0 => (OpCode::Response, 77),
                1..4 => (OpCode::Signal, 0),
                _ => (OpCode::Request, 0),
            };
            let msg = self.blank(engine);
            if midway {
                let key = open[self.pick(open.len())];
                self.say_midway(key, op_code, id, msg)?;
            } else if !self.say(key, op_code, id, msg)? {
                break;
            }
        }
        Ok(())
    }

    fn connect(&mut self, engine: usize, seat: usize) -> Judged {
        let made = self.channels(engine, |it| it.role == Role::Initiator).len();
        if made >= MOST_CONNECTIONS {
            return Ok(());
        }
        let known: Vec<String> = self.sim.network().listeners.keys().cloned().collect();
        let strange = !self.plan.quiet;
        let address = match self.sim.random(24) {
            0 if strange => Address::tcp_client("nowhere", 1),
            1 if strange => Address::tcp_client(format!("nameh{}", self.sim.random(3)), 1),
            0..4 => self.place(Address::tcp_client, Address::uds_client),
            _ if known.is_empty() => return Ok(()),
            _ => match known[self.pick(known.len())].parse() {
                Ok(endpoint) => Address::connect_to(endpoint),
                Err(error) => return Err(format!("somebody listens nowhere: {error}")),
            },
        };
        self.open(engine, seat, &address)
    }

    pub(crate) fn listen(&mut self, engine: usize, seat: usize) -> Judged {
        let address = match self.sim.random(64) {
            0 if !self.plan.quiet => Address::tcp_server("nowhere", 1),
            1 if !self.plan.quiet => Address::tcp_server("invalid", 1),
            2 if !self.plan.quiet => Address::tcp_server("nameh1", 1),
            _ => self.place(Address::tcp_server, Address::uds_server),
        };
        self.open(engine, seat, &address)
    }

    /// One of a few places.
    fn place(&mut self, tcp: fn(String, u16) -> Address, uds: fn(String) -> Address) -> Address {
        match self.sim.random(5) {
            which @ 0..3 => tcp(format!("h{which}"), 1),
            which => uds(format!("/s/{which}")),
        }
    }

    fn end_one(&mut self, engine: usize, op_code: OpCode, listener: bool) -> Judged {
        let open = self.channels(engine, |it| {
            (it.role == Role::Listener) == listener && !it.signalled
        });
        if open.is_empty() {
            return Ok(());
        }
        let key = open[self.pick(open.len())];
        let msg = self.blank(engine);
        if self.sim.random(2) == 0 {
            return self.say_midway(key, op_code, 0, msg);
        }
        self.say(key, op_code, 0, msg)?;
        Ok(())
    }

    fn update(&mut self, engine: usize, seat: usize) -> Judged {
        let Some(group) = &self.apps[engine].seats[seat].group else {
            return Ok(());
        };
        match group.sender().update_receiver(None) {
            Ok(()) => self.apps[engine].seats[seat].updates_posted += 1,
            Err(error) => self.marks.hit(format!("no update: {}", error.kind())),
        }
        Ok(())
    }

    fn create(&mut self, engine: usize) -> Judged {
        let app = &mut self.apps[engine];
        if app.seats.len() < MOST_SEATS {
            if let Ok(group) = app.handle.create_group() {
                app.seats.push(Seat::new(group));
            }
        }
        Ok(())
    }

    /// Posts what must be refused.
    fn misuse(&mut self, engine: usize, seat: usize) -> Judged {
        let forbidden = self.forbidden_on_a_channel(engine, seat);
        let Some(group) = &self.apps[engine].seats[seat].group else {
            return Ok(());
        };
        let wrong = match self.sim.random(10) {
            7.. => match forbidden {
                Some(message) => message,
                None => return Ok(()),
            },
            0 => Message::new(OpCode::Request),
            1 => Message::new(OpCode::Response),
            2 => Message::new(OpCode::HelloRequest),
            3 => on_channel(OpCode::WelcomeResponse, 1),
            4 => nowhere(),
            5 => more_of_nothing(),
            _ => on_channel(OpCode::Signal, 65_000),
        };
        let op_code = wrong.op_code();
        match group.sender().post(Msg::from(wrong)) {
            Err(error) if error.message().op_code() == op_code => {
                self.marks.hit(format!("refused: {}", error.kind()));
                Ok(())
            }
            Err(error) => Err(format!("a refusal changed a message: {error}")),
            Ok(header) => Err(format!("this was not refused: {header:?}")),
        }
    }

    /// What may not be said on one of a group's channels.
    fn forbidden_on_a_channel(&mut self, engine: usize, seat: usize) -> Option<Message> {
        let open = self.channels(engine, |it| it.group == seat);
        let key = *open.get(self.pick(open.len()))?;
        let channel = self.ledger.channels.get(&key)?;
        let peer = channel
            .peer
            .and_then(|peer| self.ledger.channels.get(&peer));
        let asked = peer.is_none_or(|peer| peer.bye_posted);
        let answers = channel.role == Role::Acceptor && !channel.hello_answered;
        let op_code = match self.sim.random(4) {
            0 => OpCode::WelcomeResponse,
            1 if !answers => OpCode::HelloResponse,
            2 if !asked => OpCode::ByeResponse,
            _ => OpCode::HelloRequest,
        };
        let mut message = Message::default();
        if op_code == OpCode::HelloRequest {
            Address::tcp_client("h0", 1).format(&mut message).ok()?;
        }
        message.set_op_code(op_code);
        message.set_channel_number(number_of(key));
        message.set_message_id(1.into());
        Some(message)
    }

    /// Begins to destroy a group.
    pub(crate) fn destroy(&mut self, engine: usize, seat: usize, grace: Duration) {
        let now = self.sim.now();
        self.sim.note(
            &[22, engine as u64, seat as u64],
            format_args!("app {engine} destroys its group {seat} within {grace:?}"),
        );
        let place = &mut self.apps[engine].seats[seat];
        let Some(group) = place.group.take() else {
            return;
        };
        place.destruction = Some(group.begin_destroy(grace));
        place.deadline = now + grace + Duration::from_secs(1);
        let range = (engine, 0)..(engine + 1, 0);
        for (_, channel) in self.ledger.channels.range_mut(range) {
            channel.gone |= channel.group == seat;
        }
        self.marks.hit("group destroyed");
    }

    /// Asks an engine to stop.
    pub(crate) fn shut_down(&mut self, engine: usize, grace: Duration) {
        if self.apps[engine].shutdown.is_some() {
            return;
        }
        self.sim.note(
            &[23, engine as u64],
            format_args!("app {engine} shuts its engine down within {grace:?}"),
        );
        self.apps[engine].shutdown = Some(self.sim.now() + grace + Duration::from_secs(1));
        self.apps[engine].handle.request_shutdown(grace);
        self.marks.hit("engine shut down");
    }
}

/// A HelloRequest to what is no address.
fn nowhere() -> Message {
    let mut message = Message::new(OpCode::HelloRequest);
    // It fits.
    let _added = message.text_headers_mut().append("~connect_to", "nowhere");
    message
}

/// `more` where there can be none.
fn more_of_nothing() -> Message {
    let mut message = on_channel(OpCode::ByeRequest, 1);
    message.set_more(true);
    message
}

fn on_channel(op_code: OpCode, number: u16) -> Message {
    let mut message = Message::new(op_code);
    message.set_channel_number(ChannelNumber::new(number));
    message.set_message_id(1.into());
    message
}

#[derive(Debug, Clone, Copy)]
enum Action {
    Receive,
    Post,
    Hello,
    Listen,
    Bye,
    Signal,
    Unlisten,
    Update,
    Misuse,
    Create,
    Destroy,
    Shutdown,
    Release,
    Raw,
}
