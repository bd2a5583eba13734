//! What the engine needs of the operating system: TCP sockets that do not block, registered with the
//! program's poller.
//!
//! Used by the gateway's driver. It decides nothing: whether to wait, to retry or to give up is up to
//! the engine. To keep it short it knows numeric TCP addresses only.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr};

use mio::event::Event;
use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry, Token};
use tofu::engine::driver::{self, PeerInfo, Readiness, Resolution, Stream, Transport};
use tofu::prelude::*;

/// The token as the poller knows it, which has room for both of its parts where addresses have 64
/// bits.
fn pack(token: driver::Token) -> io::Result<Token> {
    let both = u64::from(token.generation) << 32 | u64::from(token.slot);
    let both = usize::try_from(both).map_err(|_| ErrorKind::Unsupported)?;
    Ok(Token(both))
}

/// The same back again.
pub(crate) fn unpack(token: Token) -> driver::Token {
    let [a, b, c, d, e, f, g, h] = (token.0 as u64).to_be_bytes();
    driver::Token {
        slot: u32::from_be_bytes([e, f, g, h]),
        generation: u32::from_be_bytes([a, b, c, d]),
    }
}

pub(crate) fn readiness(event: &Event) -> Readiness {
    Readiness {
        readable: event.is_readable(),
        writable: event.is_writable(),
        hung_up: event.is_read_closed() || event.is_write_closed() || event.is_error(),
    }
}

/// The sockets of this system.
pub(crate) struct Sockets {
    registry: Registry,
}

impl Sockets {
    pub(crate) fn new(registry: Registry) -> Sockets {
        Sockets { registry }
    }
}

impl Transport for Sockets {
    type Stream = Connection;
    type Listener = TcpListener;
    type Target = SocketAddr;

    const SHORT_READ_MEANS_DRAINED: bool = false;

    fn resolve(&mut self, address: &Address, _token: driver::Token) -> Resolution<SocketAddr> {
        let Endpoint::Tcp { host, port } = address.endpoint() else {
            return Resolution::Failed(ErrorKind::Unsupported.into());
        };
        match host.parse::<IpAddr>() {
            Ok(ip) => Resolution::Ready(vec![SocketAddr::new(ip, *port)]),
            Err(_) => Resolution::Failed(ErrorKind::Unsupported.into()),
        }
    }

    fn connect(&mut self, target: &SocketAddr, token: driver::Token) -> io::Result<Connection> {
        let mut stream = Connection {
            socket: TcpStream::connect(*target)?,
            peer: *target,
        };
        self.register(&mut stream, token)?;
        Ok(stream)
    }

    fn listen(
        &mut self,
        target: &SocketAddr,
        token: driver::Token,
    ) -> io::Result<(TcpListener, Endpoint)> {
        let mut listener = TcpListener::bind(*target)?;
        let token = pack(token)?;
        self.registry
            .register(&mut listener, token, Interest::READABLE)?;
        let bound = endpoint(listener.local_addr()?);
        Ok((listener, bound))
    }

    fn accept(&mut self, listener: &mut TcpListener) -> io::Result<Connection> {
        let (socket, peer) = listener.accept()?;
        // Messages are written in one go: there is nothing to be gained by holding them back.
        socket.set_nodelay(true)?;
        Ok(Connection { socket, peer })
    }

    fn shed(&mut self, _listener: &mut TcpListener) -> bool {
        // No descriptor is held in reserve for this: the connection waits.
        false
    }

    fn register(&mut self, stream: &mut Connection, token: driver::Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry
            .register(&mut stream.socket, pack(token)?, both)
    }
}

fn endpoint(address: SocketAddr) -> Endpoint {
    Endpoint::Tcp {
        host: address.ip().to_string(),
        port: address.port(),
    }
}

/// A connection, made or under way.
pub(crate) struct Connection {
    socket: TcpStream,
    /// Kept, because the system forgets it when the peer resets the connection.
    peer: SocketAddr,
}

impl Read for Connection {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        self.socket.read(space)
    }
}

impl Write for Connection {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.socket.write(bytes)
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        self.socket.write_vectored(slices)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Connection {
    fn finish_connect(&mut self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Err(error) if error.kind() == ErrorKind::NotConnected => Ok(false),
            peer => peer.map(|_| true),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    fn reset_on_close(&mut self) {
        // The standard library cannot ask for a reset; the peer sees an ordinary end.
    }

    fn peer(&self) -> PeerInfo {
        PeerInfo::new(endpoint(self.peer), None)
    }
}
