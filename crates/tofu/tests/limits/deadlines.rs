//! Deadlines of a conversation: the connection, the HelloResponse, the ByeResponse, silence; and how
//! many names are looked up at once.

use std::time::{Duration, Instant};

use tofu::prelude::*;

use crate::harness::{
    Build, LIMIT, SHORT, Side, Transport, assert_waited, frame, request, requests,
};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    connect_timeout_gives_everything_back,
    hello_response_timeout_of_a_silent_acceptor,
    hello_response_timeout_is_over_with_the_answer,
    bye_timeout_of_one_who_does_not_answer,
    bye_timeout_begins_afresh_with_every_byte,
    bye_timeout_begins_when_the_bye_is_out,
    bye_timeout_is_over_with_the_answer,
    hello_response_timeout_stands_still_while_the_inbox_is_full,
    bye_timeout_stands_still_while_the_inbox_is_full,
    idle_timeout_stands_still_while_the_inbox_is_full,
    idle_timeout_of_a_silent_channel,
    idle_timeout_is_put_off_by_either_direction,
}

fn bye(channel: ChannelNumber) -> Message {
    Message::new(OpCode::ByeRequest).on(channel)
}

fn connect_timeout_gives_everything_back(transport: Transport) {
    let mut side = Side::start(Options::default().connect_timeout(SHORT));
    let place = Place::new(transport);
    let _filler = place.fill_backlog();
    let elsewhere = Place::new(transport);
    let start = Instant::now();
    let hello = side.hello(place.endpoint());
    let channel = hello.channel_number();
    let queued = [
        side.post(request(7, 20).on(channel)),
        side.post(request(8, 20_000).on(channel)),
        side.post(bye(channel)),
    ];
    let mut other = Line::dialed(&side, &elsewhere);
    other.says(&side, request(1, 1));
    side.expect_back(&hello, Status::CONNECT_TIMEOUT);
    assert_waited(start, SHORT);
    for posted in &queued {
        side.expect_back(posted, Status::CONNECT_TIMEOUT);
    }
    let info = side.expect_closed(channel, Status::CONNECT_TIMEOUT);
    assert_eq!((info.messages_sent, info.peer), (0, None));
    let stats = side.stats();
    assert_eq!((stats.connects_failed, stats.timeouts), (1, 1));
    assert_eq!((stats.connections_made, stats.messages_returned), (1, 4));
    other.echo(&mut side);
    side.expect_nothing();
}

/// Data flow without the answer, for so long.
fn hello_response_timeout_of_a_silent_acceptor(transport: Transport) {
    let mut side = Side::start(Options::default().hello_response_timeout(SHORT));
    let place = Place::new(transport);
    let start = Instant::now();
    let mut line = Line::dialed(&side, &place);
    line.echo(&mut side);
    let info = side.expect_closed(line.channel, Status::HELLO_RESPONSE_TIMEOUT);
    assert_waited(start, SHORT);
    assert_eq!((info.messages_sent, info.messages_received), (2, 1));
    assert!(info.bytes_unconfirmed > 0);
    line.expect_end();
    assert_eq!(side.stats().timeouts, 1);
    side.expect_nothing();
}

fn hello_response_timeout_is_over_with_the_answer(transport: Transport) {
    let mut side = Side::start(Options::default().hello_response_timeout(SHORT));
    let place = Place::new(transport);
    let mut answered = Line::dialed(&side, &place);
    let unanswered = Line::dialed(&side, &place);
    let response = Message::new(OpCode::HelloResponse).id(1);
    answered.peer_says(&mut side, &response);
    side.expect_closed(unanswered.channel, Status::HELLO_RESPONSE_TIMEOUT);
    side.pass(SHORT);
    answered.echo(&mut side);
}

