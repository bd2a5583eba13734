//! An engine that listens, in a thread of its own, with a service that a test chooses. It can be
//! killed, and started again at the same address.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tofu_addr::{Address, Endpoint};
use tofu_chnls::{Ampe, ChannelGroup, Incoming, Msg, Notice, Options, Reactor};
use tofu_msg::{OpCode, Status};

/// A wait that takes so long hangs.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);
/// How long a server waits for a message before it calls its service without one.
const IDLE: Duration = Duration::from_millis(5);

pub(crate) struct Server {
    engine: Reactor,
    endpoint: Endpoint,
    thread: JoinHandle<()>,
}

impl Server {
    /// Listens at `endpoint`, waiting for it to become free, and serves what peers send: `service` is
    /// given each message, and none when nothing has come for a while.
    pub(crate) fn start(
        endpoint: &Endpoint,
        mut service: impl FnMut(&ChannelGroup, Option<Msg>) + Send + 'static,
    ) -> Server {
        let engine = Reactor::start(Options::default()).unwrap();
        let mut group = engine.create().unwrap();
        let endpoint = listen(&engine, &mut group, endpoint);
        let thread = std::thread::spawn(move || {
            while let Ok(message) = group.wait_receive(IDLE) {
                match message.map(Incoming::from) {
                    Some(Incoming::Peer(message)) => service(&group, Some(message)),
                    Some(_) => {}
                    None => service(&group, None),
                }
            }
        });
        Server {
            engine,
            endpoint,
            thread,
        }
    }

    /// Answers every message that has an answer with itself.
    pub(crate) fn echo(endpoint: &Endpoint) -> Server {
        Server::start(endpoint, |group, message| {
            message
                .into_iter()
                .for_each(|message| reply(group, message));
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Ends it without any grace.
    pub(crate) fn kill(self) {
        self.engine.shutdown(Duration::ZERO);
        self.thread.join().unwrap();
    }
}

/// A TCP port that the system chooses.
pub(crate) fn any_port() -> Endpoint {
    "tcp|127.0.0.1|0".parse().unwrap()
}

/// Answers a message with itself, where it has an answer. The peer may be gone.
pub(crate) fn reply(group: &ChannelGroup, mut message: Msg) {
    if message.make_reply().is_some() {
        group.post(message).ok();
    }
}

/// Posts a HelloRequest; returns once it is answered.
pub(crate) fn connect(
    engine: &Reactor,
    group: &mut ChannelGroup,
    to: &Endpoint,
) -> tofu_msg::ChannelNumber {
    let mut hello = engine.message().unwrap();
    Address::connect_to(to.clone()).format(&mut hello).unwrap();
    let channel = group.post(hello).unwrap().channel_number;
    let answer = receive(group);
    assert_eq!(answer.op_code(), OpCode::HelloResponse, "{answer:?}");
    assert_eq!(answer.status(), Status::SUCCESS, "{answer:?}");
    channel
}

/// The next message, which must come.
pub(crate) fn receive(group: &mut ChannelGroup) -> Msg {
    let message = group.wait_receive(DEADLINE).unwrap();
    message.expect("nothing came")
}

/// What was killed a moment ago may still hold the address.
fn listen(engine: &Reactor, group: &mut ChannelGroup, endpoint: &Endpoint) -> Endpoint {
    let end = Instant::now() + DEADLINE;
    loop {
        let mut welcome = engine.message().unwrap();
        Address::listen_on(endpoint.clone())
            .format(&mut welcome)
            .unwrap();
        group.post(welcome).unwrap();
        match Incoming::from(receive(group)) {
            Incoming::Engine(Notice::ListenerReady, ready) => {
                return Address::parse(&ready).unwrap().into_endpoint();
            }
            other => assert!(Instant::now() < end, "{other:?}"),
        }
        let last_word = receive(group);
        assert!(last_word.close_info().is_some());
    }
}
