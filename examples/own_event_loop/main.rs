//! tofu inside an event loop of one's own: one thread, one poller, and other sockets beside it.
//!
//! The engine usually runs on a thread that it starts. Here it does not: the program owns a
//! [`Driver`], tells it which sockets are ready and what time it is, and it does the rest. The same
//! thread waits for UDP datagrams in the same poller, and passes each on as a Signal to all who are
//! connected. Nothing here blocks but the poller.
//!
//! ```text
//! $ cargo run --release --example own_event_loop
//! listening on tcp|127.0.0.1|40123, datagrams on 127.0.0.1:50321
//! channel 2: hello
//! the client received: load 0.7
//! the client received: load 0.9
//! the client received: load 0.4
//! channel 2: bye
//! 3 datagrams passed on by 12 turns of one thread
//! ```
//!
//! What to look at: `turn` below is the whole loop, `sockets` is what the engine needs of the
//! operating system. (The client, an ordinary one with an engine of its own, runs in a second thread
//! to have something to see.)

mod sockets;

use std::collections::BTreeSet;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::thread;
use std::time::{Duration, Instant};

use mio::net::UdpSocket;
use mio::{Events, Interest, Poll, Token};
use tofu::engine::driver::{Driver, Time};
use tofu::prelude::*;
use tofu_examples::{Outcome, any_port, close, connect, joined, next_of_peer, unexpected};

use self::sockets::Sockets;

/// The token of the datagrams: none that a socket of the engine has.
const DATAGRAMS: Token = Token(usize::MAX);

const READINGS: [&str; 3] = ["load 0.7", "load 0.9", "load 0.4"];

fn main() -> Outcome {
    let mut gateway = Gateway::new()?;
    while !gateway.is_over {
        gateway.turn()?;
    }
    if let Some(client) = gateway.client.take() {
        joined(client)?;
    }
    let Gateway {
        datagrams_passed,
        turns,
        ..
    } = gateway;
    println!("{datagrams_passed} datagrams passed on by {turns} turns of one thread");
    Ok(())
}

/// Receives everything from one channel and leaves.
fn be_a_client(gateway: Endpoint, datagrams: SocketAddr) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, gateway)?;
    let socket = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    for reading in READINGS {
        socket.send_to(reading.as_bytes(), datagrams)?;
        let signal = next_of_peer(&mut group)?;
        println!("the client received: {}", signal.body().escape_ascii());
    }
    close(&engine, &mut group, channel)
}

struct Gateway {
    poll: Poll,
    events: Events,
    started: Instant,
    driver: Driver<Sockets>,
    group: ChannelGroup,
    datagrams: UdpSocket,
    clients: BTreeSet<ChannelNumber>,
    client: Option<thread::JoinHandle<Outcome>>,
    datagrams_passed: u32,
    turns: u32,
    is_over: bool,
}

impl Gateway {
    fn new() -> Outcome<Gateway> {
        let poll = Poll::new()?;
        let registry = poll.registry().try_clone()?;
        // Nothing needs to wake this thread, for all that is posted is posted by itself.
        let driver = Driver::new(Options::default(), || {}, |_| Sockets::new(registry));
        let group = ChannelGroup::from(driver.handle().create_group()?);
        let mut welcome = driver.handle().message()?;
        Address::listen_on(any_port()).format(&mut welcome)?;
        group.post(welcome)?;

        let mut datagrams = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let registry = poll.registry();
        registry.register(&mut datagrams, DATAGRAMS, Interest::READABLE)?;
        Ok(Gateway {
            poll,
            events: Events::with_capacity(64),
            started: Instant::now(),
            driver,
            group,
            datagrams,
            clients: BTreeSet::new(),
            client: None,
            datagrams_passed: 0,
            turns: 0,
            is_over: false,
        })
    }

    /// Once around: sleep, tell the engine what is ready, let it work, take what it delivers.
    fn turn(&mut self) -> Outcome {
        let longest = self.driver.prepare_sleep(self.now());
        match self.poll.poll(&mut self.events, longest) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => self.events.clear(),
            polled => polled?,
        }
        self.driver.awake();
        let mut datagrams_wait = false;
        for event in &self.events {
            match event.token() {
                DATAGRAMS => datagrams_wait = true,
                token => self
                    .driver
                    .event(sockets::unpack(token), sockets::readiness(event)),
            }
        }
        if datagrams_wait {
            self.pass_on_datagrams()?;
        }
        self.driver.turn(self.now());
        self.turns += 1;
        while let Some(message) = self.group.wait_receive(Duration::ZERO)? {
            self.take(message)?;
        }
        Ok(())
    }

    /// The engine's time begins when we say so.
    fn now(&self) -> Time {
        Time::from_start(self.started.elapsed())
    }

    /// Until there are no more: the poller tells of new ones only.
    fn pass_on_datagrams(&mut self) -> Outcome {
        let mut space = [0; 65_535];
        loop {
            let len = match self.datagrams.recv(&mut space) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                received => received?,
            };
            self.datagrams_passed += 1;
            for &channel in &self.clients {
                let mut signal = self.driver.handle().message()?;
                signal.set_op_code(OpCode::Signal);
                signal.set_channel_number(channel);
                signal.body_mut().append(&space[..len])?;
                // Whoever is too slow or gone misses it, as with datagrams.
                let _refused = self.group.post(signal);
            }
        }
    }

    fn take(&mut self, message: Msg) -> Outcome {
        let channel = message.channel_number();
        match Incoming::from(message) {
            Incoming::Peer(mut message) => {
                match message.op_code() {
                    OpCode::HelloRequest => {
                        println!("channel {channel}: hello");
                        self.clients.insert(channel);
                    }
                    OpCode::ByeRequest => println!("channel {channel}: bye"),
                    _ => {}
                }
                if message.make_reply().is_some() {
                    self.group.post(message)?;
                }
            }
            Incoming::Engine(Notice::ListenerReady, message) => {
                let endpoint = Address::parse(&message)?.into_endpoint();
                let datagrams = self.datagrams.local_addr()?;
                println!("listening on {endpoint}, datagrams on {datagrams}");
                self.client = Some(thread::spawn(move || be_a_client(endpoint, datagrams)));
            }
            // The demonstration is over with its client.
            Incoming::Engine(Notice::ChannelClosed(_), _) => {
                self.clients.remove(&channel);
                self.is_over = self.clients.is_empty();
            }
            failed @ Incoming::Engine(Notice::ListenFailed, _) => return Err(unexpected(&failed)),
            // Of a Signal that was not sent, or of a pause.
            Incoming::Engine(..) | Incoming::Update(_) => {}
        }
        Ok(())
    }
}
