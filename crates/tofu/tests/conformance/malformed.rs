//! Hostile bytes against a running engine, beside an honest neighbour whose requests are answered
//! all the while.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::{End, RawPeer, threads_named};

use crate::data::{Hostile, hostile};
use crate::face::Face;
use crate::harness::{Build, LIMIT, Seen, Side, Transport, closed, exists, from_peer, on_both};
use crate::raw::hasty;

on_both! { what_is_wrong, what_never_ends }

/// How soon a channel must be over once there is a reason, its short timeouts included.
const SOON: Duration = Duration::from_secs(1);

/// How the hostile channel ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// So many frames are delivered; nothing is wrong with them.
    Open(usize),
    /// So many frames, then the channel is closed for this cause.
    Closed(usize, Status),
    /// No Hello: the application never hears of it, and the connection is closed.
    Unheard,
}

use Outcome::{Closed, Open, Unheard};

const VIOLATION: Status = Status::PROTOCOL_VIOLATION;
const GONE: Status = Status::PEER_DISCONNECTED;

/// What becomes of each input.
const OUTCOMES: [(&str, Outcome); 34] = [
    ("bad_opcode_10", Closed(0, VIOLATION)),
    ("bad_opcode_12", Closed(0, VIOLATION)),
    ("bad_opcode_13", Closed(0, VIOLATION)),
    ("bad_opcode_14", Closed(0, VIOLATION)),
    ("bad_opcode_15", Closed(0, VIOLATION)),
    ("bad_opcode_10_uds", Closed(0, VIOLATION)),
    ("internalA_bit_Request", Open(1)),
    ("internalB_bit_Request", Open(1)),
    // Request, Response, Signal, and then a HelloRequest.
    ("internalAB_bits_all_ops", Closed(3, VIOLATION)),
    ("origin_engine_Request", Closed(0, VIOLATION)),
    (
        "origin_engine_Signal_channel_closed_spoof",
        Closed(0, VIOLATION),
    ),
    (
        "origin_engine_Signal_receiver_update_spoof",
        Closed(0, VIOLATION),
    ),
    ("proto_0xff", Closed(0, VIOLATION)),
    ("more_on_ByeRequest", Closed(0, VIOLATION)),
    // The second frame is the first one's body.
    ("lying_bl_swallows_next_frame", Open(1)),
    ("hold_65535_65535_no_data", Closed(0, Status::FRAME_TIMEOUT)),
    ("truncated_header_close", Closed(0, GONE)),
    ("connect_and_rst_nothing", Unheard),
    ("truncated_body_close_uds", Closed(0, GONE)),
    ("channel_65535", Open(1)),
    // A good Hello: the peer's channel number means nothing here.
    ("zero_channel_hello", Open(0)),
    ("WelcomeRequest_from_wire", Closed(0, VIOLATION)),
    ("ByeSignal_from_wire", Closed(0, GONE)),
    ("data_before_Hello", Unheard),
    ("two_Hellos", Closed(0, VIOLATION)),
    ("HelloResponse_to_server_first", Unheard),
    ("Response_to_nothing", Open(1)),
    ("garbage_text_http", Unheard),
    ("garbage_random_4096", Unheard),
    ("req_then_fin", Closed(1, GONE)),
    ("req_then_rst", Closed(1, GONE)),
    ("100req_then_rst", Closed(100, GONE)),
    ("100req_then_close_uds", Closed(100, GONE)),
    // Ours: nobody ever says anything.
    ("silence", Unheard),
];

/// The frames that the bytes begin with, by a reader of its own.
fn leading_frames(mut bytes: &[u8], count: usize) -> Vec<Message> {
    let mut messages = Vec::new();
    for _ in 0..count {
        let (header, rest) = bytes.split_at(16);
        let field = |at: usize| usize::from(u16::from_be_bytes([header[at], header[at + 1]]));
        let (headers, rest) = rest.split_at(field(12));
        let (body, rest) = rest.split_at(field(14));
        let op_code = OpCode::from_u8(header[2] & 0x0f).unwrap();
        let mut message = Message::new(op_code)
            .id(u64::from_be_bytes(header[4..12].try_into().unwrap()))
            .with_status(Status::new(header[3]))
            .with_body(body);
        message.set_more(header[2] & 0x20 != 0);
        message.text_headers_mut().append_raw(headers).unwrap();
        messages.push(message);
        bytes = rest;
    }
    messages
}

