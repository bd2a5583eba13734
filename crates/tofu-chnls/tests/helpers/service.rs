//! A host with several listeners and its service, from the outside.

use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tofu_addr::{Address, Endpoint};
use tofu_chnls::helpers::{Context, Host, HostEnd, HostError, HostHandle, Served, Service};
use tofu_chnls::{Ampe, ChannelGroup, Incoming, Msg, Notice, Options, PostErrorKind, Reactor};
use tofu_msg::{ChannelNumber, Message, OpCode, Status};
use tofu_testkit::{TempUdsPath, run_tasks};

const PATIENCE: Duration = Duration::from_secs(30);

/// Answers everything with itself, and tells what it sees.
struct Echo {
    told: mpsc::Sender<&'static str>,
    /// The channels of those that said Hello.
    clients: Vec<ChannelNumber>,
}

fn echo() -> (Echo, mpsc::Receiver<&'static str>) {
    let (told, seen) = mpsc::channel();
    let clients = Vec::new();
    (Echo { told, clients }, seen)
}

impl Service for Echo {
    fn start(
        &mut self,
        context: &Context<'_>,
    ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
        assert!(!context.listeners().is_empty());
        Ok(self.told.send("started")?)
    }

    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        match incoming {
            Incoming::Peer(message) if message.body().as_bytes() == b"end" => {
                return ControlFlow::Break(());
            }
            Incoming::Peer(message) if message.body().as_bytes() == b"leave" => {
                context.close_now(message.channel_number()).unwrap();
            }
            Incoming::Peer(mut message) => {
                if message.op_code() == OpCode::HelloRequest {
                    self.clients.push(message.channel_number());
                }
                message.make_reply();
                context.post(message).ok();
            }
            Incoming::Update(_) => self.told.send("update").unwrap(),
            Incoming::Engine(Notice::ChannelClosed(_), closed) => {
                self.clients
                    .retain(|client| *client != closed.channel_number());
                let refused = context.post(closed).unwrap_err();
                assert_ne!(refused.kind(), PostErrorKind::QueueFull);
            }
            Incoming::Engine(..) => {}
        }
        ControlFlow::Continue(())
    }

    /// Says goodbye to everybody.
    fn stop(&mut self, context: &Context<'_>) {
        for client in &self.clients {
            context.close(*client).ok();
        }
        self.told.send("stopped").unwrap();
    }
}

fn tcp() -> Endpoint {
    Address::tcp_server("127.0.0.1", 0).into_endpoint()
}

/// A running host.
struct Running {
    engine: Reactor,
    endpoints: Vec<Endpoint>,
    handle: HostHandle,
    seen: mpsc::Receiver<&'static str>,
    thread: JoinHandle<Result<Served, HostError>>,
}

fn start(endpoints: impl IntoIterator<Item = Endpoint>) -> Running {
    let engine = Reactor::start(Options::default()).unwrap();
    let host = Host::open(&engine, endpoints, PATIENCE).unwrap();
    let endpoints = host
        .listeners()
        .iter()
        .map(|listener| listener.endpoint.clone())
        .collect();
    let handle = host.handle();
    let (mut service, seen) = echo();
    let of_host = engine.clone();
    let thread = thread::spawn(move || host.serve(&of_host, &mut service));
    assert_eq!(seen.recv_timeout(PATIENCE), Ok("started"));
    Running {
        engine,
        endpoints,
        handle,
        seen,
        thread,
    }
}

impl Running {
    fn join(self) -> (Served, Vec<&'static str>) {
        let served = self.thread.join().unwrap().unwrap();
        (served, self.seen.iter().collect())
    }
}

/// Connects, and takes the answer to its HelloRequest.
fn connect(engine: &Reactor, endpoint: &Endpoint) -> (ChannelGroup, ChannelNumber) {
    let mut group = engine.create().unwrap();
    let mut hello = engine.message().unwrap();
    Address::connect_to(endpoint.clone())
        .format(&mut hello)
        .unwrap();
    let channel = group.post(hello).unwrap().channel_number;
    let answer = group.wait_receive(PATIENCE).unwrap().unwrap();
    assert_eq!(answer.op_code(), OpCode::HelloResponse);
    (group, channel)
}

