//! What becomes of a WelcomeRequest, and of a listener that is closed.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;

use tofu::prelude::*;
use tofu_testkit::{RawPeer, TempUdsPath, free_tcp_port};

use crate::harness::{
    Build, Pair, Seen, Side, Transport, closed, exists, failed, on_both, place, ready, returned,
};

on_both! {
    listen_ok,
    listen_fails_address_in_use,
    listen_fails_address_in_use_in_the_same_engine,
    a_listener_ends_with_its_bye_signal,
    who_was_let_in_may_still_say_hello,
    a_listener_takes_nothing_but_a_bye_signal,
}

fn welcome(address: &Address) -> Message {
    let mut welcome = Message::default();
    address.format(&mut welcome).unwrap();
    welcome
        .with_header("who", "a test")
        .with_body(b"open house")
}

/// Same channel and id, headers and body kept; with port 0 the real address.
fn listen_ok(transport: Transport) {
    let mut side = Side::start(Options::default());
    let (address, path) = place(transport);
    for id in [0, 77] {
        let mut posted = side.post(welcome(&address).id(id));
        if id != 0 {
            assert_eq!(posted.message_id(), MessageId::new(id));
        }
        let msg = side.next();
        let real = Address::parse(&msg).unwrap();
        match real.endpoint() {
            Endpoint::Tcp { host, port } => {
                assert_eq!(host, "127.0.0.1");
                assert_ne!(*port, 0);
                posted.text_headers_mut().remove_all("~listen_on");
                let value = real.endpoint().to_bytes();
                let headers = posted.text_headers_mut();
                headers.insert_first("~listen_on", value).unwrap();
            }
            Endpoint::Uds(_) => {
                let mode = path.as_ref().unwrap().metadata().unwrap().permissions();
                assert_eq!(mode.mode() & 0o777, 0o600, "only its owner may connect");
            }
        }
        let expected = ready(posted.clone());
        assert_eq!(Seen::of(&msg), expected);
        assert!(matches!(
            Incoming::from(msg),
            Incoming::Engine(Notice::ListenerReady, _)
        ));
        side.post(Message::new(OpCode::ByeSignal).on(posted.channel_number()));
        side.next();
        let (channel, id) = (posted.channel_number(), posted.message_id());
        side.expect_last(&[closed(channel, id, Status::CHANNEL_CLOSED, false)]);
    }
}

/// A port that was asked for is bound as asked, and nothing is changed in the answer.
#[test]
fn listen_ok_on_the_port_asked_for() {
    let mut side = Side::start(Options::default());
    let address = Address::tcp_server("127.0.0.1", free_tcp_port().unwrap());
    let posted = side.post(welcome(&address));
    side.expect_last(&[ready(posted)]);
}

/// A block of headers without room for the real port's digits comes back as it was.
#[test]
fn listen_ok_with_a_block_that_is_full() {
    let mut side = Side::start(Options::default());
    let mut welcome = welcome(&Address::tcp_server("127.0.0.1", 0));
    let headers = welcome.text_headers_mut();
    let room = tofu::msg::MAX_TEXT_HEADERS_LEN - headers.len() - "n: \r\n".len();
    headers.append("n", vec![b'v'; room]).unwrap();
    let posted = side.post(welcome);
    side.expect_last(&[ready(posted)]);
}

/// Listening on these fails for this reason.
#[track_caller]
fn assert_fails(side: &mut Side, address: &Address, why: Status) {
    let posted = side.post(welcome(address).id(5));
    let channel = posted.channel_number();
    side.expect_last(&[
        failed(posted, why),
        closed(channel, MessageId::new(5), why, false),
    ]);
    assert_eq!(
        side.refused(Message::new(OpCode::ByeSignal).on(channel)),
        Status::CHANNEL_CLOSED
    );
}

fn listen_fails_address_in_use(transport: Transport) {
    let mut holder = Side::start(Options::default());
    let listening = holder.listen(transport);
    let address = Address::listen_on(listening.endpoint.clone());
    let mut side = Side::start(Options::default());
    assert_fails(&mut side, &address, Status::ADDRESS_IN_USE);
    // The holder has not noticed anything.
    holder.expect_nothing();
    side.hello(&listening.endpoint);
    assert_eq!(holder.next().op_code(), OpCode::HelloRequest);
}

fn listen_fails_address_in_use_in_the_same_engine(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let address = Address::listen_on(listening.endpoint);
    assert_fails(&mut side, &address, Status::ADDRESS_IN_USE);
}

#[test]
fn listen_fails_address_not_local() {
    // A block that is kept for documents: it is nobody's.
    let address = Address::tcp_server("192.0.2.1", 0);
    let mut side = Side::start(Options::default());
    assert_fails(&mut side, &address, Status::LISTEN_FAILED);
}

