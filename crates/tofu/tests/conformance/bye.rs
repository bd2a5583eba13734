//! Closing: by ByeRequest and ByeResponse, from one side and from both, and by ByeSignal.

use std::time::Duration;

use tofu::prelude::*;

use crate::face::Face;
use crate::harness::{Build, LIMIT, Pair, Side, Transport, from_peer, on_both, returned};
use crate::raw::{Line, RawPlace, fill_the_kernel, frame, hasty, narrow_place};

on_both! {
    bye_request_answered_to_the_initiator,
    bye_request_answered_to_the_acceptor,
    the_tail_behind_the_bye_is_read_before,
    posts_after_own_bye_request,
    posts_after_own_bye_response,
    a_bye_response_needs_a_bye_request,
    data_while_waiting_for_the_bye_response,
    bye_requests_cross,
    bye_requests_cross_and_the_later_answers_first,
    bye_request_behind_the_peers,
    bye_requests_cross_and_the_peer_closes,
    bye_requests_cross_and_the_peer_falls_silent,
    bye_requests_cross_and_nobody_answers,
    bye_request_never_answered,
    bye_request_and_the_peer_closes,
    bye_request_with_the_end_of_the_stream,
    bye_timeout_stands_still_while_we_do_not_read,
    the_last_word_says_what_has_passed,
    bye_signal_on_an_idle_channel,
    bye_signal_passes_what_is_queued,
    bye_signal_after_own_bye_request,
}

fn bye() -> Message {
    Message::new(OpCode::ByeRequest)
        .with_header("reason", "done")
        .with_body(b"farewell")
}

/// The answer to this message.
fn answer(message: &Message) -> Message {
    Message::new(message.op_code().reply().unwrap())
        .id(message.message_id())
        .with_body(b"likewise")
}

fn bye_request_answered_to_the_initiator(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let bye = pair.client_says(bye());
    let response = pair.server.post(answer(&bye).on(pair.at_server));
    pair.client.expect_last(&[
        from_peer(response.on(pair.at_client)),
        pair.client_closed(Status::SUCCESS, true),
    ]);
    let last_word = pair.server_closed(Status::SUCCESS, false);
    pair.server.expect_last(&[last_word]);
    assert_eq!(pair.client.engine.channel_count(), 0);
}

fn bye_request_answered_to_the_acceptor(transport: Transport) {
    // A HelloResponse is not required before.
    let mut pair = Pair::greeted(transport);
    let bye = pair.server_says(bye());
    let response = pair.client.post(answer(&bye).on(pair.at_client));
    pair.server.expect_last(&[
        from_peer(response.on(pair.at_server)),
        pair.server_closed(Status::SUCCESS, true),
    ]);
    let last_word = pair.client_closed(Status::SUCCESS, false);
    pair.client.expect_last(&[last_word]);
}

/// Everything posted before the ByeRequest is received before it, and everything posted before
/// the ByeResponse before that.
fn the_tail_behind_the_bye_is_read_before(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let data = |size: usize| Message::new(OpCode::Signal).with_body(&vec![7; size]);
    let sizes = (0..120).map(|index| [1, 100, 5000, 65_535][index % 4]);
    let requests: Vec<_> = sizes
        .clone()
        .map(|size| pair.client.post(data(size).on(pair.at_client)))
        .collect();
    let bye = pair.client.post(bye().on(pair.at_client));
    for request in requests {
        pair.server.expect(&[from_peer(request.on(pair.at_server))]);
    }
    pair.server
        .expect(&[from_peer(bye.clone().on(pair.at_server))]);
    let mut replies: Vec<_> = (0..100)
        .map(|index| pair.server.post(data(index * 100).on(pair.at_server)))
        .collect();
    replies.push(pair.server.post(answer(&bye).on(pair.at_server)));
    for reply in replies {
        pair.client.expect(&[from_peer(reply.on(pair.at_client))]);
    }
    let last_word = pair.client_closed(Status::SUCCESS, true);
    pair.client.expect_last(&[last_word]);
    let last_word = pair.server_closed(Status::SUCCESS, false);
    pair.server.expect_last(&[last_word]);
}

