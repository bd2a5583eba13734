//! The server's process: says where it listens, then echoes or counts.
//!
//! A thread of its own answers the client's questions on standard input, and ends the process when
//! that is closed; it sleeps while something is measured.

use std::io::{self, BufRead};
use std::process;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::side::{Library, Server, Side};
use crate::work::{Shape, Work};
use crate::{stamp, usage};

pub(crate) fn serve<L: Library>(work: &Work) -> Result<()> {
    let (server, address) = L::listen(work)?;
    announce(&address);
    match work.shape {
        Shape::Throughput => count(server, work),
        _ => echo(server),
    }
}

/// Tells the client where to connect, and begins to answer its questions.
pub(crate) fn announce(address: &str) {
    println!("address {address}");
    thread::spawn(answer_questions);
}

fn answer_questions() {
    for _ in io::stdin().lock().lines().map_while(Result::ok) {
        let time = usage::processor_time().as_nanos();
        let memory = usage::memory().unwrap_or_default();
        println!("usage {time} {memory}");
    }
    process::exit(0);
}

fn echo(mut server: impl Server) -> Result<()> {
    loop {
        let message = server.receive()?;
        server.reply(message)?;
    }
}

fn count(mut server: impl Side, work: &Work) -> Result<()> {
    let mut counter = Counter::new(work.size);
    loop {
        let message = server.receive()?;
        if counter.add(server.body(&message))? {
            wait_for_the_end();
        }
    }
}

/// Checks and counts the messages of one stream.
pub(crate) struct Counter {
    size: usize,
    expected: u64,
    first: Option<Instant>,
}

impl Counter {
    pub(crate) fn new(size: usize) -> Counter {
        Counter {
            size,
            expected: 0,
            first: None,
        }
    }

    /// Returns whether that was the last one; then the client has been told.
    pub(crate) fn add(&mut self, body: &[u8]) -> Result<bool> {
        let is_last = stamp::check(body, self.size, self.expected)?;
        self.expected += 1;
        let first = *self.first.get_or_insert_with(Instant::now);
        if is_last {
            println!("received {} {}", self.expected, first.elapsed().as_nanos());
        }
        Ok(is_last)
    }
}

/// The questions' thread ends the process.
fn wait_for_the_end() -> ! {
    loop {
        thread::sleep(Duration::from_secs(1));
    }
}
