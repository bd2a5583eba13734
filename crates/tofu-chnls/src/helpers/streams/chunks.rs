//! `Chunks`: content of any size as the messages of one stream. It reads and cuts; `send` posts.

use std::fmt;
use std::io::{self, Read};

use tofu_msg::{Body, MAX_BODY_LEN, MessageId};

use super::CHUNK_LEN;
use super::error::ChunkError;
use super::head::Head;
use crate::{Ampe, Msg};

/// Content as a stream of messages: whatever can be read, a byte slice for one.
///
/// There are three ways to send it:
///
/// - [`post_all`](Chunks::post_all) (or [`post_until`](Chunks::post_until)) waits for room where the
///   channel's send queue is full. For a thread that has nothing else to do meanwhile: a group's
///   receiving thread had better not, for a peer that does the same would wait for it.
/// - [`post_ready`](Chunks::post_ready) posts what finds room and never waits: for a receive loop.
/// - It is an iterator over the messages, for whoever wants to post them in another way. The first
///   part, posted without an id, is given one, which the others must have too: tell it by
///   [`set_message_id`](Chunks::set_message_id).
///
/// One part is read ahead by a byte, to know which part is the last. An empty content is one message
/// with an empty body.
///
/// ```
/// use std::time::Duration;
/// use tofu_addr::Address;
/// use tofu_chnls::helpers::Chunks;
/// use tofu_chnls::{Ampe, Options, Reactor};
///
/// let engine = Reactor::start(Options::default())?;
/// # let mut service = engine.create()?;
/// # let mut welcome = engine.message()?;
/// # Address::tcp_server("127.0.0.1", 0).format(&mut welcome)?;
/// # service.post(welcome)?;
/// # let ready = service.wait_receive(Duration::from_secs(5))?.ok_or("no answer")?;
/// # let endpoint = Address::parse(&ready)?.into_endpoint();
/// let group = engine.create()?;
/// let mut hello = engine.message()?;
/// Address::connect_to(endpoint).format(&mut hello)?;
/// let channel = group.post(hello)?.channel_number;
///
/// let content = vec![7; 100_000];
/// let mut first = engine.message()?;
/// first.set_channel_number(channel);
/// first.text_headers_mut().append("Name", "sevens")?;
/// let sent = Chunks::new(&engine, first, &content[..])
///     .post_all(&group.poster(), Duration::from_secs(60))?;
/// assert_eq!((sent.parts, sent.bytes), (4, 100_000));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Chunks<'e, R> {
    engine: &'e dyn Ampe,
    source: R,
    chunk_len: usize,
    pub(super) head: Head,
    /// The byte behind the last part that was made, if there is one.
    ahead: Option<u8>,
    /// A part that was made and refused for want of room.
    pub(super) waiting: Option<Msg>,
    pub(super) parts: u64,
    pub(super) bytes: u64,
    pub(super) state: State,
}

/// How far a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// There is more to make.
    Open,
    /// The last part has been made.
    Ended,
    /// It has failed and cannot go on.
    Broken,
    /// The same, and the peer has been told.
    Aborted,
}

impl<'e, R: Read> Chunks<'e, R> {
    /// A stream of what `source` gives until its end, which must block rather than give
    /// `WouldBlock`. `first` says where it goes: op code (Request, Response or Signal), channel and,
    /// if it has one, message id; its text headers travel with the first part, its body is replaced.
    /// So a received Request becomes a long answer by `make_reply`.
    pub fn new(engine: &'e dyn Ampe, first: Msg, source: R) -> Chunks<'e, R> {
        Chunks {
            engine,
            source,
            chunk_len: CHUNK_LEN,
            head: Head::new(first),
            ahead: None,
            waiting: None,
            parts: 0,
            bytes: 0,
            state: State::Open,
        }
    }

    /// Sets how many bytes each part but the last has: 1 to 65535, others are taken as the nearest of
    /// these. Default 32 KiB.
    #[must_use]
    pub fn chunk_len(mut self, len: usize) -> Self {
        self.chunk_len = len.clamp(1, MAX_BODY_LEN);
        self
    }

    /// The id of the stream's messages; unassigned until it is known.
    #[must_use]
    pub fn message_id(&self) -> MessageId {
        self.head.message_id
    }

    /// Tells the id that the first part was given when it was posted: for users of the iterator.
    pub fn set_message_id(&mut self, message_id: MessageId) {
        self.head.message_id = message_id;
    }

    /// The next part, made or kept; nothing behind the last one.
    pub(super) fn next_part(&mut self) -> Result<Option<Msg>, ChunkError> {
        if let Some(waiting) = self.waiting.take() {
            return Ok(Some(waiting));
        }
        match self.state {
            State::Ended => return Ok(None),
            State::Broken | State::Aborted => return Err(ChunkError::Broken),
            State::Open => {}
        }
        match self.make_part() {
            Ok(part) => Ok(Some(part)),
            Err(error) => {
                self.state = State::Broken;
                Err(error)
            }
        }
    }

    fn make_part(&mut self) -> Result<Msg, ChunkError> {
        let mut part = self.head.part(self.engine)?;
        self.fill(part.body_mut()).map_err(ChunkError::Read)?;
        part.set_more(self.ahead.is_some());
        self.parts += 1;
        self.bytes += part.body().len() as u64;
        if !part.more() {
            self.state = State::Ended;
        }
        Ok(part)
    }

    /// Reads one byte more than fits, straight into the body's own memory, and keeps that byte.
    fn fill(&mut self, body: &mut Body) -> io::Result<()> {
        let mut bytes = std::mem::take(body).into_vec();
        bytes.reserve_exact(self.chunk_len + 1);
        bytes.extend(self.ahead.take());
        let wanted = self.chunk_len + 1 - bytes.len();
        let source = &mut self.source;
        source.take(wanted as u64).read_to_end(&mut bytes)?;
        if bytes.len() > self.chunk_len {
            self.ahead = bytes.pop();
        }
        *body = Body::from_vec(bytes)?;
        Ok(())
    }
}

/// The parts in their order. An error is the last item.
impl<R: Read> Iterator for Chunks<'_, R> {
    type Item = Result<Msg, ChunkError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.state {
            State::Broken | State::Aborted => None,
            State::Open | State::Ended => self.next_part().transpose(),
        }
    }
}

impl<R> fmt::Debug for Chunks<'_, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks")
            .field("head", &self.head)
            .field("parts", &self.parts)
            .field("bytes", &self.bytes)
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}