/// They are refused, and the messages are the application's again.
fn posts_after_own_bye_request(transport: Transport) {
    let mut pair = Pair::connected(transport);
    pair.client_says(bye());
    for op_code in OpCode::ALL {
        let channel = pair.at_client;
        if matches!(op_code, OpCode::ByeSignal) {
            continue;
        }
        let mut message = Message::new(op_code).on(channel).id(8).with_body(b"late");
        let address = match op_code {
            OpCode::HelloRequest => Some(("~connect_to", "tcp|127.0.0.1|1")),
            OpCode::WelcomeRequest => Some(("~listen_on", "tcp|127.0.0.1|1")),
            _ => None,
        };
        if let Some((name, value)) = address {
            message = message.with_header(name, value);
        }
        assert_eq!(
            pair.client.refused(message),
            Status::NOT_ALLOWED,
            "{op_code}"
        );
    }
    pair.expect_nothing();
}

fn posts_after_own_bye_response(transport: Transport) {
    let mut side = Side::start(Options::default());
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(&side, &place);
    line.peer_says(&mut side, Message::new(OpCode::ByeRequest).id(3));
    // Until then everything passes that may.
    line.says(&side, Message::new(OpCode::Request));
    line.says(&side, Message::new(OpCode::ByeResponse).id(3));
    let late = |op_code| Message::new(op_code).id(4).on(line.channel);
    for op_code in [
        OpCode::Request,
        OpCode::Response,
        OpCode::Signal,
        OpCode::ByeRequest,
        OpCode::ByeResponse,
        OpCode::HelloResponse,
    ] {
        assert_eq!(
            side.refused(late(op_code)),
            Status::NOT_ALLOWED,
            "{op_code}"
        );
    }
    let signal = side.post(late(OpCode::ByeSignal));
    side.expect_last(&[
        returned(signal, Status::CHANNEL_CLOSED),
        line.closed(Status::CHANNEL_CLOSED, false),
    ]);
}

fn a_bye_response_needs_a_bye_request(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let response = Message::new(OpCode::ByeResponse).id(5);
    let at_client = response.clone().on(pair.at_client);
    assert_eq!(pair.client.refused(at_client), Status::NOT_ALLOWED);
    let at_server = response.on(pair.at_server);
    assert_eq!(pair.server.refused(at_server.clone()), Status::NOT_ALLOWED);
    pair.server_says(bye());
    assert_eq!(pair.server.refused(at_server), Status::NOT_ALLOWED);
    pair.expect_nothing();
}

fn data_while_waiting_for_the_bye_response(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let bye = pair.client_says(bye());
    pair.server_says(Message::new(OpCode::Request).with_body(b"one more"));
    pair.server_says(
        Message::new(OpCode::Signal)
            .with_more()
            .with_body(&[9; 30_000]),
    );
    pair.server_says(Message::new(OpCode::Response).id(1));
    let response = pair.server_says(answer(&bye));
    assert_eq!(response.op_code(), OpCode::ByeResponse);
    let last_word = pair.client_closed(Status::SUCCESS, true);
    pair.client.expect_last(&[last_word]);
}

/// Both post theirs before they receive the other's.
fn crossing(pair: &mut Pair) -> (Message, Message) {
    let clients = pair.client.post(bye().id(100).on(pair.at_client));
    let servers = pair.server.post(bye().id(200).on(pair.at_server));
    pair.client
        .expect(&[from_peer(servers.clone().on(pair.at_client))]);
    pair.server
        .expect(&[from_peer(clients.clone().on(pair.at_server))]);
    (clients, servers)
}

