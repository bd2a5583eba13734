//! What the core asks of the world below it: sockets that never block, and names resolved.
//!
//! The mio driver (`net`) implements these traits over the kernel, a simulator over memory; the
//! core is generic over them and knows neither. Every call returns at once: what is not ready says
//! `WouldBlock` and is announced later by the driver as a readiness of the socket's [`Token`].

use std::fmt;
use std::io;

use tofu_addr::{Address, Endpoint};

/// Names a socket to the poller: its slot in the core's socket table and the slot's generation,
/// so that a stale event for a slot in its next life is told apart and ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Token {
    /// Index in the socket table.
    pub slot: u32,
    /// How often that slot has been used before.
    pub generation: u32,
}

/// Who is at the other end, as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The peer's own address. A client on a Unix domain socket usually has none: then the
    /// address that the socket was accepted on or connected to.
    pub endpoint: Endpoint,
    /// Who the peer's process runs as; only on Unix domain sockets.
    pub credentials: Option<Credentials>,
}

impl PeerInfo {
    /// Describes a peer.
    #[must_use]
    pub fn new(endpoint: Endpoint, credentials: Option<Credentials>) -> PeerInfo {
        PeerInfo {
            endpoint,
            credentials,
        }
    }
}

/// The user, group and process of a peer on a Unix domain socket, taken by the kernel when the
/// connection was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Credentials {
    /// User id.
    pub uid: u32,
    /// Group id.
    pub gid: u32,
    /// Process id, where the platform tells it.
    pub pid: Option<i32>,
}

impl Credentials {
    /// Credentials as the kernel told them.
    #[must_use]
    pub fn new(uid: u32, gid: u32, pid: Option<i32>) -> Credentials {
        Credentials { uid, gid, pid }
    }
}

/// A connected (or connecting) byte stream that never blocks.
///
/// `write_vectored` hands as much as possible to the kernel in one call and never raises
/// `SIGPIPE`. `read` returns 0 only at the end of the stream.
pub trait Stream: io::Read + io::Write {
    /// Asks how a connection attempt stands once the socket was reported ready: `true` when
    /// connected, `false` while it is still under way.
    ///
    /// # Errors
    /// Why the attempt failed.
    fn finish_connect(&mut self) -> io::Result<bool>;

    /// Ends our direction: the peer reads to the end of what was written, then sees EOF.
    ///
    /// # Errors
    /// What the system said; the stream is of no further use for writing either way.
    fn shutdown_write(&mut self) -> io::Result<()>;

    /// Makes the coming close abrupt (a reset, where the transport has one).
    fn reset_on_close(&mut self);

    /// The stream was reported writable alone, although no write had blocked. A stream of which that
    /// is said again and again may stop reporting it until one does.
    fn room_was_known(&mut self) {}

    /// Who is at the other end; asked once, after the connection was made.
    fn peer(&self) -> PeerInfo;
}

/// What became of an address's name.
#[derive(Debug)]
pub enum Resolution<T> {
    /// The concrete targets, to be tried in this order; never empty.
    Ready(Vec<T>),
    /// A lookup is under way; its answer comes later, through the driver, under the same token.
    Pending,
    /// No lookup could be started, or the address cannot be used on this platform.
    Failed(io::Error),
}

/// The world of sockets.
pub trait Transport {
    /// A byte stream.
    type Stream: Stream;
    /// A listening socket; dropping it closes it (and removes a socket file that it made).
    type Listener;
    /// One concrete address to bind or connect to (a name may have several).
    type Target: fmt::Debug;

    /// Whether a read that returned less than was asked for proves that nothing more is there,
    /// so that the next data will be announced by a new event. (The end of the stream is
    /// exempt: it is announced by a hang-up.)
    const SHORT_READ_MEANS_DRAINED: bool;

    /// Turns an address into targets. Numeric addresses and socket paths are `Ready` at once;
    /// names are looked up elsewhere and answered under `token`.
    fn resolve(&mut self, address: &Address, token: Token) -> Resolution<Self::Target>;

    /// Starts a connection attempt and registers the socket under `token` for both directions.
    ///
    /// # Errors
    /// `WouldBlock` when the peer's backlog is full (try again later); anything else is final
    /// for this target.
    fn connect(&mut self, target: &Self::Target, token: Token) -> io::Result<Self::Stream>;

    /// Binds and listens, and registers the socket under `token`. Also returns the address
    /// really bound, with the port that the system chose where port 0 was asked for.
    ///
    /// # Errors
    /// `AddrInUse` when somebody else holds the address; otherwise what the system said.
    fn listen(
        &mut self,
        target: &Self::Target,
        token: Token,
    ) -> io::Result<(Self::Listener, Endpoint)>;

    /// Takes one waiting connection, not yet registered.
    ///
    /// # Errors
    /// `WouldBlock` when none waits; otherwise what the system said (out of descriptors, the
    /// connection vanished, ...).
    fn accept(&mut self, listener: &mut Self::Listener) -> io::Result<Self::Stream>;

    /// Sheds one waiting connection although no descriptor is free: gives up one that is held in
    /// reserve, accepts, closes, and takes the reserve back. `false` when that did not work.
    fn shed(&mut self, listener: &mut Self::Listener) -> bool;

    /// Registers an accepted stream under `token` for both directions.
    ///
    /// # Errors
    /// What the poller said; the stream is then dropped.
    fn register(&mut self, stream: &mut Self::Stream, token: Token) -> io::Result<()>;
}
