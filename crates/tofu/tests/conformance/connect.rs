//! What becomes of a HelloRequest.

use std::net::Shutdown;
use std::os::unix::net::UnixListener;
use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::{RawPeer, TempUdsPath, free_tcp_port};

use crate::face::Face;
use crate::harness::{
    Build, LIMIT, Pair, Seen, Side, Transport, closed, failed, from_peer, hello_to, on_both,
    returned,
};
use crate::listen::unknown_name;
use crate::raw::{Blocked, Line, RawPlace, as_on_the_wire, hasty, narrow_listener};

on_both! {
    connect_ok,
    connect_refused,
    connect_refused_with_messages_behind_the_hello,
    connect_timeout_with_messages_behind_the_hello,
    connect_in_time_with_messages_behind_the_hello,
    bye_signal_while_connecting,
    bye_request_while_connecting,
    messages_before_the_hello_response,
    the_peer_vanishes_behind_the_hello,
    a_listener_and_both_ends_in_one_group,
    a_message_of_another_engine,
    acceptor_rejects,
    acceptor_rejects_with_messages_on_the_way,
}

/// What an application may post before it knows whether the connection will be made.
fn post_meanwhile(side: &Side, channel: ChannelNumber) -> Vec<Message> {
    let messages = [
        Message::new(OpCode::Request).with_body(b"first"),
        Message::new(OpCode::Signal)
            .with_header("a", "b")
            .with_more(),
        Message::new(OpCode::Response)
            .id(44)
            .with_status(Status::new(7)),
        Message::new(OpCode::Request).with_body(&[5; 20_000]),
        Message::new(OpCode::ByeRequest).with_body(b"and farewell"),
    ];
    messages
        .map(|message| side.post(message.on(channel)))
        .into()
}

fn connect_ok(transport: Transport) {
    let mut server = Side::start(Options::default());
    let listening = server.listen(transport);
    let mut client = Side::start(Options::default());
    for id in [0, 4711] {
        let posted = client.post(hello_to(&listening.endpoint).id(id));
        assert!(id == 0 || posted.message_id().value() == id);
        let msg = server.next();
        let at_server = msg.channel_number();
        assert_ne!(at_server, listening.channel);
        let peer = msg.peer().expect("who said Hello");
        match transport {
            Transport::Tcp => assert!(peer.endpoint.to_string().starts_with("tcp|127.0.0.1|")),
            Transport::Uds => assert!(peer.credentials.is_some()),
        }
        assert_eq!(Seen::of(&msg), from_peer(posted.clone().on(at_server)));
        let response = msg_reply(msg);
        assert_eq!(response.op_code(), OpCode::HelloResponse);
        let expected = (*response).clone().on(posted.channel_number());
        server.group.post(response).unwrap();
        client.expect_last(&[from_peer(expected)]);
        server.expect_nothing();
    }
}

fn msg_reply(mut msg: Msg) -> Msg {
    msg.make_reply().unwrap();
    msg
}

/// Where nobody listens any more.
fn deserted(transport: Transport) -> (Endpoint, Option<TempUdsPath>) {
    match transport {
        Transport::Tcp => {
            let (host, port) = ("127.0.0.1".to_owned(), free_tcp_port().unwrap());
            (Endpoint::Tcp { host, port }, None)
        }
        Transport::Uds => {
            let path = TempUdsPath::new().unwrap();
            drop(UnixListener::bind(&path).unwrap());
            (Address::uds_client(&path).into_endpoint(), Some(path))
        }
    }
}

/// The connection to `endpoint` fails for this reason.
#[track_caller]
fn assert_fails(endpoint: &Endpoint, why: Status) {
    let mut side = Side::start(Options::default());
    let hello = side.hello(endpoint);
    let (channel, id) = (hello.channel_number(), hello.message_id());
    side.expect_last(&[failed(hello, why), closed(channel, id, why, false)]);
    assert_eq!(
        side.refused(Message::new(OpCode::Request).on(channel)),
        Status::CHANNEL_CLOSED
    );
    assert_eq!(side.engine.channel_count(), 0);
}

fn connect_refused(transport: Transport) {
    let (endpoint, _path) = deserted(transport);
    assert_fails(&endpoint, Status::CONNECT_FAILED);
}

#[test]
fn connect_fails_name_unknown() {
    let (host, port) = (unknown_name(), 1);
    assert_fails(&Endpoint::Tcp { host, port }, Status::CONNECT_FAILED);
}

