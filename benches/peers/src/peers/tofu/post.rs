//! What a post costs the posting thread: bursts by several threads, each on a channel of its own.
//!
//! Only the bursts are timed: taking a message, filling it, posting it. Between two of them the
//! engine gets the time to send, so that no queue is ever full and the peer's speed does not matter.

use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use tofu::prelude::*;

use super::Client;
use crate::measures::Measures;
use crate::server_process::ServerProcess;
use crate::side::{self, Library, Side};
use crate::stamp;
use crate::work::Work;

/// Posts of one thread in a burst: no more than the send queue of a channel takes.
const BURST: usize = 1000;

/// After the answers to a burst: long enough that the engine sleeps again.
const PAUSE: Duration = Duration::from_millis(1);

/// One thread's way to post.
struct Posting {
    engine: Reactor,
    poster: Poster,
    channel: ChannelNumber,
    body: Vec<u8>,
    sent: u64,
}

pub(super) fn drive(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    let mut client = super::Tofu::client(work, server.address())?;
    let mut postings = Vec::new();
    for thread in 0..work.threads {
        side::Client::connect(&mut client)?;
        postings.push(Posting {
            engine: client.engine.clone(),
            poster: client.group.poster(),
            channel: client.channels[thread],
            body: stamp::blank(work.size)?,
            sent: 0,
        });
    }
    let mut received = vec![0; work.threads];
    let mut times = Vec::new();
    let started = Instant::now();
    while started.elapsed() < work.time {
        times.push(burst(&mut postings)?);
        collect(&mut client, work.size, &mut received)?;
        thread::sleep(PAUSE);
    }
    times.sort();
    let time = times[times.len() / 2].as_secs_f64();
    let posts = (BURST * work.threads) as f64;
    let mut measures = Measures::default();
    // Of one thread, while the others post as well.
    measures.add("ns", time * 1e9 / BURST as f64);
    measures.add("per_s", posts / time);
    Ok(measures)
}

/// Lets all threads post at the same time. Returns the time from the first to the last post.
fn burst(postings: &mut [Posting]) -> Result<Duration> {
    let barrier = Barrier::new(postings.len());
    let spans = thread::scope(|scope| {
        let threads: Vec<_> = postings
            .iter_mut()
            .map(|posting| scope.spawn(|| posting.burst(&barrier)))
            .collect();
        let spans = threads.into_iter().map(|thread| match thread.join() {
            Ok(span) => span,
            Err(_) => bail!("a posting thread panicked"),
        });
        spans.collect::<Result<Vec<_>>>()
    })?;
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    match (first, last) {
        (Some(first), Some(last)) => Ok(last - first),
        _ => bail!("no thread posts"),
    }
}

impl Posting {
    fn burst(&mut self, barrier: &Barrier) -> Result<(Instant, Instant)> {
        barrier.wait();
        let first = Instant::now();
        for _ in 0..BURST {
            stamp::write(&mut self.body, self.sent, false);
            self.sent += 1;
            let mut message = self.engine.message()?;
            message.set_channel_number(self.channel);
            message.body_mut().append(&self.body)?;
            self.poster.post(message)?;
        }
        Ok((first, Instant::now()))
    }
}

/// Takes the answers to everything that was posted, and checks them.
fn collect(client: &mut Client, size: usize, received: &mut [u64]) -> Result<()> {
    for _ in 0..BURST * received.len() {
        let answer = client.receive()?;
        let number = &mut received[side::Client::connection(client, &answer)];
        let is_last = stamp::check(client.body(&answer), size, *number)?;
        ensure!(!is_last, "none is the last one");
        *number += 1;
    }
    Ok(())
}
