//! However a channel ends on our side: what the engine has counted as sent, the peer receives to the
//! last byte, also when it was about to say something, or has said more than anybody will read; and
//! what has come from the peer is received, also when there was no room for it yet.

use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::End;

use crate::face::Face;
use crate::harness::{Build, LIMIT, Seen, Side, Transport, from_peer, on_both, returned};
use crate::raw::{Line, RawPlace, as_on_the_wire, fill_the_kernel, frame};

on_both! {
    after_a_violation,
    after_a_bye_timeout,
    after_a_frame_timeout,
    after_the_groups_end,
    after_the_engines_shutdown,
    after_the_engines_drop,
    after_a_bye_response,
    what_had_no_room_behind_a_bye_signal,
    what_had_no_room_behind_a_violation,
    what_had_no_room_behind_a_shutdown,
    what_had_no_room_behind_a_reset,
}

/// A channel whose peer has not begun to read, and what has been posted to it: more than the kernel
/// took.
struct Stuffed {
    side: Side,
    line: Line,
    posted: Vec<Message>,
}

impl Stuffed {
    fn new(transport: Transport, options: Options) -> Stuffed {
        let mut side = Side::start(options.send_queue_messages(4));
        let place = RawPlace::new(transport);
        let line = Line::dialed(&side, &place);
        let posted = fill_the_kernel(&mut side, line.channel);
        Stuffed { side, line, posted }
    }

    /// How many the engine counts as sent, of those that were posted.
    #[track_caller]
    fn sent(&mut self) -> usize {
        loop {
            let msg = self.side.next();
            if let Some(info) = msg.close_info() {
                return usize::try_from(info.messages_sent).unwrap() - 1;
            }
        }
    }
}

/// The peer reads, and has them all.
#[track_caller]
fn assert_received(line: &mut Line, sent: &[Message]) {
    for posted in sent {
        let received = line.raw.receive_frame(LIMIT);
        assert_eq!(received.unwrap().unwrap(), as_on_the_wire(posted.clone()));
    }
    let (more, end) = line.raw.receive_all(LIMIT);
    assert!(more.is_empty(), "{more:?}");
    // The next frame may have begun.
    assert!(matches!(end, End::Eof | End::CutFrame), "{end:?}");
}

/// With more behind it than was read.
fn after_a_violation(transport: Transport) {
    let mut stuffed = Stuffed::new(transport, Options::default());
    let mut bytes = frame(&Message::new(OpCode::HelloRequest));
    bytes.extend([0; 100_000]);
    stuffed.line.raw.send(&bytes).unwrap();
    let sent = stuffed.sent();
    assert_received(&mut stuffed.line, &stuffed.posted[..sent]);
}

fn after_a_bye_timeout(transport: Transport) {
    let timeout = Duration::from_millis(200);
    let mut side = Side::start(Options::default().bye_timeout(timeout));
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(&side, &place);
    let mut posted: Vec<_> = (0..3)
        .map(|_| Message::new(OpCode::Signal).with_body(&[5; 30_000]))
        .collect();
    posted.push(Message::new(OpCode::ByeRequest));
    let posted: Vec<_> = posted
        .into_iter()
        .map(|message| side.post(message.on(line.channel)))
        .collect();
    side.expect(&[line.closed(Status::BYE_TIMEOUT, false)]);
    // What comes too late is nobody's, and costs the peer nothing.
    line.raw
        .send(&frame(&Message::new(OpCode::Request).id(9)))
        .unwrap();
    assert_received(&mut line, &posted);
}

fn after_a_frame_timeout(transport: Transport) {
    let options = Options::default().frame_timeout(Duration::from_millis(200));
    let mut stuffed = Stuffed::new(transport, options);
    let cut = frame(&Message::new(OpCode::Request).with_body(&[0; 1000]));
    stuffed.line.raw.send(&cut[..500]).unwrap();
    let sent = stuffed.sent();
    // It goes on as if nothing had happened.
    stuffed.line.raw.send(&cut[500..]).unwrap();
    assert_received(&mut stuffed.line, &stuffed.posted[..sent]);
}

fn after_the_groups_end(transport: Transport) {
    let Stuffed {
        side,
        mut line,
        posted,
    } = Stuffed::new(transport, Options::default());
    line.raw
        .send(&frame(&Message::new(OpCode::Request).id(9)))
        .unwrap();
    let report = side.group.destroy(Duration::ZERO);
    // What comes while the socket takes its leave is nobody's.
    line.raw
        .send(&frame(&Message::new(OpCode::Request).id(10)))
        .unwrap();
    let sent = posted.len() - report.unsent.len();
    assert_received(&mut line, &posted[..sent]);
}

