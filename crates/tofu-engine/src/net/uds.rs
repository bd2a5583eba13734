//! Unix domain sockets: by path, and on Linux by abstract name.
//!
//! Called by the transport. What happens at the path of a listener is `socket_file`'s business.

use std::ffi::OsStr;
use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Instant;

use mio::{Interest, Registry};
use socket2::{Domain, SockAddr, SockRef, Socket, Type};
use tofu_addr::{Endpoint, UdsName};

use super::room_watch::RoomWatch;
use super::socket::{SocketOptions, classify_accept_error, uninterrupted};
use super::socket_file::{Place, SocketFile};
use super::token;
use crate::core::transport::{Credentials, PeerInfo, Token};
use crate::sync::Arc;

/// Whether this system has abstract names.
const HAS_ABSTRACT_NAMES: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// A connection.
#[derive(Debug)]
pub(crate) struct UdsStream {
    pub(super) socket: mio::net::UnixStream,
    /// There once the socket is registered.
    watch: Option<RoomWatch>,
    /// The peer's own name or, as most clients have none, the one it was reached by.
    name: Arc<UdsName>,
}

/// A listening socket, and the file that it made.
#[derive(Debug)]
pub(crate) struct UdsListener {
    /// Stands before the socket to be dropped before it: as long as the socket lives, nobody
    /// takes the file for a dead one and puts his own there.
    file: Option<SocketFile>,
    pub(super) socket: mio::net::UnixListener,
    name: Arc<UdsName>,
}

/// Connects to `name` and registers the socket under `token`. `WouldBlock`: the backlog is full.
pub(super) fn connect(
    name: &UdsName,
    options: &SocketOptions,
    registry: &Arc<Registry>,
    token: Token,
) -> io::Result<UdsStream> {
    let socket = new_socket()?;
    options.apply_buffers(&socket)?;
    let address = socket_address(name)?;
    uninterrupted(|| socket.connect(&address))?;
    let mut stream = UdsStream {
        socket: mio::net::UnixStream::from_std(socket.into()),
        watch: None,
        name: Arc::new(name.clone()),
    };
    stream.register(registry, token, options)?;
    Ok(stream)
}

/// Binds to `name`, listens and registers the socket under `token`.
pub(super) fn listen(
    name: &UdsName,
    options: &SocketOptions,
    registry: &Registry,
    token: Token,
) -> io::Result<(UdsListener, Endpoint)> {
    let socket = new_socket()?;
    let address = socket_address(name)?;
    let file = match name {
        UdsName::File(path) => Some(SocketFile::listen(&socket, &address, path, options)?),
        UdsName::Abstract(_) => {
            socket.bind(&address)?;
            socket.listen(options.backlog)?;
            None
        }
    };
    let socket = mio::net::UnixListener::from_std(socket.into());
    let mut listener = UdsListener {
        file,
        socket,
        name: Arc::new(name.clone()),
    };
    registry.register(&mut listener.socket, token::pack(token), Interest::READABLE)?;
    Ok((listener, Endpoint::Uds(name.clone())))
}

pub(super) fn new_socket() -> io::Result<Socket> {
    let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    socket.set_nonblocking(true)?;
    Ok(socket)
}

/// Why this system cannot use `name` at all, if so.
pub(super) fn check_supported(name: &UdsName) -> io::Result<()> {
    match name {
        UdsName::Abstract(_) if !HAS_ABSTRACT_NAMES => Err(io::Error::new(
            io::ErrorKind::Unsupported,
            "this system has no abstract names of Unix domain sockets",
        )),
        _ => Ok(()),
    }
}

fn socket_address(name: &UdsName) -> io::Result<SockAddr> {
    check_supported(name)?;
    match name {
        UdsName::File(path) => {
            let bytes = path.as_os_str().as_bytes();
            // The system would cut a path at its NUL, or take one in front for an abstract name.
            if bytes.is_empty() || bytes.contains(&0) {
                let text = "a socket's path is empty or holds a NUL";
                return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
            }
            SockAddr::unix(path)
        }
        UdsName::Abstract(name) if name.is_empty() => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "an abstract name is empty",
        )),
        UdsName::Abstract(name) => {
            let marked = [&[0], name.as_slice()].concat();
            SockAddr::unix(Path::new(OsStr::from_bytes(&marked)))
        }
    }
}