fn bye_timeout_of_one_who_does_not_answer(transport: Transport) {
    let mut side = Side::start(Options::default().bye_timeout(SHORT));
    let place = Place::new(transport);
    let mut line = Line::dialed(&side, &place);
    let start = Instant::now();
    line.says(&side, bye(line.channel).id(5));
    let info = side.expect_closed(line.channel, Status::BYE_TIMEOUT);
    assert_waited(start, SHORT);
    assert!(!info.confirmed);
    line.expect_end();
    assert_eq!(side.stats().timeouts, 1);
    side.expect_nothing();
}

/// Whole messages, and a byte now and then of one that never ends.
fn bye_timeout_begins_afresh_with_every_byte(transport: Transport) {
    let mut side = Side::start(Options::default().bye_timeout(SHORT * 3));
    let place = Place::new(transport);
    let mut line = Line::dialed(&side, &place);
    let start = Instant::now();
    line.says(&side, bye(line.channel).id(5));
    for id in 1..=2 {
        side.pass(SHORT);
        line.peer_says(&mut side, &request(id, 10));
    }
    for byte in &frame(&request(3, 1_000))[..2] {
        side.pass(SHORT);
        line.raw.send(std::slice::from_ref(byte)).unwrap();
    }
    assert!(start.elapsed() > SHORT * 3);
    side.expect_nothing();
    let last = Instant::now();
    let info = side.expect_closed(line.channel, Status::BYE_TIMEOUT);
    assert_waited(last, SHORT * 2);
    assert_eq!((info.partial_frame_bytes, info.messages_received), (2, 2));
}

/// Not while it stands behind others that the peer does not take.
fn bye_timeout_begins_when_the_bye_is_out(transport: Transport) {
    let options = Options::default().bye_timeout(SHORT);
    let mut side = Side::start(options.send_queue_bytes(usize::MAX));
    let place = Place::narrow(transport);
    let mut line = Line::dialed(&side, &place);
    for id in 1..=300 {
        side.post(request(id, 20_000).on(line.channel));
    }
    side.post(bye(line.channel).id(301));
    side.pass(SHORT * 2);
    assert!(side.stats().queued_messages > 1);
    side.expect_nothing();
    line.expect_ids(1..=301);
    let info = side.expect_closed(line.channel, Status::BYE_TIMEOUT);
    assert_eq!(info.messages_sent, 302);
    line.expect_end();
}

fn bye_timeout_is_over_with_the_answer(transport: Transport) {
    let mut side = Side::start(Options::default().bye_timeout(SHORT));
    let place = Place::new(transport);
    let mut line = Line::dialed(&side, &place);
    line.says(&side, bye(line.channel).id(5));
    let response = Message::new(OpCode::ByeResponse).id(5);
    line.peer_says(&mut side, &response);
    let info = side.expect_closed(line.channel, Status::SUCCESS);
    assert!(info.confirmed);
    line.expect_end();
    side.pass(SHORT * 2);
    side.expect_nothing();
    assert_eq!(side.stats().timeouts, 0);
}

/// The peer has sent this, in time, and we are the ones who do not read it.
fn stands_still(transport: Transport, options: Options, first: Option<OpCode>, then: OpCode) {
    let mut side = Side::start(options.inbox_messages(1));
    let listening = side.listen(transport);
    let place = Place::new(transport);
    let mut line = Line::dialed(&side, &place);
    let filler = Line::accepted(&mut side, &listening);
    if let Some(first) = first {
        line.says(&side, Message::new(first).id(7));
    }
    filler.raw.send(&requests(1..=2, 10)).unwrap();
    side.turn();
    let message = Message::new(then).id(7);
    line.raw.send_frame(&message).unwrap();
    side.pass(SHORT * 2);
    side.expect_peer(filler.channel, &request(1, 10));
    side.expect_peer(filler.channel, &request(2, 10));
    side.expect_peer(line.channel, &message);
    assert_eq!(side.stats().timeouts, 0);
}

fn hello_response_timeout_stands_still_while_the_inbox_is_full(transport: Transport) {
    let options = Options::default().hello_response_timeout(SHORT);
    stands_still(transport, options, None, OpCode::HelloResponse);
}

