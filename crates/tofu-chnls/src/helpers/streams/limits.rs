//! What a `Reassembler` admits: every bound, with its default and what happens when it is reached.

use std::fmt;
use std::time::Duration;

/// The limits of a [`Reassembler`](super::Reassembler).
///
/// A stream that would exceed one is refused; all others go on. `Duration::MAX`, `u64::MAX` and
/// `usize::MAX` switch a limit off.
///
/// ```
/// use std::time::Duration;
/// use tofu_chnls::helpers::StreamLimits;
///
/// let limits = StreamLimits::default()
///     .body_bytes(1024 * 1024)
///     .age(Duration::from_secs(10));
/// assert_eq!(limits.body_bytes, 1024 * 1024);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct StreamLimits {
    /// Bytes of one body that is put together in memory. Default 16 MiB.
    pub body_bytes: usize,
    /// Bytes of one stream, also of one that is read as it comes. Off by default.
    pub stream_bytes: u64,
    /// Streams of one channel at the same time. Default 16.
    pub channel_streams: usize,
    /// Streams of all channels at the same time. Default 256.
    pub streams: usize,
    /// From the first part of a stream to its last. Default 5 minutes.
    pub age: Duration,
    /// Bytes held for all streams together: the memory of unfinished bodies, their text headers, and
    /// `reader_bytes` for each stream that is read as it comes. Default 64 MiB.
    pub held_bytes: usize,
    /// Bytes that wait for the reader of one stream; a part that finds some waiting and does not fit
    /// has to wait. Default 1 MiB.
    pub reader_bytes: usize,
    /// Refused streams of one channel whose last part has not come, and which must be remembered
    /// until then. A channel with more has overrun: what it has begun goes on, nothing new of it is
    /// taken, whole messages included, until it closes. Default 64.
    pub refused_streams: usize,
}

impl Default for StreamLimits {
    fn default() -> StreamLimits {
        const MIB: usize = 1024 * 1024;
        StreamLimits {
            body_bytes: 16 * MIB,
            stream_bytes: u64::MAX,
            channel_streams: 16,
            streams: 256,
            age: Duration::from_secs(300),
            held_bytes: 64 * MIB,
            reader_bytes: MIB,
            refused_streams: 64,
        }
    }
}

/// Declares a setter for each limit.
macro_rules! setters {
    ($($name:ident: $kind:ty,)*) => {
        impl StreamLimits {
            $(
                #[doc = concat!("Sets [`", stringify!($name), "`](StreamLimits#structfield.", stringify!($name), ").")]
                #[must_use]
                pub fn $name(mut self, value: $kind) -> StreamLimits {
                    self.$name = value;
                    self
                }
            )*
        }
    };
}

setters! {
    body_bytes: usize,
    stream_bytes: u64,
    channel_streams: usize,
    streams: usize,
    age: Duration,
    held_bytes: usize,
    reader_bytes: usize,
    refused_streams: usize,
}

/// Which limit a stream would have exceeded. Each has the name of its field in [`StreamLimits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StreamLimit {
    /// [`StreamLimits::body_bytes`](StreamLimits#structfield.body_bytes)
    BodyBytes,
    /// [`StreamLimits::stream_bytes`](StreamLimits#structfield.stream_bytes)
    StreamBytes,
    /// [`StreamLimits::channel_streams`](StreamLimits#structfield.channel_streams)
    ChannelStreams,
    /// [`StreamLimits::streams`](StreamLimits#structfield.streams)
    Streams,
    /// [`StreamLimits::held_bytes`](StreamLimits#structfield.held_bytes)
    HeldBytes,
    /// [`StreamLimits::refused_streams`](StreamLimits#structfield.refused_streams)
    RefusedStreams,
}

impl fmt::Display for StreamLimit {
    /// As the thing that is counted.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            StreamLimit::BodyBytes => "bytes of one body",
            StreamLimit::StreamBytes => "bytes of one stream",
            StreamLimit::ChannelStreams => "streams of one channel",
            StreamLimit::Streams => "streams in all",
            StreamLimit::HeldBytes => "bytes held in all",
            StreamLimit::RefusedStreams => "refused streams of one channel",
        })
    }
}
