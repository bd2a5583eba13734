//! A server at several addresses, over TCP and Unix domain sockets, around a service that need not
//! know of it.
//!
//! A [`Host`] listens and receives, a [`Service`] answers: here with the sum of all numbers that it was
//! ever sent, whoever sent them. By which address a client came it can tell all the same, for the
//! HelloRequest says where it was sent to. The main thread stops the host when twenty clients are done.
//!
//! ```text
//! $ cargo run --release --example multihomed
//! listening on tcp|127.0.0.1|45501
//! listening on tcp|127.0.0.1|37819
//! listening on uds|/tmp/tofu-multihomed-1-4711.sock
//! listening on uds|/tmp/tofu-multihomed-2-4711.sock
//! 20 clients came by 4 addresses, had 200 answers, and the sum is 900
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::thread;

use tofu::helpers::{Context, Host, HostEnd, Service};
use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, any_port, close, connect, joined, message_to, next_of_peer, number_in,
    temporary_socket,
};

const CLIENTS: usize = 20;

/// Each client sends the numbers below.
const NUMBERS: u64 = 10;

fn main() -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let endpoints = [
        any_port(),
        any_port(),
        temporary_socket("multihomed-1"),
        temporary_socket("multihomed-2"),
    ];
    let host = Host::open(&engine, endpoints, PATIENCE)?;
    let handle = host.handle();
    let listeners = host.listeners().to_vec();
    let server = thread::spawn(move || -> Outcome<HostEnd> {
        Ok(host.serve(&engine, &mut Adder::default())?.end)
    });

    let engine = Reactor::start(Options::default())?;
    let mut clients = Vec::new();
    for listener in listeners.into_iter().cycle().take(CLIENTS) {
        let engine = engine.clone();
        clients.push(thread::spawn(move || {
            send_numbers(&engine, listener.endpoint)
        }));
    }
    clients.into_iter().try_for_each(joined)?;
    handle.stop();
    match joined(server)? {
        HostEnd::Stopped => Ok(()),
        other => Err(format!("the server ended otherwise: {other:?}").into()),
    }
}

fn send_numbers(engine: &Reactor, server: Endpoint) -> Outcome {
    let mut group = engine.create()?;
    let channel = connect(engine, &mut group, server)?;
    for number in 0..NUMBERS {
        let mut request = message_to(engine, channel, OpCode::Request)?;
        request.body_mut().append(&number.to_be_bytes())?;
        let id = group.post(request)?.message_id;
        if next_of_peer(&mut group)?.message_id() != id {
            return Err("the answer to something else".into());
        }
    }
    close(engine, &mut group, channel)
}

/// The service.
#[derive(Default)]
struct Adder {
    sum: u64,
    answers: u32,
    /// Clients by the address that they connected to.
    clients: BTreeMap<String, u32>,
}

impl Service for Adder {
    fn start(&mut self, context: &Context<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        for listener in context.listeners() {
            println!("listening on {}", listener.endpoint);
        }
        Ok(())
    }

    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        // What the engine says of clients that leave is nothing to this service.
        if let Incoming::Peer(mut message) = incoming {
            // Where a post is refused, the client has left.
            if self.take(&mut message).is_err() {
                context.close_now(message.channel_number()).ok();
            } else if message.make_reply().is_some() {
                context.post(message).ok();
            }
        }
        ControlFlow::Continue(())
    }

    fn stop(&mut self, _: &Context<'_>) {
        let clients: u32 = self.clients.values().sum();
        let addresses = self.clients.len();
        let Adder { sum, answers, .. } = self;
        println!(
            "{clients} clients came by {addresses} addresses, had {answers} answers, \
             and the sum is {sum}"
        );
    }
}

impl Adder {
    fn take(&mut self, message: &mut Message) -> Outcome {
        match message.op_code() {
            OpCode::HelloRequest => {
                let address = Address::parse(message)?.to_string();
                *self.clients.entry(address).or_default() += 1;
            }
            OpCode::Request => {
                self.sum += number_in(message)?;
                self.answers += 1;
                message.body_mut().replace(&self.sum.to_be_bytes())?;
            }
            _ => {}
        }
        Ok(())
    }
}
