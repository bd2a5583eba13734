//! Sockets of both kinds under one type.

use std::io::{self, Read, Write};
use std::net::SocketAddr;

use anyhow::Result;
use mio::event::Source;
use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use mio::{Interest, Registry, Token};

use crate::work::{Transport, Work};

pub(super) enum Listener {
    Tcp(TcpListener),
    Uds(UnixListener),
}

pub(super) enum Socket {
    Tcp(TcpStream),
    Uds(UnixStream),
}

impl Listener {
    /// Also says where.
    pub(super) fn bind(transport: Transport) -> Result<(Listener, String)> {
        match transport {
            Transport::Tcp => {
                let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?;
                let address = listener.local_addr()?.to_string();
                Ok((Listener::Tcp(listener), address))
            }
            Transport::Uds => {
                let path = Work::socket_path();
                let listener = UnixListener::bind(&path)?;
                Ok((Listener::Uds(listener), path.display().to_string()))
            }
        }
    }

    pub(super) fn accept(&self) -> io::Result<Socket> {
        match self {
            Listener::Tcp(listener) => {
                let stream = listener.accept()?.0;
                stream.set_nodelay(true)?;
                Ok(Socket::Tcp(stream))
            }
            Listener::Uds(listener) => Ok(Socket::Uds(listener.accept()?.0)),
        }
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        match self {
            Listener::Tcp(listener) => listener.register(registry, token, Interest::READABLE),
            Listener::Uds(listener) => listener.register(registry, token, Interest::READABLE),
        }
    }
}

impl Socket {
    pub(super) fn connect(transport: Transport, address: &str) -> Result<Socket> {
        Ok(match transport {
            Transport::Tcp => {
                let stream = std::net::TcpStream::connect(address)?;
                stream.set_nodelay(true)?;
                stream.set_nonblocking(true)?;
                Socket::Tcp(TcpStream::from_std(stream))
            }
            Transport::Uds => {
                let stream = std::os::unix::net::UnixStream::connect(address)?;
                stream.set_nonblocking(true)?;
                Socket::Uds(UnixStream::from_std(stream))
            }
        })
    }

    pub(super) fn register(&mut self, registry: &Registry, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match self {
            Socket::Tcp(stream) => stream.register(registry, token, both),
            Socket::Uds(stream) => stream.register(registry, token, both),
        }
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.read(buffer),
            Socket::Uds(stream) => stream.read(buffer),
        }
    }
}

impl Write for Socket {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Socket::Tcp(stream) => stream.write(bytes),
            Socket::Uds(stream) => stream.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
