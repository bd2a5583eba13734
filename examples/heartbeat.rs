//! Peers that hang: their connection lives, for the kernel answers, but their program does nothing.
//!
//! A server and its clients send each other a Signal whenever there is nothing else to say. Three
//! clients connect; the second stops looking at its messages. The server notices that it is silent and
//! closes the channel, and says Bye to the others. No thread and no timer is needed for it: the receive
//! loop asks the [`Heartbeat`] when it wants to be called next.
//!
//! ```text
//! $ cargo run --release --example heartbeat
//! 3 clients are watched
//! client 2 is silent, and closed
//! client 1 has left in good order, after 20 heartbeats
//! client 3 has left in good order, after 20 heartbeats
//! client 2 wakes up and finds: peer_disconnected: receiving: Connection reset by peer (os error 104)
//! ```

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tofu::helpers::{Heartbeat, HeartbeatEvent, close_at_once, time_to_next};
use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, any_port, connect_saying, joined, listen, message_to, next, unexpected,
};

const INTERVAL: Duration = Duration::from_millis(50);

/// Twenty intervals: a busy machine is not to be mistaken for a peer that hangs.
const SILENCE: Duration = Duration::from_secs(1);

const CLIENTS: usize = 3;
const THE_ONE_THAT_HANGS: usize = 2;

/// Text header of a Hello.
const NAME: &str = "Name";

fn main() -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let endpoint = listen(&engine, &mut group, any_port())?;
    let server = Server {
        engine,
        group,
        heartbeat: Heartbeat::new(INTERVAL, SILENCE),
        clients: BTreeMap::new(),
    };

    let (wake, may_wake) = channel();
    let server_of_hanging = endpoint.clone();
    let hanging = thread::spawn(move || {
        Connection::new(THE_ONE_THAT_HANGS, server_of_hanging)?.hang(&may_wake)
    });
    let lively = [1, 3].map(|number| {
        let endpoint = endpoint.clone();
        thread::spawn(move || Connection::new(number, endpoint)?.stay_alive())
    });
    server.run()?;
    lively.into_iter().try_for_each(joined)?;
    wake.send(())?;
    joined(hanging)
}

struct Server {
    engine: Reactor,
    group: ChannelGroup,
    heartbeat: Heartbeat,
    clients: BTreeMap<ChannelNumber, Client>,
}

struct Client {
    name: String,
    heartbeats: u32,
}

impl Server {
    /// Serves until all clients are gone.
    fn run(mut self) -> Outcome {
        let mut had_clients = false;
        while !(had_clients && self.clients.is_empty()) {
            self.heartbeat.on_time(&self.group, Instant::now());
            while let Some(event) = self.heartbeat.next_event() {
                if let HeartbeatEvent::Silent { channel, .. } = event {
                    self.give_up(channel)?;
                }
            }
            let wait = time_to_next(Instant::now(), [self.heartbeat.next_deadline()]);
            if let Some(message) = self.group.wait_receive(wait.min(PATIENCE))? {
                self.take(message)?;
            }
            had_clients |= self.clients.len() == CLIENTS;
        }
        Ok(())
    }

    fn take(&mut self, message: Msg) -> Outcome {
        let channel = message.channel_number();
        if self.heartbeat.on_message(&message, Instant::now()) {
            let client = self.clients.get_mut(&channel).ok_or("nobody's heartbeat")?;
            client.heartbeats += 1;
            return Ok(());
        }
        match Incoming::from(message) {
            Incoming::Peer(hello) if hello.op_code() == OpCode::HelloRequest => {
                return self.greet(hello);
            }
            // A ByeResponse; the last word follows.
            Incoming::Peer(_) => {}
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                let client = self.clients.remove(&channel).ok_or("nobody's end")?;
                if info.cause.status().is_success() {
                    let Client { name, heartbeats } = client;
                    println!("{name} has left in good order, after {heartbeats} heartbeats");
                }
            }
            // The ByeSignal, and what a client that hangs did not take.
            Incoming::Engine(..) | Incoming::Update(_) => {}
        }
        Ok(())
    }

    fn greet(&mut self, mut hello: Msg) -> Outcome {
        let channel = hello.channel_number();
        let name = hello.text_headers().get_str(NAME).ok_or("no name")??;
        let client = Client {
            name: name.to_owned(),
            heartbeats: 0,
        };
        self.clients.insert(channel, client);
        hello.make_reply();
        self.group.post(hello)?;
        // From here on it may be silent for so long.
        self.heartbeat.watch(channel, Instant::now());
        if self.clients.len() == CLIENTS {
            println!("{CLIENTS} clients are watched");
        }
        Ok(())
    }

    /// Closes the channel of the client that hangs. The others are of no further use here.
    fn give_up(&self, silent: ChannelNumber) -> Outcome {
        for (&channel, client) in &self.clients {
            if channel == silent {
                println!("{} is silent, and closed", client.name);
                close_at_once(&self.group, channel)?;
                continue;
            }
            let bye = message_to(&self.engine, channel, OpCode::ByeRequest)?;
            self.group.post(bye)?;
        }
        Ok(())
    }
}

/// A client that has been let in.
struct Connection {
    name: String,
    group: ChannelGroup,
    channel: ChannelNumber,
    /// A group does not keep its engine running.
    _engine: Reactor,
}

impl Connection {
    fn new(number: usize, server: Endpoint) -> Outcome<Connection> {
        let name = format!("client {number}");
        let engine = Reactor::start(Options::default())?;
        let mut group = engine.create()?;
        let channel = connect_saying(&engine, &mut group, server, [(NAME, &*name)])?;
        Ok(Connection {
            name,
            group,
            channel,
            _engine: engine,
        })
    }

    /// Sends a heartbeat in time until the server says Bye. That the server is silent would be noticed
    /// in the same way.
    fn stay_alive(mut self) -> Outcome {
        let mut heartbeat = Heartbeat::new(INTERVAL, PATIENCE);
        heartbeat.watch(self.channel, Instant::now());
        loop {
            heartbeat.on_time(&self.group, Instant::now());
            let wait = time_to_next(Instant::now(), [heartbeat.next_deadline()]);
            let Some(message) = self.group.wait_receive(wait)? else {
                continue;
            };
            if heartbeat.on_message(&message, Instant::now()) {
                continue;
            }
            match Incoming::from(message) {
                Incoming::Peer(mut bye) => {
                    bye.make_reply();
                    self.group.post(bye)?;
                }
                Incoming::Engine(Notice::ChannelClosed(_), _) => return Ok(()),
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Does not look at its messages until it is woken.
    fn hang(mut self, may_wake: &Receiver<()>) -> Outcome {
        may_wake.recv_timeout(PATIENCE)?;
        loop {
            match Incoming::from(next(&mut self.group)?) {
                // The server's heartbeats of all that time.
                Incoming::Peer(_) => {}
                Incoming::Engine(Notice::ChannelClosed(info), _) => {
                    println!("{} wakes up and finds: {}", self.name, info.cause);
                    return Ok(());
                }
                other => return Err(unexpected(&other)),
            }
        }
    }
}
