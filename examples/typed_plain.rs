//! Plain data in bodies: structs as they lie in memory, and numbers in a byte order that all hosts
//! agree on.
//!
//! A client sends readings of a sensor: one in a message, and a hundred thousand, which are more than
//! one body takes, as a stream. The server answers both with their mean. Copying plain data is the
//! fastest way, for there is nothing to encode; but both sides must have the same byte order and the
//! same layout. So the answer goes the portable way: `to_be_bytes`, and `from_be_bytes`.
//!
//! ```text
//! $ cargo run --release --example typed_plain
//! a reading is 16 bytes of plain data
//! 1 reading in 16 bytes: mean 21.50 degrees
//! 100000 readings in 1600000 bytes: mean 20.00 degrees
//! ```

use std::ops::ControlFlow;
use std::thread;
use std::time::Instant;

use bytemuck::{Pod, Zeroable};
use tofu::helpers::{Chunks, Context, Host, Reassembler, Received, Service, StreamLimits};
use tofu::prelude::*;
use tofu_examples::{Outcome, PATIENCE, any_port, close, connect, next_of_peer};

/// Without padding, of types for which every pattern of bits is a value: hence plain.
#[derive(Debug, Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Reading {
    milliseconds: u64,
    sensor: u32,
    degrees: f32,
}

fn main() -> Outcome {
    let server = Reactor::start(Options::default())?;
    let host = Host::open(&server, [any_port()], PATIENCE)?;
    let endpoint = host.listeners()[0].endpoint.clone();
    let handle = host.handle();
    let service = thread::spawn(move || host.serve(&server, &mut Means::new()));

    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, endpoint)?;
    println!("a reading is {} bytes of plain data", size_of::<Reading>());

    let mut request = engine.message()?;
    request.set_channel_number(channel);
    request.body_mut().append_value(&reading(3))?;
    group.post(request)?;
    print_mean("1 reading", &mut group)?;

    let readings: Vec<Reading> = (0..100_000).map(reading).collect();
    let mut first = engine.message()?;
    first.set_channel_number(channel);
    Chunks::new(&engine, first, bytemuck::cast_slice(&readings))
        .post_all(&group.poster(), PATIENCE)?;
    print_mean("100000 readings", &mut group)?;

    close(&engine, &mut group, channel)?;
    handle.stop();
    service.join().map_err(|_| "the server panicked")??;
    Ok(())
}

/// 18.5 to 21.5 degrees, in turn.
fn reading(number: u32) -> Reading {
    Reading {
        milliseconds: u64::from(number) * 100,
        sensor: 7,
        degrees: 18.5 + (number % 4) as f32,
    }
}

fn print_mean(what: &str, group: &mut ChannelGroup) -> Outcome {
    let answer = next_of_peer(group)?;
    let (bytes, mean) = answer.body().split_at(8);
    let bytes = u64::from_be_bytes(bytes.try_into()?);
    let mean = f64::from_be_bytes(mean.try_into()?);
    println!("{what} in {bytes} bytes: mean {mean:.2} degrees");
    Ok(())
}

/// Answers readings with how many bytes they were, and their mean.
struct Means {
    streams: Reassembler,
}

impl Means {
    fn new() -> Means {
        Means {
            streams: Reassembler::new(StreamLimits::default()),
        }
    }

    /// The answer to a body of any size; nothing where it is no row of readings.
    fn answer(mut head: Message, body: &[u8]) -> Option<Message> {
        // The bytes need not lie as a `Reading` must, so each is copied out.
        let readings = body.chunks_exact(size_of::<Reading>());
        if readings.len() == 0 || !readings.remainder().is_empty() {
            return None;
        }
        let count = readings.len() as f64;
        let sum: f64 = readings
            .map(|bytes| f64::from(bytemuck::pod_read_unaligned::<Reading>(bytes).degrees))
            .sum();
        head.make_reply();
        head.body_mut()
            .append(&(body.len() as u64).to_be_bytes())
            .ok()?;
        head.body_mut().append(&(sum / count).to_be_bytes()).ok()?;
        Some(head)
    }
}

impl Service for Means {
    fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
        let message = match incoming {
            // A HelloRequest or a ByeRequest.
            Incoming::Peer(mut message) if message.op_code() != OpCode::Request => {
                message.make_reply();
                context.post(message).ok(); // refused if the client has left
                return ControlFlow::Continue(());
            }
            other => other.into_message(),
        };
        if let Received::Whole(whole) = self.streams.feed(message, Instant::now()) {
            let channel = whole.head.channel_number();
            match Means::answer(whole.head, &whole.body) {
                Some(answer) => context.post(Msg::from(answer)).map(drop).ok(),
                None => context.close_now(channel).ok(),
            };
        }
        ControlFlow::Continue(())
    }

    fn next_deadline(&self) -> Option<Instant> {
        self.streams.next_deadline()
    }

    /// Clients that begin a stream and do not end it are not waited for.
    fn on_time(&mut self, now: Instant, _context: &Context<'_>) -> ControlFlow<()> {
        for expired in self.streams.expire(now) {
            eprintln!("{expired}");
        }
        ControlFlow::Continue(())
    }
}