/// An engine whose application answers every Request of the neighbour, and hands on all else.
struct Server {
    engine: Reactor,
    endpoint: Endpoint,
    path: Option<tofu_testkit::TempUdsPath>,
    others: mpsc::Receiver<Msg>,
    thread: JoinHandle<()>,
}

impl Server {
    fn start(transport: Transport, options: Options) -> (Server, Neighbour) {
        let mut side = Side::start(options);
        let listening = side.listen(transport);
        let neighbour = Neighbour::start(&listening.endpoint);
        let first = side.next();
        assert_eq!(first.op_code(), OpCode::HelloRequest);
        let at_server = first.channel_number();
        let Side { engine, mut group } = side;
        let (hand_on, others) = mpsc::channel();
        let thread = std::thread::spawn(move || {
            while let Ok(Some(mut msg)) = group.receive_within(Duration::MAX) {
                if msg.channel_number() == at_server && msg.op_code() == OpCode::Request {
                    msg.make_reply();
                    group.post(msg).unwrap();
                } else {
                    hand_on.send(msg).unwrap();
                }
            }
        });
        let server = Server {
            engine,
            endpoint: listening.endpoint,
            path: listening.path,
            others,
            thread,
        };
        (server, neighbour)
    }

    #[track_caller]
    fn expect(&self, expected: &Seen) {
        let msg = self.others.recv_timeout(LIMIT).expect("a message in time");
        assert_eq!(Seen::of(&msg), *expected, "with {msg:?}");
    }

    #[track_caller]
    fn expect_nothing(&self) {
        for _ in 0..2 {
            let probe = self.engine.create().unwrap();
            assert!(probe.destroy(LIMIT).complete);
        }
        let more = self.others.try_recv();
        assert!(more.is_err(), "{more:?}");
    }
}

/// A client that asks and is answered, over and over.
struct Neighbour {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<()>,
}

impl Neighbour {
    fn start(endpoint: &Endpoint) -> Neighbour {
        let mut side = Side::start(Options::default());
        let channel = side.hello(endpoint).channel_number();
        let (stop, answered) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicU64::new(0)),
        );
        let (is_stopped, count) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            while !is_stopped.load(Ordering::Relaxed) {
                let body = count.load(Ordering::Relaxed).to_be_bytes();
                let request = Message::new(OpCode::Request).on(channel).with_body(&body);
                let posted = side.post(request);
                let answer = side.next();
                assert_eq!(Seen::of(&answer), from_peer(posted.op(OpCode::Response)));
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
        Neighbour {
            stop,
            answered,
            thread,
        }
    }

    /// It goes on: an answer comes that had not been asked for yet.
    #[track_caller]
    fn assert_served(&self) {
        let before = self.answered.load(Ordering::Relaxed);
        tofu_testkit::wait_until(LIMIT, "the neighbour's next answers", || {
            assert!(!self.thread.is_finished(), "the neighbour has failed");
            self.answered.load(Ordering::Relaxed) >= before + 2
        });
    }
}

/// All inputs and what must become of them: the recorded ones, and saying nothing at all.
fn inputs() -> Vec<(Hostile, Outcome)> {
    let mut inputs = hostile();
    inputs.push(Hostile {
        name: "silence".to_owned(),
        says_hello_first: false,
        bytes: Vec::new(),
        then: None,
    });
    assert_eq!(inputs.len(), OUTCOMES.len());
    let outcome = |input: &Hostile| {
        let known = OUTCOMES.iter().find(|(name, _)| *name == input.name);
        known
            .unwrap_or_else(|| panic!("{}: what of it?", input.name))
            .1
    };
    let pairs = inputs.into_iter().map(|input| {
        let outcome = outcome(&input);
        (input, outcome)
    });
    pairs.collect()
}

/// Nothing but a timeout ends it.
fn never_ends(input: &Hostile, outcome: Outcome) -> bool {
    outcome == Closed(0, Status::FRAME_TIMEOUT) || input.name == "silence"
}

/// Bytes that are wrong at once, or not wrong at all: no timeout has a part in what becomes of
/// them, also when they come one by one.
fn what_is_wrong(transport: Transport) {
    let (server, neighbour) = Server::start(transport, Options::default());
    let mut played = 0;
    for (input, outcome) in inputs() {
        if never_ends(&input, outcome) {
            continue;
        }
        let is_short = input.bytes.len() <= 1000;
        for chunk in [usize::MAX, 1].into_iter().take(1 + usize::from(is_short)) {
            println!("{} in pieces of {chunk}: {outcome:?}", input.name);
            assert_outcome(&server, &input, outcome, chunk);
            neighbour.assert_served();
            played += 1;
        }
    }
    assert!(played >= OUTCOMES.len());
    assert_unharmed(server, neighbour);
}

