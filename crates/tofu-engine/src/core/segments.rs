//! The stretches of an outgoing stream, and the queue of them.
//!
//! Mostly there is one stretch or none, so the first lies in the queue itself: a channel that sends
//! now and then allocates nothing.

use std::collections::VecDeque;

use tofu_msg::{HEADER_LEN, MessageId, OpCode, RawHeader};

use crate::msg::Msg;

/// What is to be known of a frame that is sent.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SentFrame {
    pub(crate) op_code: OpCode,
    pub(crate) message_id: MessageId,
    pub(crate) frame_len: usize,
}

/// A stretch of the outgoing stream.
#[derive(Debug)]
pub(super) enum Segment {
    /// Whole frames, back to back.
    Chunk(Vec<u8>),
    /// One large message: its header, and the message that holds the rest.
    Large {
        header: [u8; HEADER_LEN],
        message: Msg,
    },
}

impl Segment {
    #[inline]
    pub(super) fn len(&self) -> usize {
        match self {
            Segment::Chunk(bytes) => bytes.len(),
            Segment::Large { message, .. } => {
                HEADER_LEN + message.text_headers().len() + message.body().len()
            }
        }
    }

    /// The frame that begins at `offset`.
    #[inline]
    pub(super) fn frame_at(&self, offset: usize) -> Option<SentFrame> {
        let header = match self {
            Segment::Chunk(bytes) => bytes.get(offset..)?.first_chunk::<HEADER_LEN>()?,
            Segment::Large { header, .. } => header,
        };
        let header = RawHeader::new(*header);
        let payload_len = usize::from(header.text_headers_len()) + usize::from(header.body_len());
        Some(SentFrame {
            op_code: OpCode::from_u8(header.flags() & RawHeader::OP_CODE_MASK)?,
            message_id: MessageId::new(header.message_id()),
            frame_len: HEADER_LEN + payload_len,
        })
    }
}

/// Stretches in order.
///
/// Invariant: where there is no `first`, there is no `rest`.
#[derive(Debug, Default)]
pub(super) struct Segments {
    first: Option<Segment>,
    rest: VecDeque<Segment>,
}

impl Segments {
    pub(super) fn push_back(&mut self, segment: Segment) {
        if self.first.is_none() {
            self.first = Some(segment);
        } else {
            self.rest.push_back(segment);
        }
    }

    pub(super) fn pop_front(&mut self) -> Option<Segment> {
        let first = self.first.take();
        self.first = self.rest.pop_front();
        first
    }

    pub(super) fn front(&self) -> Option<&Segment> {
        self.first.as_ref()
    }

    pub(super) fn back(&self) -> Option<&Segment> {
        self.rest.back().or(self.first.as_ref())
    }

    #[inline]
    pub(super) fn back_mut(&mut self) -> Option<&mut Segment> {
        self.rest.back_mut().or(self.first.as_mut())
    }

    /// Moves all of `other` behind these.
    pub(super) fn append(&mut self, other: &mut Segments) {
        if self.first.is_none() {
            std::mem::swap(self, other);
            return;
        }
        self.rest.extend(other.first.take());
        self.rest.append(&mut other.rest);
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Segment> {
        self.first.iter().chain(&self.rest)
    }

    pub(super) fn into_all(self) -> impl Iterator<Item = Segment> {
        self.first.into_iter().chain(self.rest)
    }
}
