//! The kernel's sockets as the core's [`Transport`]: TCP and Unix domain sockets behind one type
//! each for streams, listeners and targets.
//!
//! Owned by the core, which calls it from the engine thread. It decides nothing about a channel.

use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::net::{SocketAddr, SocketAddrV6};

use mio::{Interest, Registry};
use socket2::Socket;
use tofu_addr::{Address, AddressRole, Endpoint, UdsName};

use super::file_watch::FileWatch;
use super::resolver::Resolver;
use super::socket::{SocketOptions, discard_waiting, send_bytes, send_slices, uninterrupted};
use super::tcp::{self, TcpListener, TcpStream};
use super::token;
use super::uds::{self, UdsListener, UdsStream};
use crate::core::time::Time;
use crate::core::transport::{PeerInfo, Resolution, Stream, Token, Transport};
use crate::sync::Arc;

/// Where a listener without a host listens.
const ANY_HOST: &str = "0.0.0.0";

/// The transport over the kernel.
#[derive(Debug)]
pub(crate) struct MioTransport {
    registry: Arc<Registry>,
    resolver: Resolver,
    options: SocketOptions,
    /// A descriptor held in reserve, to be given up for a connection that must be taken to be
    /// closed. A socket, for that needs no file to be there.
    reserve: Option<Socket>,
    pub(super) files: FileWatch,
}

/// One concrete address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Target {
    /// A numeric address and a port.
    Tcp(SocketAddr),
    /// A path or an abstract name.
    Uds(UdsName),
}

/// What a lookup that was `Pending` came to: targets, never none, or why there are none.
pub(crate) type Resolved = (Token, io::Result<Vec<Target>>);

impl MioTransport {
    /// A transport whose sockets are registered with `registry`.
    pub(crate) fn new(
        registry: Registry,
        resolver: Resolver,
        options: SocketOptions,
    ) -> MioTransport {
        MioTransport {
            registry: Arc::new(registry),
            resolver,
            options,
            reserve: uds::new_socket().ok(),
            files: FileWatch::default(),
        }
    }

    /// Takes the answers of the lookups that have ended since the last call.
    pub(crate) fn take_resolved(&mut self) -> Vec<Resolved> {
        let to_targets = |addresses: Vec<_>| addresses.into_iter().map(Target::Tcp).collect();
        let results = self.resolver.take_results().into_iter();
        results
            .map(|(token, result)| (token, result.map(to_targets)))
            .collect()
    }

    /// The poller has reported [`SOCKET_FILES`](token::SOCKET_FILES).
    pub(crate) fn take_file_events(&mut self) {
        self.files.take_events();
    }

    /// When [`look_for_files`](MioTransport::look_for_files) has something to do, if ever.
    pub(crate) fn next_look(&self) -> Option<Time> {
        self.files.next_look()
    }

    /// Returns the listeners whose socket files are found to be gone or replaced, each once for
    /// every loss. Costs nothing unless its moment has come.
    pub(crate) fn look_for_files(&mut self, now: Time) -> Vec<Token> {
        self.files.look(now, &self.registry)
    }

    fn resolve_host(&mut self, host: &str, port: u16, token: Token) -> Resolution<Target> {
        if let Some(address) = numeric(host, port) {
            return Resolution::Ready(vec![Target::Tcp(address)]);
        }
        match self.resolver.start(host, port, token) {
            Ok(()) => Resolution::Pending,
            Err(error) => Resolution::Failed(error),
        }
    }
}

/// The address that `host` spells in numbers, if it does: IPv4, or IPv6 with or without brackets.
fn numeric(host: &str, port: u16) -> Option<SocketAddr> {
    if host.contains(':') {
        let bare = host
            .strip_prefix('[')
            .and_then(|rest| rest.strip_suffix(']'))
            .unwrap_or(host);
        // Of all forms only this one takes a zone ("fe80::1%2").
        return format!("[{bare}]:{port}")
            .parse::<SocketAddrV6>()
            .ok()
            .map(SocketAddr::V6);
    }
    Some(SocketAddr::new(host.parse().ok()?, port))
}

impl Transport for MioTransport {
    type Stream = MioStream;
    type Listener = MioListener;
    type Target = Target;

    /// epoll's manual promises it for stream sockets; kqueue's promises nothing.
    const SHORT_READ_MEANS_DRAINED: bool = cfg!(any(target_os = "linux", target_os = "android"));

    fn resolve(&mut self, address: &Address, token: Token) -> Resolution<Target> {
        match address.endpoint() {
            Endpoint::Uds(name) => match uds::check_supported(name) {
                Ok(()) => Resolution::Ready(vec![Target::Uds(name.clone())]),
                Err(error) => Resolution::Failed(error),
            },
            Endpoint::Tcp { host, port } if host.is_empty() => match address.role() {
                AddressRole::Listen => self.resolve_host(ANY_HOST, *port, token),
                AddressRole::Connect => Resolution::Failed(io::Error::new(
                    io::ErrorKind::InvalidInput,
                    "there is no host to connect to",
                )),
            },
            Endpoint::Tcp { host, port } => self.resolve_host(host, *port, token),
        }
    }

