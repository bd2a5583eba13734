//! A server and its clients as tasks of tokio: `cargo run --release --example async_tokio`.
//!
//! The server's one task receives, and hands each request to a task of its own, so that a slow answer holds
//! up no other; they answer by a `Poster`, which waits for room without holding a thread. It also does
//! what only tasks can: `select!` between the next message and the end of all clients.
//! It prints how many requests were answered, in less time than one after the other would take.

use std::time::{Duration, Instant};

use futures_util::StreamExt;
use tofu::prelude::*;
use tofu_examples::Outcome;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

const CLIENTS: u32 = 20;
const REQUESTS: u32 = 10;

/// How long the server thinks about each.
const WORK: Duration = Duration::from_millis(20);

fn main() -> Outcome {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_time()
        .build()?;
    runtime.block_on(run())
}

async fn run() -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let (group, endpoint) = listen(&engine).await?;
    let (stop, stopped) = oneshot::channel();
    let server = tokio::spawn(serve(group, stopped));
    let start = Instant::now();
    let mut clients = JoinSet::new();
    for _ in 0..CLIENTS {
        clients.spawn(ask(engine.clone(), endpoint.clone()));
    }
    let mut answers = 0;
    while let Some(client) = clients.join_next().await {
        answers += client??;
    }
    // The server may have ended by itself, with an error.
    let _ = stop.send(());
    let requests = server.await??;
    let (took, work) = (start.elapsed(), WORK * (CLIENTS * REQUESTS));
    println!("{CLIENTS} clients got {answers} answers to {requests} requests");
    let faster = if took < work / 4 { "less" } else { "more" };
    println!("that took {faster} than a quarter of {work:?}");
    // This waits, so it is not for a task.
    tokio::task::spawn_blocking(move || engine.shutdown(Duration::from_secs(1))).await?;
    Ok(())
}

/// Listens on any free port.
async fn listen(engine: &Reactor) -> Outcome<(ChannelGroup, Endpoint)> {
    let mut group = engine.create()?;
    let mut welcome = engine.message()?;
    Address::tcp_server("127.0.0.1", 0).format(&mut welcome)?;
    group.post_async(welcome).await?;
    match Incoming::from(group.receive().await?) {
        Incoming::Engine(Notice::ListenerReady, ready) => {
            let endpoint = Address::parse(&ready)?.into_endpoint();
            Ok((group, endpoint))
        }
        other => Err(format!("not listening: {other:?}").into()),
    }
}

/// Serves until it is stopped; how many requests there were.
async fn serve(mut group: ChannelGroup, mut stopped: oneshot::Receiver<()>) -> Outcome<u32> {
    let poster = group.poster();
    let mut requests = 0;
    loop {
        // Whichever comes first: a future of the group that is dropped has taken nothing.
        let received = tokio::select! {
            received = group.next() => received,
            _ = &mut stopped => None,
        };
        let Some(received) = received else {
            return Ok(requests);
        };
        let Incoming::Peer(mut message) = Incoming::from(received?) else {
            continue;
        };
        match message.op_code() {
            OpCode::Request => {
                requests += 1;
                tokio::spawn(answer(message, poster.clone()));
            }
            OpCode::HelloRequest => {
                message.make_reply();
                group.post_async(message).await?;
            }
            _ => {}
        }
    }
}

/// Thinks, and answers.
async fn answer(mut request: Msg, poster: Poster) {
    tokio::time::sleep(WORK).await;
    request.make_reply();
    if let Err(error) = poster.post_async(request).await {
        println!("a client that has left gets no answer: {error}");
    }
}

/// Connects, asks everything at once, and counts the answers.
async fn ask(engine: Reactor, server: Endpoint) -> Outcome<u32> {
    let mut group = engine.create()?;
    let mut hello = engine.message()?;
    Address::connect_to(server).format(&mut hello)?;
    let channel = group.post_async(hello).await?.channel_number;
    for _ in 0..REQUESTS {
        let mut request = engine.message()?;
        request.set_channel_number(channel);
        group.post_async(request).await?;
    }
    let mut answers = 0;
    while answers < REQUESTS {
        let received = tokio::time::timeout(tofu_examples::PATIENCE, group.receive()).await??;
        match Incoming::from(received) {
            Incoming::Peer(message) => {
                answers += u32::from(message.op_code() == OpCode::Response);
            }
            other => return Err(format!("an end in the middle of it: {other:?}").into()),
        }
    }
    Ok(answers)
}