#[test]
fn listen_fails_name_unknown() {
    let mut side = Side::start(Options::default());
    let address = Address::tcp_server(unknown_name(), 0);
    assert_fails(&mut side, &address, Status::LISTEN_FAILED);
}

/// Its label is too long for any name server to be asked.
pub(crate) fn unknown_name() -> String {
    format!("{}.invalid", "x".repeat(64))
}

#[test]
fn listen_fails_folder_absent() {
    let path = TempUdsPath::new().unwrap();
    let address = Address::uds_server(path.join("absent").join("socket"));
    let mut side = Side::start(Options::default());
    assert_fails(&mut side, &address, Status::LISTEN_FAILED);
}

#[test]
fn listen_fails_a_file_is_there() {
    let path = TempUdsPath::new().unwrap();
    std::fs::write(&path, "precious").unwrap();
    let mut side = Side::start(Options::default());
    assert_fails(
        &mut side,
        &Address::uds_server(&path),
        Status::LISTEN_FAILED,
    );
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn listen_fails_a_symlink_is_there() {
    let path = TempUdsPath::new().unwrap();
    let target = path.with_file_name("target");
    std::os::unix::fs::symlink(&target, &path).unwrap();
    let mut side = Side::start(Options::default());
    assert_fails(
        &mut side,
        &Address::uds_server(&path),
        Status::LISTEN_FAILED,
    );
    assert_eq!(std::fs::read_link(&path).unwrap(), target);
    assert!(!exists(&target));
}

/// What a killed process has left behind is in nobody's way.
#[test]
fn listen_ok_where_a_dead_socket_is() {
    let path = TempUdsPath::new().unwrap();
    drop(UnixListener::bind(&path).unwrap());
    assert!(exists(&path));
    let mut side = Side::start(Options::default());
    let posted = side.post(welcome(&Address::uds_server(&path)));
    side.expect_last(&[ready(posted)]);
}

/// Its socket file goes; the accepted connection lives on; the place is free again.
fn a_listener_ends_with_its_bye_signal(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let listening = &pair.listening;
    assert!(listening.path.as_ref().is_none_or(exists));
    let (channel, id) = (listening.channel, listening.id);
    let signal = Message::new(OpCode::ByeSignal).on(channel).id(9);
    pair.server.post(signal.clone());
    pair.server.expect_last(&[
        returned(signal, Status::CHANNEL_CLOSED),
        closed(channel, id, Status::CHANNEL_CLOSED, false),
    ]);
    assert!(!pair.listening.path.as_ref().is_some_and(exists));
    let late = pair.client.hello(&pair.listening.endpoint);
    let why = match transport {
        Transport::Tcp => Status::CONNECT_FAILED,
        Transport::Uds => Status::UDS_PATH_NOT_FOUND,
    };
    let (channel, id) = (late.channel_number(), late.message_id());
    pair.client
        .expect_last(&[failed(late, why), closed(channel, id, why, false)]);
    pair.echo();
    let again = Address::listen_on(pair.listening.endpoint.clone());
    let posted = pair.server.post(welcome(&again));
    pair.server.expect(&[ready(posted)]);
    pair.echo();
    pair.expect_nothing();
}

/// Accepted before the listener ended, and greeted after.
fn who_was_let_in_may_still_say_hello(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let raw = RawPeer::connect(&listening.endpoint).unwrap();
    side.turn();
    let signal = side.post(Message::new(OpCode::ByeSignal).on(listening.channel));
    side.expect_last(&[
        returned(signal, Status::CHANNEL_CLOSED),
        closed(
            listening.channel,
            listening.id,
            Status::CHANNEL_CLOSED,
            false,
        ),
    ]);
    raw.hello(&listening.endpoint).unwrap();
    let hello = side.next();
    assert_eq!(hello.op_code(), OpCode::HelloRequest, "{hello:?}");
    side.expect_nothing();
}

fn a_listener_takes_nothing_but_a_bye_signal(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let channel = listening.channel;
    for op_code in OpCode::ALL {
        if op_code == OpCode::ByeSignal {
            continue;
        }
        let mut message = Message::new(op_code);
        if let Some(request) = [OpCode::HelloRequest, OpCode::WelcomeRequest]
            .into_iter()
            .find(|request| *request == op_code)
        {
            let address = match request {
                OpCode::HelloRequest => Address::tcp_client("127.0.0.1", 1),
                _ => Address::tcp_server("127.0.0.1", 0),
            };
            address.format(&mut message).unwrap();
        }
        assert_eq!(
            side.refused(message.on(channel).id(3)),
            Status::NOT_ALLOWED,
            "{op_code}"
        );
    }
    side.expect_nothing();
}