#[test]
fn connect_fails_no_such_path() {
    let path = TempUdsPath::new().unwrap();
    let endpoint = Address::uds_client(&path).into_endpoint();
    assert_fails(&endpoint, Status::UDS_PATH_NOT_FOUND);
    let deeper = Address::uds_client(path.join("absent")).into_endpoint();
    assert_fails(&deeper, Status::UDS_PATH_NOT_FOUND);
}

/// The listener that would not let it in goes away.
fn connect_refused_with_messages_behind_the_hello(transport: Transport) {
    let blocked = Blocked::new(transport);
    let mut side = Side::start(Options::default());
    let hello = side.hello(blocked.place.endpoint());
    let (channel, id) = (hello.channel_number(), hello.message_id());
    let meanwhile = post_meanwhile(&side, channel);
    side.expect_nothing();
    let RawPlace { listener, path } = blocked.place;
    drop(listener);
    let mut expected = vec![failed(hello, Status::CONNECT_FAILED)];
    expected.extend(
        meanwhile
            .into_iter()
            .map(|message| returned(message, Status::CONNECT_FAILED)),
    );
    expected.push(closed(channel, id, Status::CONNECT_FAILED, false));
    side.expect_last(&expected);
    drop(path);
}

fn connect_timeout_with_messages_behind_the_hello(transport: Transport) {
    let blocked = Blocked::new(transport);
    let mut side = Side::start(hasty());
    let hello = side.hello(blocked.place.endpoint());
    let (channel, id) = (hello.channel_number(), hello.message_id());
    let meanwhile = post_meanwhile(&side, channel);
    let mut expected = vec![failed(hello, Status::CONNECT_TIMEOUT)];
    expected.extend(
        meanwhile
            .into_iter()
            .map(|message| returned(message, Status::CONNECT_TIMEOUT)),
    );
    expected.push(closed(channel, id, Status::CONNECT_TIMEOUT, false));
    side.expect_last(&expected);
}

/// The same, but the peer lets it in before the time is up.
fn connect_in_time_with_messages_behind_the_hello(transport: Transport) {
    let blocked = Blocked::new(transport);
    let mut side = Side::start(Options::default());
    let hello = side.hello(blocked.place.endpoint());
    let mut sent = vec![hello.clone()];
    sent.extend(post_meanwhile(&side, hello.channel_number()));
    side.expect_nothing();
    let place = blocked.unblock();
    let mut raw = place.listener.accept(LIMIT).unwrap();
    for message in sent {
        let received = raw.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(received, as_on_the_wire(message));
    }
    side.expect_nothing();
}

fn bye_signal_while_connecting(transport: Transport) {
    let why = Status::CHANNEL_CLOSED;
    let blocked = Blocked::new(transport);
    let mut side = Side::start(Options::default());
    let hello = side.hello(blocked.place.endpoint());
    let (channel, id) = (hello.channel_number(), hello.message_id());
    let meanwhile = post_meanwhile(&side, channel);
    let signal = Message::new(OpCode::ByeSignal).on(channel);
    let signal = side.post(signal.with_body(b"never mind"));
    let mut expected = vec![returned(signal, why), failed(hello, why)];
    expected.extend(meanwhile.into_iter().map(|message| returned(message, why)));
    expected.push(closed(channel, id, why, false));
    side.expect_last(&expected);
}

/// It queues behind the Hello.
fn bye_request_while_connecting(transport: Transport) {
    let mut server = Side::start(Options::default());
    let listening = server.listen(transport);
    let mut client = Side::start(Options::default());
    let hello = client.hello(&listening.endpoint);
    let at_client = hello.channel_number();
    let id = hello.message_id();
    let bye = client.post(Message::new(OpCode::ByeRequest).on(at_client));
    assert_eq!(
        client.refused(Message::new(OpCode::Request).on(at_client)),
        Status::NOT_ALLOWED
    );
    let received = server.next();
    let at_server = received.channel_number();
    assert_eq!(*received, from_peer(hello.on(at_server)).message);
    server.expect(&[from_peer(bye.clone().on(at_server))]);
    let answer = server.post(
        Message::new(OpCode::ByeResponse)
            .on(at_server)
            .id(bye.message_id()),
    );
    client.expect_last(&[
        from_peer(answer.on(at_client)),
        closed(at_client, id, Status::SUCCESS, true),
    ]);
    server.expect_last(&[closed(at_server, id, Status::SUCCESS, false)]);
}

