//! A service on several engines, one for each core, for clients who know a single address.
//!
//! An engine is one thread, and whoever receives of it is another one. Where these two are not enough, a
//! service runs on more engines, each with a port, a group and a receiving thread of its own; they share
//! nothing. Clients find them by a directory on the first engine: it answers each Hello with the address
//! of the engine whose turn it is, in the text header `Shard`, and the client connects there (`server`
//! is one side of it, `client` the other). The work here: answer a body with its checksum.
//!
//! ```text
//! $ cargo run --release --example sharded
//! 2 engines, found by the directory at tcp|127.0.0.1|36745
//! 20 clients had 2000 right answers
//! engine 1 had 10 clients, engine 2 had 10 clients
//! ```
//!
//! With `--bench` it compares what one engine answers with what all of them do, the same clients asking.
//! Measured on two cores, where the clients run as well, and others now and then:
//!
//! ```text
//! $ cargo run --release --example sharded -- --bench
//! 2 clients with 16 connections each, 32 questions of 64 bytes in flight on each; 5 runs of 400ms
//! little work, 1 engine:    1649599 answers per second (1557831 to 1843615)
//! little work, 2 engines:   1573368 answers per second (1419585 to 1639767)
//! little work: 2 engines answer 0.95 times as many as 1
//! much work, 1 engine:      64811 answers per second (48924 to 69142)
//! much work, 2 engines:     77158 answers per second (75678 to 83396)
//! much work: 2 engines answer 1.19 times as many as 1
//! ```
//!
//! So it hardly pays there, and not at all where the work is next to nothing (0.95 and 1.06 times as many
//! in two such comparisons): one engine, its receiving thread and the clients have both cores busy
//! already. A second engine helps where one receiving thread has more than a core can do (much work: some
//! 15 microseconds for each answer), and the more, the more cores are left over for it. Where only the
//! work is too much, and not the messages, threads behind one receive loop do it too (`update_receiver`).
//!
//! Arguments: `[--bench] [ENGINES [RUNS [MILLISECONDS]]]`; unless given, there is an engine for each core,
//! and at least two.

mod bench;
mod client;
mod server;

use std::thread;

use tofu_examples::{Outcome, joined};

use crate::bench::Bench;
use crate::server::{Server, Work};

const CLIENTS: usize = 20;

/// Questions of each client.
const QUESTIONS: usize = 100;

fn main() -> Outcome {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let is_bench = words.first().is_some_and(|word| word == "--bench");
    if is_bench {
        words.remove(0);
    }
    let number = |index: usize, otherwise: usize| -> Outcome<usize> {
        Ok(words
            .get(index)
            .map_or(Ok(otherwise), |word| word.parse())?)
    };
    let cores = thread::available_parallelism()?.get();
    let engines = number(0, cores.max(2))?.max(1);
    if is_bench {
        let bench = Bench::new(engines, number(1, 5)?, number(2, 400)?);
        return bench.run();
    }
    show(engines)
}

/// Starts the service, lets many clients ask it, and says who was served by which engine.
fn show(engines: usize) -> Outcome {
    let server = Server::start(engines, Work::LITTLE)?;
    let directory = server.directory();
    println!("{engines} engines, found by the directory at {directory}");
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let directory = directory.clone();
            thread::spawn(move || client::ask(&directory, QUESTIONS))
        })
        .collect();
    let mut right = 0;
    for client in clients {
        right += joined(client)?;
    }
    println!("{CLIENTS} clients had {right} right answers");
    let served = server.stop()?.into_iter().zip(1..);
    let served: Vec<String> = served
        .map(|(clients, number)| format!("engine {number} had {clients} clients"))
        .collect();
    println!("{}", served.join(", "));
    Ok(())
}
