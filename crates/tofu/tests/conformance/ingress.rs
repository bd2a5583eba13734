//! What a peer may say when, as a table: every state of a channel by every frame.
//!
//! A raw peer brings an engine's channel into the state and sends the frame. Either the application
//! receives it exactly as it was sent, or the channel is closed for a protocol violation; in no
//! case does a byte go back to the peer.

use tofu::prelude::*;
use tofu_testkit::{End, RawPeer};

use crate::harness::{Build, LIMIT, Listening, Side, Transport, from_peer, on_both, returned};
use crate::raw::{Line, RawPlace, frame};

on_both! { every_frame_in_every_state, every_large_frame_in_every_state }

/// Where a channel stands when the frame comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Accepted, and no Hello yet.
    Accepted,
    Acceptor,
    /// An initiator without its HelloResponse.
    Initiator,
    InitiatorAnswered,
    /// After the own ByeRequest.
    ByeSentAcceptor,
    ByeSentInitiator,
    ByeSentInitiatorAnswered,
    /// After the peer's ByeRequest.
    ByeReceivedAcceptor,
    ByeReceivedInitiator,
    ByeReceivedInitiatorAnswered,
    /// After both, the own first; the peer's is answered.
    ByeCrossedAcceptor,
    ByeCrossedInitiator,
    /// After both, the peer's first; and the peer's is answered.
    ByeCrossedBehind,
}

/// What becomes of the frame, and of the channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// Delivered; the channel goes on.
    Deliver,
    /// Delivered: a new channel.
    Open,
    /// Delivered, then closed as by the peer.
    DeliverAndClose,
    /// Delivered, then closed, confirmed.
    Confirm,
    /// Not delivered; closed as by the peer.
    Close,
    /// Not delivered; closed for a protocol violation.
    Violation,
}

use Outcome::{Close, Confirm, Deliver, DeliverAndClose, Open, Violation};

/// The table. Columns: Request, Response, Signal | HelloRequest | HelloResponse | ByeRequest |
/// ByeResponse | ByeSignal.
const TABLE: [(State, [Outcome; 6]); 13] = [
    (
        State::Accepted,
        [Violation, Open, Violation, Violation, Violation, Violation],
    ),
    (
        State::Acceptor,
        [
            Deliver,
            Violation,
            Violation,
            Deliver,
            DeliverAndClose,
            Close,
        ],
    ),
    (
        State::Initiator,
        [Deliver, Violation, Deliver, Deliver, DeliverAndClose, Close],
    ),
    (
        State::InitiatorAnswered,
        [
            Deliver,
            Violation,
            Violation,
            Deliver,
            DeliverAndClose,
            Close,
        ],
    ),
    (
        State::ByeSentAcceptor,
        [Deliver, Violation, Violation, Deliver, Confirm, Close],
    ),
    (
        State::ByeSentInitiator,
        [Deliver, Violation, Deliver, Deliver, Confirm, Close],
    ),
    (
        State::ByeSentInitiatorAnswered,
        [Deliver, Violation, Violation, Deliver, Confirm, Close],
    ),
    (
        State::ByeReceivedAcceptor,
        [
            Violation,
            Violation,
            Violation,
            Violation,
            DeliverAndClose,
            Close,
        ],
    ),
    (
        State::ByeReceivedInitiator,
        [
            Violation,
            Violation,
            Violation,
            Violation,
            DeliverAndClose,
            Close,
        ],
    ),
    (
        State::ByeReceivedInitiatorAnswered,
        [
            Violation,
            Violation,
            Violation,
            Violation,
            DeliverAndClose,
            Close,
        ],
    ),
    (
        State::ByeCrossedAcceptor,
        [Violation, Violation, Violation, Violation, Confirm, Close],
    ),
    (
        State::ByeCrossedInitiator,
        [Violation, Violation, Violation, Violation, Confirm, Close],
    ),
    (
        State::ByeCrossedBehind,
        [Violation, Violation, Violation, Violation, Confirm, Close],
    ),
];

/// What is set in the header's third byte beside the op code.
#[derive(Debug, Clone, Copy)]
enum Extra {
    Nothing,
    /// Bits that mean nothing to us.
    UnusedBits,
    EngineOrigin,
    More,
}

