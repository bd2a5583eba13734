//! A server at several addresses, over TCP and Unix domain sockets, around a service that knows none
//! of it.
//!
//! [`Host`] listens and receives, a [`Service`] answers. Two services are put into the same host, one
//! after the other: the first sends everything back, the second answers with the sum of all numbers
//! that it was ever sent, whoever sent them. Both print by which address their clients came, which a
//! HelloRequest says.
//!
//! ```text
//! $ cargo run --release --example multihomed
//! echo listens on tcp|127.0.0.1|45501 and on 3 more
//! echo: 20 clients had 200 answers, by 4 addresses
//! sum listens on tcp|127.0.0.1|45777 and on 3 more
//! sum: 20 clients had 200 answers, by 4 addresses, and the sum is 900
//! ```

use std::collections::BTreeMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::thread;

use tofu::helpers::{Context, Host, HostEnd, Service};
use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, any_port, close, connect, joined, next_of_peer, temporary_socket,
};

const CLIENTS: usize = 20;

/// Each client sends the numbers below.
const NUMBERS: u64 = 10;

fn main() -> Outcome {
    run(Counting::new("echo", Echo))?;
    run(Counting::new("sum", Sum(0)))?;
    Ok(())
}

/// Puts a service into a host with four listeners, and lets twenty clients talk to it.
fn run<A: Answer + Send + 'static>(mut service: Counting<A>) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let endpoints = [
        any_port(),
        any_port(),
        temporary_socket("multihomed-1"),
        temporary_socket("multihomed-2"),
    ];
    let host = Host::open(&engine, endpoints, PATIENCE)?;
    let handle = host.handle();
    let doors: Vec<Endpoint> = host
        .listeners()
        .iter()
        .map(|listener| listener.endpoint.clone())
        .collect();
    let server =
        thread::spawn(move || -> Outcome<HostEnd> { Ok(host.serve(&engine, &mut service)?.end) });

    let engine = Reactor::start(Options::default())?;
    let mut clients = Vec::new();
    for door in doors.iter().cycle().take(CLIENTS) {
        let (engine, door) = (engine.clone(), door.clone());
        clients.push(thread::spawn(move || send_numbers(&engine, door)));
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
        let mut request = engine.message()?;
        request.set_channel_number(channel);
        request.body_mut().append(&number.to_be_bytes())?;
        let id = group.post(request)?.message_id;
        if next_of_peer(&mut group)?.message_id() != id {
            return Err("the answer to something else".into());
        }
    }
    close(engine, &mut group, channel)
}

/// What makes one service differ from the other.
trait Answer {
    /// Turns a Request's body into its answer's.
    fn answer(&mut self, message: &mut Message) -> Outcome;

    /// What there is to say in the end.
    fn in_the_end(&self) -> String;
}

struct Echo;

impl Answer for Echo {
    fn answer(&mut self, _: &mut Message) -> Outcome {
        Ok(())
    }

    fn in_the_end(&self) -> String {
        String::new()
    }
}

struct Sum(u64);

impl Answer for Sum {
    fn answer(&mut self, message: &mut Message) -> Outcome {
        let number = message.body().first_chunk().ok_or("no number")?;
        self.0 += u64::from_be_bytes(*number);
        Ok(message.body_mut().replace(&self.0.to_be_bytes())?)
    }

    fn in_the_end(&self) -> String {
        format!(", and the sum is {}", self.0)
    }
}

/// Either service, with what both count.
struct Counting<A> {
    name: &'static str,
    answer: A,
    /// By the address that they connected to.
    clients: BTreeMap<String, u32>,
    answers: u32,
}

impl<A> Counting<A> {
    fn new(name: &'static str, answer: A) -> Counting<A> {
        Counting {
            name,
            answer,
            clients: BTreeMap::new(),
            answers: 0,
        }
    }
}

impl<A: Answer> Service for Counting<A> {
    fn start(&mut self, context: &Context<'_>) -> Result<(), Box<dyn Error + Send + Sync>> {
        let [first, others @ ..] = context.listeners() else {
            return Err("there is no listener".into());
        };
        let others = others.len();
        println!(
            "{} listens on {} and on {others} more",
            self.name, first.endpoint
        );
        Ok(())
    }

    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        // What the engine says of clients that leave is nothing to these services.
        if let Incoming::Peer(mut message) = incoming {
            let channel = message.channel_number();
            let outcome = match message.op_code() {
                OpCode::HelloRequest => self.count_client(&message),
                OpCode::Request => self.count_answer(&mut message),
                _ => Ok(()),
            };
            // Refused, it is because the client has left already.
            match outcome {
                Err(_) => context.close_now(channel).ok(),
                Ok(()) if message.make_reply().is_some() => context.post(message).map(drop).ok(),
                Ok(()) => None,
            };
        }
        ControlFlow::Continue(())
    }

    fn stop(&mut self, _: &Context<'_>) {
        let clients: u32 = self.clients.values().sum();
        println!(
            "{}: {clients} clients had {} answers, by {} addresses{}",
            self.name,
            self.answers,
            self.clients.len(),
            self.answer.in_the_end(),
        );
    }
}

impl<A: Answer> Counting<A> {
    fn count_client(&mut self, hello: &Message) -> Outcome {
        let address = Address::parse(hello)?;
        *self.clients.entry(address.to_string()).or_default() += 1;
        Ok(())
    }

    fn count_answer(&mut self, message: &mut Message) -> Outcome {
        self.answer.answer(message)?;
        self.answers += 1;
        Ok(())
    }
}
