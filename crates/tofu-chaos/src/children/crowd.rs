//! Thousands of connections that keep a listener waiting for their Hello: silent ones, and such as
//! send a byte each second. Those that are closed come again.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use socket2::{Domain, SockAddr, Socket, Type};
use tofu::addr::UdsName;
use tofu::prelude::Endpoint;

use crate::kit::measure::raise_descriptor_limit;
use crate::kit::raw::hello_bytes;

/// The connections are served in so many parts of a second.
const SLICES: usize = 20;
const SLICE: Duration = Duration::from_millis(50);

/// How many, and where to.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    to: Endpoint,
    #[arg(long)]
    silent: usize,
    /// One byte a second
    #[arg(long)]
    slow: usize,
}

/// Connects them all and keeps them going until it is killed.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    raise_descriptor_limit()?;
    let hello = hello_bytes(&arguments.to)?;
    let address = socket_address(&arguments.to)?;
    let mut guests = Vec::with_capacity(arguments.silent + arguments.slow);
    for index in 0..arguments.silent + arguments.slow {
        guests.push(Guest {
            socket: connect(&address)?,
            sent: 0,
            speaks: index >= arguments.silent,
        });
    }
    println!("ready");
    let mut turnover = 0_u64;
    for slice in (0..SLICES).cycle() {
        let next = Instant::now() + SLICE;
        for guest in guests.iter_mut().skip(slice).step_by(SLICES) {
            if !guest.is_welcome(&hello) {
                guest.socket = connect(&address)?;
                guest.sent = 0;
                turnover += 1;
            }
        }
        if slice + 1 == SLICES {
            println!("turnover {turnover}");
        }
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    Ok(())
}

struct Guest {
    socket: Socket,
    sent: usize,
    speaks: bool,
}

impl Guest {
    /// Sends a byte if that is its manner; whether it has not been shown out.
    fn is_welcome(&mut self, hello: &[u8]) -> bool {
        if self.speaks {
            let byte = hello.get(self.sent..=self.sent).unwrap_or_default();
            self.sent += 1;
            if self.socket.write(byte).is_err() {
                return false;
            }
        }
        match self.socket.read(&mut [0; 16]) {
            Ok(0) => false,
            Ok(_) => true,
            Err(error) => error.kind() == ErrorKind::WouldBlock,
        }
    }
}

fn socket_address(endpoint: &Endpoint) -> Result<SockAddr> {
    Ok(match endpoint {
        Endpoint::Tcp { host, port } => {
            let host = host.parse().context("the host is not numeric")?;
            SocketAddr::new(host, *port).into()
        }
        Endpoint::Uds(UdsName::File(path)) => SockAddr::unix(path)?,
        Endpoint::Uds(UdsName::Abstract(_)) => bail!("no abstract names here"),
    })
}

fn connect(address: &SockAddr) -> Result<Socket> {
    let domain = if address.is_unix() {
        Domain::UNIX
    } else {
        Domain::IPV4
    };
    let socket = Socket::new(domain, Type::STREAM, None)?;
    socket.connect(address)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}
