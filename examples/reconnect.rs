//! A client that connects again, and again, until there is a server, and once more when it is lost.
//!
//! The server appears when the client has failed three times, answers one question, vanishes, and comes
//! back later to answer the second. The pauses between the attempts grow, and are a matter of the
//! [`Connector`]'s options; what to do about a question that was under way is a matter of the program.
//!
//! ```text
//! $ cargo run --release --example reconnect
//! attempt 1 failed: uds_path_not_found: connecting to uds|/tmp/...: No such file or directory ...
//! attempt 2 failed: ...
//! attempt 3 failed: ...
//! the server listens
//! connected by channel 5
//! question 1 is answered
//! lost: peer_disconnected: the peer closed the connection
//! attempt 1 failed: ...
//! attempt 2 failed: ...
//! attempt 3 failed: ...
//! the server listens
//! connected by channel 11
//! question 2 is answered
//! ```
//!
//! Without an argument everything happens in one thread, and even in one channel group: listener,
//! acceptor and initiator are three channels of it. With `--threads` the server is a thread with an
//! engine of its own, as if it were another process.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tofu::helpers::{Connector, ConnectorEvent, ConnectorOptions, close_at_once, time_to_next};
use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, joined, listen, message_to, next, temporary_socket, unexpected,
};

const QUESTIONS: u32 = 2;

/// The server appears after so many attempts in vain.
const FAILURES: u32 = 3;

fn main() -> Outcome {
    let endpoint = temporary_socket("reconnect");
    let engine = Reactor::start(Options::default())?;
    let group = engine.create()?;
    let server = match std::env::args().nth(1).as_deref() {
        None => Server::here(endpoint.clone()),
        Some("--threads") => Server::in_a_thread(endpoint.clone()),
        Some(other) => return Err(format!("what is {other}?").into()),
    };
    // Short pauses, so that it does not take long; a server that is away for long will not mind
    // longer ones. A connection counts as good from its beginning.
    let options = ConnectorOptions::default()
        .first_delay(Duration::from_millis(5))
        .longest_delay(Duration::from_millis(100))
        .stable_after(Duration::ZERO)
        .give_up_after(PATIENCE);
    let client = Client {
        connector: Connector::new(endpoint, options, Instant::now()),
        engine,
        group,
        server,
        answered: 0,
    };
    client.run()
}

struct Client {
    engine: Reactor,
    group: ChannelGroup,
    connector: Connector,
    server: Server,
    answered: u32,
}

impl Client {
    fn run(mut self) -> Outcome {
        while self.answered < QUESTIONS {
            self.connector.on_time(&self.group, Instant::now());
            while let Some(event) = self.connector.next_event() {
                self.react(event)?;
            }
            let wait = time_to_next(Instant::now(), [self.connector.next_deadline()]);
            if let Some(message) = self.group.wait_receive(wait)? {
                self.connector.on_message(&message, Instant::now());
                self.take(message)?;
            }
        }
        // Ends the connection, which a server in a thread waits for.
        drop(self.group);
        self.server.end()
    }

    fn react(&mut self, event: ConnectorEvent) -> Outcome {
        match event {
            ConnectorEvent::Connected { channel } => {
                println!("connected by channel {channel}");
                let question = message_to(&self.engine, channel, OpCode::Request)?;
                self.group.post(question)?;
            }
            ConnectorEvent::Lost { cause, .. } => println!("lost: {cause}"),
            ConnectorEvent::Retrying {
                failures, error, ..
            } if failures > 0 => {
                println!("attempt {failures} failed: {error}");
                if failures == FAILURES {
                    self.server.appear(&self.engine, &self.group)?;
                }
            }
            ConnectorEvent::GaveUp { error, .. } => return Err(error.into()),
            _ => {}
        }
        Ok(())
    }

    fn take(&mut self, message: Msg) -> Outcome {
        match Incoming::from(message) {
            Incoming::Peer(message) if message.op_code() == OpCode::Response => {
                self.answered += 1;
                println!("question {} is answered", self.answered);
                self.server.vanish(&self.group)
            }
            // In one group with the server, what it is sent comes here, too.
            incoming => self.server.take(&self.group, incoming),
        }
    }
}

/// The server that comes and goes.
enum Server {
    Here {
        endpoint: Endpoint,
        /// The listener, and whoever has connected.
        channels: Vec<ChannelNumber>,
    },
    InAThread {
        appear: Sender<()>,
        thread: JoinHandle<Outcome>,
    },
}

impl Server {
    fn here(endpoint: Endpoint) -> Server {
        let channels = Vec::new();
        Server::Here { endpoint, channels }
    }

    fn in_a_thread(endpoint: Endpoint) -> Server {
        let (appear, may_appear) = channel();
        let thread = thread::spawn(move || come_and_go(&endpoint, &may_appear));
        Server::InAThread { appear, thread }
    }

    fn appear(&mut self, engine: &Reactor, group: &ChannelGroup) -> Outcome {
        match self {
            Server::Here { endpoint, channels } => {
                let mut welcome = engine.message()?;
                Address::listen_on(endpoint.clone()).format(&mut welcome)?;
                channels.push(group.post(welcome)?.channel_number);
            }
            Server::InAThread { appear, .. } => appear.send(())?,
        }
        Ok(())
    }

    /// What is not the client's.
    fn take(&mut self, group: &ChannelGroup, incoming: Incoming) -> Outcome {
        match (self, incoming) {
            (_, Incoming::Engine(Notice::ListenerReady, _)) => println!("the server listens"),
            (Server::Here { channels, .. }, Incoming::Peer(mut message)) => {
                if message.op_code() == OpCode::HelloRequest {
                    channels.push(message.channel_number());
                }
                if message.make_reply().is_some() {
                    group.post(message)?;
                }
            }
            // The HelloResponse.
            (Server::InAThread { .. }, Incoming::Peer(_)) => {}
            (_, failed @ Incoming::Engine(Notice::ListenFailed, _)) => {
                return Err(unexpected(&failed));
            }
            // That an attempt or a connection has ended is the connector's affair.
            (_, Incoming::Engine(..) | Incoming::Update(_)) => {}
        }
        Ok(())
    }

    /// A thread does so by itself.
    fn vanish(&mut self, group: &ChannelGroup) -> Outcome {
        if let Server::Here { channels, .. } = self {
            for channel in channels.drain(..) {
                close_at_once(group, channel)?;
            }
        }
        Ok(())
    }

    fn end(self) -> Outcome {
        match self {
            Server::Here { .. } => Ok(()),
            Server::InAThread { thread, .. } => joined(thread),
        }
    }
}

/// The server's thread: listens when it is told to, answers one question, and is gone.
fn come_and_go(endpoint: &Endpoint, may_appear: &Receiver<()>) -> Outcome {
    for _ in 0..QUESTIONS {
        may_appear.recv_timeout(PATIENCE)?;
        let engine = Reactor::start(Options::default())?;
        let mut group = engine.create()?;
        listen(&engine, &mut group, endpoint.clone())?;
        println!("the server listens");
        let mut has_answered = false;
        while !has_answered {
            match Incoming::from(next(&mut group)?) {
                Incoming::Peer(mut message) => {
                    message.make_reply();
                    has_answered = message.op_code() == OpCode::Response;
                    group.post(message)?;
                }
                other => return Err(unexpected(&other)),
            }
        }
        engine.shutdown(Duration::from_secs(1));
    }
    Ok(())
}
