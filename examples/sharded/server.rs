//! The server: engines that share nothing, and the directory that shares out the clients.

use std::hint;
use std::ops::ControlFlow;
use std::thread::{self, JoinHandle};

use tofu::helpers::{Context, Host, HostHandle, Service};
use tofu::prelude::*;
use tofu_examples::{Outcome, PATIENCE, any_port, joined};

/// The text header in which the directory says where to connect.
pub(crate) const SHARD: &str = "Shard";

/// How often the checksum of a body is computed, each time beginning with the last one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Work(u32);

impl Work {
    /// Next to nothing beside the way of the message.
    pub(crate) const LITTLE: Work = Work(1);

    /// Much more than the way of the message.
    pub(crate) const MUCH: Work = Work(200);

    pub(crate) fn checksum(self, body: &[u8]) -> [u8; 8] {
        let of_body = |sum: u64| {
            let add = |sum: u64, byte: &u8| sum.wrapping_mul(31).wrapping_add(u64::from(*byte));
            body.iter().fold(hint::black_box(sum), add)
        };
        (0..self.0).fold(0, |sum, _| of_body(sum)).to_be_bytes()
    }
}

/// All engines with their threads, and the directory.
pub(crate) struct Server {
    shards: Vec<Running<Shard>>,
    directory: Running<Directory>,
}

impl Server {
    /// Starts so many engines.
    pub(crate) fn start(engines: usize, work: Work) -> Outcome<Server> {
        let first = Reactor::start(Options::default())?;
        let mut shards = vec![Running::start(first.clone(), Shard { work, clients: 0 })?];
        while shards.len() < engines {
            let engine = Reactor::start(Options::default())?;
            shards.push(Running::start(engine, Shard { work, clients: 0 })?);
        }
        let endpoints = shards.iter().map(|shard| shard.endpoint.clone()).collect();
        let directory = Directory {
            shards: endpoints,
            next: 0,
        };
        // It has little to do: a thread of its own, but not an engine.
        let directory = Running::start(first, directory)?;
        Ok(Server { shards, directory })
    }

    /// Where clients ask first.
    pub(crate) fn directory(&self) -> &Endpoint {
        &self.directory.endpoint
    }

    /// Ends all of it. Returns how many clients each engine had.
    pub(crate) fn stop(self) -> Outcome<Vec<u64>> {
        self.directory.stop()?;
        let shards = self.shards.into_iter();
        shards.map(|shard| Ok(shard.stop()?.clients)).collect()
    }
}

/// A service in its host, on a thread.
struct Running<S> {
    endpoint: Endpoint,
    handle: HostHandle,
    thread: JoinHandle<Outcome<S>>,
}

impl<S: Service + Send + 'static> Running<S> {
    fn start(engine: Reactor, mut service: S) -> Outcome<Running<S>> {
        let host = Host::open(&engine, [any_port()], PATIENCE)?;
        Ok(Running {
            endpoint: host.listeners()[0].endpoint.clone(),
            handle: host.handle(),
            thread: thread::spawn(move || {
                host.serve(&engine, &mut service)?;
                Ok(service)
            }),
        })
    }

    fn stop(self) -> Outcome<S> {
        self.handle.stop();
        joined(self.thread)
    }
}

/// Answers every Hello with the address of the next shard. Clients in other machines would need one
/// that leads there, where this one names the loopback interface.
struct Directory {
    shards: Vec<Endpoint>,
    next: usize,
}

impl Service for Directory {
    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        if let Incoming::Peer(mut message) = incoming {
            if message.op_code() == OpCode::HelloRequest {
                let shard = self.shards[self.next].to_string();
                self.next = (self.next + 1) % self.shards.len();
                message.text_headers_mut().clear();
                // An address is a valid value, and short.
                message.text_headers_mut().append(SHARD, shard).ok();
            }
            message.make_reply();
            // Refused, it is because the client has left already.
            context.post(message).ok();
        }
        ControlFlow::Continue(())
    }
}

/// The service itself, on one of the engines.
struct Shard {
    work: Work,
    clients: u64,
}

impl Service for Shard {
    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        if let Incoming::Peer(mut message) = incoming {
            match message.op_code() {
                OpCode::HelloRequest => self.clients += 1,
                OpCode::Request => {
                    let checksum = self.work.checksum(message.body().as_bytes());
                    // Eight bytes fit into any body.
                    message.body_mut().replace(&checksum).ok();
                }
                _ => {}
            }
            message.make_reply();
            context.post(message).ok();
        }
        ControlFlow::Continue(())
    }
}