fn say(engine: &Reactor, group: &ChannelGroup, channel: ChannelNumber, text: &str) {
    let mut request = engine.message().unwrap();
    request.set_channel_number(channel);
    request.body_mut().append(text.as_bytes()).unwrap();
    group.post(request).unwrap();
}

fn next(group: &mut ChannelGroup) -> Incoming {
    Incoming::from(
        group
            .wait_receive(PATIENCE)
            .unwrap()
            .expect("a message in time"),
    )
}

#[test]
fn twenty_clients_are_served_over_both_transports_by_one_loop() {
    let path = TempUdsPath::new().unwrap();
    let uds = Address::uds_server(path.as_path()).into_endpoint();
    let running = start([tcp(), uds, tcp()]);
    assert_eq!(running.endpoints.len(), 3);
    assert_ne!(running.endpoints[0], running.endpoints[2]);

    let engine = Reactor::start(Options::default()).unwrap();
    let client = |index: usize| {
        let (engine, endpoint) = (engine.clone(), running.endpoints[index % 3].clone());
        move || {
            let (mut group, channel) = connect(&engine, &endpoint);
            for number in 0..50 {
                let text = format!("client {index}, request {number}");
                say(&engine, &group, channel, &text);
                match next(&mut group) {
                    Incoming::Peer(answer) => assert_eq!(answer.body().as_bytes(), text.as_bytes()),
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    let tasks = (0..20).map(|index| Box::new(client(index)) as Box<dyn FnOnce() + Send>);
    run_tasks(PATIENCE, tasks.collect()).unwrap();

    running.handle.stop();
    running.handle.stop();
    let (served, seen) = running.join();
    assert!(matches!(served.end, HostEnd::Stopped));
    assert_eq!(seen, ["stopped"]);
    assert!(!path.exists(), "nobody listens there any more");
}

#[test]
fn what_came_before_the_stop_is_served_and_clients_are_told_goodbye() {
    let running = start([tcp()]);
    let engine = Reactor::start(Options::default()).unwrap();
    let (mut group, _) = connect(&engine, &running.endpoints[0]);
    let handle = running.handle.clone();
    handle.stop();
    match next(&mut group) {
        Incoming::Peer(bye) => assert_eq!(bye.op_code(), OpCode::ByeRequest),
        other => panic!("{other:?}"),
    }
    let (served, seen) = running.join();
    assert!(matches!(served.end, HostEnd::Stopped));
    assert_eq!(seen, ["stopped"]);
    handle.stop();
}

#[test]
fn the_service_can_end_the_host_and_turn_clients_away() {
    let running = start([tcp()]);
    let engine = Reactor::start(Options::default()).unwrap();
    let (mut group, channel) = connect(&engine, &running.endpoints[0]);
    say(&engine, &group, channel, "leave");
    assert!(matches!(
        next(&mut group),
        Incoming::Engine(Notice::ChannelClosed(_), _)
    ));

    let (group, channel) = connect(&engine, &running.endpoints[0]);
    say(&engine, &group, channel, "end");
    let (served, _) = running.join();
    assert!(matches!(served.end, HostEnd::ServiceEnded));
    drop(group);
}

#[test]
fn other_threads_hand_things_to_the_service() {
    /// Gives its poster away, and ends with the message that it is handed.
    struct Receiver(mpsc::Sender<tofu_chnls::Poster>, Option<Msg>);
    impl Service for Receiver {
        fn start(
            &mut self,
            context: &Context<'_>,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Ok(self.0.send(context.poster())?)
        }

        fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
            if let Incoming::Update(message) = incoming {
                assert!(context.get().is_ok() && context.engine().message().is_ok());
                self.1 = Some(message);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        }
    }
    let engine = Reactor::start(Options::default()).unwrap();
    let host = Host::open(&engine, [tcp()], PATIENCE)
        .unwrap()
        .grace(Duration::ZERO);
    let (sender, receiver) = mpsc::channel();
    let worker = thread::spawn(move || {
        let poster: tofu_chnls::Poster = receiver.recv_timeout(PATIENCE).unwrap();
        let mut message = Message::new(OpCode::Signal);
        message.body_mut().append(b"work").unwrap();
        poster.update_receiver(Some(Msg::from(message))).unwrap();
    });
    let mut service = Receiver(sender, None);
    let served = host.serve(&engine, &mut service).unwrap();
    assert!(matches!(served.end, HostEnd::ServiceEnded));
    assert_eq!(service.1.unwrap().body().as_bytes(), b"work");
    worker.join().unwrap();
}

#[test]
fn a_host_is_stopped_also_when_its_updates_are_full() {
    /// Leaves no room for the update that is to stop the host.
    struct Busy(HostHandle);
    impl Service for Busy {
        fn start(
            &mut self,
            context: &Context<'_>,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            context.poster().update_receiver(None)?;
            assert!(context.poster().update_receiver(None).is_err());
            self.0.stop();
            Ok(())
        }

        fn on_message(&mut self, _incoming: Incoming, _context: &Context<'_>) -> ControlFlow<()> {
            ControlFlow::Break(())
        }
    }
    let engine = Reactor::start(Options::default().inbox_updates(1)).unwrap();
    let host = Host::open(&engine, [tcp()], PATIENCE).unwrap();
    let mut service = Busy(host.handle());
    let served = host.serve(&engine, &mut service).unwrap();
    assert!(matches!(served.end, HostEnd::Stopped));
}

#[test]
fn the_end_of_the_engine_is_the_end_of_the_host() {
    let running = start([tcp()]);
    running.engine.shutdown(Duration::ZERO);
    let (served, seen) = running.join();
    assert!(matches!(served.end, HostEnd::EngineEnded(_)));
    assert_eq!(seen, ["stopped"]);
}

#[test]
fn a_listener_that_fails_is_named_and_no_other_is_left() {
    let held = start([tcp()]);
    let engine = Reactor::start(Options::default()).unwrap();
    let path = TempUdsPath::new().unwrap();
    let uds = Address::uds_server(path.as_path()).into_endpoint();
    let taken = held.endpoints[0].clone();
    match Host::open(&engine, [uds.clone(), taken.clone()], PATIENCE) {
        Err(HostError::NotListening { endpoint, cause }) => {
            assert_eq!(endpoint, taken);
            assert_eq!(cause.status(), Status::ADDRESS_IN_USE);
        }
        other => panic!("{other:?}"),
    }
    // What was opened before it is gone, so that it can be opened again.
    tofu_testkit::wait_until(PATIENCE, "the socket file to go", || !path.exists());
    drop(Host::open(&engine, [uds], PATIENCE).unwrap());

    // The engine's thread needs its time; that it has none is seen at the first attempt or soon.
    let is_timed_out = |_| {
        let opened = Host::open(&engine, [tcp()], Duration::ZERO);
        matches!(opened, Err(HostError::TimedOut { .. }))
    };
    assert!((0..1000).any(is_timed_out));
    let nowhere = Endpoint::Tcp {
        host: String::from("a b"),
        port: 0,
    };
    match Host::open(&engine, [nowhere.clone()], PATIENCE) {
        Err(HostError::Address { endpoint, .. }) => assert_eq!(endpoint, nowhere),
        other => panic!("{other:?}"),
    }
    engine.shutdown(Duration::ZERO);
    assert!(matches!(
        Host::open(&engine, [tcp()], PATIENCE),
        Err(HostError::Engine(_))
    ));
}

#[test]
fn a_service_that_cannot_start_ends_the_host() {
    struct Unable;
    impl Service for Unable {
        fn start(
            &mut self,
            _context: &Context<'_>,
        ) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
            Err("no database".into())
        }

        fn on_message(&mut self, _incoming: Incoming, _context: &Context<'_>) -> ControlFlow<()> {
            unreachable!("it has not started")
        }

        fn stop(&mut self, _context: &Context<'_>) {
            unreachable!("it has not started")
        }
    }
    let engine = Reactor::start(Options::default()).unwrap();
    let host = Host::open(&engine, [tcp()], PATIENCE).unwrap();
    let error = host.serve(&engine, &mut Unable).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the service could not start: no database"
    );
}
