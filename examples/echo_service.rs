//! One echo service for twenty clients, half of them over TCP, half over a Unix domain socket.
//!
//! The service has a listener for each, and one receive loop for all: where a client connected makes no
//! difference to it. Each client is a thread with a channel group of its own, asks a hundred questions
//! ten at a time, and finds out by the ids which answer is which.
//!
//! ```text
//! $ cargo run --release --example echo_service
//! listening on tcp|127.0.0.1|39315
//! listening on uds|/tmp/tofu-echo-service-4711.sock
//! 10 clients over tcp had 1000 right answers
//! 10 clients over uds had 1000 right answers
//! 20 clients left in good order
//! ```

use std::collections::HashMap;
use std::io::Write;
use std::thread;

use tofu::prelude::*;
use tofu_examples::{
    Outcome, any_port, close, connect, joined, listen, message_to, next, next_of_peer,
    temporary_socket, unexpected,
};

/// Clients over each transport.
const CLIENTS: usize = 10;

const QUESTIONS: usize = 100;

/// Questions that a client has open at the same time.
const AT_A_TIME: usize = 10;

fn main() -> Outcome {
    let server = Reactor::start(Options::default())?;
    let mut group = server.create()?;
    let mut doors = Vec::new();
    for endpoint in [any_port(), temporary_socket("echo-service")] {
        let endpoint = listen(&server, &mut group, endpoint)?;
        println!("listening on {endpoint}");
        doors.push(endpoint);
    }
    let service = thread::spawn(move || serve(group, 2 * CLIENTS));

    let engine = Reactor::start(Options::default())?;
    let mut clients = Vec::new();
    for (transport, door) in ["tcp", "uds"].into_iter().zip(doors) {
        for _ in 0..CLIENTS {
            let (engine, door) = (engine.clone(), door.clone());
            clients.push((transport, thread::spawn(move || ask(&engine, door))));
        }
    }
    let mut right: HashMap<&str, usize> = HashMap::new();
    for (transport, client) in clients {
        *right.entry(transport).or_default() += joined(client)?;
    }
    for transport in ["tcp", "uds"] {
        let right = right.get(transport).copied().unwrap_or_default();
        println!("{CLIENTS} clients over {transport} had {right} right answers");
    }
    println!("{} clients left in good order", joined(service)?);
    Ok(())
}

/// Sends everything back until so many clients have left. Returns how many did in good order.
fn serve(mut group: ChannelGroup, clients: usize) -> Outcome<usize> {
    let (mut gone, mut in_good_order) = (0, 0);
    while gone < clients {
        match Incoming::from(next(&mut group)?) {
            // Channel and id are those that the answer needs.
            Incoming::Peer(mut message) => {
                message.make_reply();
                group.post(message)?;
            }
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                gone += 1;
                in_good_order += usize::from(info.cause.status().is_success());
            }
            other => return Err(unexpected(&other)),
        }
    }
    Ok(in_good_order)
}

/// A client. Returns how many answers were right.
fn ask(engine: &Reactor, service: Endpoint) -> Outcome<usize> {
    let mut group = engine.create()?;
    let channel = connect(engine, &mut group, service)?;
    let mut right = 0;
    for first in (0..QUESTIONS).step_by(AT_A_TIME) {
        let mut open = HashMap::new();
        for number in first..first + AT_A_TIME {
            let mut question = message_to(engine, channel, OpCode::Request)?;
            write!(question.body_mut(), "{number} of channel {channel}")?;
            let text = question.body().to_vec();
            open.insert(group.post(question)?.message_id, text);
        }
        while !open.is_empty() {
            let answer = next_of_peer(&mut group)?;
            let question = open.remove(&answer.message_id());
            let question = question.ok_or("an answer to nothing")?;
            right += usize::from(answer.body().as_bytes() == question);
        }
    }
    close(engine, &mut group, channel)?;
    Ok(right)
}