impl UdsListener {
    /// The place of its file, unless it listens on an abstract name.
    pub(super) fn place(&self) -> Option<&Arc<Place>> {
        self.file.as_ref().map(SocketFile::place)
    }

    /// Takes one waiting connection.
    pub(super) fn accept(&self, options: &SocketOptions) -> io::Result<UdsStream> {
        // Not mio's accept: that one panics on a peer bound to a path that fills its address.
        let accept = || SockRef::from(&self.socket).accept();
        let (socket, address) = uninterrupted(accept).map_err(classify_accept_error)?;
        socket.set_nonblocking(true)?;
        options.apply_buffers(&socket)?;
        let name = own_name(&address).map_or_else(|| self.name.clone(), Arc::new);
        Ok(UdsStream {
            socket: mio::net::UnixStream::from_std(socket.into()),
            watch: None,
            name,
        })
    }
}

/// The name that a peer has bound its socket to, if any.
fn own_name(address: &SockAddr) -> Option<UdsName> {
    match (address.as_pathname(), address.as_abstract_namespace()) {
        (Some(path), _) => Some(UdsName::File(path.to_owned())),
        (None, Some(name)) => Some(UdsName::Abstract(name.to_owned())),
        (None, None) => None,
    }
}

impl UdsStream {
    pub(super) fn register(
        &mut self,
        registry: &Arc<Registry>,
        token: Token,
        options: &SocketOptions,
    ) -> io::Result<()> {
        let token = token::pack(token);
        let watch = RoomWatch::register(&mut self.socket, registry, token, options.sleeps_at_once)?;
        self.watch = Some(watch);
        Ok(())
    }

    /// Runs a write on the socket; where it blocks, the poller will tell of room.
    pub(super) fn write(
        &mut self,
        write: impl Fn(&mio::net::UnixStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let UdsStream { socket, watch, .. } = self;
        let written = uninterrupted(|| socket.try_io(|| write(socket)));
        if let (Err(error), Some(watch)) = (&written, watch) {
            if error.kind() == io::ErrorKind::WouldBlock {
                watch.has_blocked(socket)?;
            }
        }
        written
    }

    /// Runs a read on the socket.
    pub(super) fn read(
        &mut self,
        mut read: impl FnMut(&mut mio::net::UnixStream) -> io::Result<usize>,
    ) -> io::Result<usize> {
        let UdsStream { socket, watch, .. } = self;
        let read = uninterrupted(|| read(socket));
        if let (Ok(1..), Some(watch)) = (&read, watch) {
            watch.has_read(socket, Instant::now);
        }
        read
    }

    /// The poller told of room that nothing waited for.
    pub(super) fn room_was_known(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.was_told(&mut self.socket, Instant::now());
        }
    }

    /// A connection to a Unix domain socket is made at once or not at all.
    pub(super) fn finish_connect(&self) -> io::Result<bool> {
        match self.socket.take_error()? {
            Some(error) => Err(error),
            None => Ok(true),
        }
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    pub(super) fn peer(&self) -> PeerInfo {
        PeerInfo::new(
            Endpoint::Uds(UdsName::clone(&self.name)),
            credentials(&self.socket),
        )
    }
}

/// Who runs the peer. The process is unknown (0) when it lives in another process namespace.
#[cfg(any(target_os = "linux", target_os = "android"))]
fn credentials(socket: impl AsFd) -> Option<Credentials> {
    use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};

    let peer = getsockopt(&socket, PeerCredentials).ok()?;
    let process = Some(peer.pid()).filter(|process| *process > 0);
    Some(Credentials::new(peer.uid(), peer.gid(), process))
}

/// Who runs the peer.
#[cfg(any(
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
))]
fn credentials(socket: impl AsFd) -> Option<Credentials> {
    let (user, group) = nix::unistd::getpeereid(socket).ok()?;
    Some(Credentials::new(user.as_raw(), group.as_raw(), None))
}

/// This system does not say who runs the peer.
#[cfg(not(any(
    target_os = "linux",
    target_os = "android",
    target_vendor = "apple",
    target_os = "freebsd",
    target_os = "dragonfly",
    target_os = "netbsd",
    target_os = "openbsd"
)))]
fn credentials(_: impl AsFd) -> Option<Credentials> {
    None
}

#[cfg(test)]
mod tests;
