//! The stretches of an outgoing stream, and the queue of them.
//!
//! Mostly there is one stretch or none, so the last, to which posts append, lies in the queue itself:
//! a channel that sends now and then allocates nothing.

use std::collections::VecDeque;

use tofu_msg::{HEADER_LEN, MessageId, OpCode, RawHeader};

use crate::core::outgoing::CHUNK_LEN;
use crate::msg::Msg;

/// What is to be known of frames that are sent: of one, or of several that move no conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentFrames {
    pub(crate) count: usize,
    /// Of all together.
    pub(crate) len: usize,
    /// Of the last of them.
    pub(crate) op_code: OpCode,
    pub(crate) message_id: MessageId,
}

/// A stretch of the outgoing stream.
#[derive(Debug)]
pub(super) enum Segment {
    Chunk(Chunk),
    /// One large message: its header, and the message that holds the rest.
    Large {
        header: [u8; HEADER_LEN],
        message: Msg,
    },
}

/// Whole small frames, back to back, and what spares a walk through them.
///
/// Invariant: `left` counts the frames that are not known to be sent; the last begins at `last`.
#[derive(Debug)]
pub(super) struct Chunk {
    pub(super) bytes: Vec<u8>,
    left: usize,
    last: usize,
    /// No frame in it moves the conversation when it is sent.
    is_plain: bool,
}

impl Chunk {
    /// A chunk of no frames in an empty buffer.
    fn new(buffer: Vec<u8>) -> Chunk {
        debug_assert!(buffer.is_empty());
        Chunk {
            bytes: buffer,
            left: 0,
            last: 0,
            is_plain: true,
        }
    }

    /// Whether a frame of that length fits behind the others.
    #[inline]
    fn has_room(&self, frame_len: usize) -> bool {
        self.bytes.len() + frame_len <= CHUNK_LEN
    }

    /// A frame is about to be appended; whether it moves the conversation when it is sent.
    #[inline]
    pub(super) fn note(&mut self, moves: bool) {
        self.left += 1;
        self.last = self.bytes.len();
        self.is_plain &= !moves;
    }

    /// All frames from `start` on are sent.
    fn take_rest(&mut self, start: usize) -> Option<SentFrames> {
        let last = frame(&self.bytes, self.last)?;
        Some(SentFrames {
            count: std::mem::take(&mut self.left),
            len: self.bytes.len() - start,
            ..last
        })
    }
}

/// The frame that begins at `offset`.
#[inline]
fn frame(bytes: &[u8], offset: usize) -> Option<SentFrames> {
    let header = RawHeader::new(*bytes.get(offset..)?.first_chunk::<HEADER_LEN>()?);
    let payload_len = usize::from(header.text_headers_len()) + usize::from(header.body_len());
    Some(SentFrames {
        count: 1,
        len: HEADER_LEN + payload_len,
        op_code: OpCode::from_u8(header.flags() & RawHeader::OP_CODE_MASK)?,
        message_id: MessageId::new(header.message_id()),
    })
}

impl Segment {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Segment::Chunk(chunk) => chunk.bytes.len(),
            Segment::Large { message, .. } => {
                HEADER_LEN + message.text_headers().len() + message.body().len()
            }
        }
    }

    /// Frames that are not known to be sent.
    pub(super) fn left(&self) -> usize {
        match self {
            Segment::Chunk(chunk) => chunk.left,
            Segment::Large { .. } => 1,
        }
    }

    /// The frame that begins at `offset`.
    #[inline]
    pub(super) fn frame_at(&self, offset: usize) -> Option<SentFrames> {
        match self {
            Segment::Chunk(chunk) => frame(&chunk.bytes, offset),
            Segment::Large { header, .. } => frame(header, offset),
        }
    }

    /// Of the frames from `start` on, one that is sent when all before `end` is; or several, where
    /// no single one matters.
    pub(super) fn take_sent(&mut self, start: usize, end: usize) -> Option<SentFrames> {
        let is_whole = self.len() <= end;
        match self {
            Segment::Chunk(chunk) if is_whole && chunk.is_plain => chunk.take_rest(start),
            Segment::Chunk(chunk) => {
                let frame = frame(&chunk.bytes, start)?;
                let is_sent = start + frame.len <= end;
                chunk.left -= usize::from(is_sent);
                is_sent.then_some(frame)
            }
            Segment::Large { header, .. } if is_whole => frame(header, start),
            Segment::Large { .. } => None,
        }
    }
}

/// Stretches in order.
///
/// Invariant: where there is no `last`, there is nothing in `earlier`.
#[derive(Debug, Default)]
pub(super) struct Segments {
    earlier: VecDeque<Segment>,
    last: Option<Segment>,
}

impl Segments {
    pub(super) fn is_empty(&self) -> bool {
        self.last.is_none()
    }

    pub(super) fn push_back(&mut self, segment: Segment) {
        self.earlier.extend(self.last.replace(segment));
    }

    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        self.earlier.pop_front().or_else(|| self.last.take())
    }

    pub(super) fn front_mut(&mut self) -> Option<&mut Segment> {
        self.earlier.front_mut().or(self.last.as_mut())
    }

    /// The chunk at the end, where that is one with room for a frame of that length.
    #[inline]
    pub(super) fn open_chunk(&mut self, frame_len: usize) -> Option<&mut Chunk> {
        match &mut self.last {
            Some(Segment::Chunk(chunk)) if chunk.has_room(frame_len) => Some(chunk),
            _ => None,
        }
    }

    /// The bytes of a chunk with nothing in front of it and nothing behind.
    pub(super) fn only_chunk(&self) -> Option<&[u8]> {
        match &self.last {
            Some(Segment::Chunk(chunk)) if self.earlier.is_empty() => Some(&chunk.bytes),
            _ => None,
        }
    }

    /// A new chunk at the end, in an empty buffer.
    #[cold]
    pub(super) fn push_chunk(&mut self, buffer: Vec<u8>) -> &mut Chunk {
        self.earlier.extend(self.last.take());
        match self.last.insert(Segment::Chunk(Chunk::new(buffer))) {
            Segment::Chunk(chunk) => chunk,
            Segment::Large { .. } => unreachable!("a chunk was put there"),
        }
    }

    /// Moves all of `other` behind these.
    pub(super) fn append(&mut self, other: &mut Segments) {
        if self.last.is_none() {
            // The queue of before goes with what it has grown to.
            std::mem::swap(self, other);
        } else if let Some(last) = other.last.take() {
            self.earlier.extend(self.last.replace(last));
            self.earlier.append(&mut other.earlier);
        }
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.earlier.iter().chain(&self.last)
    }

    pub(super) fn into_all(self) -> impl Iterator<Item = Segment> {
        self.earlier.into_iter().chain(self.last)
    }
}
