//! What all stream sockets have in common: their options, and the system calls that the standard
//! library does not offer in the form we need.
//!
//! Used by the TCP and the Unix domain transport. Interrupted calls are repeated here, so nobody
//! above ever sees `Interrupted`.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use nix::errno::Errno;
use nix::sys::socket::{MsgFlags, send, sendmsg};
use socket2::{SockRef, TcpKeepalive};

use crate::options::Options;
use crate::shared::idle::IdleStrategy;

/// As many slices as every supported system takes in one call (`IOV_MAX`).
const SLICES_PER_CALL: usize = 1024;

/// A dead peer must cost an error, not the process: without this the kernel raises `SIGPIPE`.
/// Apple's systems have an option of the socket instead, which its makers set.
#[cfg(not(target_vendor = "apple"))]
const NO_SIGNAL: MsgFlags = MsgFlags::MSG_NOSIGNAL;
#[cfg(target_vendor = "apple")]
const NO_SIGNAL: MsgFlags = MsgFlags::empty();

/// The kernel counts the user timeout in milliseconds and refuses one that is no `int`.
#[cfg(any(target_os = "linux", target_os = "android"))]
const LONGEST_USER_TIMEOUT: Duration = Duration::from_millis(i32::MAX.unsigned_abs() as u64);

/// How the engine's sockets are set up.
#[derive(Debug, Clone)]
pub(crate) struct SocketOptions {
    /// Connections that the kernel keeps for a listener until they are accepted. The kernel has a
    /// limit of its own and takes the smaller one.
    pub(crate) backlog: i32,
    /// When the kernel asks a silent TCP peer whether it is still there. `None`: never.
    pub(crate) keepalive: Option<Keepalive>,
    /// How long data may stay unacknowledged by a TCP peer's kernel until the connection is given
    /// up, where the system lets it be set (Linux). It also takes the place of
    /// `Keepalive::probes` there. It must exceed every pause that a connection shall survive:
    /// a peer that merely does not read counts as well. `None`: as the system does.
    #[cfg_attr(
        not(any(target_os = "linux", target_os = "android", test)),
        expect(dead_code, reason = "the system has no such option")
    )]
    pub(crate) user_timeout: Option<Duration>,
    /// Who may connect to a Unix domain socket that we made: permission bits of its file.
    pub(crate) uds_mode: u16,
    /// Size of the kernel's send buffer in bytes. `None`: as the system does.
    pub(crate) send_buffer: Option<usize>,
    /// Size of the kernel's receive buffer in bytes. `None`: as the system does.
    pub(crate) receive_buffer: Option<usize>,
    /// The engine's thread sleeps as soon as there is nothing to do: being woken a little before an
    /// answer comes is of use to it.
    pub(crate) sleeps_at_once: bool,
}

/// TCP keepalive. The kernels count whole seconds, from 1 to 32767: other times are rounded up
/// and cut.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Keepalive {
    /// Silence before the first probe.
    pub(crate) idle: Duration,
    /// Time between probes.
    pub(crate) interval: Duration,
    /// Unanswered probes that end the connection; 1 to 127.
    pub(crate) probes: u32,
}

/// Connections that wait to be accepted; what a burst may bring before the event loop's next turn.
const BACKLOG: i32 = 4096;

impl From<&Options> for SocketOptions {
    fn from(options: &Options) -> SocketOptions {
        let keepalive = Keepalive {
            idle: options.keepalive_idle,
            interval: options.keepalive_interval,
            probes: options.keepalive_probes,
        };
        SocketOptions {
            backlog: BACKLOG,
            keepalive: Some(keepalive).filter(|keepalive| keepalive.idle < Duration::MAX),
            user_timeout: Some(options.tcp_user_timeout).filter(|time| *time < Duration::MAX),
            uds_mode: options.uds_mode,
            send_buffer: None,
            receive_buffer: None,
            sleeps_at_once: options.idle == IdleStrategy::Off,
        }
    }
}

impl Default for SocketOptions {
    fn default() -> SocketOptions {
        SocketOptions::from(&Options::default())
    }
}

impl SocketOptions {
    /// Sets what a TCP connection needs, before or after it is made.
    pub(super) fn apply_to_tcp(&self, socket: impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(&socket);
        socket.set_tcp_nodelay(true)?;
        if let Some(keepalive) = &self.keepalive {
            socket.set_tcp_keepalive(&keepalive.to_system())?;
        }
        #[cfg(any(target_os = "linux", target_os = "android"))]
        if let Some(timeout) = self.user_timeout {
            let timeout = timeout.clamp(Duration::from_millis(1), LONGEST_USER_TIMEOUT);
            socket.set_tcp_user_timeout(Some(timeout))?;
        }
        Ok(())
    }

    /// Sets the sizes of the kernel's buffers; TCP wants that before it connects or listens.
    pub(super) fn apply_buffers(&self, socket: impl AsFd) -> io::Result<()> {
        let socket = SockRef::from(&socket);
        if let Some(size) = self.send_buffer {
            socket.set_send_buffer_size(size)?;
        }
        if let Some(size) = self.receive_buffer {
            socket.set_recv_buffer_size(size)?;
        }
        Ok(())
    }
}

impl Keepalive {
    fn to_system(self) -> TcpKeepalive {
        TcpKeepalive::new()
            .with_time(whole_seconds(self.idle))
            .with_interval(whole_seconds(self.interval))
            .with_retries(self.probes.clamp(1, 127))
    }
}

fn whole_seconds(time: Duration) -> Duration {
    let rounded_up = time
        .as_secs()
        .saturating_add(u64::from(time.subsec_nanos() > 0));
    Duration::from_secs(rounded_up.clamp(1, 32_767))
}

/// Repeats a call for as long as signals interrupt it.
pub(super) fn uninterrupted<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => return result,
        }
    }
}

/// One `send` that raises no signal.
pub(super) fn send_bytes(socket: impl AsFd, bytes: &[u8]) -> io::Result<usize> {
    Ok(send(socket.as_fd().as_raw_fd(), bytes, NO_SIGNAL)?)
}

/// One `sendmsg` that raises no signal. Slices beyond what a call can take wait for the next.
pub(super) fn send_slices(socket: impl AsFd, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    let slices = &slices[..slices.len().min(SLICES_PER_CALL)];
    Ok(sendmsg(
        socket.as_fd().as_raw_fd(),
        slices,
        &[],
        NO_SIGNAL,
        None::<&()>,
    )?)
}

/// Takes one waiting connection off a listener and closes it.
pub(super) fn discard_waiting(listener: impl AsFd) -> io::Result<()> {
    let listener = SockRef::from(&listener);
    uninterrupted(|| listener.accept()).map(drop)
}

/// Gives an error of `accept` that concerns only the connection that was to be accepted one kind,
/// `ConnectionAborted`, so that it can be told apart from a listener in trouble.
pub(super) fn classify_accept_error(error: io::Error) -> io::Error {
    let code = error.raw_os_error().map(Errno::from_raw);
    let vanished = matches!(
        code,
        // What Linux reports are errors that the new connection met on its way; others have EPROTO.
        Some(
            Errno::EPROTO
                | Errno::ENOPROTOOPT
                | Errno::ENETDOWN
                | Errno::ENETUNREACH
                | Errno::EHOSTDOWN
                | Errno::EHOSTUNREACH
                | Errno::ETIMEDOUT
                | Errno::ECONNRESET
        )
    );
    if vanished {
        io::Error::new(io::ErrorKind::ConnectionAborted, error)
    } else {
        error
    }
}

#[cfg(test)]
mod tests;
