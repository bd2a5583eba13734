//! What `post` refuses, in the order of its checks: of two faults the earlier one is told, and the
//! message comes back as it was.

use tofu::msg::{OpType, Role};
use tofu::prelude::*;

use crate::harness::{Build, LIMIT, Listening, Pair, Side, Transport, on_both, refused_by};
use crate::raw::{Line, RawPlace, fill_the_kernel, narrow_place};

on_both! {
    checks_in_their_order,
    a_full_queue_is_told_last,
    an_ended_engine_is_told_last,
    what_passes,
    a_refusal_keeps_what_is_beside_the_message,
}

/// Where the cases are posted: a group with a channel in every state.
struct Bench {
    side: Side,
    listening: Listening,
    place: RawPlace,
    /// An initiator, open.
    initiator: Line,
    /// An acceptor that has answered.
    acceptor: Line,
    /// After the own ByeRequest.
    bye_sent: Line,
    /// After the own ByeResponse.
    answered: Line,
    /// After the last word.
    closed: ChannelNumber,
    /// A listener and a channel of another group of the same engine.
    foreign: Side,
    foreign_listening: Listening,
    foreign_channel: ChannelNumber,
}

impl Bench {
    fn new(transport: Transport) -> Bench {
        let mut side = Side::start(Options::default());
        let listening = side.listen(transport);
        let place = RawPlace::new(transport);
        let initiator = Line::dialed(&side, &place);
        let mut acceptor = Line::accepted(&mut side, &listening);
        acceptor.says(&side, Message::new(OpCode::HelloResponse).id(1));
        let mut bye_sent = Line::accepted(&mut side, &listening);
        bye_sent.says(&side, Message::new(OpCode::ByeRequest));
        let mut answered = Line::dialed(&side, &place);
        answered.peer_says(&mut side, Message::new(OpCode::ByeRequest).id(5));
        answered.says(&side, Message::new(OpCode::ByeResponse).id(5));
        let gone = Line::dialed(&side, &place);
        let last_word = gone.closed(Status::PEER_DISCONNECTED, false);
        drop(gone.raw);
        side.expect(&[last_word]);
        let mut foreign = Side {
            engine: side.engine.clone(),
            group: side.engine.create().unwrap(),
        };
        let foreign_listening = foreign.listen(transport);
        let foreign_channel = Line::dialed(&foreign, &place).channel;
        Bench {
            side,
            listening,
            place,
            initiator,
            acceptor,
            bye_sent,
            answered,
            closed: gone.channel,
            foreign,
            foreign_listening,
            foreign_channel,
        }
    }
}

const UNKNOWN: ChannelNumber = ChannelNumber::new(60_000);
const NO_CHANNEL: ChannelNumber = ChannelNumber::UNASSIGNED;

fn hello() -> Message {
    Message::new(OpCode::HelloRequest).with_header("~connect_to", "tcp|127.0.0.1|1")
}

fn welcome() -> Message {
    Message::new(OpCode::WelcomeRequest).with_header("~listen_on", "tcp|127.0.0.1|0")
}

fn of(op_code: OpCode) -> Message {
    Message::new(op_code)
}

/// Faults of the message alone; each must be told before any fault of the channel it is on.
fn faults_of_the_message() -> Vec<(&'static str, Message, Status)> {
    let mut cases = Vec::new();
    for op_code in OpCode::ALL {
        if op_code.role() == Role::Response {
            for message in [of(op_code), of(op_code).with_more()] {
                cases.push(("a response, id 0", message, Status::INVALID_MESSAGE_ID));
            }
        }
        if op_code.op_type() != OpType::Regular {
            let more = of(op_code).id(1).with_more();
            cases.push(("more, no address", more, Status::INVALID_MORE_USAGE));
        }
    }
    cases.push(("more", hello().with_more(), Status::INVALID_MORE_USAGE));
    for op_code in [OpCode::HelloRequest, OpCode::WelcomeRequest] {
        cases.push(("no address", of(op_code), Status::WRONG_ADDRESS));
    }
    for message in [
        hello().op(OpCode::WelcomeRequest),
        welcome().op(OpCode::HelloRequest),
    ] {
        cases.push(("the other's address", message, Status::WRONG_ADDRESS));
    }
    for message in bad_addresses() {
        cases.push(("bad address", message, Status::INVALID_ADDRESS));
    }
    cases
}

fn bad_addresses() -> Vec<Message> {
    let long = format!("uds|/{}", "x".repeat(107));
    let to_connect = [
        "",
        "tcp",
        "udp|a|1",
        "tcp|a",
        "tcp|a|b",
        "tcp|a|65536",
        "tcp||1",
        "tcp|a|0",
        "uds|",
        "TCP|a|1",
        "tcp|a|1|2",
        "tcp|a|-1",
        &long,
    ];
    let to_listen = ["", "tcp|127.0.0.1|x", "tcp|127.0.0.1|", "uds|", &long];
    let hellos = to_connect.map(|value| of(OpCode::HelloRequest).with_header("~connect_to", value));
    let welcomes =
        to_listen.map(|value| of(OpCode::WelcomeRequest).with_header("~listen_on", value));
    hellos.into_iter().chain(welcomes).collect()
}