/// Both have answered: each has the other's ByeResponse and a confirmed end.
#[track_caller]
fn assert_both_confirmed(pair: &mut Pair, by_client: Message, by_server: Message) {
    pair.client.expect_last(&[
        from_peer(by_server.on(pair.at_client)),
        pair.client_closed(Status::SUCCESS, true),
    ]);
    pair.server.expect_last(&[
        from_peer(by_client.on(pair.at_server)),
        pair.server_closed(Status::SUCCESS, true),
    ]);
    assert_eq!(pair.client.engine.channel_count(), 0);
    assert_eq!(pair.server.engine.channel_count(), 1, "the listener");
}

fn bye_requests_cross(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let (clients, servers) = crossing(&mut pair);
    let by_client = pair.client.post(answer(&servers).on(pair.at_client));
    let by_server = pair.server.post(answer(&clients).on(pair.at_server));
    assert_both_confirmed(&mut pair, by_client, by_server);
}

/// One has the other's ByeResponse before it posts its own: its channel waits for that.
fn bye_requests_cross_and_the_later_answers_first(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let (clients, servers) = crossing(&mut pair);
    let by_server = pair.server_says(answer(&clients));
    pair.expect_nothing();
    let by_client = pair.client.post(answer(&servers).on(pair.at_client));
    let last_word = pair.client_closed(Status::SUCCESS, true);
    pair.client.expect_last(&[last_word]);
    pair.server.expect_last(&[
        from_peer(by_client.on(pair.at_server)),
        pair.server_closed(Status::SUCCESS, true),
    ]);
    assert_eq!(by_server.op_code(), OpCode::ByeResponse);
}

/// Not crossing on the wire: the second is posted after the first was received.
fn bye_request_behind_the_peers(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let clients = pair.client_says(bye().id(100));
    let servers = pair.server_says(bye().id(200));
    let by_server = pair.server.post(answer(&clients).on(pair.at_server));
    let by_client = pair.client.post(answer(&servers).on(pair.at_client));
    assert_both_confirmed(&mut pair, by_client, by_server);
}

/// A line whose ByeRequests have crossed.
fn crossed_with_a_raw_peer(side: &mut Side, transport: Transport) -> Line {
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(side, &place);
    line.says(side, bye());
    line.peer_says(side, bye().id(7));
    line
}

fn bye_requests_cross_and_the_peer_closes(transport: Transport) {
    let mut side = Side::start(Options::default());
    let mut line = crossed_with_a_raw_peer(&mut side, transport);
    line.says(&side, Message::new(OpCode::ByeResponse).id(7));
    line.raw.shutdown_write().unwrap();
    side.expect_last(&[line.closed(Status::PEER_DISCONNECTED, false)]);
    line.expect_end();
}

fn bye_requests_cross_and_the_peer_falls_silent(transport: Transport) {
    let mut side = Side::start(hasty());
    let mut line = crossed_with_a_raw_peer(&mut side, transport);
    line.says(&side, Message::new(OpCode::ByeResponse).id(7));
    side.expect_last(&[line.closed(Status::BYE_TIMEOUT, false)]);
    line.expect_end();
}

/// No ByeResponse is invented.
fn bye_requests_cross_and_nobody_answers(transport: Transport) {
    let mut side = Side::start(hasty());
    let mut line = crossed_with_a_raw_peer(&mut side, transport);
    side.expect_last(&[line.closed(Status::BYE_TIMEOUT, false)]);
    line.expect_end();
}

fn bye_request_never_answered(transport: Transport) {
    let mut side = Side::start(hasty());
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(&side, &place);
    line.says(&side, bye());
    side.expect_last(&[line.closed(Status::BYE_TIMEOUT, false)]);
    line.expect_end();
}

fn bye_request_and_the_peer_closes(transport: Transport) {
    let mut side = Side::start(Options::default());
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(&side, &place);
    line.says(&side, bye());
    // What it still had to say is received before.
    let rest: Vec<u8> = (1..=50)
        .flat_map(|id| frame(&Message::new(OpCode::Request).id(id)))
        .collect();
    line.raw.send(&rest).unwrap();
    line.raw.shutdown_write().unwrap();
    let mut expected: Vec<_> = (1..=50)
        .map(|id| from_peer(Message::new(OpCode::Request).id(id).on(line.channel)))
        .collect();
    expected.push(line.closed(Status::PEER_DISCONNECTED, false));
    side.expect_last(&expected);
    line.expect_end();
}

