//! The last moments of a connection: how long and for how much the engine waits for the peer's end,
//! so that the peer has all that was sent, whatever it has sent itself that nobody reads.

use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::{End, RawPeer, wait_until};

use crate::harness::{
    Build, LIMIT, SHORT, Side, Transport, assert_waited, frame, request, requests,
};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    linger_timeout_of_a_peer_that_stays,
    linger_timeout_of_a_peer_that_stays_after_its_bye,
    linger_drain_of_a_peer_that_goes_on_sending,
    linger_drain_of_a_peer_that_goes_on_sending_after_its_bye,
    linger_loses_nothing_when_the_group_ends_with_input_unread,
    linger_loses_nothing_when_the_bye_is_answered_with_input_unread,
    linger_loses_nothing_when_the_peer_breaks_the_protocol,
}

/// Sends until the socket at the other end is closed, a piece at a time; how much went through.
fn send_until_closed(raw: &RawPeer, piece: &[u8], pause: Duration) -> usize {
    let start = Instant::now();
    let mut sent = 0;
    while start.elapsed() < LIMIT {
        if raw.send(piece).is_err() {
            return sent;
        }
        sent += piece.len();
        if !pause.is_zero() {
            std::thread::sleep(pause);
        }
    }
    panic!("still open after {LIMIT:?}, {sent} bytes later");
}

/// A line whose peer has broken the protocol, which ends the engine's direction in order.
fn violated(transport: Transport, options: Options) -> (Side, Line) {
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    line.raw.send(&[0xff; 16]).unwrap();
    side.expect_closed(line.channel, Status::PROTOCOL_VIOLATION);
    line.expect_end();
    assert_eq!(side.stats().protocol_violations, 1);
    (side, line)
}

/// A line whose peer's ByeRequest was answered.
fn answered(transport: Transport, options: Options) -> (Side, Line) {
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    line.peer_says(&mut side, &Message::new(OpCode::ByeRequest).id(5));
    line.says(&side, Message::new(OpCode::ByeResponse).id(5));
    line.expect_end();
    (side, line)
}

fn linger_timeout_of_a_peer_that_stays(transport: Transport) {
    let start = Instant::now();
    let (mut side, line) = violated(transport, Options::default().linger_timeout(SHORT));
    // What it still says is read away, until then.
    send_until_closed(&line.raw, b"more", SHORT / 20);
    assert_waited(start, SHORT);
    assert!(start.elapsed() < SHORT * 5, "that is another timeout");
    // The channel's last word has been said before.
    side.expect_nothing();
}

fn linger_timeout_of_a_peer_that_stays_after_its_bye(transport: Transport) {
    let start = Instant::now();
    let (mut side, line) = answered(transport, Options::default().linger_timeout(SHORT));
    side.expect_closed(line.channel, Status::LINGER_TIMEOUT);
    assert_waited(start, SHORT);
    assert!(start.elapsed() < SHORT * 5, "that is another timeout");
    send_until_closed(&line.raw, b"more", Duration::ZERO);
    side.expect_nothing();
}

fn drain() -> Options {
    Options::default()
        .linger_timeout(LIMIT * 10)
        .linger_drain(100_000)
}

fn linger_drain_of_a_peer_that_goes_on_sending(transport: Transport) {
    let (mut side, line) = violated(transport, drain());
    let sent = send_until_closed(&line.raw, &[0; 10_000], Duration::from_millis(1));
    // Some more lies in the kernel by then.
    assert!((100_000..500_000).contains(&sent), "{sent}");
    side.expect_nothing();
}

fn linger_drain_of_a_peer_that_goes_on_sending_after_its_bye(transport: Transport) {
    let (mut side, line) = answered(transport, drain());
    let sent = send_until_closed(&line.raw, &[0; 10_000], Duration::from_millis(1));
    // Some more lies in the kernel by then.
    assert!((100_000..500_000).contains(&sent), "{sent}");
    let (notice, _) = side.expect_engine(line.channel);
    assert!(matches!(notice, Notice::ChannelClosed(_)), "{notice:?}");
    side.expect_nothing();
}

/// The peer has everything up to this id, and the end of the stream: no reset took any of it.
#[track_caller]
fn expect_everything(line: &mut Line, last: u64) {
    let (frames, end) = line.raw.receive_all(LIMIT);
    let ids: Vec<_> = frames
        .iter()
        .map(|frame| frame.message_id().value())
        .collect();
    assert_eq!(ids, (1..=last).collect::<Vec<_>>());
    assert_eq!(end, End::Eof);
}

/// Some megabytes are on their way to a peer whose own messages nobody reads.
fn linger_loses_nothing_when_the_group_ends_with_input_unread(transport: Transport) {
    const LAST: u64 = 100;
    let side = Side::start(Options::default().inbox_messages(1));
    let place = Place::narrow(transport);
    let mut line = Line::dialed(&side, &place);
    line.raw.send(&requests(1..=20, 100)).unwrap();
    side.turn();
    for id in 1..=LAST {
        side.post(request(id, 30_000).on(line.channel));
    }
    let group = side.group;
    let ended = std::thread::spawn(move || group.destroy(LIMIT));
    line.raw.send(&requests(21..=40, 100)).unwrap();
    expect_everything(&mut line, LAST);
    drop(line);
    let report = ended.join().unwrap();
    assert!(report.complete, "{report:?}");
    assert!(report.unsent.is_empty());
    let unreceived = report.unreceived;
    assert!((20..=40).contains(&unreceived), "{unreceived}");
    side.engine.shutdown(Duration::ZERO);
}

/// A line with some messages in the kernel that the peer has not read; the last is a ByeRequest.
fn in_the_kernel(transport: Transport) -> (Side, Line, Place) {
    let side = Side::start(Options::default());
    let place = Place::narrow(transport);
    let line = Line::dialed(&side, &place);
    for id in 1..=3 {
        side.post(request(id, 20_000).on(line.channel));
    }
    side.post(Message::new(OpCode::ByeRequest).on(line.channel).id(4));
    wait_until(LIMIT, "the kernel to take it", || {
        side.stats().queued_messages == 0
    });
    (side, line, place)
}

fn linger_loses_nothing_when_the_bye_is_answered_with_input_unread(transport: Transport) {
    let (mut side, mut line, _place) = in_the_kernel(transport);
    let mut bytes = frame(&Message::new(OpCode::ByeResponse).id(4));
    bytes.extend(requests(1..=500, 100));
    line.raw.send(&bytes).unwrap();
    assert_eq!(side.next().op_code(), OpCode::ByeResponse);
    assert!(side.expect_closed(line.channel, Status::SUCCESS).confirmed);
    expect_everything(&mut line, 4);
    side.expect_nothing();
}

fn linger_loses_nothing_when_the_peer_breaks_the_protocol(transport: Transport) {
    let (mut side, mut line, _place) = in_the_kernel(transport);
    line.raw.send(&[0xff; 50_000]).unwrap();
    side.expect_closed(line.channel, Status::PROTOCOL_VIOLATION);
    expect_everything(&mut line, 4);
    side.expect_nothing();
}
