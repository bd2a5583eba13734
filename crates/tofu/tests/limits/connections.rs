//! How many connections may be open, by listener, address and user, and how many channels.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};
use tofu::prelude::*;
use tofu_testkit::{RawPeer, TempUdsPath};

use crate::harness::{Build, Listening, SHORT, Side, Transport, hello_to, request};
use crate::peers::{Line, Place, expect_turned_away};
use crate::run::on_both;

on_both! {
    connections_per_listener_one_more_is_turned_away,
    channels_exhausted_by_a_post,
    channels_exhausted_by_a_connection,
    channels_exhausted_by_many_at_once,
}

/// One who connects so is turned away, which is counted and of which the listener tells.
#[track_caller]
fn refused(side: &mut Side, listening: &Listening, connect: impl Fn() -> RawPeer) {
    let before = side.stats();
    expect_turned_away(&mut connect());
    let msg = side.expect_notice(listening.channel, &Notice::AcceptFailed);
    let cause = msg.cause().unwrap();
    assert_eq!(cause.status(), Status::CONNECTION_LIMIT, "{cause}");
    let stats = side.stats();
    assert_eq!(stats.connections_refused, before.connections_refused + 1);
    assert_eq!(stats.handshakes_failed, before.handshakes_failed);
}

fn connections_per_listener_one_more_is_turned_away(transport: Transport) {
    let mut side = Side::start(Options::default().connections_per_listener(2));
    let (listening, elsewhere) = (side.listen(transport), side.listen(transport));
    let connect = || RawPeer::connect(&listening.endpoint).unwrap();
    let mut open = Line::accepted(&mut side, &listening);
    let pending = connect();
    refused(&mut side, &listening, connect);
    // The next is told of no sooner than a second later.
    expect_turned_away(&mut connect());
    side.expect_nothing();
    assert_eq!(side.stats().connections_refused, 2);
    let mut other = Line::accepted(&mut side, &elsewhere);
    other.echo(&mut side);
    open.echo(&mut side);
    let mut pending = Line::greeted(&mut side, &listening.endpoint, pending);
    side.post(Message::new(OpCode::ByeSignal).on(open.channel));
    side.expect_engine(open.channel);
    side.expect_closed(open.channel, Status::CHANNEL_CLOSED);
    let mut successor = Line::accepted(&mut side, &listening);
    successor.echo(&mut side);
    pending.echo(&mut side);
}

/// A peer that was accepted and never said Hello leaves its place as well.
#[test]
fn connections_per_listener_are_free_again_without_a_hello() {
    let options = Options::default().connections_per_listener(1);
    let mut side = Side::start(options.handshake_timeout(SHORT));
    let listening = side.listen(Transport::Tcp);
    expect_turned_away(&mut RawPeer::connect(&listening.endpoint).unwrap());
    Line::accepted(&mut side, &listening).echo(&mut side);
    assert_eq!(side.stats().connections_refused, 0);
}

#[test]
fn connections_per_listener_are_told_of_once_a_second() {
    let mut side = Side::start(Options::default().connections_per_listener(1));
    let listening = side.listen(Transport::Uds);
    let mut line = Line::accepted(&mut side, &listening);
    let start = Instant::now();
    let mut told = Vec::new();
    while told.len() < 2 {
        expect_turned_away(&mut RawPeer::connect(&listening.endpoint).unwrap());
        side.turn();
        while let Some(msg) = side.group.wait_receive(Duration::ZERO).unwrap() {
            let cause = msg.cause().unwrap();
            assert_eq!(cause.status(), Status::CONNECTION_LIMIT, "{cause}");
            told.push(start.elapsed());
        }
    }
    // The first was read off a little late, by a clock of ours.
    let apart = told[1] - told[0];
    assert!(apart >= Duration::from_millis(900), "{told:?}");
    assert!(side.stats().connections_refused > 2);
    line.echo(&mut side);
}