/// The peer says Bye, ends its direction, and waits for the answer.
fn bye_request_with_the_end_of_the_stream(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    line.raw.send_frame(&bye().id(9)).unwrap();
    line.raw.shutdown_write().unwrap();
    side.expect(&[from_peer(bye().id(9).on(line.channel))]);
    line.says(&side, Message::new(OpCode::Signal).with_body(b"one more"));
    line.says(&side, Message::new(OpCode::ByeResponse).id(9));
    side.expect_last(&[line.closed(Status::SUCCESS, false)]);
    line.expect_end();
}

/// The ByeResponse has come in time; that nobody made room for it is not the peer's fault.
fn bye_timeout_stands_still_while_we_do_not_read(transport: Transport) {
    let mut side = Side::start(hasty().inbox_messages(1));
    let place = RawPlace::new(transport);
    let mut line = Line::dialed(&side, &place);
    let signals = [2, 3, 4].map(|id| Message::new(OpCode::Signal).id(id));
    line.raw
        .send(&signals.each_ref().map(frame).concat())
        .unwrap();
    side.turn();
    line.says(&side, bye());
    line.raw
        .send_frame(&Message::new(OpCode::ByeResponse).id(1))
        .unwrap();
    // Twice the bye timeout.
    std::thread::sleep(Duration::from_millis(400));
    let mut expected = signals
        .map(|signal| from_peer(signal.on(line.channel)))
        .to_vec();
    let response = Message::new(OpCode::ByeResponse).id(1);
    expected.push(from_peer(response.on(line.channel)));
    expected.push(line.closed(Status::SUCCESS, true));
    side.expect_last(&expected);
}

/// Counts, ids, bytes, and who it was.
fn the_last_word_says_what_has_passed(transport: Transport) {
    let mut pair = Pair::connected(transport);
    let request = pair.client_says(Message::new(OpCode::Request).with_body(b"12345"));
    pair.client_says(Message::new(OpCode::Signal).id(50).with_body(&[1; 20_000]));
    // A proof of receipt: of what came before it, whatever it answers.
    pair.server_says(request.op(OpCode::Response));
    pair.client_says(Message::new(OpCode::Signal).id(60).with_body(b"1234567"));
    pair.server_says(Message::new(OpCode::Request).id(70));
    pair.client_says(Message::new(OpCode::Signal).id(80).with_body(b"123"));
    pair.client
        .post(Message::new(OpCode::ByeSignal).on(pair.at_client));
    assert_eq!(pair.client.next().op_code(), OpCode::ByeSignal);
    let (clients, servers) = (pair.client.next(), pair.server.next());
    let info = clients.close_info().unwrap();
    assert_eq!((info.messages_sent, info.messages_received), (5, 3));
    assert_eq!(info.last_id_sent, Some(MessageId::new(80)));
    assert_eq!(info.last_id_received, Some(MessageId::new(70)));
    assert_eq!(info.bytes_unconfirmed, 16 + 7 + 16 + 3);
    assert_eq!(info.partial_frame_bytes, 0);
    let peer = info.peer.as_ref().expect("it was connected");
    assert_eq!(peer.endpoint, pair.listening.endpoint);
    let info = servers.close_info().unwrap();
    assert_eq!((info.messages_sent, info.messages_received), (3, 5));
    assert_eq!(info.last_id_sent, Some(MessageId::new(70)));
    assert_eq!(info.last_id_received, Some(MessageId::new(80)));
    // The HelloResponse, the Response and the Request: nothing has proved them.
    assert_eq!(info.bytes_unconfirmed, 3 * 16 + 5);
    assert!(info.peer.is_some());
}