/// No such channel, or not this group's: told before what would be wrong with it otherwise.
fn absent_channels(bench: &Bench) -> Vec<(Message, ChannelNumber, Status)> {
    let (unknown, foreign) = (
        Status::INVALID_CHANNEL_NUMBER,
        Status::INVALID_CHANNEL_GROUP,
    );
    let others = [bench.foreign_channel, bench.foreign_listening.channel];
    let mut cases = Vec::new();
    for message in [
        of(OpCode::Request),
        of(OpCode::Signal),
        of(OpCode::ByeRequest),
        of(OpCode::ByeSignal),
        of(OpCode::Response).id(1),
        // Not allowed either.
        of(OpCode::ByeResponse).id(1),
        of(OpCode::HelloResponse).id(1),
        of(OpCode::WelcomeResponse).id(1),
    ] {
        // None of them was ever given out, be it next to those that were or far away.
        for number in [0, 250, 60_000, 65_535] {
            cases.push((message.clone(), ChannelNumber::new(number), unknown));
        }
        cases.extend(others.map(|other| (message.clone(), other, foreign)));
    }
    for message in [hello(), welcome()] {
        cases.push((message.clone(), UNKNOWN, unknown));
        cases.push((message.clone(), ChannelNumber::new(250), unknown));
        cases.extend(others.map(|other| (message.clone(), other, foreign)));
    }
    cases
}

/// What the conversation does not allow, also where the channel is closed besides.
fn not_allowed(bench: &Bench) -> Vec<(Message, ChannelNumber)> {
    let listener = bench.listening.channel;
    let (initiator, acceptor) = (bench.initiator.channel, bench.acceptor.channel);
    let (bye_sent, answered) = (bench.bye_sent.channel, bench.answered.channel);
    let mut cases = Vec::new();
    for channel in [
        listener,
        initiator,
        acceptor,
        bye_sent,
        answered,
        bench.closed,
    ] {
        cases.push((hello(), channel));
        cases.push((welcome(), channel));
        cases.push((of(OpCode::WelcomeResponse).id(1), channel));
    }
    for op_code in [OpCode::Request, OpCode::Signal, OpCode::ByeRequest] {
        cases.extend([listener, bye_sent, answered].map(|channel| (of(op_code), channel)));
    }
    for channel in [listener, initiator, acceptor, bye_sent, answered] {
        // By the initiator, a second time, or behind an own Bye.
        cases.push((of(OpCode::HelloResponse).id(1), channel));
        // Unasked, or a second time.
        cases.push((of(OpCode::ByeResponse).id(5), channel));
    }
    cases
}

#[track_caller]
fn assert_refused(side: &Side, name: &str, message: Message, expected: Status) {
    // Whatever else the application has set is no fault, and comes back.
    let mut message = message.with_status(Status::new(77)).with_body(b"kept");
    message.set_origin(Origin::Engine);
    let seen = side.refused(message.clone());
    assert_eq!(seen, expected, "{name}: {message:?}");
}

fn checks_in_their_order(transport: Transport) {
    let mut bench = Bench::new(transport);
    let channels = [
        NO_CHANNEL,
        UNKNOWN,
        bench.listening.channel,
        bench.initiator.channel,
        bench.acceptor.channel,
        bench.bye_sent.channel,
        bench.answered.channel,
        bench.closed,
        bench.foreign_listening.channel,
        bench.foreign_channel,
    ];
    for (name, message, expected) in faults_of_the_message() {
        for channel in channels {
            let case = format!("{name}, channel {channel}");
            assert_refused(&bench.side, &case, message.clone().on(channel), expected);
        }
    }
    for (message, channel, expected) in absent_channels(&bench) {
        assert_refused(
            &bench.side,
            "no such channel",
            message.on(channel),
            expected,
        );
    }
    for (message, channel) in not_allowed(&bench) {
        assert_refused(
            &bench.side,
            "not allowed",
            message.on(channel),
            Status::NOT_ALLOWED,
        );
    }
    for op_code in [OpCode::Request, OpCode::ByeRequest, OpCode::ByeSignal] {
        let message = of(op_code).on(bench.closed);
        assert_refused(&bench.side, "closed", message, Status::CHANNEL_CLOSED);
    }
    // Nothing of it has had any effect.
    bench.side.expect_nothing();
    bench.foreign.expect_nothing();
    bench.acceptor.says(&bench.side, of(OpCode::Request));
    bench.initiator.says(&bench.side, of(OpCode::Request));
    let _dialed = Line::dialed(&bench.side, &bench.place);
    Line::accepted(&mut bench.side, &bench.listening);
}