/// The HelloRequest, then they, in order; then what the server answers, in order.
fn messages_before_the_hello_response(transport: Transport) {
    let mut server = Side::start(Options::default());
    let listening = server.listen(transport);
    let mut client = Side::start(Options::default());
    let hello = client.hello(&listening.endpoint);
    let at_client = hello.channel_number();
    let posted = post_meanwhile(&client, at_client);
    let received = server.next();
    let at_server = received.channel_number();
    assert_eq!(*received, from_peer(hello.clone().on(at_server)).message);
    let expected: Vec<_> = posted
        .iter()
        .map(|message| {
            let sent = message.clone().on(at_server).with_status(Status::SUCCESS);
            from_peer(sent)
        })
        .collect();
    server.expect_last(&expected);
    // The acceptor, too, may speak before it answers the Hello.
    let early = server.post(Message::new(OpCode::Signal).on(at_server));
    let response = Message::new(OpCode::HelloResponse).on(at_server);
    let response = server.post(response.id(hello.message_id()));
    client.expect_last(&[
        from_peer(early.on(at_client)),
        from_peer(response.on(at_client)),
    ]);
}

/// Three channels that are told apart by their numbers alone.
fn a_listener_and_both_ends_in_one_group(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    for _ in 0..10 {
        let hello = side.hello(&listening.endpoint);
        let (initiator, id) = (hello.channel_number(), hello.message_id());
        let received = side.next();
        let acceptor = received.channel_number();
        assert_eq!(Seen::of(&received), from_peer(hello.on(acceptor)));
        assert!(acceptor != initiator && acceptor != listening.channel);
        for (from, to) in [(initiator, acceptor), (acceptor, initiator)] {
            let request = side.post(Message::new(OpCode::Request).on(from).with_body(b"over"));
            side.expect(&[from_peer(request.on(to))]);
        }
        let bye = side.post(Message::new(OpCode::ByeRequest).on(initiator));
        side.expect(&[from_peer(bye.clone().on(acceptor))]);
        side.post(bye.clone().op(OpCode::ByeResponse).on(acceptor));
        let mut last: Vec<_> = (0..3).map(|_| Seen::of(&side.next())).collect();
        // The two channels end by themselves; in each the order holds.
        last.sort_by_key(|seen| seen.message.channel_number() != acceptor);
        let expected = [
            closed(acceptor, id, Status::SUCCESS, false),
            from_peer(bye.op(OpCode::ByeResponse).on(initiator)),
            closed(initiator, id, Status::SUCCESS, true),
        ];
        assert_eq!(last, expected);
        side.expect_nothing();
        assert_eq!(side.engine.channel_count(), 1);
    }
}

/// It goes where it is posted, and home to its own pool: also when it comes back unsent, and when
/// its own engine has ended.
fn a_message_of_another_engine(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let stranger = Reactor::start(Options::default()).unwrap();
    for size in [0, 10, 60_000] {
        let mut msg = stranger.message().unwrap();
        msg.body_mut().append(&vec![1; size]).unwrap();
        msg.set_channel_number(pair.at_client);
        let mut expected = (*msg).clone();
        expected.set_message_id(pair.client.group.post(msg).unwrap().message_id);
        pair.server
            .expect(&[from_peer(expected.on(pair.at_server))]);
    }
    let mut held = stranger.message().unwrap();
    drop(stranger);
    held.set_channel_number(pair.at_client);
    let id = pair.client.group.post(held).unwrap().message_id;
    let expected = Message::new(OpCode::Request).id(id).on(pair.at_server);
    pair.server.expect(&[from_peer(expected)]);
    pair.expect_nothing();
}

/// Names of this host, and what they come to.
#[test]
fn every_form_of_address() {
    let has_ipv6 = std::net::TcpListener::bind("[::1]:0").is_ok();
    let forms = [
        ("127.0.0.1", "127.0.0.1", false),
        ("localhost", "localhost", false),
        ("", "127.0.0.1", false),
        ("0.0.0.0", "localhost", false),
        ("::1", "::1", true),
        ("::", "::1", true),
        // Dual stack.
        ("::", "127.0.0.1", true),
    ];
    for (listen_on, connect_to, needs_ipv6) in forms {
        if needs_ipv6 && !has_ipv6 {
            println!("no IPv6 here: {listen_on} is left out");
            continue;
        }
        let address = Address::tcp_server(listen_on, 0);
        let (mut side, bound) = listening_on(&address);
        let Endpoint::Tcp { port, .. } = bound else {
            panic!("{bound:?}");
        };
        side.hello(&Address::tcp_client(connect_to, port).into_endpoint());
        let hello = side.next();
        assert_eq!(hello.op_code(), OpCode::HelloRequest, "{hello:?}");
    }
    if cfg!(target_os = "linux") {
        let path = TempUdsPath::new().unwrap();
        let name = format!("@{}", path.display());
        let (mut side, bound) = listening_on(&Address::uds_server(&name));
        assert_eq!(bound, Address::uds_server(&name).into_endpoint());
        side.hello(&Address::uds_client(&name).into_endpoint());
        assert_eq!(side.next().op_code(), OpCode::HelloRequest);
    }
}

