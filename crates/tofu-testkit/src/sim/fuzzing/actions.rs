//! The events of the target `channel_machine`: what peers and the application do.

use std::time::Duration;

use tofu_addr::Address;
use tofu_engine::{Allocation, Msg};
use tofu_msg::{ChannelNumber, Message, MessageId, OpCode};

use crate::sim::fuzzing::book::{Channel, Role};
use crate::sim::fuzzing::input::Input;
use crate::sim::fuzzing::machine::{Machine, RAW_PLACES};
use crate::sim::fuzzing::story::{self, Said, Story};
use crate::sim::fuzzing::wire::Wire;

/// Where the engine listens.
const PLACES: [&str; 2] = ["tcp|h0|1", "uds|/s/1"];
/// As many of each, at most.
const MOST_WIRES: usize = 12;
const MOST_SEATS: usize = 4;
const MOST_HELD: usize = 12;
/// Moments, and times in which something or everything runs out.
const TIMES: [u64; 6] = [1, 20, 300, 1600, 11_000, 70_000];

impl Machine {
    /// One event, and some turns.
    pub(super) fn happen(&mut self, input: &mut Input<'_>) {
        let byte = input.byte();
        let (event, turns) = (byte & 0x1F, usize::from(byte >> 5));
        match event {
            0 | 1 => self.peer_connects(input),
            2..=10 => self.peer_acts(event, input),
            11..=14 => self.say(input),
            15 | 16 => self.answer(input),
            17..=19 => {
                let seat = input.below(self.seats.len());
                let most = 1 << input.below(6);
                self.receive(seat, most);
            }
            20 => {
                let seat = input.below(self.seats.len());
                self.listen(seat, input.below(PLACES.len()));
            }
            21 | 22 => self.connect(input),
            23 => self.update(input),
            24 => self.hold(input),
            25 => self.held.truncate(input.below(MOST_HELD)),
            26 | 27 => self.pass(Duration::from_millis(input.one_of(&TIMES))),
            28 => self.accept_all(),
            29 if self.seats.len() < MOST_SEATS => self.create(),
            30 => self.destroy(input),
            31 if input.below(8) == 0 => {
                let grace = Duration::from_millis(100 * input.below(20) as u64);
                self.stop(grace);
            }
            _ => {}
        }
        self.step(turns);
        self.poll_destructions();
    }

    fn peer_connects(&mut self, input: &mut Input<'_>) {
        let address = input.one_of(&PLACES);
        if self.wires.len() >= MOST_WIRES {
            return;
        }
        let Some(mut wire) = Wire::connect(&self.sim, address) else {
            return;
        };
        // Mostly it says Hello, so that not every input has to find out how.
        if input.below(8) > 0 {
            let hello = Said {
                op: story::HELLO_REQUEST,
                id: 1,
                ..Said::default()
            };
            wire.out = hello.frame(1);
        }
        self.wires.push(wire);
    }

    fn peer_acts(&mut self, event: u8, input: &mut Input<'_>) {
        let which = input.below(self.wires.len());
        let Some(wire) = self.wires.get_mut(which) else {
            return;
        };
        match event {
            2..=4 => {
                let frame = draw_frame(input);
                wire.out.extend_from_slice(&frame);
            }
            5 => {
                let count = input.below(40);
                wire.out.extend_from_slice(input.take(count));
            }
            6 => wire.write(&self.sim, input.below(64)),
            7 => wire.write(&self.sim, usize::MAX),
            8 => wire.read(&self.sim, 8 * input.below(256)),
            9 => match input.below(4) {
                0 => wire.close(&self.sim, true),
                1 => wire.close(&self.sim, false),
                _ => wire.end_writing(&self.sim),
            },
            _ => wire.set_capacity(&self.sim, input.len()),
        }
    }

    /// Raw listeners take what waits.
    pub(super) fn accept_all(&mut self) {
        for address in RAW_PLACES {
            while let Some(wire) = Wire::accept(&self.sim, address) {
                self.wires.push(wire);
            }
        }
    }

    /// Posts anything on one of the channels there are, or on one that there is not.
    fn say(&mut self, input: &mut Input<'_>) {
        let numbers: Vec<u16> = self.channels.keys().copied().collect();
        let choice = input.below(numbers.len() + 1);
        let number = numbers.get(choice).copied().unwrap_or(60_000);
        let known = self.channels.get(&number);
        let seat = known.map_or(0, |channel| channel.seat);
        let usual = [OpCode::Request, OpCode::Signal, OpCode::ByeRequest];
        let choice = input.byte();
        let op_code = match choice {
            0..40 => OpCode::ALL[usize::from(choice % 10)],
            _ => usual[usize::from(choice % 16).saturating_sub(13)],
        };
        let mut msg = self.blank(input);
        let len = input.len();
        let fits = msg.body_mut().append(&vec![input.byte(); len]);
        assert!(fits.is_ok(), "{len} bytes are not too long");
        msg.set_op_code(op_code);
        msg.set_more(choice & 0x40 != 0 && op_code.as_u8() <= story::SIGNAL);
        msg.set_message_id(MessageId::new(u64::from(choice & 3)));
        msg.set_channel_number(ChannelNumber::new(number));
        self.post(seat, msg);
    }

    /// Answers the last message that came from a peer, with that message.
    fn answer(&mut self, input: &mut Input<'_>) {
        let Some((seat, mut msg)) = self.last.take() else {
            return;
        };
        if input.below(4) == 0 {
            let len = input.len();
            let fits = msg.body_mut().replace(&vec![7; len]);
            assert!(fits.is_ok(), "{len} bytes are not too long");
        }
        if msg.make_reply().is_some() {
            self.post(seat, msg);
        }
    }