fn a_full_queue_is_told_last(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(4));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    fill_the_kernel(&mut side, line.channel);
    let on = |message: Message| message.on(line.channel);
    let full = Status::QUEUE_FULL;
    // A ByeRequest that was refused has not been said.
    for op_code in [OpCode::Request, OpCode::ByeRequest, OpCode::Signal] {
        assert_refused(&side, "full", on(of(op_code)), full);
    }
    let cases = [
        (of(OpCode::Response), Status::INVALID_MESSAGE_ID),
        (
            of(OpCode::ByeRequest).with_more(),
            Status::INVALID_MORE_USAGE,
        ),
        (hello(), Status::NOT_ALLOWED),
        (of(OpCode::HelloResponse).id(1), Status::NOT_ALLOWED),
        (of(OpCode::ByeResponse).id(1), Status::NOT_ALLOWED),
        (of(OpCode::WelcomeResponse).id(1), Status::NOT_ALLOWED),
    ];
    for (message, expected) in cases {
        assert_refused(&side, "full", on(message), expected);
    }
    // A ByeSignal always passes.
    side.post(on(of(OpCode::ByeSignal)));
    assert_refused(
        &side,
        "closing",
        on(of(OpCode::Request)),
        Status::CHANNEL_CLOSED,
    );
}

fn an_ended_engine_is_told_last(transport: Transport) {
    let bench = Bench::new(transport);
    bench.side.engine.shutdown(LIMIT / 100);
    let group = &bench.side.group;
    for (name, message, expected) in faults_of_the_message() {
        for channel in [NO_CHANNEL, UNKNOWN, bench.initiator.channel] {
            let message = message.clone().on(channel);
            assert_eq!(refused_by(group, Msg::from(message)), expected, "{name}");
        }
    }
    for (message, channel, expected) in absent_channels(&bench) {
        let message = message.on(channel);
        assert_eq!(refused_by(group, Msg::from(message)), expected, "absent");
    }
    for (message, channel) in not_allowed(&bench) {
        let message = message.on(channel);
        let seen = refused_by(group, Msg::from(message.clone()));
        assert_eq!(seen, Status::NOT_ALLOWED, "{message:?}");
    }
    let ended = Status::SHUTDOWN_STARTED;
    let cases = [
        of(OpCode::Request).on(bench.initiator.channel),
        of(OpCode::ByeSignal).on(bench.listening.channel),
        // It was closed before, but what counts now is that the engine is.
        of(OpCode::Request).on(bench.closed),
        hello(),
        welcome(),
    ];
    for message in cases {
        let seen = refused_by(group, Msg::from(message.clone()));
        assert_eq!(seen, ended, "{message:?}");
    }
}

/// What looks like a fault and is none.
fn what_passes(transport: Transport) {
    let mut pair = Pair::greeted(transport);
    // Any id that is not 0; what else the application has set is not sent.
    let mut odd = of(OpCode::Request)
        .id(u64::MAX)
        .with_status(Status::new(200));
    odd.set_origin(Origin::Engine);
    let posted = pair.client.post(odd.on(pair.at_client));
    let received = pair.server.next();
    assert_eq!(received.message_id(), posted.message_id());
    assert_eq!(
        (received.status(), received.origin()),
        (Status::SUCCESS, Origin::Peer)
    );
    // Automatic ids ascend.
    let first = pair.client_says(of(OpCode::Signal)).message_id().value();
    let second = pair.client_says(of(OpCode::Signal)).message_id().value();
    assert_eq!(second, first + 1);
    // The HelloResponse may come late, and once.
    pair.server_says(of(OpCode::Response).id(9).with_more());
    pair.server_says(of(OpCode::HelloResponse).id(pair.id));
    let again = of(OpCode::HelloResponse).id(pair.id).on(pair.at_server);
    assert_eq!(pair.server.refused(again), Status::NOT_ALLOWED);
    // After both ByeRequests a ByeResponse passes on either side.
    let clients = pair.client_says(of(OpCode::ByeRequest));
    let servers = pair.server_says(of(OpCode::ByeRequest));
    pair.server_says(of(OpCode::ByeResponse).id(clients.message_id()));
    let late = of(OpCode::Request).on(pair.at_server);
    assert_eq!(pair.server.refused(late), Status::NOT_ALLOWED);
    pair.client_says(of(OpCode::ByeResponse).id(servers.message_id()));
}

/// A received HelloRequest that is posted by mistake still knows who sent it.
fn a_refusal_keeps_what_is_beside_the_message(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let raw = tofu_testkit::RawPeer::connect(&listening.endpoint).unwrap();
    raw.hello(&listening.endpoint).unwrap();
    let hello = side.next();
    assert!(hello.peer().is_some());
    assert_eq!(refused_by(&side.group, hello), Status::NOT_ALLOWED);
}
