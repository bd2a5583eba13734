//! tokio with `LengthDelimitedCodec`: the application runs on the thread that does the input and
//! output, and hands nothing over to another thread.

pub(super) mod stream;

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use bytes::Bytes;
use futures_util::{FutureExt, SinkExt, StreamExt};

use self::stream::{Frames, Listener, connect, flush, frames, runtime, some};
use crate::client::{Meter, Stop, WARM_UP, WINDOW, mark, nanoseconds};
use crate::measures::Measures;
use crate::server::{Counter, announce};
use crate::server_process::ServerProcess;
use crate::stamp;
use crate::work::{Shape, Work};

pub(super) fn serve(work: &Work) -> Result<()> {
    runtime()?.block_on(async {
        let (listener, address) = Listener::bind(work).await?;
        announce(&address);
        loop {
            let frames = frames(listener.accept().await?, work);
            match work.shape {
                Shape::Throughput => count(frames, work.size).await?,
                _ => drop(::tokio::spawn(echo(frames))),
            }
        }
    })
}

async fn echo(mut frames: Frames) -> Result<()> {
    while let Some(frame) = frames.next().await {
        frames.feed(frame?.freeze()).await?;
        while let Some(Some(frame)) = frames.next().now_or_never() {
            frames.feed(frame?.freeze()).await?;
        }
        flush(&mut frames).await?;
    }
    Ok(())
}

async fn count(mut frames: Frames, size: usize) -> Result<()> {
    let mut counter = Counter::new(size);
    while let Some(frame) = frames.next().await {
        counter.add(&frame?)?;
    }
    Ok(())
}

pub(super) fn drive(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    runtime()?.block_on(async {
        match work.shape {
            Shape::Latency => latency(work, server).await,
            Shape::Throughput => throughput(work, server).await,
            Shape::Window => window(work, server).await,
            Shape::Connections => connections(work, server).await,
            Shape::Idle => idle(work, server).await,
            Shape::Post => bail!("{} does not know this shape", work.peer),
        }
    })
}

/// One connection of the client.
struct Connection {
    frames: Frames,
    body: Vec<u8>,
    sent: u64,
    received: u64,
}

impl Connection {
    async fn open(work: &Work, address: &str) -> Result<Connection> {
        let stream = connect(work.transport, address).await?;
        Ok(Connection {
            frames: frames(stream, work),
            body: stamp::blank(work.size)?,
            sent: 0,
            received: 0,
        })
    }

    fn next_body(&mut self, is_last: bool) -> Bytes {
        stamp::write(&mut self.body, self.sent, is_last);
        self.sent += 1;
        Bytes::copy_from_slice(&self.body)
    }

    async fn feed(&mut self, is_last: bool) -> Result<()> {
        let body = self.next_body(is_last);
        Ok(self.frames.feed(body).await?)
    }

    fn check(&mut self, frame: &[u8]) -> Result<()> {
        stamp::check(frame, self.body.len(), self.received)?;
        self.received += 1;
        Ok(())
    }

    async fn round_trip(&mut self) -> Result<Duration> {
        let started = Instant::now();
        let body = self.next_body(false);
        self.frames.send(body).await?;
        let frame = some(self.frames.next()).await?;
        let time = started.elapsed();
        self.check(&frame)?;
        Ok(time)
    }

    /// Keeps the window full until it is time. Returns how many had come by then, and how many in
    /// all.
    async fn window(mut self, stop: Arc<Stop>) -> Result<(u64, u64)> {
        let before = self.received;
        for _ in 0..WINDOW {
            self.feed(false).await?;
        }
        flush(&mut self.frames).await?;
        let mut in_time = 0;
        while self.received < self.sent {
            let frame = some(self.frames.next()).await?;
            in_time += self.turn(&frame, &stop).await?;
            while let Some(Some(frame)) = self.frames.next().now_or_never() {
                in_time += self.turn(&frame?, &stop).await?;
            }
            flush(&mut self.frames).await?;
        }
        Ok((in_time, self.received - before))
    }

    async fn turn(&mut self, frame: &[u8], stop: &Stop) -> Result<u64> {
        self.check(frame)?;
        if stop.is_due() {
            return Ok(0);
        }
        self.feed(false).await?;
        Ok(1)
    }
}

async fn connect_all(work: &Work, server: &ServerProcess) -> Result<Vec<Connection>> {
    let mut connections = Vec::new();
    for _ in 0..work.connections {
        let mut connection = Connection::open(work, server.address()).await?;
        connection.round_trip().await?;
        connections.push(connection);
    }
    Ok(connections)
}

async fn latency(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    let mut connections = connect_all(work, server).await?;
    let connection = &mut connections[0];
    for _ in 0..WARM_UP {
        connection.round_trip().await?;
    }
    let meter = Meter::start(server)?;
    let stop = Stop::after(work.time);
    let mut trips = Vec::with_capacity(100_000);
    while !stop.is_due() {
        if work.pause > Duration::ZERO {
            ::tokio::time::sleep(work.pause).await;
        }
        trips.push(nanoseconds(connection.round_trip().await?));
    }
    let mut measures = Measures::default();
    measures.add_processor_time(meter.stop(server)?, trips.len() as u64);
    measures.add_trips(trips);
    Ok(measures)
}

async fn throughput(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    let mut connection = Connection::open(work, server.address()).await?;
    let meter = Meter::start(server)?;
    let stop = Stop::after(work.time);
    while !stop.is_due() {
        connection.feed(false).await?;
    }
    connection.feed(true).await?;
    flush(&mut connection.frames).await?;
    let (count, time) = server.received()?;
    ensure!(
        count == connection.sent,
        "{count} of {} came",
        connection.sent
    );
    let mut measures = Measures::default();
    measures.add_rate("per_s", count, time);
    measures.add_processor_time(meter.stop(server)?, count);
    Ok(measures)
}

async fn window(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    let connections = connect_all(work, server).await?;
    let meter = Meter::start(server)?;
    let stop = Arc::new(Stop::after(work.time));
    let tasks = connections
        .into_iter()
        .map(|connection| ::tokio::spawn(connection.window(Arc::clone(&stop))));
    let tasks: Vec<_> = tasks.collect();
    let (mut in_time, mut all) = (0, 0);
    for task in tasks {
        let counts = task.await??;
        in_time += counts.0;
        all += counts.1;
    }
    let mut measures = Measures::default();
    measures.add_rate("per_s", in_time, work.time);
    measures.add_processor_time(meter.stop(server)?, all);
    Ok(measures)
}

async fn connections(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    let before = server.usage()?.memory;
    let started = Instant::now();
    let connections = connect_all(work, server).await?;
    let time = started.elapsed();
    let memory = server.usage()?.memory.saturating_sub(before);
    let mut measures = Measures::default();
    measures.add_rate("per_s", connections.len() as u64, time);
    measures.add("bytes", memory as f64 / connections.len() as f64);
    Ok(measures)
}

async fn idle(work: &Work, server: &ServerProcess) -> Result<Measures> {
    let connections = connect_all(work, server).await?;
    mark(work, "begin");
    ::tokio::time::sleep(work.time).await;
    mark(work, "end");
    drop(connections);
    Ok(Measures::default())
}
