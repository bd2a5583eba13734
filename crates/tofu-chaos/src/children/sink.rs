//! A peer that listens: it answers greetings, requests and farewells, checks every message of a
//! stream, and says line by line what it has received, so that its book survives its death.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use nix::sys::resource::{Resource, setrlimit};
use tofu::prelude::*;

use crate::kit::ledger::Delivered;
use crate::kit::side::{Side, Transport};

/// How it behaves.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where it listens
    #[arg(long)]
    transport: Transport,
    /// The socket file
    #[arg(long)]
    path: Option<PathBuf>,
    /// How long it takes over each message, in microseconds
    #[arg(long, default_value_t = 0)]
    delay: u64,
    /// How many descriptors it may have
    #[arg(long)]
    descriptors: Option<u64>,
    /// It receives nothing until it is told `go`
    #[arg(long)]
    hold: bool,
    /// All of its engine's timeouts, in milliseconds
    #[arg(long)]
    timeouts: Option<u64>,
}

/// Runs until it is told `end`.
pub(crate) fn run(arguments: &Arguments, commands: &Receiver<String>) -> Result<()> {
    if let Some(count) = arguments.descriptors {
        setrlimit(Resource::RLIMIT_NOFILE, count, count)?;
    }
    let mut side = Side::start(options(arguments))?;
    let address = match &arguments.path {
        Some(path) if arguments.transport == Transport::Uds => Address::uds_server(path),
        _ => Address::tcp_server("127.0.0.1", 0),
    };
    let (_, endpoint) = side.listen_at(&address)?;
    println!("ready {endpoint}");
    if arguments.hold {
        // The peer's greeting is answered; what follows lies where it is.
        side.accept()?;
        commands.recv()?;
    }
    let mut delivered = Delivered::default();
    loop {
        match commands.try_recv() {
            Ok(_) | Err(TryRecvError::Disconnected) => return end(&side),
            Err(TryRecvError::Empty) => {}
        }
        if let Some(message) = side.group.wait_receive(Duration::from_millis(20))? {
            receive(&side, message, &mut delivered)?;
            thread::sleep(Duration::from_micros(arguments.delay));
        }
    }
}

fn options(arguments: &Arguments) -> Options {
    let options = Options::default();
    match arguments.timeouts.map(Duration::from_millis) {
        None => options,
        Some(timeout) => options
            .connect_timeout(timeout)
            .handshake_timeout(timeout)
            .frame_timeout(timeout)
            .bye_timeout(timeout)
            .linger_timeout(timeout)
            .write_stall_timeout(timeout),
    }
}

fn end(side: &Side) -> Result<()> {
    let report = side.engine.shutdown(Duration::from_secs(5));
    if !report.complete {
        bail!("the shutdown was not complete: {report:?}");
    }
    Ok(())
}

fn receive(side: &Side, message: Msg, delivered: &mut Delivered) -> Result<()> {
    match Incoming::from(message) {
        Incoming::Peer(message) if message.op_code() == OpCode::Signal => {
            let (stream, number) = delivered.take(&message)?;
            println!("d {stream} {number}");
        }
        Incoming::Peer(message) => answer(side, message)?,
        Incoming::Engine(Notice::ChannelClosed(info), message) => {
            println!(
                "closed {} {}",
                info.cause.status(),
                message.channel_number()
            );
        }
        Incoming::Engine(_, message) => println!("notice {}", message.status()),
        Incoming::Update(_) => {}
    }
    Ok(())
}

/// Answers what wants an answer. The peer may be gone already.
fn answer(side: &Side, mut message: Msg) -> Result<()> {
    if message.make_reply().is_none() {
        return Ok(());
    }
    match side.group.post(message) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == PostErrorKind::ChannelClosed => Ok(()),
        Err(error) => Err(error.into()),
    }
}
