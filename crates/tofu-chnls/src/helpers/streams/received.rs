//! What comes out of a reassembler.

use std::fmt;

use tofu_msg::Message;

use super::error::{StreamError, StreamId};
use super::reader::StreamReader;
use crate::Msg;

/// What came out of a message that was fed in.
#[derive(Debug)]
pub enum Received {
    /// It belongs to no stream: from the engine, from this process, or of a greeting or a goodbye.
    Other(Msg),
    /// It was the last part of a body, or all of it.
    Whole(WholeBody),
    /// It was the first part of a stream that is to be read as it comes.
    Begun(StreamReader),
    /// It was taken, or swallowed; there is nothing to do.
    Part,
    /// Its reader has to make room first: to be fed again later, before anything else of its stream.
    Full(Msg),
    /// Its stream did not become whole, and why.
    Failed(StreamError),
    /// It was the last word on a channel, which ended these streams.
    Closed(Msg, Vec<StreamError>),
}

/// A body of any size.
#[derive(PartialEq, Eq)]
#[non_exhaustive]
pub struct WholeBody {
    /// The first message, without its body: its text headers, and all that an answer needs.
    pub head: Message,
    /// The content of all parts.
    pub body: Vec<u8>,
}

/// What came of streams that had been refused.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Swallowed {
    /// Messages.
    pub parts: u64,
    /// Bytes of body.
    pub bytes: u64,
}

impl WholeBody {
    /// Which stream it was.
    #[must_use]
    pub fn stream(&self) -> StreamId {
        StreamId::of(&self.head)
    }
}

impl fmt::Debug for WholeBody {
    /// The length: a whole body would bury everything else in a log.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WholeBody")
            .field("head", &self.head)
            .field("len", &self.body.len())
            .finish()
    }
}