/// The notice says `accept_failed`; the limit is the cause.
#[test]
fn connections_per_listener_notice_has_the_status_accept_failed() {
    let mut side = Side::start(Options::default().connections_per_listener(1));
    let listening = side.listen(Transport::Tcp);
    let _line = Line::accepted(&mut side, &listening);
    expect_turned_away(&mut RawPeer::connect(&listening.endpoint).unwrap());
    let msg = side.expect_notice(listening.channel, &Notice::AcceptFailed);
    assert_eq!(msg.status(), Status::ACCEPT_FAILED, "{msg:?}");
}

/// Connects from an address of its own.
fn connect_from(ip: [u8; 4], endpoint: &Endpoint) -> RawPeer {
    let Endpoint::Tcp { host, port } = endpoint else {
        panic!("{endpoint} is no port")
    };
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    let from = SocketAddr::from((Ipv4Addr::from(ip), 0));
    socket.bind(&from.into()).unwrap();
    let to = SocketAddr::new(host.parse().unwrap(), *port);
    socket.connect(&to.into()).unwrap();
    RawPeer::try_from(socket).unwrap()
}

#[test]
fn connections_per_ip_over_all_listeners() {
    const US: [u8; 4] = [127, 0, 0, 1];
    const OTHERS: [u8; 4] = [127, 0, 0, 2];
    let mut side = Side::start(Options::default().connections_per_ip(1));
    let (first, second) = (side.listen(Transport::Tcp), side.listen(Transport::Tcp));
    let local = side.listen(Transport::Uds);
    let greet = |side: &mut Side, ip, listening: &Listening| {
        let raw = connect_from(ip, &listening.endpoint);
        Line::greeted(side, &listening.endpoint, raw)
    };
    let line = greet(&mut side, US, &first);
    refused(&mut side, &second, || connect_from(US, &second.endpoint));
    let mut lines = vec![greet(&mut side, OTHERS, &second)];
    for _ in 0..3 {
        lines.push(Line::accepted(&mut side, &local));
    }
    line.peer_says(&mut side, &request(2, 2));
    drop(line.raw);
    side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    lines.push(greet(&mut side, US, &second));
    for line in &mut lines {
        line.echo(&mut side);
    }
    assert_eq!(side.stats().connections_refused, 1);
}

#[test]
fn connections_per_uid_over_all_listeners() {
    let mut side = Side::start(Options::default().connections_per_uid(1));
    let (first, second) = (side.listen(Transport::Uds), side.listen(Transport::Uds));
    let remote = side.listen(Transport::Tcp);
    let line = Line::accepted(&mut side, &first);
    let connect = || RawPeer::connect(&second.endpoint).unwrap();
    refused(&mut side, &second, connect);
    let mut lines: Vec<_> = (0..3).map(|_| Line::accepted(&mut side, &remote)).collect();
    line.peer_says(&mut side, &request(2, 2));
    drop(line.raw);
    side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    lines.push(Line::accepted(&mut side, &second));
    for line in &mut lines {
        line.echo(&mut side);
    }
    assert_eq!(side.stats().connections_refused, 1);
}

#[test]
fn uds_allowed_uids_lets_in_who_is_listed() {
    let user = rustix::process::getuid().as_raw();
    let options = Options::default().uds_allowed_uids(Some(vec![user, user + 1]));
    let mut side = Side::start(options);
    let listening = side.listen(Transport::Uds);
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    let hello = side.next();
    let credentials = hello.peer().unwrap().credentials.unwrap();
    assert_eq!(credentials.uid, user);
    assert_eq!(credentials.pid.unwrap().unsigned_abs(), std::process::id());
}

#[test]
fn uds_allowed_uids_turns_others_away() {
    let user = rustix::process::getuid().as_raw();
    for allowed in [vec![], vec![user + 1]] {
        let mut side = Side::start(Options::default().uds_allowed_uids(Some(allowed)));
        let (local, remote) = (side.listen(Transport::Uds), side.listen(Transport::Tcp));
        let connect = || RawPeer::connect(&local.endpoint).unwrap();
        refused(&mut side, &local, connect);
        // An address of the network has no user.
        Line::accepted(&mut side, &remote).echo(&mut side);
    }
}

