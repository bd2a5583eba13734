//! The accepting side for raw peers: a plain socket that listens on TCP or UDS, for tests in which
//! the program under test is the one that connects.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::thread;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tofu_addr::{Endpoint, UdsName};

use crate::deadline::{Deadline, POLL_INTERVAL};
use crate::raw_peer::{RawPeer, uds_address};

/// How many connections may wait to be accepted, unless a test sets another number.
const BACKLOG: i32 = 128;

/// A listening socket whose connections are [`RawPeer`]s.
///
/// Dropping it closes the socket; a UDS path stays where it is, as that of a killed process would.
#[derive(Debug)]
pub struct RawListener {
    /// Does not block.
    socket: Socket,
    endpoint: Endpoint,
}

impl RawListener {
    /// Listens on a port of 127.0.0.1 that the system chooses.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn bind_tcp() -> io::Result<RawListener> {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())?;
        let address = socket
            .local_addr()?
            .as_socket()
            .ok_or(io::ErrorKind::Unsupported)?;
        RawListener::listen(socket, address.into())
    }

    /// Listens on a path, where nothing may be; `@name` is in Linux's abstract namespace.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn bind_uds(path: impl AsRef<Path>) -> io::Result<RawListener> {
        let name = UdsName::from_path(path);
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.bind(&uds_address(&name)?)?;
        RawListener::listen(socket, Endpoint::Uds(name))
    }

    fn listen(socket: Socket, endpoint: Endpoint) -> io::Result<RawListener> {
        socket.listen(BACKLOG)?;
        socket.set_nonblocking(true)?;
        Ok(RawListener { socket, endpoint })
    }

    /// Where to connect to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// How many connections may wait to be accepted, as far as the system heeds it.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_backlog(&self, connections: i32) -> io::Result<()> {
        self.socket.listen(connections)
    }

    /// The size of the receive buffer in bytes of the connections to come; the system may round.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes)
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// `TimedOut` at the deadline, and those of the system.
    pub fn accept(&self, deadline: Duration) -> io::Result<RawPeer> {
        let (socket, _) = Deadline::after(deadline).retry("nobody connected", || {
            self.socket
                .accept()
                .inspect_err(|_| thread::sleep(POLL_INTERVAL))
        })?;
        RawPeer::try_from(socket)
    }
}
