//! A blocking peer without an engine: it sends bytes and frames, in whatever state they are, and
//! sees what comes back and how the connection ends. Integration tests of every layer above the
//! wire format use it. It checks no rule of the protocol, on purpose.

use std::ffi::OsStr;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::thread;
use std::time::Duration;

use socket2::{SockAddr, Socket, Type};
use tofu_addr::{Address, Endpoint, UdsName};
use tofu_msg::{ChannelNumber, FrameRef, Message, MessageId, Parse};

use crate::deadline::{Deadline, POLL_INTERVAL};

/// How long connecting and sending may take, unless [`RawPeer::set_send_deadline`] says otherwise.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// The pause between two pieces of a slow sender: long enough for the receiver to wake up.
const SLOW_PAUSE: Duration = Duration::from_micros(200);

/// How the bytes from a peer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// Closed in order, behind a whole frame.
    Eof,
    /// Closed in order, inside a frame.
    CutFrame,
    /// Reset.
    Reset,
    /// The deadline came first.
    Timeout,
    /// The bytes are no frame.
    Malformed,
    /// Another error of the system.
    Failed(io::ErrorKind),
}

impl End {
    fn of(error: &io::Error) -> End {
        match error.kind() {
            io::ErrorKind::UnexpectedEof => End::CutFrame,
            io::ErrorKind::ConnectionReset => End::Reset,
            io::ErrorKind::TimedOut => End::Timeout,
            io::ErrorKind::InvalidData => End::Malformed,
            kind => End::Failed(kind),
        }
    }
}

/// A blocking socket, TCP or UDS, that sends and receives bytes and frames.
///
/// Sending takes `&self` and receiving `&mut self`; for both at once from two threads there is
/// [`try_clone`](RawPeer::try_clone). Received bytes that no call has asked for yet are kept.
/// Dropping it closes the socket.
#[derive(Debug)]
pub struct RawPeer {
    socket: Socket,
    /// Received and not yet asked for.
    unread: Vec<u8>,
    send_deadline: Duration,
}

impl RawPeer {
    /// Connects by TCP.
    ///
    /// # Errors
    ///
    /// `TimedOut` after 10 s, and those of the system.
    ///
    /// ```no_run
    /// # use tofu_testkit::RawPeer;
    /// let peer = RawPeer::connect_tcp(([127, 0, 0, 1], 7099))?;
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn connect_tcp(address: impl Into<SocketAddr>) -> io::Result<RawPeer> {
        connect_to(&address.into().into(), DEFAULT_DEADLINE)
    }

    /// Connects to a Unix domain socket; `@name` is in Linux's abstract namespace. Where the
    /// listener's backlog is full, this waits.
    ///
    /// # Errors
    ///
    /// `TimedOut` after 10 s, and those of the system.
    pub fn connect_uds(path: impl AsRef<Path>) -> io::Result<RawPeer> {
        connect_to(&uds_address(&UdsName::from_path(path))?, DEFAULT_DEADLINE)
    }

    /// Connects to an endpoint of either kind; a TCP host must be numeric.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if the host is not numeric, `TimedOut` after 10 s, and those of the system.
    pub fn connect(endpoint: &Endpoint) -> io::Result<RawPeer> {
        RawPeer::connect_within(endpoint, DEFAULT_DEADLINE)
    }

