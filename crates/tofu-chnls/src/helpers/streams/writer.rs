//! `ChunkWriter`: an `io::Write` whose bytes become the messages of one stream.

use std::fmt;
use std::io;
use std::time::Duration;

use tofu_msg::MAX_BODY_LEN;

use super::CHUNK_LEN;
use super::error::ChunkError;
use super::head::Head;
use super::send::Sent;
use crate::{Ampe, Msg, PostErrorKind, Poster};

/// Writes a stream of messages: for content that is made while it is sent.
///
/// A part goes out when it is full, and what there is of it on `flush`. Where the channel's send
/// queue is full, writing waits for room, and ends with `TimedOut` when none came in time. Nothing is
/// lost by that: the same `write` goes on. (`write_all` and `writeln!` do not tell how much they had
/// written before, so that after their errors only [`abort`](ChunkWriter::abort) is left.)
///
/// The stream is whole only after [`finish`](ChunkWriter::finish). One that is dropped before ends
/// in failure for the peer as well: it gets a last part with the text header
/// [`STREAM_ABORTED`](super::STREAM_ABORTED), unless the send queue is full at that moment (dropping
/// does not wait), or it has got nothing yet.
///
/// ```
/// use std::io::Write;
/// use std::time::Duration;
/// use tofu_addr::Address;
/// use tofu_chnls::helpers::ChunkWriter;
/// use tofu_chnls::{Ampe, Options, Reactor};
///
/// let engine = Reactor::start(Options::default())?;
/// # let mut service = engine.create()?;
/// # let mut welcome = engine.message()?;
/// # Address::tcp_server("127.0.0.1", 0).format(&mut welcome)?;
/// # service.post(welcome)?;
/// # let ready = service.wait_receive(Duration::from_secs(5))?.ok_or("no answer")?;
/// # let group = engine.create()?;
/// # let mut hello = engine.message()?;
/// # Address::connect_to(Address::parse(&ready)?.into_endpoint()).format(&mut hello)?;
/// # let channel = group.post(hello)?.channel_number;
/// let mut first = engine.message()?;
/// first.set_channel_number(channel);
/// let mut writer = ChunkWriter::new(&engine, group.poster(), first, Duration::from_secs(60));
/// for line in 0..10_000 {
///     writeln!(writer, "line {line}")?;
/// }
/// assert_eq!(writer.finish()?.bytes, 98_890);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct ChunkWriter<'e> {
    engine: &'e dyn Ampe,
    poster: Poster,
    stall: Duration,
    chunk_len: usize,
    head: Head,
    /// The part that is being filled.
    part: Option<Msg>,
    parts: u64,
    bytes: u64,
    is_over: bool,
}

impl<'e> ChunkWriter<'e> {
    /// A stream to where `first` says, as with [`Chunks::new`](super::Chunks::new). `stall` is how
    /// long any one part waits for room.
    pub fn new(engine: &'e dyn Ampe, poster: Poster, first: Msg, stall: Duration) -> Self {
        ChunkWriter {
            engine,
            poster,
            stall,
            chunk_len: CHUNK_LEN,
            head: Head::new(first),
            part: None,
            parts: 0,
            bytes: 0,
            is_over: false,
        }
    }

    /// Sets how many bytes a full part has: 1 to 65535, others are taken as the nearest of these.
    /// Default 32 KiB.
    #[must_use]
    pub fn chunk_len(mut self, len: usize) -> Self {
        self.chunk_len = len.clamp(1, MAX_BODY_LEN);
        self
    }

    /// Sends what is left as the last part: the stream is whole.
    ///
    /// # Errors
    /// Why the last part was not posted; the stream is then given up as if dropped.
    pub fn finish(mut self) -> Result<Sent, ChunkError> {
        self.open_part()?;
        self.post_part(false)?;
        self.is_over = true;
        Ok(Sent {
            message_id: self.head.message_id,
            parts: self.parts,
            bytes: self.bytes,
        })
    }

    /// Gives up, and tells the peer why; waits for room as long as for a part. A peer that has got
    /// nothing yet is told nothing.
    ///
    /// # Errors
    /// Why that could not be posted.
    pub fn abort(mut self, reason: &str) -> Result<(), ChunkError> {
        self.is_over = true;
        if self.parts == 0 {
            return Ok(());
        }
        let last = self.head.aborting(reason);
        let posted = self.poster.post_timeout(last, self.stall);
        posted.map(drop).map_err(ChunkError::Post)
    }

    fn open_part(&mut self) -> Result<&mut Msg, ChunkError> {
        if self.is_over {
            return Err(ChunkError::Broken);
        }
        match &mut self.part {
            Some(part) => Ok(part),
            empty => Ok(empty.insert(self.head.part(self.engine)?)),
        }
    }

    /// Posts the part, if there is one. It is kept when no room came for it.
    fn post_part(&mut self, more: bool) -> Result<(), ChunkError> {
        let Some(mut part) = self.part.take() else {
            return Ok(());
        };
        part.set_more(more);
        let len = part.body().len() as u64;
        match self.poster.post_timeout(part, self.stall) {
            Ok(header) => {
                self.head.message_id = header.message_id;
                self.parts += 1;
                self.bytes += len;
                Ok(())
            }
            Err(refused) if refused.kind() == PostErrorKind::QueueFull => {
                self.part = Some(refused.into_message());
                Err(ChunkError::Stalled)
            }
            Err(refused) => {
                self.is_over = true;
                Err(ChunkError::Post(refused))
            }
        }
    }
}

impl io::Write for ChunkWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let chunk_len = self.chunk_len;
        if self.open_part()?.body().len() >= chunk_len {
            self.post_part(true)?;
        }
        let body = self.open_part()?.body_mut();
        let taken = bytes.len().min(chunk_len - body.len());
        body.append(&bytes[..taken])?;
        Ok(taken)
    }

    /// Posts what is there as a part of its own.
    fn flush(&mut self) -> io::Result<()> {
        match &self.part {
            Some(part) if !part.body().is_empty() => Ok(self.post_part(true)?),
            _ => Ok(()),
        }
    }
}

impl Drop for ChunkWriter<'_> {
    fn drop(&mut self) {
        if !self.is_over && self.parts > 0 {
            let last = self.head.aborting("dropped before it was whole");
            // Where this is refused, the channel's end or the peer's own limits end the stream.
            self.poster.post(last).ok();
        }
    }
}

impl fmt::Debug for ChunkWriter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChunkWriter")
            .field("head", &self.head)
            .field("parts", &self.parts)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}
