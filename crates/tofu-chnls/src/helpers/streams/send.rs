//! How `Chunks` gets posted: all of it with waiting, or what finds room without.

use std::io::Read;
use std::time::{Duration, Instant};

use tofu_msg::{BinaryHeader, MessageId};

use super::chunks::{Chunks, State};
use super::error::ChunkError;
use crate::helpers::Post;
use crate::{Msg, PostError, PostErrorKind, Poster};

/// What was posted of a stream: all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Sent {
    /// The id of its messages.
    pub message_id: MessageId,
    /// How many messages that were.
    pub parts: u64,
    /// How many bytes of body.
    pub bytes: u64,
}

/// How far [`Chunks::post_ready`] came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// The send queue is full: to be called again when the engine says
    /// [`SendQueueReady`](crate::Notice::SendQueueReady) about this channel.
    Full,
    /// The last part has been posted.
    Done(Sent),
}

impl<R: Read> Chunks<'_, R> {
    /// Posts all parts, waiting for room for any one of them for up to `stall`.
    ///
    /// # Errors
    /// [`Stalled`](ChunkError::Stalled) when no room came in time: calling it again goes on,
    /// [`abort`](Chunks::abort) gives up. After any other error the stream cannot go on; if the
    /// content could not be read, the peer is told, provided that there is room in the queue.
    pub fn post_all(&mut self, poster: &Poster, stall: Duration) -> Result<Sent, ChunkError> {
        self.post_by(|part| poster.post_timeout(part, stall))
    }

    /// Posts all parts, waiting for room until `deadline`. One that has passed means no waiting.
    ///
    /// # Errors
    /// As [`post_all`](Chunks::post_all).
    pub fn post_until(&mut self, poster: &Poster, deadline: Instant) -> Result<Sent, ChunkError> {
        self.post_by(|part| {
            poster.post_timeout(part, deadline.saturating_duration_since(Instant::now()))
        })
    }

    /// Posts the parts for which there is room, without waiting.
    ///
    /// # Errors
    /// As [`post_all`](Chunks::post_all), without `Stalled`.
    pub fn post_ready(&mut self, to: &(impl Post + ?Sized)) -> Result<Progress, ChunkError> {
        match self.post_by(|part| to.post(part)) {
            Ok(sent) => Ok(Progress::Done(sent)),
            Err(ChunkError::Stalled) => Ok(Progress::Full),
            Err(error) => Err(error),
        }
    }

    /// Gives up: the peer gets a last part that says so, if it has got any part at all and not the
    /// last one. Dropping the stream instead leaves the peer with one that has no end.
    ///
    /// # Errors
    /// Why that part was not posted either; it may be tried again.
    pub fn abort(&mut self, to: &(impl Post + ?Sized), reason: &str) -> Result<(), PostError> {
        self.abort_by(|part| to.post(part), reason)
    }

    fn abort_by(
        &mut self,
        post: impl FnOnce(Msg) -> Result<BinaryHeader, PostError>,
        reason: &str,
    ) -> Result<(), PostError> {
        if self.is_begun() {
            post(self.head.aborting(reason))?;
            self.waiting = None;
            self.state = State::Aborted;
        }
        Ok(())
    }

    fn post_by(
        &mut self,
        mut post: impl FnMut(Msg) -> Result<BinaryHeader, PostError>,
    ) -> Result<Sent, ChunkError> {
        loop {
            let part = match self.next_part() {
                Ok(Some(part)) => part,
                Ok(None) => return Ok(self.sent()),
                Err(error) => {
                    if matches!(error, ChunkError::Read(_)) {
                        self.abort_by(&mut post, &error.to_string()).ok();
                    }
                    return Err(error);
                }
            };
            match post(part) {
                Ok(header) => self.head.message_id = header.message_id,
                Err(refused) => return Err(self.refused(refused)),
            }
        }
    }

    fn refused(&mut self, refused: PostError) -> ChunkError {
        if refused.kind() == PostErrorKind::QueueFull {
            self.waiting = Some(refused.into_message());
            return ChunkError::Stalled;
        }
        self.parts -= 1;
        self.bytes -= refused.message().body().len() as u64;
        self.state = State::Broken;
        ChunkError::Post(refused)
    }

    /// Whether the peer can have got a part, and still waits for the last one.
    fn is_begun(&self) -> bool {
        let posted = self.parts - u64::from(self.waiting.is_some());
        let is_ended = self.state == State::Ended && self.waiting.is_none();
        posted > 0 && !is_ended && self.state != State::Aborted
    }

    fn sent(&self) -> Sent {
        Sent {
            message_id: self.head.message_id,
            parts: self.parts,
            bytes: self.bytes,
        }
    }
}