fn bye_signal_on_an_idle_channel(transport: Transport) {
    for by_client in [true, false] {
        let mut pair = Pair::connected(transport);
        pair.echo();
        let last_words = [
            pair.client_closed(Status::CHANNEL_CLOSED, false),
            pair.server_closed(Status::CHANNEL_CLOSED, false),
        ];
        let peers_last_words = [
            pair.server_closed(Status::PEER_DISCONNECTED, false),
            pair.client_closed(Status::PEER_DISCONNECTED, false),
        ];
        let (actor, channel, peer) = match by_client {
            true => (&mut pair.client, pair.at_client, &mut pair.server),
            false => (&mut pair.server, pair.at_server, &mut pair.client),
        };
        let index = usize::from(!by_client);
        let signal = Message::new(OpCode::ByeSignal).on(channel);
        let signal = actor.post(signal.with_header("a", "b").with_body(b"c"));
        actor.expect_last(&[
            returned(signal.clone(), Status::CHANNEL_CLOSED),
            last_words[index].clone(),
        ]);
        assert_eq!(actor.refused(signal), Status::CHANNEL_CLOSED);
        peer.expect_last(&peers_last_words[index..=index]);
    }
}

/// It comes back first, then what it overtook, in order, then the last word.
fn bye_signal_passes_what_is_queued(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let mut line = Line::dialed(&side, &place);
    let posted = fill_the_kernel(&mut side, line.channel);
    let signal = side.post(Message::new(OpCode::ByeSignal).on(line.channel));
    side.expect(&[returned(signal, Status::CHANNEL_CLOSED)]);
    let unsent = side.expect_unsent(&posted, Status::CHANNEL_CLOSED);
    let last_word = side.next();
    assert_eq!(
        crate::harness::Seen::of(&last_word),
        line.closed(Status::CHANNEL_CLOSED, false)
    );
    // The HelloRequest, and those that did not come back.
    let sent = posted.len() - unsent;
    assert_eq!(
        last_word.close_info().unwrap().messages_sent,
        1 + sent as u64
    );
    assert_eq!(
        last_word.close_info().unwrap().last_id_sent,
        sent.checked_sub(1).map(|last| posted[last].message_id())
    );
    side.expect_nothing();
    let (received, _end) = line.raw.receive_all(LIMIT);
    assert!(received.len() <= sent, "{} of {sent}", received.len());
    for (received, posted) in received.iter().zip(&posted) {
        assert_eq!(*received, crate::raw::as_on_the_wire(posted.clone()));
    }
}

fn bye_signal_after_own_bye_request(transport: Transport) {
    let mut pair = Pair::connected(transport);
    pair.client_says(bye());
    let signal = pair
        .client
        .post(Message::new(OpCode::ByeSignal).on(pair.at_client));
    pair.client.expect_last(&[
        returned(signal, Status::CHANNEL_CLOSED),
        pair.client_closed(Status::CHANNEL_CLOSED, false),
    ]);
    let last_word = pair.server_closed(Status::PEER_DISCONNECTED, false);
    pair.server.expect_last(&[last_word]);
}

/// The bye timeout begins afresh with every byte that the peer sends.
#[test]
fn a_talking_peer_may_take_its_time_to_answer() {
    let mut side = Side::start(Options::default().bye_timeout(Duration::from_millis(900)));
    let place = RawPlace::new(Transport::Tcp);
    let mut line = Line::dialed(&side, &place);
    line.says(&side, bye());
    for id in 1..=4 {
        // A third of the timeout passes without a word.
        let silence = side
            .group
            .receive_within(Duration::from_millis(300))
            .unwrap();
        assert!(silence.is_none(), "{silence:?}");
        line.peer_says(&mut side, Message::new(OpCode::Signal).id(id));
    }
    line.peer_says(&mut side, Message::new(OpCode::ByeResponse).id(1));
    side.expect_last(&[line.closed(Status::SUCCESS, true)]);
}
