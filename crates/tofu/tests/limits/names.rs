//! Names that nobody answers for: a name server of one's own that says nothing, in a network and
//! with a resolver's configuration of one's own.

use std::net::UdpSocket;
use std::time::{Duration, Instant};

use tofu::prelude::*;

use crate::child::{child_of, run_alone};
use crate::harness::{Build, LIMIT, SHORT, Side, Transport, assert_waited, request};
use crate::peers::{Line, Place};

/// The name server that does not answer.
struct Silent(UdpSocket);

impl Silent {
    /// Waits until it is asked. A lookup that has not begun when its engine ends asks nobody.
    fn expect_question(&self) {
        assert!(self.0.recv(&mut [0; 512]).unwrap() > 0);
    }
}

/// Runs this test where lookups are asked of a name server that does not answer.
fn with_silent_names(test: &str, body: fn(&Endpoint, Silent)) {
    if child_of("NAMES").is_none() {
        let prepare = "file=$(mktemp) && echo nameserver 127.0.0.1 > $file \
                       && mount --bind $file /etc/resolv.conf && rm $file";
        return run_alone(prepare, &format!("names::{test}"), ("NAMES", ""));
    }
    let server = UdpSocket::bind(("127.0.0.1", 53)).unwrap();
    server.set_read_timeout(Some(LIMIT)).unwrap();
    let nobody = Address::tcp_client("nobody.example", 7099);
    body(nobody.endpoint(), Silent(server));
}

/// The lookup counts towards the connect timeout; others are not kept waiting by it.
#[test]
fn connect_timeout_during_a_lookup() {
    with_silent_names("connect_timeout_during_a_lookup", |nobody, names| {
        let mut side = Side::start(Options::default().connect_timeout(SHORT * 2));
        let start = Instant::now();
        let hello = side.hello(nobody);
        let queued = side.post(request(5, 5).on(hello.channel_number()));
        names.expect_question();
        let place = Place::new(Transport::Tcp);
        let mut line = Line::dialed(&side, &place);
        for _ in 0..20 {
            line.echo(&mut side);
        }
        assert!(start.elapsed() < SHORT * 2, "{:?}", start.elapsed());
        side.expect_back(&hello, Status::CONNECT_TIMEOUT);
        side.expect_back(&queued, Status::CONNECT_TIMEOUT);
        side.expect_closed(hello.channel_number(), Status::CONNECT_TIMEOUT);
        assert_waited(start, SHORT * 2);
        line.echo(&mut side);
    });
}

/// Two are under way or wait; a third fails at once, and what needs no lookup goes on.
#[test]
fn lookups_beyond_the_limit_fail_at_once() {
    with_silent_names("lookups_beyond_the_limit_fail_at_once", |nobody, names| {
        let mut side = Side::start(Options::default().lookups(2));
        let start = Instant::now();
        let under_way = [side.hello(nobody), side.hello(nobody)];
        names.expect_question();
        let third = side.hello(nobody);
        side.expect_back(&third, Status::TOO_MANY_LOOKUPS);
        side.expect_closed(third.channel_number(), Status::TOO_MANY_LOOKUPS);
        let place = Place::new(Transport::Tcp);
        Line::dialed(&side, &place);
        assert!(start.elapsed() < Duration::from_secs(2));
        // Given up, they end; the lookups themselves may take their time.
        for hello in under_way {
            let channel = hello.channel_number();
            let signal = side.post(Message::new(OpCode::ByeSignal).on(channel));
            while side.next().close_info().is_none() {}
            drop(signal);
        }
    });
}

/// More than there are resolver threads wait; nobody waits for them in the end.
#[test]
fn lookups_do_not_hold_up_a_shutdown() {
    with_silent_names("lookups_do_not_hold_up_a_shutdown", |nobody, names| {
        let mut side = Side::start(Options::default());
        let hellos: Vec<_> = (0..20).map(|_| side.hello(nobody)).collect();
        names.expect_question();
        side.turn();
        let start = Instant::now();
        let report = side.engine.shutdown(Duration::ZERO);
        assert!(start.elapsed() < Duration::from_secs(1));
        assert_eq!((report.channels, report.unsent), (20, 20));
        let mut back = 0;
        while let Ok(Some(msg)) = side.group.wait_receive(LIMIT) {
            if msg.close_info().is_none() {
                assert_eq!(msg.status(), Status::SHUTDOWN_STARTED);
                assert_eq!(msg.op_code(), OpCode::HelloResponse);
                back += 1;
            }
        }
        assert_eq!(back, hellos.len());
    });
}