    fn connect(&mut self, target: &Target, token: Token) -> io::Result<MioStream> {
        match target {
            Target::Tcp(address) => {
                tcp::connect(*address, &self.options, &self.registry, token).map(MioStream::Tcp)
            }
            Target::Uds(name) => {
                uds::connect(name, &self.options, &self.registry, token).map(MioStream::Uds)
            }
        }
    }

    fn listen(&mut self, target: &Target, token: Token) -> io::Result<(MioListener, Endpoint)> {
        match target {
            Target::Tcp(address) => {
                let (listener, endpoint) =
                    tcp::listen(*address, &self.options, &self.registry, token)?;
                Ok((MioListener::Tcp(listener), endpoint))
            }
            Target::Uds(name) => {
                let (listener, endpoint) = uds::listen(name, &self.options, &self.registry, token)?;
                if let Some(place) = listener.place() {
                    self.files.add(token, Arc::clone(place));
                }
                Ok((MioListener::Uds(listener), endpoint))
            }
        }
    }

    /// A connection that vanished before it was accepted is `ConnectionAborted`, whatever the
    /// system calls it: the next call may well bring another one.
    fn accept(&mut self, listener: &mut MioListener) -> io::Result<MioStream> {
        match listener {
            MioListener::Tcp(listener) => listener.accept(&self.options).map(MioStream::Tcp),
            MioListener::Uds(listener) => listener.accept(&self.options).map(MioStream::Uds),
        }
    }

    /// A reserve that somebody else was quicker to take is replaced by a later call.
    fn shed(&mut self, listener: &mut MioListener) -> bool {
        drop(self.reserve.take());
        let shed = match listener {
            MioListener::Tcp(listener) => discard_waiting(&listener.socket),
            MioListener::Uds(listener) => discard_waiting(&listener.socket),
        };
        self.reserve = uds::new_socket().ok();
        shed.is_ok()
    }

    fn register(&mut self, stream: &mut MioStream, token: Token) -> io::Result<()> {
        let both = Interest::READABLE | Interest::WRITABLE;
        match stream {
            MioStream::Tcp(stream) => {
                let token = token::pack(token);
                self.registry.register(&mut stream.socket, token, both)
            }
            MioStream::Uds(stream) => stream.register(&self.registry, token, &self.options),
        }
    }
}

/// A listening socket of either kind.
#[derive(Debug)]
pub(crate) enum MioListener {
    /// A TCP port.
    Tcp(TcpListener),
    /// A Unix domain socket.
    Uds(UdsListener),
}

/// A connection of either kind.
#[derive(Debug)]
pub(crate) enum MioStream {
    /// Over TCP.
    Tcp(TcpStream),
    /// Over a Unix domain socket.
    Uds(UdsStream),
}

impl Stream for MioStream {
    fn finish_connect(&mut self) -> io::Result<bool> {
        match self {
            MioStream::Tcp(stream) => stream.finish_connect(),
            MioStream::Uds(stream) => stream.finish_connect(),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        match self {
            MioStream::Tcp(stream) => stream.shutdown_write(),
            MioStream::Uds(stream) => stream.shutdown_write(),
        }
    }

    fn reset_on_close(&mut self) {
        match self {
            MioStream::Tcp(stream) => stream.reset_on_close(),
            // There is no reset on a Unix domain socket: closing it is as abrupt as can be.
            MioStream::Uds(_) => {}
        }
    }

    fn room_was_known(&mut self) {
        match self {
            // It tells of room only after a write has blocked.
            MioStream::Tcp(_) => {}
            MioStream::Uds(stream) => stream.room_was_known(),
        }
    }

    fn peer(&self) -> PeerInfo {
        match self {
            MioStream::Tcp(stream) => stream.peer(),
            MioStream::Uds(stream) => stream.peer(),
        }
    }
}

impl Read for MioStream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            MioStream::Tcp(stream) => uninterrupted(|| stream.socket.read(buffer)),
            MioStream::Uds(stream) => stream.read(|socket| socket.read(buffer)),
        }
    }

    fn read_vectored(&mut self, buffers: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        match self {
            MioStream::Tcp(stream) => uninterrupted(|| stream.socket.read_vectored(buffers)),
            MioStream::Uds(stream) => stream.read(|socket| socket.read_vectored(buffers)),
        }
    }
}

// `try_io` tells mio of a `WouldBlock` that its own methods did not see.
impl Write for MioStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            MioStream::Tcp(TcpStream { socket, .. }) => {
                uninterrupted(|| socket.try_io(|| send_bytes(&*socket, bytes)))
            }
            MioStream::Uds(stream) => stream.write(|socket| send_bytes(socket, bytes)),
        }
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        match self {
            MioStream::Tcp(TcpStream { socket, .. }) => {
                uninterrupted(|| socket.try_io(|| send_slices(&*socket, slices)))
            }
            MioStream::Uds(stream) => stream.write(|socket| send_slices(socket, slices)),
        }
    }

    /// Nothing is kept back.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;