const EXTRAS: [Extra; 4] = [
    Extra::Nothing,
    Extra::UnusedBits,
    Extra::EngineOrigin,
    Extra::More,
];

/// The table's cell for a third byte.
fn outcome(row: &[Outcome; 6], op_code: u8, extra: Extra) -> Outcome {
    let Some(op_code) = OpCode::from_u8(op_code) else {
        return Violation;
    };
    let is_regular = matches!(op_code, OpCode::Request | OpCode::Response | OpCode::Signal);
    match extra {
        Extra::EngineOrigin => return Violation,
        Extra::More if !is_regular => return Violation,
        _ => {}
    }
    match op_code {
        OpCode::Request | OpCode::Response | OpCode::Signal => row[0],
        OpCode::HelloRequest => row[1],
        OpCode::HelloResponse => row[2],
        OpCode::ByeRequest => row[3],
        OpCode::ByeResponse => row[4],
        OpCode::ByeSignal => row[5],
        OpCode::WelcomeRequest | OpCode::WelcomeResponse => Violation,
    }
}

/// The frame of a cell: odd values in everything that must come through as it is.
fn bytes(op_code: u8, extra: Extra, body_len: usize) -> Vec<u8> {
    let message = Message::new(OpCode::Request)
        .on(ChannelNumber::new(65_535))
        .id(0x0102_0304_0506_0708)
        .with_status(Status::new(22))
        .with_header("name", "value")
        .with_body(&vec![b'b'; body_len]);
    let mut bytes = frame(&message);
    bytes[2] = op_code
        | match extra {
            Extra::Nothing => 0,
            Extra::EngineOrigin => 0x10,
            Extra::More => 0x20,
            Extra::UnusedBits => 0xc0,
        };
    bytes
}

/// What the application receives of such a frame.
fn message(bytes: &[u8]) -> Message {
    let mut clean = bytes.to_vec();
    clean[2] &= 0x3f;
    match tofu::msg::FrameRef::parse(&clean) {
        Ok(tofu::msg::Parse::Complete(frame)) => frame.to_message(),
        other => panic!("{other:?}"),
    }
}

/// One engine for all cells, with a listener, and a raw listener to connect to.
struct Bench {
    side: Side,
    listening: Listening,
    place: RawPlace,
}

impl Bench {
    fn accepted(&mut self) -> Line {
        Line::accepted(&mut self.side, &self.listening)
    }

    fn initiated(&mut self, is_answered: bool) -> Line {
        let line = Line::dialed(&self.side, &self.place);
        if is_answered {
            let response = Message::new(OpCode::HelloResponse).id(line.id);
            line.peer_says(&mut self.side, response);
        }
        line
    }

    fn says_bye(&mut self, mut line: Line) -> Line {
        line.says(&self.side, Message::new(OpCode::ByeRequest));
        line
    }

    fn peer_says_bye(&mut self, line: Line) -> Line {
        line.peer_says(&mut self.side, Message::new(OpCode::ByeRequest).id(5));
        line
    }

    fn answers_bye(&mut self, mut line: Line) -> Line {
        line.says(&self.side, Message::new(OpCode::ByeResponse).id(5));
        line
    }

    /// A channel in this state.
    fn prepare(&mut self, state: State) -> Line {
        match state {
            State::Accepted => Line {
                channel: ChannelNumber::UNASSIGNED,
                id: MessageId::UNASSIGNED,
                raw: RawPeer::connect(&self.listening.endpoint).unwrap(),
            },
            State::Acceptor => self.accepted(),
            State::Initiator => self.initiated(false),
            State::InitiatorAnswered => self.initiated(true),
            State::ByeSentAcceptor => {
                let line = self.accepted();
                self.says_bye(line)
            }
            State::ByeSentInitiator | State::ByeSentInitiatorAnswered => {
                let line = self.initiated(state == State::ByeSentInitiatorAnswered);
                self.says_bye(line)
            }
            State::ByeReceivedAcceptor => {
                let line = self.accepted();
                self.peer_says_bye(line)
            }
            State::ByeReceivedInitiator | State::ByeReceivedInitiatorAnswered => {
                let line = self.initiated(state == State::ByeReceivedInitiatorAnswered);
                self.peer_says_bye(line)
            }
            State::ByeCrossedAcceptor => {
                let line = self.prepare(State::ByeSentAcceptor);
                let line = self.peer_says_bye(line);
                self.answers_bye(line)
            }
            State::ByeCrossedInitiator => {
                let line = self.prepare(State::ByeSentInitiatorAnswered);
                let line = self.peer_says_bye(line);
                self.answers_bye(line)
            }
            State::ByeCrossedBehind => {
                let line = self.prepare(State::ByeReceivedAcceptor);
                let line = self.says_bye(line);
                self.answers_bye(line)
            }
        }
    }