fn bye_timeout_stands_still_while_the_inbox_is_full(transport: Transport) {
    let (bye, answer) = (OpCode::ByeRequest, OpCode::ByeResponse);
    let options = Options::default().bye_timeout(SHORT);
    stands_still(transport, options, Some(bye), answer);
}

fn idle_timeout_stands_still_while_the_inbox_is_full(transport: Transport) {
    let options = Options::default().idle_timeout(SHORT);
    stands_still(transport, options, None, OpCode::Signal);
}

fn idle_timeout_of_a_silent_channel(transport: Transport) {
    let mut side = Side::start(Options::default().idle_timeout(SHORT));
    let listening = side.listen(transport);
    let place = Place::new(transport);
    let start = Instant::now();
    let mut accepted = Line::accepted(&mut side, &listening);
    let mut dialed = Line::dialed(&side, &place);
    for _ in 0..2 {
        let msg = side.next();
        let cause = msg.close_info().map(|info| info.cause.status());
        assert_eq!(cause, Some(Status::IDLE_TIMEOUT), "{msg:?}");
    }
    assert_waited(start, SHORT);
    accepted.expect_end();
    dialed.expect_end();
    assert_eq!(side.stats().timeouts, 2);
    // A listener is never idle.
    Line::accepted(&mut side, &listening).echo(&mut side);
}

fn idle_timeout_is_put_off_by_either_direction(transport: Transport) {
    let mut side = Side::start(Options::default().idle_timeout(SHORT * 3));
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    side.pass(SHORT);
    line.peer_says(&mut side, &request(1, 1));
    side.pass(SHORT);
    line.says(&side, request(1, 1));
    for byte in &frame(&request(5, 1_000))[..2] {
        side.pass(SHORT);
        line.raw.send(std::slice::from_ref(byte)).unwrap();
    }
    side.expect_nothing();
    let last = Instant::now();
    side.expect_closed(line.channel, Status::IDLE_TIMEOUT);
    assert_waited(last, SHORT * 2);
}

/// Of a burst some are refused, and the others connect.
#[test]
fn lookups_one_more_fails_its_connect() {
    const BURST: usize = 40;
    let mut server = Side::start(Options::default());
    let (_, endpoint) = server.listen_on(&Address::tcp_server("127.0.0.1", 0));
    let Endpoint::Tcp { port, .. } = endpoint else {
        panic!("{endpoint} is no port")
    };
    let by_name = Address::tcp_client("localhost", port).into_endpoint();
    let start = Instant::now();
    loop {
        let mut side = Side::start(Options::default().lookups(1));
        for _ in 0..BURST {
            side.hello(&by_name);
        }
        let refused = refused_of(&mut side, &mut server, BURST);
        let stats = side.stats();
        assert_eq!(stats.connects_failed, refused);
        assert_eq!(stats.connections_made, BURST as u64 - refused);
        if refused > 0 {
            return;
        }
        assert!(start.elapsed() < LIMIT, "none was refused");
    }
}

/// How many of so many connects are refused; the rest reach the server.
fn refused_of(side: &mut Side, server: &mut Side, burst: usize) -> u64 {
    let (mut refused, mut connected) = (0, 0);
    while refused + connected < burst {
        if let Some(msg) = side.group.wait_receive(Duration::from_millis(1)).unwrap() {
            assert_eq!(msg.op_code(), OpCode::HelloResponse, "{msg:?}");
            assert_eq!(msg.status(), Status::TOO_MANY_LOOKUPS, "{msg:?}");
            side.expect_closed(msg.channel_number(), Status::TOO_MANY_LOOKUPS);
            refused += 1;
        }
        while let Some(msg) = server.group.wait_receive(Duration::ZERO).unwrap() {
            connected += usize::from(msg.op_code() == OpCode::HelloRequest);
        }
    }
    side.expect_nothing();
    refused as u64
}
