//! Calls and callers against servers that answer as they are expected to, and otherwise.

use std::thread;
use std::time::{Duration, Instant};

use tofu_addr::Address;
use tofu_chnls::helpers::{
    CallErrorKind, CallEvent, CallFailure, CallFailureKind, Caller, Calls, RequestFate,
};
use tofu_chnls::{Ampe, ChannelGroup, Msg, Options, Reactor};
use tofu_msg::{ChannelNumber, Message, OpCode, Status};
use tofu_testkit::{RawListener, wait_until};

use crate::server::{DEADLINE, Server, any_port, connect, receive, reply};

/// A client's engine and group, connected.
struct Client {
    engine: Reactor,
    group: ChannelGroup,
    channel: ChannelNumber,
    server: Server,
}

fn connected(server: Server) -> Client {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create().unwrap();
    let channel = connect(&engine, &mut group, server.endpoint());
    Client {
        engine,
        group,
        channel,
        server,
    }
}

impl Client {
    fn message(&self, op_code: OpCode) -> Msg {
        let mut message = self.engine.message().unwrap();
        message.set_op_code(op_code);
        message.set_channel_number(self.channel);
        message
    }

    fn call(&self, calls: &mut Calls<u32>, value: u32, deadline: Instant) {
        let request = self.message(OpCode::Request);
        calls.call(&self.group, request, value, deadline).unwrap();
    }

    /// The next event, for which messages are received.
    fn event(&mut self, calls: &mut Calls<u32>) -> CallEvent<u32> {
        loop {
            if let Some(event) = calls.next_event() {
                return event;
            }
            calls.on_message(receive(&mut self.group));
        }
    }
}

/// A server that does to requests what `service` does, and answers everything else.
fn serving(mut service: impl FnMut(&ChannelGroup, Msg) + Send + 'static) -> Server {
    Server::start(&any_port(), move |group, message| match message {
        Some(request) if request.op_code() == OpCode::Request => service(group, request),
        Some(other) => reply(group, other),
        None => {}
    })
}

/// Posts what belongs to a request: a Signal, or a Response.
fn post_about(group: &ChannelGroup, request: &Msg, op_code: OpCode, more: bool, body: &[u8]) {
    let mut message = Msg::from(Message::new(op_code));
    message.set_channel_number(request.channel_number());
    message.set_message_id(request.message_id());
    message.set_more(more);
    message.body_mut().append(body).unwrap();
    group.post(message).unwrap();
}

/// Shows progress twice and answers in three parts.
fn in_parts() -> Server {
    serving(|group, request| {
        post_about(group, &request, OpCode::Signal, false, b"half");
        post_about(group, &request, OpCode::Signal, true, b"nearly");
        post_about(group, &request, OpCode::Response, true, b"a");
        post_about(group, &request, OpCode::Response, true, b"b");
        post_about(group, &request, OpCode::Response, false, b"c");
    })
}