    /// A message to fill, from one source or another.
    fn blank(&mut self, input: &mut Input<'_>) -> Msg {
        let source = input.below(4);
        let found = match source {
            0 => self.held.pop(),
            1 => self.handle.get(Allocation::PoolOnly).ok().flatten(),
            2 => self.handle.get(Allocation::Always).ok().flatten(),
            _ => None,
        };
        let mut msg = found.unwrap_or_else(|| Msg::from(Message::default()));
        msg.reset();
        msg
    }

    fn hold(&mut self, input: &mut Input<'_>) {
        let msg = self.blank(input);
        if self.held.len() < MOST_HELD {
            self.held.push(msg);
        }
    }

    pub(super) fn listen(&mut self, seat: usize, place: usize) {
        let endpoint = PLACES[place].parse();
        if let Ok(endpoint) = endpoint {
            self.open(seat, &Address::listen_on(endpoint));
        }
    }

    fn connect(&mut self, input: &mut Input<'_>) {
        let seat = input.below(self.seats.len());
        let place = input.one_of(&[RAW_PLACES[0], RAW_PLACES[1], "tcp|gone|1", "tcp|name0|1"]);
        if let Ok(endpoint) = place.parse() {
            self.open(seat, &Address::connect_to(endpoint));
        }
    }

    fn open(&mut self, seat: usize, address: &Address) {
        let mut msg = Msg::from(Message::default());
        let formatted = address.format(&mut msg);
        assert_eq!(formatted, Ok(()));
        self.post(seat, msg);
    }

    /// Posts a message and takes into the books what becomes of it.
    fn post(&mut self, seat: usize, msg: Msg) {
        let Some(group) = self.seats.get(seat).and_then(|seat| seat.group.as_ref()) else {
            return;
        };
        let mut said = Said::of(&msg);
        let number = msg.channel_number().value();
        let posted = group.sender().post(msg);
        let bye_came = self.peer_said_bye(number);
        match posted {
            Ok(header) => {
                let number = header.channel_number.value();
                said.id = header.message_id.value();
                // Whatever it was received with, it goes out without a status.
                said.status = 0;
                if said.op == story::HELLO_REQUEST || said.op == story::WELCOME_REQUEST {
                    let role = match said.op {
                        story::HELLO_REQUEST => Role::Initiator,
                        _ => Role::Listener,
                    };
                    let known = self.channels.insert(number, Channel::new(role, seat));
                    assert!(known.is_none(), "{number} is given out again");
                }
                let channel = self.channels.get_mut(&number);
                assert!(channel.is_some(), "{said:?} on an unknown channel");
                if let Some(channel) = channel {
                    channel.accepted(said, bye_came);
                }
                self.queue_is_bounded(seat, number);
            }
            Err(error) => {
                assert_eq!(Said::of(error.message()), said, "refused: {error}");
                if let Some(channel) = self.channels.get_mut(&number) {
                    channel.refused(said.op, seat, error.kind(), self.stopping);
                }
            }
        }
    }

    /// Whether a ByeRequest has been written to the channel of this number.
    fn peer_said_bye(&self, number: u16) -> bool {
        let Some(channel) = self.channels.get(&number) else {
            return false;
        };
        let accepted = channel.role == Role::Acceptor;
        let lines = self.options.header_lines;
        self.wires
            .iter()
            .filter(|wire| wire.was_accepted() == accepted)
            .any(|wire| Story::read(&wire.sent, accepted, lines).bye)
    }

    fn update(&mut self, input: &mut Input<'_>) {
        let seat = input.below(self.seats.len());
        let Some(seat) = self.seats.get_mut(seat) else {
            return;
        };
        if let Some(group) = &seat.group {
            seat.updates += u64::from(group.sender().update_receiver(None).is_ok());
        }
    }

    fn destroy(&mut self, input: &mut Input<'_>) {
        let seat = input.below(self.seats.len());
        let grace = Duration::from_millis(50 * input.below(60) as u64);
        let Some(place) = self.seats.get_mut(seat) else {
            return;
        };
        if let Some(group) = place.group.take() {
            place.destruction = Some(group.begin_destroy(grace));
            for channel in self.channels.values_mut() {
                channel.gone |= channel.seat == seat;
            }
        }
    }

    pub(super) fn stop(&mut self, grace: Duration) {
        self.stopping = true;
        self.handle.request_shutdown(grace);
    }

    /// Listeners and channels that nobody else ends.
    pub(super) fn end_channels(&mut self) {
        let open: Vec<(u16, usize)> = self
            .channels
            .iter()
            .filter(|(_, channel)| channel.is_open() && !channel.signalled)
            .map(|(&number, channel)| (number, channel.seat))
            .collect();
        for (number, seat) in open {
            let mut msg = Msg::from(Message::new(OpCode::ByeSignal));
            msg.set_channel_number(ChannelNumber::new(number));
            self.post(seat, msg);
        }
    }
}

/// A frame of a peer: mostly one that it may send.
fn draw_frame(input: &mut Input<'_>) -> Vec<u8> {
    let (kind, id) = (input.byte(), u64::from(input.byte()));
    let op = match kind {
        0..160 => kind % 3,
        160..240 => 3 + kind % 4,
        _ => kind & 0x0F,
    };
    let lines = input.below(8);
    let said = Said {
        op,
        more: kind & 0x40 != 0 && op <= story::SIGNAL,
        status: input.byte(),
        id,
        headers: b"a:b\r\n".repeat(lines.saturating_sub(4)),
        body: vec![0x55; input.len()],
    };
    let mut frame = said.frame(9);
    if kind == 0xFF {
        frame[2] |= input.byte() & 0xF0;
    }
    frame
}
