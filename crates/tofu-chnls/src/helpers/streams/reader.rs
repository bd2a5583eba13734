//! `StreamReader`: an `io::Read` of a stream that need not fit in memory.

use std::io::{self, Read};
use std::time::Duration;

use tofu_msg::Message;

use super::error::StreamId;
use super::pipe::PipeReader;

/// A stream that is read as it comes, by any thread but the one that feeds it.
///
/// Reading waits for the next part. It gives 0 at the end of a whole stream; one that does not become
/// whole ends with an error that holds the [`StreamError`](super::StreamError). What waits to be read
/// is bounded by [`StreamLimits::reader_bytes`](super::StreamLimits::reader_bytes). Dropping it before
/// the end means that nobody wants the rest: later parts are swallowed.
///
/// The limits of the reassembler are about streams that still come. What has come whole and waits to be
/// read counts no more there: a program that begins to read later than it is given streams, or in
/// threads that a peer's streams start, should bound how many it has at a time.
///
/// ```
/// use std::io::{self, Read};
/// use std::time::{Duration, Instant};
/// use tofu_chnls::Msg;
/// use tofu_chnls::helpers::{Reassembler, Received, StreamLimits};
///
/// /// What to do with each message that was received.
/// fn take(streams: &mut Reassembler, message: Msg) {
///     match streams.feed_timeout(message, Instant::now(), Duration::from_secs(60)) {
///         Received::Begun(mut reader) => {
///             std::thread::spawn(move || io::copy(&mut reader, &mut io::sink()));
///         }
///         Received::Failed(error) => println!("{error}"), // its reader has been told
///         other => println!("{other:?}"),
///     }
/// }
///
/// let mut streams = Reassembler::new(StreamLimits::default())
///     .read_if(|head| head.text_headers().get("File").is_some());
/// # let mut message = tofu_msg::Message::default();
/// # message.set_origin(tofu_msg::Origin::Peer);
/// # take(&mut streams, Msg::from(message));
/// ```
#[derive(Debug)]
pub struct StreamReader {
    head: Message,
    pipe: PipeReader,
    timeout: Duration,
}

impl StreamReader {
    pub(super) fn new(head: Message, pipe: PipeReader) -> StreamReader {
        StreamReader {
            head,
            pipe,
            timeout: Duration::MAX,
        }
    }

    /// Which stream.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::of(&self.head)
    }

    /// The first message, without its body: its text headers, and all that an answer needs.
    #[must_use]
    pub fn head(&self) -> &Message {
        &self.head
    }

    /// How long one `read` waits for bytes before it ends with `TimedOut`; nothing is lost by that.
    /// With 0 it does not wait and ends with `WouldBlock`: so even the feeding thread can read.
    /// Waits for ever unless told otherwise; the stream's age and its channel's end still end it,
    /// if the feeding thread does its duty.
    pub fn set_timeout(&mut self, timeout: Duration) {
        self.timeout = timeout;
    }
}

impl Read for StreamReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.pipe.read(buffer, self.timeout)
    }
}