    /// Connects like [`connect`](RawPeer::connect), with a deadline of the test's own.
    ///
    /// # Errors
    ///
    /// As for [`connect`](RawPeer::connect), `TimedOut` at the deadline.
    pub fn connect_within(endpoint: &Endpoint, deadline: Duration) -> io::Result<RawPeer> {
        match endpoint {
            Endpoint::Uds(name) => connect_to(&uds_address(name)?, deadline),
            Endpoint::Tcp { host, port } => match host.parse() {
                Ok(ip) => connect_to(&SocketAddr::new(ip, *port).into(), deadline),
                Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error)),
            },
        }
    }

    /// Another handle of the same socket, with nothing received so far.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn try_clone(&self) -> io::Result<RawPeer> {
        let socket = self.socket.try_clone()?;
        Ok(RawPeer {
            socket,
            unread: Vec::new(),
            send_deadline: self.send_deadline,
        })
    }

    /// How long each later sending call may take; 10 s at first.
    pub fn set_send_deadline(&mut self, deadline: Duration) {
        self.send_deadline = deadline;
    }

    /// The size of the socket's receive buffer in bytes; the system may round. On TCP a small one
    /// works best set on the [`RawListener`](crate::RawListener), before the connection is there.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_receive_buffer(&self, bytes: usize) -> io::Result<()> {
        self.socket.set_recv_buffer_size(bytes)
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    ///
    /// `TimedOut` with the number of bytes that were sent, `WriteZero`, and those of the system.
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        let deadline = Deadline::after(self.send_deadline);
        let mut rest = bytes;
        while !rest.is_empty() {
            let what = format!("sent {} of {} bytes", bytes.len() - rest.len(), bytes.len());
            let sent = deadline.retry(&what, || {
                self.socket
                    .set_write_timeout(Some(deadline.socket_timeout()))?;
                (&self.socket).write(rest)
            })?;
            if sent == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            rest = &rest[sent..];
        }
        Ok(())
    }

    /// Sends `bytes` in pieces of `chunk` bytes (of one, if it is 0) with a pause of 200 us after
    /// each, so that the receiver sees them one by one. The deadline counts for each piece.
    ///
    /// # Errors
    ///
    /// As for [`send`](RawPeer::send).
    pub fn send_slowly(&self, bytes: &[u8], chunk: usize) -> io::Result<()> {
        bytes.chunks(chunk.max(1)).try_for_each(|piece| {
            self.send(piece)?;
            thread::sleep(SLOW_PAUSE);
            Ok(())
        })
    }

    /// Sends the message as it stands, channel number, id and status included.
    ///
    /// # Errors
    ///
    /// As for [`send`](RawPeer::send).
    pub fn send_frame(&self, message: &Message) -> io::Result<()> {
        let mut frame = Vec::with_capacity(message.frame_len());
        message.encode_into(&mut frame);
        self.send(&frame)
    }

    /// Sends a HelloRequest with `endpoint` as its `~connect_to`, from channel 1 with id 1.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if no address can carry the endpoint; otherwise as for
    /// [`send`](RawPeer::send).
    pub fn hello(&self, endpoint: &Endpoint) -> io::Result<()> {
        let mut hello = Message::default();
        let address = Address::connect_to(endpoint.clone());
        let formatted = address.format(&mut hello);
        formatted.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        hello.set_channel_number(ChannelNumber::new(1));
        hello.set_message_id(MessageId::new(1));
        self.send_frame(&hello)
    }

    /// Waits for the next whole frame; none if the peer has closed in order behind the last one.
    ///
    /// # Errors
    ///
    /// `TimedOut` at the deadline (what came is kept), `UnexpectedEof` if the peer closed inside a
    /// frame, `InvalidData` if the bytes are no frame, `ConnectionReset`, and others of the system.
    pub fn receive_frame(&mut self, deadline: Duration) -> io::Result<Option<Message>> {
        self.receive_frame_until(Deadline::after(deadline))
    }

    fn receive_frame_until(&mut self, deadline: Deadline) -> io::Result<Option<Message>> {
        loop {
            match FrameRef::parse(&self.unread) {
                Ok(Parse::Complete(frame)) => {
                    let (message, frame_len) = (frame.to_message(), frame.frame_len());
                    self.unread.drain(..frame_len);
                    return Ok(Some(message));
                }
                Ok(Parse::Partial { .. }) => {}
                Err(error) => return Err(io::Error::new(io::ErrorKind::InvalidData, error)),
            }
            match (self.receive_some(deadline)?, self.unread.is_empty()) {
                (0, true) => return Ok(None),
                (0, false) => return Err(io::ErrorKind::UnexpectedEof.into()),
                _ => {}
            }
        }
    }

    /// Receives whole frames until the connection ends or the deadline comes; says which.
    #[must_use]
    pub fn receive_all(&mut self, deadline: Duration) -> (Vec<Message>, End) {
        let deadline = Deadline::after(deadline);
        let mut messages = Vec::new();
        loop {
            match self.receive_frame_until(deadline) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => return (messages, End::Eof),
                Err(error) => return (messages, End::of(&error)),
            }
        }
    }

    /// Waits for exactly `len` bytes, whatever they are.
    ///
    /// # Errors
    ///
    /// `TimedOut` at the deadline and `UnexpectedEof` if the peer closed before (what came is
    /// kept), `ConnectionReset`, and others of the system.
    pub fn receive_bytes(&mut self, len: usize, deadline: Duration) -> io::Result<Vec<u8>> {
        let deadline = Deadline::after(deadline);
        while self.unread.len() < len {
            if self.receive_some(deadline)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.unread.drain(..len).collect())
    }

    /// Adds what one read gives to the unread bytes; 0 = end of the stream.
    fn receive_some(&mut self, deadline: Deadline) -> io::Result<usize> {
        let mut chunk = [0; 16 * 1024];
        let len = deadline.retry("nothing more came", || {
            self.socket
                .set_read_timeout(Some(deadline.socket_timeout()))?;
            (&self.socket).read(&mut chunk)
        })?;
        self.unread.extend_from_slice(&chunk[..len]);
        Ok(len)
    }

    /// Sends the end of the stream; receiving goes on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn shutdown_write(&self) -> io::Result<()> {
        self.socket.shutdown(Shutdown::Write)
    }

    /// Closes at once and unkindly (`SO_LINGER` of 0). On TCP the peer sees a reset. On UDS the
    /// system knows none; there the peer sees one only if it has sent bytes that nobody received.
    /// While a clone is alive, nothing of this happens.
    ///
    /// # Errors
    ///
    /// Those of the system; the socket is closed all the same.
    pub fn reset(self) -> io::Result<()> {
        self.socket.set_linger(Some(Duration::ZERO))
    }
}