    /// Sends small frames in one go, and a large one in two, so that the engine begins without
    /// having all of it; it may have ended the channel by then.
    fn send(&self, line: &Line, bytes: &[u8], behind: &[u8]) {
        let bytes = [bytes, behind].concat();
        let (start, rest) = bytes.split_at(bytes.len().min(5000));
        line.raw.send(start).unwrap();
        if !rest.is_empty() {
            self.side.turn();
            let _may_have_ended = line.raw.send(rest);
        }
    }

    /// Sends a cell's frame, and `behind` it, and asserts all that both sides see.
    #[track_caller]
    fn assert_cell(&mut self, state: State, outcome: Outcome, bytes: &[u8], behind: &[u8]) {
        let mut line = self.prepare(state);
        let delivered = || from_peer(message(bytes).on(line.channel));
        self.send(&line, bytes, behind);
        let expected = match outcome {
            Deliver => vec![delivered()],
            Open => {
                let hello = self.side.next();
                line.channel = hello.channel_number();
                line.id = hello.message_id();
                assert_eq!(*hello, message(bytes).on(line.channel));
                Vec::new()
            }
            DeliverAndClose => vec![delivered(), line.closed(Status::PEER_DISCONNECTED, false)],
            Confirm => vec![delivered(), line.closed(Status::SUCCESS, true)],
            Close => vec![line.closed(Status::PEER_DISCONNECTED, false)],
            // The application never knew that channel.
            Violation if state == State::Accepted => Vec::new(),
            Violation => vec![line.closed(Status::PROTOCOL_VIOLATION, false)],
        };
        self.side.expect(&expected);
        let is_open = matches!(outcome, Deliver | Open);
        if is_open {
            self.side.expect_nothing();
            let signal = Message::new(OpCode::ByeSignal).on(line.channel);
            let signal = self.side.post(signal);
            let why = Status::CHANNEL_CLOSED;
            let ended = [returned(signal, why), line.closed(why, false)];
            self.side.expect(&ended);
        }
        let (replies, end) = line.raw.receive_all(LIMIT);
        assert!(replies.is_empty(), "{replies:?}");
        // By a reset where the engine need not be kind: behind a ByeSignal, and to a stranger.
        let may_reset = is_open || state == State::Accepted;
        assert!(end == End::Eof || may_reset && end == End::Reset, "{end:?}");
        self.side.expect_nothing();
    }
}

fn every_frame_in_every_state(transport: Transport) {
    assert_table(transport, 4, &EXTRAS);
}

/// So large that they go another way.
fn every_large_frame_in_every_state(transport: Transport) {
    assert_table(transport, 20_000, &[Extra::Nothing, Extra::More]);
}

fn assert_table(transport: Transport, body_len: usize, extras: &[Extra]) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let place = RawPlace::new(transport);
    let mut bench = Bench {
        side,
        listening,
        place,
    };
    for (state, row) in &TABLE {
        for op_code in 0..16 {
            for extra in extras {
                let outcome = outcome(row, op_code, *extra);
                println!("{state:?}, op code {op_code}, {extra:?}: {outcome:?}");
                let bytes = bytes(op_code, *extra, body_len);
                bench.assert_cell(*state, outcome, &bytes, b"");
                if !matches!(outcome, Deliver | Open) {
                    println!("... and nothing behind it is looked at any more");
                    let behind = frame(&Message::new(OpCode::Request).id(6));
                    bench.assert_cell(*state, outcome, &bytes, &behind);
                }
            }
        }
    }
    assert_eq!(bench.side.engine.channel_count(), 1, "the listener");
}