#[test]
fn answers_come_in_parts_with_progress_before_them() {
    let mut client = connected(in_parts());
    let mut calls = Calls::new(10);
    client.call(&mut calls, 1, Instant::now() + DEADLINE);
    let mut bodies = Vec::new();
    let last = loop {
        match client.event(&mut calls) {
            CallEvent::Progress { message, .. } => bodies.push(message.body().to_vec()),
            CallEvent::Answered {
                value: 1, answer, ..
            } => break answer,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(bodies, [&b"half"[..], b"nearly", b"a", b"b"]);
    assert_eq!(last.body().as_bytes(), b"c");
}

#[test]
fn an_answer_behind_its_deadline_is_late() {
    // Answers the one before: the first with the second.
    let mut held: Option<Msg> = None;
    let mut client = connected(serving(move |group, request| {
        if let Some(before) = held.replace(request) {
            reply(group, before);
        }
    }));
    let mut calls = Calls::new(10);
    let now = Instant::now();
    client.call(&mut calls, 1, now);
    calls.on_time(now);
    match calls.next_event() {
        Some(CallEvent::Failed {
            value: 1, failure, ..
        }) => {
            assert!(matches!(failure.kind(), CallFailureKind::Expired));
        }
        other => panic!("{other:?}"),
    }
    client.call(&mut calls, 2, now + DEADLINE);
    assert!(matches!(client.event(&mut calls), CallEvent::Late { .. }));
    assert_eq!((calls.late(), calls.pending()), (1, 1));
}

#[test]
fn a_confirmed_close_proves_that_requests_were_taken() {
    let mut client = connected(serving(|_, _| {}));
    let mut calls = Calls::new(10);
    client.call(&mut calls, 1, Instant::now() + DEADLINE);
    let bye = client.message(OpCode::ByeRequest);
    client.group.post(bye).unwrap();
    match client.event(&mut calls) {
        CallEvent::Failed { failure, .. } => assert_eq!(failure.fate(), RequestFate::Taken),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_end_of_the_own_engine_ends_calls_with_their_channel() {
    let mut client = connected(serving(|_, _| {}));
    let mut calls = Calls::new(10);
    client.call(&mut calls, 1, Instant::now() + DEADLINE);
    client.engine.shutdown(Duration::ZERO);
    match client.event(&mut calls) {
        CallEvent::Failed { failure, .. } => assert_eq!(failure.status(), Status::SHUTDOWN_STARTED),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_destroyed_group_tells_which_requests_were_not_sent() {
    let peer = RawListener::bind_tcp().unwrap();
    let engine = Reactor::start(Options::default()).unwrap();
    let group = engine.create().unwrap();
    let mut hello = engine.message().unwrap();
    let endpoint = peer.endpoint().clone();
    Address::connect_to(endpoint).format(&mut hello).unwrap();
    let channel = group.post(hello).unwrap().channel_number;
    // The peer reads nothing: at some time the send queue is full.
    let (mut calls, deadline) = (Calls::new(10_000), Instant::now() + DEADLINE);
    loop {
        let mut request = request(channel);
        request.body_mut().append(&[0; 60_000]).unwrap();
        if calls.call(&group, request, 0, deadline).is_err() {
            break;
        }
    }
    let unsent = group.destroy(Duration::ZERO).unsent;
    let mut not_sent = 0;
    for message in unsent {
        if let Some(message) = calls.on_message(message) {
            // So soon that not even the HelloRequest was out.
            assert_eq!(message.op_code(), OpCode::HelloResponse);
            continue;
        }
        let failed = calls.next_event();
        let Some(CallEvent::Failed { failure, .. }) = failed else {
            panic!("{failed:?}");
        };
        assert_eq!(failure.fate(), RequestFate::NotSent);
        not_sent += 1;
    }
    assert!(not_sent > 0);
    calls.fail_all(Status::SHUTDOWN_STARTED);
    assert_eq!(calls.pending(), 0);
}

/// A caller with its receiving thread, which ends with the engine.
fn caller(client: Client, limit: usize) -> (Caller, Reactor, ChannelNumber, Server) {
    let Client {
        engine,
        mut group,
        channel,
        server,
    } = client;
    let (caller, dispatcher) = Caller::new(group.poster(), limit);
    thread::spawn(move || {
        while let Ok(Some(message)) = group.wait_receive(Duration::MAX) {
            dispatcher.on_message(message);
        }
    });
    (caller, engine, channel, server)
}

fn request(channel: ChannelNumber) -> Msg {
    let mut request = Message::new(OpCode::Request);
    request.set_channel_number(channel);
    request.into()
}

/// What a call that fails says.
fn failure<T: std::fmt::Debug>(result: Result<T, CallFailure>) -> (Status, RequestFate, bool) {
    let failure = result.unwrap_err();
    println!("{failure}");
    (
        failure.status(),
        failure.fate(),
        failure.into_request().is_some(),
    )
}

#[test]
fn threads_wait_for_their_own_answers() {
    let (caller, engine, channel, server) = caller(connected(Server::echo(&any_port())), 100);
    thread::scope(|scope| {
        for thread in 0..4u32 {
            let caller = &caller;
            scope.spawn(move || {
                for round in 0..200u32 {
                    let mut request = request(channel);
                    let sums = [thread.to_be_bytes(), round.to_be_bytes()].concat();
                    request.body_mut().append(&sums).unwrap();
                    let answer = caller.call(request, DEADLINE).unwrap();
                    assert_eq!(answer.message.body().as_bytes(), sums);
                    assert!(answer.earlier.is_empty());
                }
            });
        }
    });
    assert_eq!((caller.pending(), caller.late()), (0, 0));
    engine.shutdown(Duration::ZERO);
    server.kill();
}

#[test]
fn a_waiting_thread_may_take_each_part() {
    let (caller, _engine, channel, _server) = caller(connected(in_parts()), 1);
    let mut call = caller.start(request(channel), DEADLINE).unwrap();
    assert_eq!(call.id().channel, channel);
    let bodies = call.by_ref().map(|part| part.unwrap().body().to_vec());
    let bodies: Vec<_> = bodies.collect();
    assert_eq!(bodies, [&b"half"[..], b"nearly", b"a", b"b", b"c"]);
    let again = call.wait().unwrap_err();
    assert!(matches!(again.kind(), CallFailureKind::AlreadyEnded));

    let answer = caller.call(request(channel), DEADLINE).unwrap();
    let earlier = answer.earlier.iter().map(|part| part.body().to_vec());
    assert_eq!(earlier.collect::<Vec<_>>(), [b"a", b"b"]);
    assert_eq!(answer.message.body().as_bytes(), b"c");
}

/// A server that answers nothing, but shows that it has got a request with a body.
fn silent() -> Server {
    serving(|group, request| {
        if !request.body().is_empty() {
            post_about(group, &request, OpCode::Signal, false, b"");
        }
    })
}

#[test]
fn calls_that_cannot_be_answered_do_not_wait_for_ever() {
    let (caller, engine, channel, server) = caller(connected(silent()), 2);
    // The deadline passes.
    let expired = failure(caller.call(request(channel), Duration::from_millis(20)));
    let status = Status::COMMUNICATION_FAILED;
    assert_eq!(expired, (status, RequestFate::Unknown, false));

    // A further one is too many; one that is given up makes room.
    let given_up = caller.start(request(channel), DEADLINE).unwrap();
    let mut shown = request(channel);
    shown.body_mut().append(b"show").unwrap();
    let mut waits = caller.start(shown, DEADLINE).unwrap();
    let refused = failure(caller.start(request(channel), DEADLINE));
    assert_eq!(refused, (Status::QUEUE_FULL, RequestFate::NotSent, true));
    drop(given_up);
    assert_eq!(caller.pending(), 1);

    // The server dies with a request that it has seen; a further one is not sent.
    assert!(waits.next().unwrap().is_ok());
    server.kill();
    let closed = failure(waits.wait());
    assert_eq!(
        closed,
        (Status::PEER_DISCONNECTED, RequestFate::Taken, false)
    );
    let (_, fate, came_back) = failure(caller.call(request(channel), DEADLINE));
    assert_eq!((fate, came_back), (RequestFate::NotSent, true));

    // Nobody receives any more.
    engine.shutdown(Duration::ZERO);
    wait_until(DEADLINE, "the receiving thread to end", || {
        let refused = caller.start(request(channel), DEADLINE).unwrap_err();
        let no_receiver = CallErrorKind::NoReceiver;
        matches!(refused.kind(), CallFailureKind::Refused(kind) if *kind == no_receiver)
    });
}

#[test]
fn the_end_of_the_receiving_loop_wakes_who_waits() {
    let client = connected(serving(|_, _| {}));
    let (caller, dispatcher) = Caller::new(client.group.poster(), 1);
    let waits = caller
        .start(request(client.channel), Duration::MAX)
        .unwrap();
    let waiter = thread::spawn(move || waits.wait().unwrap_err());
    drop(dispatcher);
    let failure = waiter.join().unwrap();
    assert_eq!(failure.status(), Status::SHUTDOWN_STARTED, "{failure}");
}

/// A call whose end nobody has taken yet, and another under the same id of the program's own.
#[test]
fn a_call_that_has_ended_leaves_a_later_one_of_its_id_alone() {
    let Client {
        engine,
        mut group,
        channel,
        server,
    } = connected(Server::echo(&any_port()));
    let (caller, dispatcher) = Caller::new(group.poster(), 10);
    let start = |timeout| {
        let mut request = engine.message().unwrap();
        request.set_channel_number(channel);
        request.set_message_id(tofu_msg::MessageId::new(7));
        caller.start(request, timeout).unwrap()
    };
    let mut earlier = start(Duration::ZERO);
    assert!(dispatcher.on_message(receive(&mut group)).is_none());
    let later = start(DEADLINE);
    // The first has its answer, although its time is over; both its look at the clock and its end
    // are its own affair.
    assert!(matches!(earlier.next(), Some(Ok(_))));
    assert_eq!(caller.pending(), 1);
    assert!(dispatcher.on_message(receive(&mut group)).is_none());
    let _dropped = std::mem::replace(&mut earlier, later);
    let unread = std::mem::replace(&mut earlier, start(DEADLINE));
    drop(unread);
    assert_eq!(caller.pending(), 1);
    assert!(dispatcher.on_message(receive(&mut group)).is_none());
    assert!(earlier.wait().is_ok());
    server.kill();
}
