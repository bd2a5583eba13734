//! The work itself, written once for every library whose application has a thread of its own.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};

use crate::measures::Measures;
use crate::server_process::ServerProcess;
use crate::side::{Client, Library};
use crate::work::{Shape, Work};
use crate::{stamp, usage};

/// Messages in flight on each connection.
pub(crate) const WINDOW: usize = 64;

/// Round trips before those that count; fewer, where they would take longer than what is measured.
pub(crate) const WARM_UP: u64 = 200;

/// Does the work as a client and returns what was measured.
pub(crate) fn drive<L: Library>(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    let client = L::client(work, server.address())?;
    let run = Run {
        client,
        work,
        server,
        body: stamp::blank(work.size)?,
        sent: Vec::new(),
    };
    match work.shape {
        Shape::Latency => run.latency(),
        Shape::Throughput => run.throughput(),
        Shape::Window => run.window(),
        Shape::Connections => run.connections(),
        Shape::Idle => run.idle(),
        Shape::Post => bail!("{} does not know this shape", work.peer),
    }
}

struct Run<'work, C> {
    client: C,
    work: &'work Work,
    server: &'work mut ServerProcess,
    body: Vec<u8>,
    /// How many were sent, by connection.
    sent: Vec<u64>,
}

impl<C: Client> Run<'_, C> {
    fn latency(mut self) -> Result<Measures> {
        self.connect_all()?;
        let started = Instant::now();
        for _ in 0..WARM_UP {
            if started.elapsed() < self.work.time {
                self.round_trip(0)?;
            }
        }
        let meter = Meter::start(self.server)?;
        let stop = Stop::after(self.work.time);
        let mut trips = Vec::with_capacity(100_000);
        let started = Instant::now();
        mark(self.work, "begin");
        while !stop.is_due() {
            if self.work.pause > Duration::ZERO {
                thread::sleep(self.work.pause);
            }
            trips.push(nanoseconds(self.round_trip(0)?));
        }
        mark(self.work, "end");
        let mut measures = Measures::default();
        measures.add("count", trips.len() as f64);
        measures.add_rate("per_s", trips.len() as u64, started.elapsed());
        measures.add_processor_time(meter.stop(self.server)?, trips.len() as u64);
        measures.add_trips(trips);
        Ok(measures)
    }

    fn throughput(mut self) -> Result<Measures> {
        self.client.connect()?;
        self.sent.push(0);
        let meter = Meter::start(self.server)?;
        let stop = Stop::after(self.work.time);
        mark(self.work, "begin");
        while !stop.is_due() {
            self.send(0, false)?;
        }
        self.send(0, true)?;
        let (count, time) = self.server.received()?;
        mark(self.work, "end");
        ensure!(count == self.sent[0], "{count} of {} came", self.sent[0]);
        let mut measures = Measures::default();
        measures.add("count", count as f64);
        measures.add_rate("per_s", count, time);
        measures.add_processor_time(meter.stop(self.server)?, count);
        Ok(measures)
    }

    fn window(mut self) -> Result<Measures> {
        self.connect_all()?;
        let mut received = vec![0; self.work.connections];
        let meter = Meter::start(self.server)?;
        mark(self.work, "begin");
        for connection in 0..self.work.connections {
            for _ in 0..WINDOW {
                self.send(connection, false)?;
            }
        }
        let (stop, started) = (Stop::after(self.work.time), Instant::now());
        let mut count = 0;
        while !stop.is_due() {
            let connection = self.receive(&mut received)?;
            self.send(connection, false)?;
            count += 1;
        }
        let time = started.elapsed();
        for _ in 0..self.work.connections * WINDOW {
            self.receive(&mut received)?;
        }
        mark(self.work, "end");
        let all: u64 = received.iter().sum();
        let mut measures = Measures::default();
        measures.add("count", all as f64);
        measures.add_rate("per_s", count, time);
        measures.add_processor_time(meter.stop(self.server)?, all);
        Ok(measures)
    }

    fn connections(mut self) -> Result<Measures> {
        let before = self.server.usage()?.memory;
        let started = Instant::now();
        self.connect_all()?;
        let time = started.elapsed();
        let memory = self.server.usage()?.memory.saturating_sub(before);
        let mut measures = Measures::default();
        measures.add_rate("per_s", self.work.connections as u64, time);
        measures.add("bytes", memory as f64 / self.work.connections as f64);
        Ok(measures)
    }

    fn idle(mut self) -> Result<Measures> {
        self.connect_all()?;
        // What follows the last answer of its own accord is not idleness yet.
        thread::sleep(Duration::from_millis(500));
        mark(self.work, "begin");
        thread::sleep(self.work.time);
        mark(self.work, "end");
        Ok(Measures::default())
    }

    /// Opens all connections, each with one round trip.
    fn connect_all(&mut self) -> Result<()> {
        for connection in 0..self.work.connections {
            self.client.connect()?;
            self.sent.push(0);
            self.round_trip(connection)?;
        }
        self.sent.fill(0);
        Ok(())
    }

    fn round_trip(&mut self, connection: usize) -> Result<Duration> {
        let number = self.sent[connection];
        let started = Instant::now();
        self.send(connection, false)?;
        let message = self.client.receive()?;
        let time = started.elapsed();
        stamp::check(self.client.body(&message), self.work.size, number)?;
        self.client.done(message);
        Ok(time)
    }

    fn send(&mut self, connection: usize, is_last: bool) -> Result<()> {
        let number = &mut self.sent[connection];
        stamp::write(&mut self.body, *number, is_last);
        *number += 1;
        self.client.send(connection, &self.body)
    }

    /// The next message, which must be the next one of its connection.
    fn receive(&mut self, received: &mut [u64]) -> Result<usize> {
        let message = self.client.receive()?;
        let connection = self.client.connection(&message);
        let number = &mut received[connection];
        stamp::check(self.client.body(&message), self.work.size, *number)?;
        *number += 1;
        self.client.done(message);
        Ok(connection)
    }
}

/// A line on the error output, where they are asked for: for whoever counts what happens between
/// two of them. In one piece, so that it is found in a trace.
pub(crate) fn mark(work: &Work, word: &str) {
    if work.has_marks {
        // Whoever counts finds out that it is missing.
        let _ = io::stderr().write_all(format!("mark {word}\n").as_bytes());
    }
}

pub(crate) fn nanoseconds(time: Duration) -> u32 {
    u32::try_from(time.as_nanos()).unwrap_or(u32::MAX)
}

/// Becomes due after a time, at the price of one load for each look.
pub(crate) struct Stop {
    is_due: Arc<AtomicBool>,
}

impl Stop {
    pub(crate) fn after(time: Duration) -> Stop {
        let is_due = Arc::new(AtomicBool::new(false));
        let shared = Arc::clone(&is_due);
        thread::spawn(move || {
            thread::sleep(time);
            shared.store(true, Ordering::Relaxed);
        });
        Stop { is_due }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.is_due.load(Ordering::Relaxed)
    }
}

/// Processor time of both processes from its start on.
pub(crate) struct Meter {
    at_start: Duration,
}

impl Meter {
    pub(crate) fn start(server: &mut ServerProcess) -> Result<Meter> {
        let at_start = both(server)?;
        Ok(Meter { at_start })
    }

    pub(crate) fn stop(self, server: &mut ServerProcess) -> Result<Duration> {
        Ok(both(server)?.saturating_sub(self.at_start))
    }
}

fn both(server: &mut ServerProcess) -> Result<Duration> {
    Ok(server.usage()?.processor_time + usage::processor_time())
}
