//! A process in which SIGPIPE kills, as in every program that is not written in Rust, and whose peer
//! goes away again and again while it writes.

use std::io::{ErrorKind, IoSlice, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;

use anyhow::{Result, bail};
use tofu::addr::UdsName;
use tofu::prelude::*;
use tofu_testkit::Random;

use crate::kit::LIMIT;
use crate::kit::collector::Collector;
use crate::kit::side::Side;
use crate::kit::streams::{endless, join};

/// What it does.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The peer that goes away
    #[arg(long)]
    to: Endpoint,
    /// How often
    #[arg(long)]
    rounds: u32,
    /// Writes by plain sockets instead, to show that the signal does kill here
    #[arg(long)]
    plain: bool,
    #[arg(long)]
    seed: u64,
}

/// Connects and posts until the peer is gone, round after round.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    sigpipe::reset();
    println!("ready");
    if arguments.plain {
        return write_to_nobody(&arguments.to);
    }
    let mut side = Side::start(Options::default())?;
    let mut random = Random::new(arguments.seed);
    for round in 0..arguments.rounds {
        let channel = side.hello(&arguments.to)?;
        let random = Random::new(random.next_u64());
        let stream =
            endless(&side, channel, round, 30_000, random).spawn(&std::sync::Arc::default());
        Collector::default().until_closed(&mut side.group, channel, LIMIT)?;
        join(stream)?;
    }
    println!("alive");
    Ok(())
}

/// Writes in the way that does not hold the signal back.
fn write_to_nobody(endpoint: &Endpoint) -> Result<()> {
    let mut socket: Box<dyn Write> = match endpoint {
        Endpoint::Tcp { host, port } => Box::new(TcpStream::connect((host.as_str(), *port))?),
        Endpoint::Uds(UdsName::File(path)) => Box::new(UnixStream::connect(path)?),
        Endpoint::Uds(UdsName::Abstract(_)) => bail!("no abstract names here"),
    };
    loop {
        match socket.write_vectored(&[IoSlice::new(&[0; 4096])]) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                println!("alive");
                return Ok(());
            }
            // The reset comes first, the broken pipe next.
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
            Err(error) => return Err(error.into()),
        }
    }
}