/// Bytes that leave the engine waiting: a timeout ends it.
fn what_never_ends(transport: Transport) {
    let (server, neighbour) = Server::start(transport, hasty());
    let mut played = 0;
    for (input, outcome) in inputs() {
        if never_ends(&input, outcome) {
            println!("{}: {outcome:?}", input.name);
            assert_outcome(&server, &input, outcome, usize::MAX);
            neighbour.assert_served();
            played += 1;
        }
    }
    assert_eq!(played, 2);
    assert_unharmed(server, neighbour);
}

/// The engine and its neighbour are as they were.
fn assert_unharmed(server: Server, neighbour: Neighbour) {
    assert!(threads_named("tofu-reactor").unwrap() >= 2);
    let channels = server.engine.channel_count();
    assert_eq!(channels, 2, "the listener and the neighbour");
    assert!(server.path.as_ref().is_none_or(exists));
    neighbour.stop.store(true, Ordering::Relaxed);
    neighbour.thread.join().unwrap();
    assert!(server.engine.shutdown(LIMIT).complete);
    server.thread.join().unwrap();
}

/// Plays the input; what must come of it comes, soon, and nothing else. Where it came late, it may
/// have been the machine that stood still: it is played once more.
#[track_caller]
fn assert_outcome(server: &Server, input: &Hostile, outcome: Outcome, chunk: usize) {
    let first = play(server, input, outcome, chunk);
    if first > SOON {
        let second = play(server, input, outcome, chunk);
        assert!(second < SOON, "{first:?}, and {second:?} the second time");
    }
}

/// Plays the input, asserts what comes of it, and returns how long that took.
#[track_caller]
fn play(server: &Server, input: &Hostile, outcome: Outcome, chunk: usize) -> Duration {
    let raw = RawPeer::connect(&server.endpoint).unwrap();
    if input.says_hello_first {
        raw.hello(&server.endpoint).unwrap();
    }
    // The engine may close before the last piece is out.
    let _may_have_ended = raw.send_slowly(&input.bytes, chunk.min(input.bytes.len()));
    let start = Instant::now();
    let mut raw = match input.then.as_deref() {
        None => Some(raw),
        Some("rst") => {
            raw.reset().unwrap();
            None
        }
        Some(_) if outcome == Unheard => {
            // So that the other end's answer, the end, can be seen. It may have come already.
            let _may_have_ended = raw.shutdown_write();
            Some(raw)
        }
        Some(_) => {
            drop(raw);
            None
        }
    };
    if outcome == Unheard {
        if let Some(raw) = &mut raw {
            assert_silent_end(raw);
        }
    } else {
        let hello = server.others.recv_timeout(LIMIT).expect("its HelloRequest");
        assert_eq!(hello.op_code(), OpCode::HelloRequest);
        let line = (hello.channel_number(), hello.message_id());
        assert_heard(server, input, outcome, line, raw);
    }
    let took = start.elapsed();
    server.expect_nothing();
    took
}

/// The channel was opened: its frames, then its end.
#[track_caller]
fn assert_heard(
    server: &Server,
    input: &Hostile,
    outcome: Outcome,
    (channel, id): (ChannelNumber, MessageId),
    raw: Option<RawPeer>,
) {
    let (count, cause) = match outcome {
        Open(count) => (count, GONE),
        Closed(count, cause) => (count, cause),
        Unheard => unreachable!("it has been heard"),
    };
    for message in leading_frames(&input.bytes, count) {
        server.expect(&from_peer(message.on(channel)));
    }
    match (outcome, raw) {
        (Open(_), raw) => {
            server.expect_nothing();
            drop(raw);
        }
        (_, Some(mut raw)) => assert_silent_end(&mut raw),
        (_, None) => {}
    }
    server.expect(&closed(channel, id, cause, false));
}

/// The connection is closed without a byte.
#[track_caller]
fn assert_silent_end(raw: &mut RawPeer) {
    let (replies, end) = raw.receive_all(LIMIT);
    assert!(replies.is_empty(), "{replies:?}");
    assert!(matches!(end, End::Eof | End::Reset), "{end:?}");
}