/// A connected socket as a raw peer; it is made blocking, and TCP sends at once (no Nagle delay).
impl TryFrom<Socket> for RawPeer {
    type Error = io::Error;

    fn try_from(socket: Socket) -> io::Result<RawPeer> {
        socket.set_nonblocking(false)?;
        if socket.local_addr()?.as_socket().is_some() {
            socket.set_tcp_nodelay(true)?;
        }
        Ok(RawPeer {
            socket,
            unread: Vec::new(),
            send_deadline: DEFAULT_DEADLINE,
        })
    }
}

fn connect_to(address: &SockAddr, deadline: Duration) -> io::Result<RawPeer> {
    let deadline = Deadline::after(deadline);
    let socket = deadline.retry("the listener's backlog stays full", || {
        let socket = Socket::new(address.domain(), Type::STREAM, None)?;
        let connected = if address.is_unix() {
            // Decided at once: a full backlog is WouldBlock here, and nothing to poll for.
            socket.set_nonblocking(true)?;
            socket.connect(address)
        } else {
            socket.connect_timeout(address, deadline.socket_timeout())
        };
        connected.inspect_err(|_| thread::sleep(POLL_INTERVAL))?;
        Ok(socket)
    })?;
    RawPeer::try_from(socket)
}

/// The system's form of a UDS name; an abstract one begins with NUL there.
pub(crate) fn uds_address(name: &UdsName) -> io::Result<SockAddr> {
    match name {
        UdsName::File(path) => SockAddr::unix(path),
        UdsName::Abstract(name) => {
            SockAddr::unix(OsStr::from_bytes(&[b"\0", name.as_slice()].concat()))
        }
    }
}
