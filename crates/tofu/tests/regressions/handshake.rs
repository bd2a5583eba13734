//! Connections that have not said Hello: what those that never will may cost the others.

use std::time::Instant;

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{
    Build, LIMIT, Line, Side, Transport, frame, hello_to, on_both, request, requests,
};

on_both! {
    unfinished_hellos_do_not_keep_an_honest_client_out,
    a_peer_that_breaks_the_protocol_before_its_hello_is_not_waited_for,
    one_held_back_goes_on_although_another_that_waited_is_gone,
}

/// A HelloRequest of 12 KB, in two parts.
fn two_parts(endpoint: &Endpoint) -> (Vec<u8>, Vec<u8>) {
    let mut first = frame(&hello_to(endpoint, 12_000));
    let second = first.split_off(6_000);
    (first, second)
}

/// Without the repair nobody's HelloRequest was read any more once a few connections held as much
/// of unfinished ones as may be held: cheap to do, and to do again before their time was up.
fn unfinished_hellos_do_not_keep_an_honest_client_out(transport: Transport) {
    let mut side = Side::start(Options::default().handshake_bytes(10_000));
    let listening = side.listen(transport);
    let (first, _) = two_parts(&listening.endpoint);
    let _greedy: Vec<_> = (0..4)
        .map(|_| {
            let raw = RawPeer::connect(&listening.endpoint).unwrap();
            raw.send(&first).unwrap();
            side.turn();
            raw
        })
        .collect();
    let honest = (0..10).map(|_| {
        let mut line = Line::accepted(&mut side, &listening);
        line.echo(&mut side);
        line
    });
    let honest: Vec<_> = honest.collect();
    assert_eq!(honest.len(), 10);
    assert_eq!(side.stats().handshakes_failed, 0, "the greedy still wait");
}

/// Without the repair such a connection's socket was read on until the linger timeout, and nothing
/// limits how many of them there are: a peer that connects, sends garbage and stays could have any
/// number.
fn a_peer_that_breaks_the_protocol_before_its_hello_is_not_waited_for(transport: Transport) {
    let options = Options::default().linger_timeout(LIMIT * 10);
    let mut side = Side::start(options.linger_drain(usize::MAX));
    let listening = side.listen(transport);
    for garbage in [vec![0xff; 16], frame(&request(1, 10))] {
        let raw = RawPeer::connect(&listening.endpoint).unwrap();
        raw.send(&garbage).unwrap();
        let start = Instant::now();
        while raw.send(b"more").is_ok() {
            assert!(start.elapsed() < LIMIT, "it is still read");
            side.turn();
        }
    }
    side.expect_nothing();
}

/// Without the repair only one of two kinds of waiting connections went on when the engine held
/// less again; where all of that kind were gone, nothing told the engine to look at the other.
fn one_held_back_goes_on_although_another_that_waited_is_gone(transport: Transport) {
    let mut side = Side::start(Options::default().receive_budget(20_000));
    let listening = side.listen(transport);
    let idle = Line::accepted(&mut side, &listening);
    let hog = Line::accepted(&mut side, &listening);
    let (first, second) = two_parts(&listening.endpoint);
    // The older of two is never held back.
    let [_elder, greeting] = [(); 2].map(|()| {
        let raw = RawPeer::connect(&listening.endpoint).unwrap();
        raw.send(&first).unwrap();
        side.turn();
        raw
    });
    hog.raw.send(&requests([2], 60_000)[..25_000]).unwrap();
    side.turn();
    idle.raw.send_frame(&request(3, 10)).unwrap();
    side.turn();
    assert_eq!(side.stats().pauses_budget, 1, "the idle one waits");
    greeting.send(&second).unwrap();
    side.turn();
    assert_eq!(side.stats().pauses_budget, 2, "the newcomer waits");
    // One of those who wait ends, then what they wait for. No turn of the test's own follows.
    for line in [&idle, &hog] {
        side.post(Message::new(OpCode::ByeSignal).on(line.channel).id(5));
        assert_eq!(side.next().op_code(), OpCode::ByeSignal);
        assert!(side.next().close_info().is_some());
    }
    let hello = side.group.wait_receive(LIMIT).unwrap();
    let op_code = hello.map(|msg| msg.op_code());
    assert_eq!(op_code, Some(OpCode::HelloRequest));
}
