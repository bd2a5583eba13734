//! Heartbeats between engines, and a peer that falls silent and speaks again.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tofu_chnls::helpers::{
    CallEvent, Calls, Context, Heartbeat, HeartbeatEvent, Host, Service, close_at_once,
    time_to_next,
};
use tofu_chnls::{Ampe, ChannelGroup, Incoming, Notice, Options, Reactor};
use tofu_msg::{Message, OpCode};
use tofu_testkit::{RawListener, RawPeer};

use crate::server::{DEADLINE, Server, any_port, connect, reply};

const INTERVAL: Duration = Duration::from_millis(10);

/// The next event, however long it takes.
fn event(heartbeat: &mut Heartbeat, group: &mut ChannelGroup) -> HeartbeatEvent {
    let end = Instant::now() + DEADLINE;
    loop {
        heartbeat.on_time(group, Instant::now());
        if let Some(event) = heartbeat.next_event() {
            return event;
        }
        let due = [heartbeat.next_deadline(), Some(end)];
        let wait = time_to_next(Instant::now(), due);
        if let Some(message) = group.wait_receive(wait).unwrap() {
            heartbeat.on_message(&message, Instant::now());
        }
        assert!(Instant::now() < end, "{heartbeat:?}");
    }
}

#[test]
fn a_peer_that_falls_silent_is_told_and_so_is_its_return() {
    let listener = RawListener::bind_tcp().unwrap();
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create().unwrap();
    let endpoint = listener.endpoint().clone();
    let peer = std::thread::spawn(move || {
        let mut peer = listener.accept(DEADLINE).unwrap();
        let mut hello = peer.receive_frame(DEADLINE).unwrap().unwrap();
        hello.make_reply();
        peer.send_frame(&hello).unwrap();
        peer
    });
    let channel = connect(&engine, &mut group, &endpoint);
    let mut peer: RawPeer = peer.join().unwrap();

    let mut heartbeat = Heartbeat::new(INTERVAL, 3 * INTERVAL);
    heartbeat.watch(channel, Instant::now());
    let silent = event(&mut heartbeat, &mut group);
    assert!(matches!(silent, HeartbeatEvent::Silent { channel: silent, .. } if silent == channel));

    // What the peer has got meanwhile is what this side sends. Then it speaks.
    let beat = peer.receive_frame(DEADLINE).unwrap().unwrap();
    assert_eq!(beat.op_code(), OpCode::Signal);
    assert_eq!(beat.text_headers().as_bytes(), b"heartbeat:\r\n");
    let mut signal = Message::new(OpCode::Signal);
    signal.set_message_id(tofu_msg::MessageId::new(1));
    peer.send_frame(&signal).unwrap();
    match event(&mut heartbeat, &mut group) {
        HeartbeatEvent::Heard { silent_for, .. } => assert!(silent_for >= 3 * INTERVAL),
        other => panic!("{other:?}"),
    }
}

#[test]
fn two_sides_that_beat_keep_each_other_and_disturb_no_call() {
    // The server beats too, and holds its one answer back for twenty beats of the client.
    let mut heartbeat = Heartbeat::new(INTERVAL, DEADLINE);
    let (mut held, mut beats) = (None, 0);
    let server = Server::start(&any_port(), move |group, message| {
        let now = Instant::now();
        if let Some(message) = message {
            beats += u32::from(heartbeat.on_message(&message, now));
            match message.op_code() {
                OpCode::HelloRequest => {
                    heartbeat.watch(message.channel_number(), now);
                    reply(group, message);
                }
                OpCode::Request => held = Some(message),
                _ => {}
            }
        }
        heartbeat.on_time(group, now);
        assert_eq!(heartbeat.next_event(), None);
        if beats >= 20 {
            held.take()
                .into_iter()
                .for_each(|request| reply(group, request));
        }
    });
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create().unwrap();
    let channel = connect(&engine, &mut group, server.endpoint());
    let (mut heartbeat, mut calls) = (Heartbeat::new(INTERVAL, DEADLINE), Calls::new(1));
    let now = Instant::now();
    heartbeat.watch(channel, now);
    let mut request = engine.message().unwrap();
    request.set_channel_number(channel);
    calls.call(&group, request, (), now + DEADLINE).unwrap();

    let mut beats = 0;
    let answered = loop {
        heartbeat.on_time(&group, Instant::now());
        assert_eq!(heartbeat.next_event(), None);
        let wait = time_to_next(Instant::now(), [heartbeat.next_deadline()]);
        let Some(message) = group.wait_receive(wait).unwrap() else {
            continue;
        };
        beats += u32::from(heartbeat.on_message(&message, Instant::now()));
        // A heartbeat that is not sorted out before is no call's progress either.
        calls.on_message(message);
        if let Some(event) = calls.next_event() {
            break event;
        }
    };
    assert!(
        matches!(answered, CallEvent::Answered { .. }),
        "{answered:?}"
    );
    assert!(beats > 0, "the server beats too");
    server.kill();
}

/// A service that does nothing but to close the channels of clients that fall silent.
struct Watchman {
    heartbeat: Heartbeat,
    closed: u32,
}

impl Service for Watchman {
    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        self.heartbeat
            .on_message(incoming.message(), Instant::now());
        match incoming {
            Incoming::Peer(mut message) if message.op_code() == OpCode::HelloRequest => {
                self.heartbeat
                    .watch(message.channel_number(), Instant::now());
                message.make_reply();
                context.post(message).unwrap();
                ControlFlow::Continue(())
            }
            Incoming::Engine(Notice::ChannelClosed(_), _) => {
                self.closed += 1;
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        }
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.heartbeat.next_deadline()
    }

    fn on_time(&mut self, now: Instant, context: &Context<'_>) -> ControlFlow<()> {
        self.heartbeat.on_time(context, now);
        while let Some(event) = self.heartbeat.next_event() {
            if let HeartbeatEvent::Silent { channel, .. } = event {
                close_at_once(context, channel).unwrap();
            }
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn a_service_watches_its_clients() {
    let engine = Reactor::start(Options::default()).unwrap();
    let host = Host::open(&engine, [any_port()], DEADLINE).unwrap();
    let endpoint = host.listeners()[0].endpoint.clone();
    let server = std::thread::spawn(move || {
        let heartbeat = Heartbeat::new(INTERVAL, 3 * INTERVAL);
        let mut watchman = Watchman {
            heartbeat,
            closed: 0,
        };
        host.serve(&engine, &mut watchman).unwrap();
        watchman.closed
    });
    let mut peer = RawPeer::connect(&endpoint).unwrap();
    peer.hello(&endpoint).unwrap();
    // It says nothing more, gets its answer and some heartbeats, and then is closed.
    let (frames, _) = peer.receive_all(DEADLINE);
    assert_eq!(frames[0].op_code(), OpCode::HelloResponse);
    assert!(
        frames[1..]
            .iter()
            .all(|frame| frame.op_code() == OpCode::Signal)
    );
    assert_eq!(server.join().unwrap(), 1);
}
