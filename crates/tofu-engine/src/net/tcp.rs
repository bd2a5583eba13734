//! TCP: connections that send at once (no Nagle), and listeners.
//!
//! Called by the transport. Addresses are numeric here; names were looked up before.

use std::io;
use std::net::{IpAddr, Shutdown, SocketAddr};
use std::time::Duration;

use mio::{Interest, Registry};
use socket2::{Domain, Protocol, SockRef, Socket, Type};
use tofu_addr::Endpoint;

use super::socket::{SocketOptions, classify_accept_error, uninterrupted};
use super::token;
use crate::core::transport::{PeerInfo, Token};

/// A connection, made or under way.
#[derive(Debug)]
pub(crate) struct TcpStream {
    pub(super) socket: mio::net::TcpStream,
    /// Kept, because the kernel forgets it when the peer resets the connection.
    peer: SocketAddr,
}

/// A listening socket.
#[derive(Debug)]
pub(crate) struct TcpListener {
    pub(super) socket: mio::net::TcpListener,
}

/// Starts to connect to `address` and registers the socket under `token`.
pub(super) fn connect(
    address: SocketAddr,
    options: &SocketOptions,
    registry: &Registry,
    token: Token,
) -> io::Result<TcpStream> {
    let socket = new_socket(address, options)?;
    options.apply_to_tcp(&socket)?;
    match socket.connect(&address.into()) {
        Ok(()) => {}
        // Interrupted, the attempt goes on by itself as well; a second call would be an error.
        Err(error) if is_under_way(&error) || error.kind() == io::ErrorKind::Interrupted => {}
        Err(error) => return Err(error),
    }
    let mut socket = mio::net::TcpStream::from_std(socket.into());
    // Only now: a socket that has not begun to connect counts as hung up.
    let both = Interest::READABLE | Interest::WRITABLE;
    registry.register(&mut socket, token::pack(token), both)?;
    Ok(TcpStream {
        socket,
        peer: address,
    })
}

/// Binds to `address`, listens and registers the socket under `token`. Also returns the address
/// really bound.
pub(super) fn listen(
    address: SocketAddr,
    options: &SocketOptions,
    registry: &Registry,
    token: Token,
) -> io::Result<(TcpListener, Endpoint)> {
    let socket = new_socket(address, options)?;
    // A port is free again at once after its listener closed. SO_REUSEPORT would let anyone of
    // the same user take a share of our connections.
    socket.set_reuse_address(true)?;
    if let SocketAddr::V6(address) = address {
        if address.ip().is_unspecified() {
            socket.set_only_v6(false)?;
        }
    }
    socket.bind(&address.into())?;
    socket.listen(options.backlog)?;
    let mut socket = mio::net::TcpListener::from_std(socket.into());
    registry.register(&mut socket, token::pack(token), Interest::READABLE)?;
    let endpoint = endpoint(socket.local_addr()?);
    Ok((TcpListener { socket }, endpoint))
}

fn new_socket(address: SocketAddr, options: &SocketOptions) -> io::Result<Socket> {
    let socket = Socket::new(
        Domain::for_address(address),
        Type::STREAM,
        Some(Protocol::TCP),
    )?;
    socket.set_nonblocking(true)?;
    options.apply_buffers(&socket)?;
    Ok(socket)
}

impl TcpListener {
    /// Takes one waiting connection.
    pub(super) fn accept(&self, options: &SocketOptions) -> io::Result<TcpStream> {
        let (socket, peer) =
            uninterrupted(|| self.socket.accept()).map_err(classify_accept_error)?;
        // Some systems refuse to set options of a connection that the peer has reset already.
        options
            .apply_to_tcp(&socket)
            .map_err(|error| io::Error::new(io::ErrorKind::ConnectionAborted, error))?;
        Ok(TcpStream { socket, peer })
    }
}

impl TcpStream {
    pub(super) fn finish_connect(&self) -> io::Result<bool> {
        if let Some(error) = self.socket.take_error()? {
            return Err(error);
        }
        match self.socket.peer_addr() {
            Ok(peer) if self.socket.local_addr()? == peer => Err(self_connect()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotConnected || is_under_way(&error) => {
                Ok(false)
            }
            Err(error) => Err(error),
        }
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    pub(super) fn reset_on_close(&self) {
        // Failing means that the connection is gone already; then nothing is left to reset.
        let _ = SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    pub(super) fn peer(&self) -> PeerInfo {
        PeerInfo::new(endpoint(self.peer), None)
    }
}

/// A socket that connects to a port of its own range of ephemeral ports can meet itself there:
/// then nobody listens.
fn self_connect() -> io::Error {
    io::Error::new(
        io::ErrorKind::ConnectionRefused,
        "the socket has connected to itself",
    )
}

fn is_under_way(error: &io::Error) -> bool {
    error.raw_os_error() == Some(nix::errno::Errno::EINPROGRESS as i32)
}

/// A socket's address as an endpoint. A client that reached a dual-stack listener over IPv4 is
/// named by its IPv4 address, so that it has the same name on every listener.
fn endpoint(address: SocketAddr) -> Endpoint {
    let host = match (address.ip().to_canonical(), address) {
        // Without its zone a link-local address names nobody.
        (IpAddr::V6(ip), SocketAddr::V6(v6)) if v6.scope_id() != 0 => {
            format!("{ip}%{}", v6.scope_id())
        }
        (ip, _) => ip.to_string(),
    };
    Endpoint::Tcp {
        host,
        port: address.port(),
    }
}

#[cfg(test)]
mod tests;
