//! Echo and streams over real sockets, two engines in one process: `cargo bench --bench sockets`.
//!
//! Prints medians over several runs; the machine decides most of the absolute figures, so compare
//! only what was measured in one run.

use std::thread;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_benches::{Failure, LIMIT, Pair, next, transports};

const RUNS: usize = 5;

fn main() -> Result<(), Failure> {
    println!("{:<28} {:>14} {:>26}", "shape", "median", "min .. max");
    for (name, address) in transports() {
        show(&format!("{name} round trip, us"), || latency(&address))?;
        show(&format!("{name} stream 64 B, M/s"), || {
            stream(&address, 64, 2_000_000, 1e6)
        })?;
        show(&format!("{name} stream 1 KiB, M/s"), || {
            stream(&address, 1024, 500_000, 1e6)
        })?;
        show(&format!("{name} stream 60000 B, k/s"), || {
            stream(&address, 60_000, 20_000, 1e3)
        })?;
        show(&format!("{name} window 64 x 1, M/s"), || {
            window(&address, 1, 500_000)
        })?;
        show(&format!("{name} window 64 x 100, M/s"), || {
            window(&address, 100, 1_000_000)
        })?;
    }
    Ok(())
}

fn show(what: &str, mut run: impl FnMut() -> Result<f64, Failure>) -> Result<(), Failure> {
    let mut figures = (0..RUNS)
        .map(|_| run())
        .collect::<Result<Vec<f64>, Failure>>()?;
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures[0], figures[RUNS - 1]);
    println!(
        "{what:<28} {:>14.3} {:>26}",
        figures[RUNS / 2],
        format!("{low:.3} .. {high:.3}")
    );
    Ok(())
}

fn signal(engine: &Reactor, channel: ChannelNumber, len: usize) -> Result<Msg, Failure> {
    let mut msg = engine.message()?;
    msg.set_op_code(OpCode::Signal);
    msg.set_channel_number(channel);
    msg.body_mut().append(&[0x5A; 60_000][..len])?;
    Ok(msg)
}

/// Posts, and where the queue is full waits for room.
fn post_all(group: &mut ChannelGroup, mut msg: Msg) -> Result<(), Failure> {
    loop {
        match group.post(msg) {
            Ok(_) => return Ok(()),
            Err(error) if error.kind() == PostErrorKind::QueueFull => {
                msg = error.into_message();
                next(group)?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// Sends everything back until its channel closes.
fn echo(mut group: ChannelGroup) {
    while let Ok(Some(msg)) = group.wait_receive(LIMIT) {
        match Incoming::from(msg) {
            Incoming::Peer(msg) => {
                if post_all(&mut group, msg).is_err() {
                    return;
                }
            }
            Incoming::Update(_) => return,
            Incoming::Engine(..) => {}
        }
    }
}

/// The median round trip of one message at a time, in microseconds.
fn latency(address: &Address) -> Result<f64, Failure> {
    let mut pair = Pair::listen(address)?;
    let (near, _) = pair.connect()?;
    let stop = pair.server_group.poster();
    let server = thread::spawn(move || echo(pair.server_group));
    let mut trips = Vec::new();
    for _ in 0..5000 {
        let start = Instant::now();
        pair.client_group.post(signal(&pair.client, near, 64)?)?;
        next(&mut pair.client_group)?;
        trips.push(start.elapsed());
    }
    stop.update_receiver(None)?;
    drop(server.join());
    trips.sort();
    Ok(trips[trips.len() / 2].as_secs_f64() * 1e6)
}

/// One-way messages per second over one connection, divided by `unit`.
fn stream(address: &Address, len: usize, count: usize, unit: f64) -> Result<f64, Failure> {
    let mut pair = Pair::listen(address)?;
    let (near, _) = pair.connect()?;
    let start = Instant::now();
    let receiver = thread::spawn(move || -> Result<Duration, Failure> {
        for _ in 0..count {
            next(&mut pair.server_group)?;
        }
        Ok(start.elapsed())
    });
    for _ in 0..count {
        post_all(&mut pair.client_group, signal(&pair.client, near, len)?)?;
    }
    let elapsed = receiver.join().map_err(|_| "the receiver panicked")??;
    Ok(rate(count, elapsed) / unit)
}

/// Echoes per second with 64 in flight on each of `connections`, in millions.
fn window(address: &Address, connections: usize, count: usize) -> Result<f64, Failure> {
    let mut pair = Pair::listen(address)?;
    let mut channels = Vec::new();
    for _ in 0..connections {
        channels.push(pair.connect()?.0);
    }
    let stop = pair.server_group.poster();
    let server = thread::spawn(move || echo(pair.server_group));
    let start = Instant::now();
    for &channel in &channels {
        for _ in 0..64 {
            pair.client_group.post(signal(&pair.client, channel, 64)?)?;
        }
    }
    for _ in 0..count {
        let msg = next(&mut pair.client_group)?;
        pair.client_group.post(msg)?;
    }
    let elapsed = start.elapsed();
    stop.update_receiver(None)?;
    drop(server.join());
    Ok(rate(count, elapsed) / 1e6)
}

#[expect(clippy::cast_precision_loss, reason = "counts far below 2^52")]
fn rate(count: usize, elapsed: Duration) -> f64 {
    count as f64 / elapsed.as_secs_f64()
}
