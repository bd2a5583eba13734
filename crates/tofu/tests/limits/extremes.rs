//! All limits at once as far off as they go, and as near: a conversation gets through.

use std::time::Duration;

use tofu::prelude::*;

use crate::harness::{Build, Side, Transport, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    everything_is_off,
    everything_is_zero,
    every_timeout_is_below_a_tick_but_those_of_the_handshake,
}

/// No sum of a moment and a limit is too large.
fn off() -> Options {
    let ever = Duration::MAX;
    Options::default()
        .connect_timeout(ever)
        .handshake_timeout(ever)
        .frame_timeout(ever)
        .bye_timeout(ever)
        .linger_timeout(ever)
        .linger_drain(usize::MAX)
        .write_stall_timeout(ever)
        .hello_response_timeout(ever)
        .idle_timeout(ever)
        .keepalive_idle(ever)
        .keepalive_interval(ever)
        .keepalive_probes(u32::MAX)
        .tcp_user_timeout(ever)
        .channels(usize::MAX)
        .pending_handshakes(usize::MAX)
        .handshake_bytes(usize::MAX)
        .send_budget(usize::MAX)
        .receive_budget(usize::MAX)
        .send_queue_messages(usize::MAX)
        .send_queue_bytes(usize::MAX)
        .pool_maximum(usize::MAX)
        .pool_bytes(usize::MAX)
        .inbox_messages(usize::MAX)
        .inbox_bytes(usize::MAX)
        .inbox_updates(usize::MAX)
        .lookups(usize::MAX)
        .turn_messages(usize::MAX)
        .turn_bytes(usize::MAX)
        .turn_accepts(usize::MAX)
        .large_message(usize::MAX)
}

/// Whatever is 0 is taken as 1, or as nothing at all where that is possible.
fn zero() -> Options {
    Options::default()
        .linger_drain(0)
        .keepalive_idle(Duration::ZERO)
        .keepalive_interval(Duration::ZERO)
        .keepalive_probes(0)
        .tcp_user_timeout(Duration::ZERO)
        .pending_handshakes(0)
        .handshake_bytes(0)
        .send_budget(0)
        .receive_budget(0)
        .send_queue_messages(0)
        .send_queue_bytes(0)
        .pool_initial(0)
        .pool_maximum(0)
        .pool_bytes(0)
        .inbox_messages(0)
        .inbox_bytes(0)
        .inbox_updates(0)
        .lookups(0)
        .turn_messages(0)
        .turn_bytes(0)
        .turn_accepts(0)
        .large_message(0)
}

/// Both ways, small and large, one after the other and many at once, to a good end.
fn converse(transport: Transport, options: Options, largest: usize) {
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    let place = Place::new(transport);
    let mut lines = [
        Line::accepted(&mut side, &listening),
        Line::dialed(&side, &place),
    ];
    for line in &mut lines {
        for len in [0, 100, largest] {
            let message = request(1, len);
            line.raw.send_frame(&message).unwrap();
            assert_eq!(peers(&mut side).body().len(), len);
            line.says(&side, message);
        }
        line.raw.send(&requests(1..=200, 10)).unwrap();
        for id in 1..=200 {
            assert_eq!(peers(&mut side).message_id().value(), id);
        }
        let bye = Message::new(OpCode::ByeRequest).id(5);
        line.says(&side, bye);
        let response = Message::new(OpCode::ByeResponse).id(5);
        line.raw.send_frame(&response).unwrap();
        assert_eq!(peers(&mut side).op_code(), OpCode::ByeResponse);
        let confirmed = loop {
            let msg = side.next();
            if let Some(info) = msg.close_info() {
                break info.confirmed;
            }
            assert_eq!(msg.status(), Status::POOL_EMPTY, "{msg:?}");
        };
        assert!(confirmed);
        line.expect_end();
    }
    side.group.update_receiver(None).unwrap();
    assert_eq!(side.next().origin(), Origin::Local);
}

/// The next message of a peer; the engine has nothing to say but that the pool is small.
#[track_caller]
fn peers(side: &mut Side) -> Msg {
    loop {
        let msg = side.next();
        if msg.origin() == Origin::Peer {
            return msg;
        }
        assert_eq!(msg.status(), Status::POOL_EMPTY, "{msg:?}");
    }
}

fn everything_is_off(transport: Transport) {
    converse(transport, off(), 65_535);
}

/// A byte a turn.
fn everything_is_zero(transport: Transport) {
    converse(transport, zero(), 3_000);
}

/// They all pass at once, and none of it is more than the end of a channel.
fn every_timeout_is_below_a_tick_but_those_of_the_handshake(transport: Transport) {
    let nothing = Duration::ZERO;
    let options = Options::default()
        .frame_timeout(nothing)
        .bye_timeout(nothing)
        .linger_timeout(nothing)
        .write_stall_timeout(nothing)
        .hello_response_timeout(nothing)
        .idle_timeout(nothing);
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    for _ in 0..20 {
        let line = Line::accepted(&mut side, &listening);
        let _ = side
            .group
            .post(side.pooled(request(1, 65_535).on(line.channel)));
        let mut last = side.next();
        while last.close_info().is_none() {
            last = side.next();
        }
        assert_eq!(last.channel_number(), line.channel);
    }
    side.expect_nothing();
    assert_eq!(side.engine.channel_count(), 1);
}

/// A name is looked up for ever, if need be.
#[test]
fn connect_timeout_off_with_a_name() {
    let mut server = Side::start(Options::default());
    let (_, endpoint) = server.listen_on(&Address::tcp_server("127.0.0.1", 0));
    let Endpoint::Tcp { port, .. } = endpoint else {
        panic!("{endpoint} is no port")
    };
    let side = Side::start(off());
    side.hello(Address::tcp_client("localhost", port).endpoint());
    assert_eq!(server.next().op_code(), OpCode::HelloRequest);
}
