//! Connections that were accepted and have not said Hello: how long, how many, how much of them.

use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{Build, SHORT, Side, Transport, assert_waited, frame, hello_to, requests};
use crate::peers::{Line, expect_turned_away};
use crate::run::on_both;

on_both! {
    handshake_timeout_of_one_who_is_silent,
    handshake_timeout_of_one_who_sends_byte_by_byte,
    handshake_timeout_is_over_with_the_hello,
    handshake_timeout_stands_still_while_the_inbox_is_full,
    handshake_timeout_stands_still_while_the_pool_is_empty,
    pending_handshakes_evict_the_oldest,
    pending_handshakes_do_not_count_who_has_said_hello,
    handshake_bytes_stop_the_newest,
    handshake_bytes_are_free_again_by_the_timeout,
    handshake_bytes_let_a_short_hello_pass,
    turn_accepts_a_crowd_one_by_one,
}

fn handshake_timeout_of_one_who_is_silent(transport: Transport) {
    let mut side = Side::start(Options::default().handshake_timeout(SHORT));
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    let start = Instant::now();
    let mut silent = RawPeer::connect(&listening.endpoint).unwrap();
    expect_turned_away(&mut silent);
    assert_waited(start, SHORT);
    line.echo(&mut side);
    // The application never knew it.
    side.expect_nothing();
    let stats = side.stats();
    assert_eq!((stats.handshakes_failed, stats.timeouts), (1, 1));
    assert_eq!(
        (stats.handshakes_evicted, stats.connections_accepted),
        (0, 2)
    );
    assert_eq!(side.engine.channel_count(), 2, "the listener and the line");
}

/// Armed when it was accepted, not by its first byte, and not put off by any byte.
fn handshake_timeout_of_one_who_sends_byte_by_byte(transport: Transport) {
    const TIMEOUT: Duration = Duration::from_millis(800);
    const FIRST_BYTE: Duration = Duration::from_millis(700);
    let mut side = Side::start(Options::default().handshake_timeout(TIMEOUT));
    let listening = side.listen(transport);
    let start = Instant::now();
    let mut slow = RawPeer::connect(&listening.endpoint).unwrap();
    let mut hello = frame(&hello_to(&listening.endpoint).with_body(&[0; 60_000]));
    let mut pause = FIRST_BYTE;
    while let Err(error) = slow.receive_bytes(1, pause) {
        if error.kind() != std::io::ErrorKind::TimedOut || slow.send(&[hello.remove(0)]).is_err() {
            break;
        }
        pause = Duration::from_millis(5);
    }
    assert_waited(start, TIMEOUT);
    assert!(
        start.elapsed() < FIRST_BYTE + TIMEOUT,
        "armed by the first byte"
    );
    side.expect_nothing();
    assert_eq!(side.stats().handshakes_failed, 1);
    assert_eq!(side.stats().timeouts, 1);
}

fn handshake_timeout_is_over_with_the_hello(transport: Transport) {
    let mut side = Side::start(Options::default().handshake_timeout(SHORT));
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    // Another one lives through the same time and dies of it.
    expect_turned_away(&mut RawPeer::connect(&listening.endpoint).unwrap());
    line.echo(&mut side);
    assert_eq!(side.stats().timeouts, 1);
}

/// One whose HelloRequest is there, and we are the ones who do not read it.
fn stands_still(transport: Transport, options: Options) {
    let mut side = Side::start(options.handshake_timeout(SHORT));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    line.raw.send(&requests(1..=9, 10)).unwrap();
    side.turn();
    let patient = RawPeer::connect(&listening.endpoint).unwrap();
    patient.hello(&listening.endpoint).unwrap();
    side.pass(SHORT * 2);
    let mut hello = false;
    let mut ids = Vec::new();
    while ids.len() < 9 || !hello {
        let msg = side.next();
        match msg.op_code() {
            OpCode::HelloRequest => hello = true,
            OpCode::Request => ids.push(msg.message_id().value()),
            _ => assert_eq!(msg.status(), Status::POOL_EMPTY, "{msg:?}"),
        }
    }
    assert_eq!(ids, (1..=9).collect::<Vec<_>>());
    assert_eq!(side.stats().handshakes_failed, 0);
}

fn handshake_timeout_stands_still_while_the_inbox_is_full(transport: Transport) {
    stands_still(transport, Options::default().inbox_messages(2));
}

fn handshake_timeout_stands_still_while_the_pool_is_empty(transport: Transport) {
    let options = Options::default().pool_initial(1).pool_maximum(4);
    stands_still(transport, options);
}

fn pending_handshakes_evict_the_oldest(transport: Transport) {
    let mut side = Side::start(Options::default().pending_handshakes(2));
    let listening = side.listen(transport);
    let connect = || RawPeer::connect(&listening.endpoint).unwrap();
    let mut oldest = connect();
    let (second, third) = (connect(), connect());
    expect_turned_away(&mut oldest);
    let mut lines = [second, third].map(|raw| Line::greeted(&mut side, &listening.endpoint, raw));
    for line in &mut lines {
        line.echo(&mut side);
    }
    side.expect_nothing();
    let stats = side.stats();
    assert_eq!((stats.handshakes_evicted, stats.handshakes_failed), (1, 1));
    assert_eq!(
        (stats.connections_accepted, stats.connections_refused),
        (3, 0)
    );
    assert_eq!(stats.timeouts, 0);
}