/// Nothing lies unread at our end: the kernel sees to the rest.
fn after_the_engines_shutdown(transport: Transport) {
    let mut stuffed = Stuffed::new(transport, Options::default());
    stuffed.side.engine.shutdown(Duration::ZERO);
    let sent = stuffed.sent();
    assert_received(&mut stuffed.line, &stuffed.posted[..sent]);
}

fn after_the_engines_drop(transport: Transport) {
    let Stuffed {
        side,
        mut line,
        posted,
    } = Stuffed::new(transport, Options::default());
    let Side { engine, mut group } = side;
    drop(engine);
    let mut unsent = 0;
    while let Ok(Some(msg)) = group.receive_within(LIMIT) {
        unsent += usize::from(msg.close_info().is_none());
    }
    assert_received(&mut line, &posted[..posted.len() - unsent]);
}

/// All of it, and the ByeResponse behind: the engine waits for the peer to read and to end.
fn after_a_bye_response(transport: Transport) {
    let options = Options::default().send_queue_messages(4);
    let mut side = Side::start(options);
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(&side, &place);
    line.peer_says(&mut side, Message::new(OpCode::ByeRequest).id(5));
    let mut posted = fill_the_kernel(&mut side, line.channel);
    let mut message = side.pooled(Message::new(OpCode::ByeResponse).id(5));
    message.set_channel_number(line.channel);
    posted.push((*message).clone());
    // There is no room for it until the peer reads.
    let poster = side.group.poster();
    let late = std::thread::spawn(move || poster.post_timeout(message, LIMIT).map(|_| ()));
    for posted in &posted {
        let received = line.raw.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(received, as_on_the_wire(posted.clone()));
    }
    late.join().unwrap().unwrap();
    line.expect_end();
    drop(line.raw);
    let mut msg = side.next();
    if msg.status() == Status::SEND_QUEUE_READY {
        msg = side.next();
    }
    let info = msg.close_info().unwrap();
    assert_eq!(
        (info.cause.status(), info.confirmed),
        (Status::SUCCESS, false)
    );
}

/// A channel whose peer has sent ids 2 to 21 in one go, and `behind` it, of which the inbox takes one.
fn without_room(transport: Transport, behind: &[u8]) -> (Side, Line, Vec<Seen>) {
    let side = Side::start(Options::default().inbox_messages(1));
    let line = Line::dialed(&side, &RawPlace::new(transport));
    let requests: Vec<_> = (2..=21)
        .map(|id| Message::new(OpCode::Request).id(id).with_body(b"in time"))
        .collect();
    let mut bytes: Vec<u8> = requests.iter().flat_map(frame).collect();
    bytes.extend_from_slice(behind);
    line.raw.send(&bytes).unwrap();
    side.turn();
    let requests = requests.into_iter();
    let expected = requests.map(|request| from_peer(request.on(line.channel)));
    let expected = expected.collect();
    (side, line, expected)
}

fn what_had_no_room_behind_a_bye_signal(transport: Transport) {
    let (mut side, line, mut expected) = without_room(transport, b"");
    let signal = side.post(Message::new(OpCode::ByeSignal).on(line.channel));
    expected.push(returned(signal, Status::CHANNEL_CLOSED));
    expected.push(line.closed(Status::CHANNEL_CLOSED, false));
    side.expect_last(&expected);
}

fn what_had_no_room_behind_a_violation(transport: Transport) {
    let behind = frame(&Message::new(OpCode::HelloRequest).id(22));
    let (mut side, line, mut expected) = without_room(transport, &behind);
    expected.push(line.closed(Status::PROTOCOL_VIOLATION, false));
    side.expect_last(&expected);
}

fn what_had_no_room_behind_a_shutdown(transport: Transport) {
    let (mut side, line, mut expected) = without_room(transport, b"");
    side.engine.shutdown(Duration::ZERO);
    expected.push(line.closed(Status::SHUTDOWN_STARTED, false));
    side.expect(&expected);
    assert!(side.group.receive_within(LIMIT).is_err());
}

fn what_had_no_room_behind_a_reset(transport: Transport) {
    let (mut side, line, mut expected) = without_room(transport, b"");
    expected.push(line.closed(Status::PEER_DISCONNECTED, false));
    line.raw.reset().unwrap();
    side.turn();
    side.expect_last(&expected);
}
