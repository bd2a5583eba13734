//! A connector against servers that are not there yet, turn it away, or never answer.

use std::time::{Duration, Instant};

use tofu_addr::{Address, Endpoint};
use tofu_chnls::helpers::{
    ConnectError, Connector, ConnectorEvent, ConnectorOptions, close_at_once, time_to_next,
};
use tofu_chnls::{Ampe, ChannelGroup, Options, Reactor};
use tofu_msg::{OpCode, Status};
use tofu_testkit::{RawListener, TempUdsPath};

use crate::server::{DEADLINE, Server, any_port, reply};

struct Client {
    engine: Reactor,
    group: ChannelGroup,
    connector: Connector,
}

impl Client {
    fn new(endpoint: &Endpoint, options: ConnectorOptions) -> Client {
        let engine = Reactor::start(Options::default()).unwrap();
        let options = options
            .first_delay(Duration::from_millis(2))
            .longest_delay(Duration::from_millis(10));
        println!("seed of the pauses: {}", options.seed_in_use());
        Client {
            group: engine.create().unwrap(),
            engine,
            connector: Connector::new(endpoint.clone(), options, Instant::now())
                .hello(|hello| hello.body_mut().append(b"a client").unwrap()),
        }
    }

    /// The next event, however long it takes.
    fn event(&mut self) -> ConnectorEvent {
        let end = Instant::now() + DEADLINE;
        loop {
            self.connector.on_time(&self.group, Instant::now());
            if let Some(event) = self.connector.next_event() {
                return event;
            }
            let due = [self.connector.next_deadline(), Some(end)];
            let wait = time_to_next(Instant::now(), due);
            if let Some(message) = self.group.wait_receive(wait).unwrap() {
                self.connector.on_message(&message, Instant::now());
            }
            assert!(Instant::now() < end, "{:?}", self.connector);
        }
    }

    fn retries_because(&mut self) -> ConnectError {
        match self.event() {
            ConnectorEvent::Retrying { error, .. } => error,
            other => panic!("{other:?}"),
        }
    }

    /// Waits for a connection, however many attempts it takes.
    fn connects(&mut self) {
        loop {
            match self.event() {
                ConnectorEvent::Connected { channel } => {
                    assert_eq!(self.connector.channel(), Some(channel));
                    return;
                }
                ConnectorEvent::Retrying { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn a_server_that_comes_later_is_found_and_found_again() {
    let path = TempUdsPath::new().unwrap();
    let endpoint = Address::uds_client(&path).into_endpoint();
    let mut client = Client::new(&endpoint, ConnectorOptions::default());
    for _ in 0..3 {
        let error = client.retries_because();
        assert_eq!(error.status(), Status::UDS_PATH_NOT_FOUND, "{error}");
    }
    for _ in 0..3 {
        let server = Server::echo(&endpoint);
        client.connects();
        server.kill();
        match client.event() {
            ConnectorEvent::Lost { cause, .. } => {
                assert_eq!(cause.status(), Status::PEER_DISCONNECTED, "{cause}");
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(client.connector.channel(), None);
        client.retries_because();
    }
}

#[test]
fn each_hello_is_a_fresh_one() {
    let mut client_hellos = 0;
    // Turns the first two away, who then come again.
    let server = Server::start(&any_port(), move |group, message| {
        let Some(message) = message else { return };
        assert_eq!(message.op_code(), OpCode::HelloRequest);
        assert_eq!(message.body().as_bytes(), b"a client");
        assert_eq!(message.text_headers().iter().count(), 1);
        client_hellos += 1;
        if client_hellos < 3 {
            close_at_once(group, message.channel_number()).unwrap();
        } else {
            reply(group, message);
        }
    });
    let mut client = Client::new(server.endpoint(), ConnectorOptions::default());
    for _ in 0..2 {
        let error = client.retries_because();
        assert!(matches!(error, ConnectError::Closed(_)), "{error}");
    }
    client.connects();
    server.kill();
}

#[test]
fn a_server_that_never_answers_is_left() {
    let silent = RawListener::bind_tcp().unwrap();
    let options = ConnectorOptions::default()
        .attempt_timeout(Duration::from_millis(20))
        .attempts(2);
    let mut client = Client::new(silent.endpoint(), options);
    assert_eq!(client.retries_because(), ConnectError::TimedOut);
    match client.event() {
        ConnectorEvent::GaveUp { failures, error } => {
            assert_eq!((failures, error), (2, ConnectError::TimedOut));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_the_own_engine_ends_it() {
    let server = Server::echo(&any_port());
    let mut client = Client::new(server.endpoint(), ConnectorOptions::default());
    client.connects();
    client.engine.shutdown(Duration::ZERO);
    assert!(matches!(client.event(), ConnectorEvent::Lost { .. }));
    match client.event() {
        ConnectorEvent::GaveUp { error, .. } => {
            assert_eq!(error.status(), Status::SHUTDOWN_STARTED);
        }
        other => panic!("{other:?}"),
    }
    server.kill();
}

/// Greets back and is gone: that there was a connection is told, and what is posted on it is refused.
/// The documented loop must outlive that.
#[test]
fn a_connection_may_have_ended_before_it_is_told_of() {
    let listener = RawListener::bind_tcp().unwrap();
    let mut client = Client::new(listener.endpoint(), ConnectorOptions::default());
    client.connector.on_time(&client.group, Instant::now());
    let mut peer = listener.accept(DEADLINE).unwrap();
    let mut hello = peer.receive_frame(DEADLINE).unwrap().unwrap();
    hello.make_reply();
    peer.send_frame(&hello).unwrap();
    drop(peer);
    let ConnectorEvent::Connected { channel } = client.event() else {
        panic!("{:?}", client.connector);
    };
    // Its last word is queued by now, or comes at any moment.
    let mut calls = tofu_chnls::helpers::Calls::new(1);
    let refused = loop {
        let mut request = client.engine.message().unwrap();
        request.set_channel_number(channel);
        match calls.call(&client.group, request, (), Instant::now()) {
            Ok(call) => assert!(calls.cancel(call).is_some()),
            Err(refused) if refused.status() == Status::QUEUE_FULL => std::thread::yield_now(),
            Err(refused) => break refused,
        }
    };
    assert_eq!(refused.status(), Status::CHANNEL_CLOSED);
    assert!(matches!(client.event(), ConnectorEvent::Lost { .. }));
    assert!(matches!(client.event(), ConnectorEvent::Retrying { .. }));
}