fn listening_on(address: &Address) -> (Side, Endpoint) {
    let mut side = Side::start(Options::default());
    let mut welcome = Message::default();
    address.format(&mut welcome).unwrap();
    side.post(welcome);
    let ready = side.next();
    assert_eq!(ready.status(), Status::SUCCESS, "{ready:?}");
    let bound = Address::parse(&ready).unwrap().into_endpoint();
    (side, bound)
}

/// Behind the Hello's last byte there is nothing to give back: only the last word.
fn the_peer_vanishes_behind_the_hello(transport: Transport) {
    let place = RawPlace::new(transport);
    let mut side = Side::start(Options::default());
    let line = Line::dialed(&side, &place);
    line.raw.shutdown_write().unwrap();
    side.expect_last(&[line.closed(Status::PEER_DISCONNECTED, false)]);
    let line = Line::dialed(&side, &place);
    let last_word = line.closed(Status::PEER_DISCONNECTED, false);
    line.raw.reset().unwrap();
    side.expect_last(&[last_word]);
}

/// Connected, but the Hello has not wholly got into the kernel: it comes back as its response.
#[test]
fn the_peer_vanishes_in_the_middle_of_the_hello() {
    let (listener, endpoint) = narrow_listener();
    let mut side = Side::start(Options::default());
    let mut hello = hello_to(&endpoint);
    let room = 65_535 - hello.text_headers().len() - "big:\r\n".len();
    hello = hello.with_header("big", &"x".repeat(room));
    hello.body_mut().replace(&[1; 65_535]).unwrap();
    let hello = side.post(hello);
    let (channel, id) = (hello.channel_number(), hello.message_id());
    let request = side.post(Message::new(OpCode::Request).on(channel));
    let (socket, _) = listener.accept().unwrap();
    let mut raw = RawPeer::try_from(socket).unwrap();
    raw.receive_bytes(16, LIMIT).unwrap();
    raw.reset().unwrap();
    side.expect_last(&[
        failed(hello, Status::PEER_DISCONNECTED),
        returned(request, Status::PEER_DISCONNECTED),
        closed(channel, id, Status::PEER_DISCONNECTED, false),
    ]);
}

/// A ByeSignal instead of the HelloResponse.
fn acceptor_rejects(transport: Transport) {
    let mut pair = Pair::greeted(transport);
    let signal = Message::new(OpCode::ByeSignal).on(pair.at_server);
    let signal = pair.server.post(signal.with_header("why", "strangers"));
    pair.server.expect_last(&[
        returned(signal, Status::CHANNEL_CLOSED),
        pair.server_closed(Status::CHANNEL_CLOSED, false),
    ]);
    let expected = pair.client_closed(Status::PEER_DISCONNECTED, false);
    pair.client.expect_last(&[expected]);
    assert_eq!(pair.client.engine.channel_count(), 0);
    assert_eq!(pair.server.engine.channel_count(), 1, "the listener");
}

/// What came before is received before, and what comes later is nobody's.
fn acceptor_rejects_with_messages_on_the_way(transport: Transport) {
    let mut pair = Pair::greeted(transport);
    let request = pair.client_says(Message::new(OpCode::Request));
    let signal = Message::new(OpCode::ByeSignal).on(pair.at_server);
    let signal = pair.server.post(signal.id(request.message_id()));
    pair.server.expect_last(&[
        returned(signal, Status::CHANNEL_CLOSED),
        pair.server_closed(Status::CHANNEL_CLOSED, false),
    ]);
    let expected = pair.client_closed(Status::PEER_DISCONNECTED, false);
    pair.client.expect_last(&[expected]);
    let refused = Message::new(OpCode::Request).on(pair.at_client);
    assert_eq!(pair.client.refused(refused), Status::CHANNEL_CLOSED);
}

/// A port that takes the connection and says nothing: connected is not answered, and an initiator
/// waits as long as it likes.
#[test]
fn a_silent_peer_is_no_failure() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut side = Side::start(hasty().connect_timeout(LIMIT));
    let host = "127.0.0.1".to_owned();
    let hello = side.hello(&Endpoint::Tcp { host, port });
    let (socket, _) = listener.accept().unwrap();
    assert!(
        side.group
            .receive_within(Duration::from_millis(300))
            .unwrap()
            .is_none()
    );
    socket.shutdown(Shutdown::Both).unwrap();
    drop(socket);
    let (channel, id) = (hello.channel_number(), hello.message_id());
    side.expect_last(&[closed(channel, id, Status::PEER_DISCONNECTED, false)]);
}