fn pending_handshakes_do_not_count_who_has_said_hello(transport: Transport) {
    let mut side = Side::start(Options::default().pending_handshakes(1));
    let listening = side.listen(transport);
    let mut lines: Vec<_> = (0..5)
        .map(|_| Line::accepted(&mut side, &listening))
        .collect();
    let waiting = RawPeer::connect(&listening.endpoint).unwrap();
    side.turn();
    for line in &mut lines {
        line.echo(&mut side);
    }
    Line::greeted(&mut side, &listening.endpoint, waiting).echo(&mut side);
    assert_eq!(side.stats().handshakes_evicted, 0);
}

/// A HelloRequest of 12 KB, in two parts.
fn two_parts(endpoint: &Endpoint) -> (Vec<u8>, Vec<u8>) {
    let mut first = frame(&hello_to(endpoint).id(1).with_body(&[0; 12_000]));
    let second = first.split_off(6_000);
    (first, second)
}

/// The oldest may finish, or they would all wait for each other. Others go on, too.
fn handshake_bytes_stop_the_newest(transport: Transport) {
    let mut side = Side::start(Options::default().handshake_bytes(10_000));
    let listening = side.listen(transport);
    let mut open = Line::accepted(&mut side, &listening);
    let (first, second) = two_parts(&listening.endpoint);
    let connect = || {
        let raw = RawPeer::connect(&listening.endpoint).unwrap();
        raw.send(&first).unwrap();
        side.turn();
        raw
    };
    let (oldest, newest) = (connect(), connect());
    newest.send(&second).unwrap();
    side.turn();
    assert!(side.stats().pauses_budget >= 1);
    side.expect_nothing();
    open.echo(&mut side);
    oldest.send(&second).unwrap();
    let mut oldest = Line::welcomed(&mut side, oldest);
    let mut newest = Line::welcomed(&mut side, newest);
    oldest.echo(&mut side);
    newest.echo(&mut side);
    assert_eq!(side.stats().handshakes_failed, 0);
}

/// Those who hold what there is and say no more end in time; one who came late goes on then.
fn handshake_bytes_are_free_again_by_the_timeout(transport: Transport) {
    let timeout = Duration::from_millis(500);
    let options = Options::default().handshake_timeout(timeout);
    let mut side = Side::start(options.handshake_bytes(5_000));
    let listening = side.listen(transport);
    let (first, second) = two_parts(&listening.endpoint);
    let mut greedy = RawPeer::connect(&listening.endpoint).unwrap();
    greedy.send(&first).unwrap();
    side.turn();
    assert!(greedy.receive_bytes(1, timeout / 2).is_err());
    let late = RawPeer::connect(&listening.endpoint).unwrap();
    late.send(&first).unwrap();
    late.send(&second).unwrap();
    side.turn();
    assert!(side.stats().pauses_budget >= 1, "the late one is not read");
    side.expect_nothing();
    expect_turned_away(&mut greedy);
    Line::welcomed(&mut side, late).echo(&mut side);
    assert_eq!(side.stats().handshakes_failed, 1);
}

/// Whoever says Hello in a few words needs none of what others hold.
fn handshake_bytes_let_a_short_hello_pass(transport: Transport) {
    let mut side = Side::start(Options::default().handshake_bytes(5_000));
    let listening = side.listen(transport);
    let (first, _) = two_parts(&listening.endpoint);
    let greedy = RawPeer::connect(&listening.endpoint).unwrap();
    greedy.send(&first).unwrap();
    side.turn();
    let mut lines: Vec<_> = (0..20)
        .map(|_| Line::accepted(&mut side, &listening))
        .collect();
    for line in &mut lines {
        line.echo(&mut side);
    }
    drop(greedy);
    side.expect_nothing();
}

/// All get in; a turn takes one, so that those who are in have their turns between.
fn turn_accepts_a_crowd_one_by_one(transport: Transport) {
    const CROWD: u64 = 60;
    let mut side = Side::start(Options::default().turn_accepts(1));
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    let before = side.stats();
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| RawPeer::connect(&listening.endpoint).unwrap())
        .collect();
    line.echo(&mut side);
    for raw in &crowd {
        raw.hello(&listening.endpoint).unwrap();
    }
    for _ in &crowd {
        let hello = side.next();
        assert_eq!(hello.op_code(), OpCode::HelloRequest, "{hello:?}");
    }
    let stats = side.stats();
    assert!(stats.turns - before.turns >= CROWD, "{before:?} {stats:?}");
    assert_eq!(
        stats.connections_accepted,
        before.connections_accepted + CROWD
    );
    assert_eq!(stats.channels.open, crowd.len() + 1);
}