/// Fills an engine of three channels: a listener and two connections.
fn three_channels(transport: Transport) -> (Side, Listening, Vec<Line>) {
    let mut side = Side::start(Options::default().channels(3));
    let listening = side.listen(transport);
    let lines = vec![
        Line::accepted(&mut side, &listening),
        Line::accepted(&mut side, &listening),
    ];
    (side, listening, lines)
}

fn channels_exhausted_by_a_post(transport: Transport) {
    let (mut side, listening, mut lines) = three_channels(transport);
    let place = Place::new(transport);
    let hello = hello_to(place.endpoint());
    let mut welcome = Message::default();
    let path = TempUdsPath::new().unwrap();
    Address::uds_server(&path).format(&mut welcome).unwrap();
    for message in [hello, welcome] {
        assert_eq!(side.refused(&message), PostErrorKind::ChannelsExhausted);
    }
    assert_eq!(side.stats().posts_refused, 2);
    assert_eq!(side.stats().posts_refused_queue_full, 0);
    for line in &mut lines {
        line.echo(&mut side);
    }
    let line = lines.pop().unwrap();
    drop(line.raw);
    side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    let dialed = Line::dialed(&side, &place);
    assert_ne!(dialed.channel, line.channel, "a freed number rests");
    assert_eq!(side.engine.channel_count(), 3);
    drop(listening);
}

/// It is closed when it says Hello, and the application does not learn of it.
fn channels_exhausted_by_a_connection(transport: Transport) {
    let (mut side, listening, mut lines) = three_channels(transport);
    let mut raw = RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    expect_turned_away(&mut raw);
    side.expect_nothing();
    assert_eq!(side.stats().handshakes_failed, 1);
    for line in &mut lines {
        line.echo(&mut side);
    }
    let line = lines.pop().unwrap();
    drop(line.raw);
    side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    lines.push(Line::accepted(&mut side, &listening));
    for line in &mut lines {
        line.echo(&mut side);
    }
}

/// As many get in as there are, whoever posts; and again when those have left.
fn channels_exhausted_by_many_at_once(transport: Transport) {
    const CHANNELS: usize = 40;
    let mut side = Side::start(Options::default().channels(CHANNELS));
    let place = Place::new(transport);
    let _filler = place.fill_backlog();
    for _ in 0..3 {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                let poster = side.group.poster();
                let hellos: Vec<_> = (0..CHANNELS)
                    .map(|_| side.pooled(hello_to(place.endpoint())))
                    .collect();
                std::thread::spawn(move || {
                    let posted = hellos.into_iter().map(|hello| poster.post(hello));
                    posted.collect::<Vec<_>>()
                })
            })
            .collect();
        let mut channels = Vec::new();
        for posted in threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
        {
            match posted {
                Ok(header) => channels.push(header.channel_number),
                Err(error) => assert_eq!(error.kind(), PostErrorKind::ChannelsExhausted),
            }
        }
        assert_eq!(channels.len(), CHANNELS);
        for &channel in &channels {
            side.post(Message::new(OpCode::ByeSignal).on(channel));
        }
        while !channels.is_empty() {
            let msg = side.next();
            if msg.close_info().is_some() {
                channels.retain(|&channel| channel != msg.channel_number());
            }
        }
        assert_eq!(side.engine.channel_count(), 0);
    }
}

/// A number that was freed is given out again only behind 1024 others.
#[test]
fn channels_numbers_rest_behind_1024_others() {
    let mut side = Side::start(Options::default().channels(1));
    let nowhere = TempUdsPath::new().unwrap();
    let endpoint = Address::uds_client(&nowhere).into_endpoint();
    let mut last_use = std::collections::HashMap::new();
    for count in 0..2_100_u32 {
        let hello = side.hello(&endpoint);
        let channel = hello.channel_number();
        side.expect_back(&hello, Status::UDS_PATH_NOT_FOUND);
        side.expect_closed(channel, Status::UDS_PATH_NOT_FOUND);
        if let Some(before) = last_use.insert(channel, count) {
            assert!(count - before > 1024, "{channel} after {}", count - before);
        }
    }
    assert_eq!(last_use.len(), 1025, "and not for ever");
}
