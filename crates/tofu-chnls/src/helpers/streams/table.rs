//! Which streams are open, which are refused, what they hold and when they expire. Used by the
//! reassembler, which decides; this only keeps the books.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::time::Instant;

use tofu_msg::{ChannelNumber, Message, MessageId, OpCode};

use super::error::{StreamFault, StreamId};
use super::limits::{StreamLimit, StreamLimits};
use super::pipe::PipeWriter;

/// A stream within its channel.
type Key = (OpCode, MessageId);

/// When a stream expires; the number tells those of one moment apart.
type Deadline = (Instant, u64);

#[derive(Debug, Default)]
pub(super) struct Table {
    channels: HashMap<ChannelNumber, Channel>,
    /// Invariant: exactly the deadlines of the open streams that have one.
    deadlines: BTreeMap<Deadline, StreamId>,
    /// Invariant: the number of open streams.
    open: usize,
    /// Invariant: the sum of what the open streams hold; wide enough where each may hold anything.
    held: u128,
    next_number: u64,
}

#[derive(Debug, Default)]
struct Channel {
    open: HashMap<Key, Open>,
    /// Whose later parts are swallowed.
    refused: HashSet<Key>,
    /// It had too many of them: whatever begins is swallowed.
    is_overrun: bool,
}

/// A stream whose last part has not come.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) sink: Sink,
    /// Bytes of body that came.
    pub(super) bytes: u64,
    /// What it counts against the limit of all.
    held: usize,
    deadline: Option<Deadline>,
}

/// Where the bytes go.
#[derive(Debug)]
pub(super) enum Sink {
    /// Into memory.
    Whole { head: Message, body: Vec<u8> },
    /// To a reader.
    Reader(PipeWriter),
}

impl Table {
    /// The limit that one more stream on this channel would exceed.
    pub(super) fn why_not_one_more(
        &self,
        channel: ChannelNumber,
        limits: &StreamLimits,
    ) -> Option<StreamFault> {
        let of_channel = self
            .channels
            .get(&channel)
            .map_or(0, |channel| channel.open.len());
        let check = |limit, allowed: usize, present: usize| {
            (present >= allowed).then(|| exceeded(limit, allowed as u64, present as u64 + 1))
        };
        check(
            StreamLimit::ChannelStreams,
            limits.channel_streams,
            of_channel,
        )
        .or_else(|| check(StreamLimit::Streams, limits.streams, self.open))
    }

    /// Opens a stream that holds `held` bytes from the start.
    pub(super) fn open(
        &mut self,
        id: StreamId,
        sink: Sink,
        (bytes, held): (u64, usize),
        expires: Option<Instant>,
    ) {
        let number = self.next_number;
        self.next_number += 1;
        let deadline = expires.map(|at| (at, number));
        if let Some(deadline) = deadline {
            self.deadlines.insert(deadline, id);
        }
        self.open += 1;
        self.held += held as u128;
        let stream = Open {
            sink,
            bytes,
            held,
            deadline,
        };
        let channel = self.channels.entry(id.channel_number).or_default();
        channel.open.insert(key(id), stream);
    }

    pub(super) fn get_mut(&mut self, id: StreamId) -> Option<&mut Open> {
        self.channels
            .get_mut(&id.channel_number)?
            .open
            .get_mut(&key(id))
    }

    /// Closes a stream, whole or not.
    pub(super) fn close(&mut self, id: StreamId) -> Option<Open> {
        let channel = self.channels.get_mut(&id.channel_number)?;
        let stream = channel.open.remove(&key(id))?;
        if channel.is_empty() {
            self.channels.remove(&id.channel_number);
        }
        self.forget(&stream);
        Some(stream)
    }

    fn forget(&mut self, stream: &Open) {
        self.open -= 1;
        self.held -= stream.held as u128;
        if let Some(deadline) = stream.deadline {
            self.deadlines.remove(&deadline);
        }
    }

    /// Remembers that the later parts of a stream are to be swallowed.
    pub(super) fn refuse(&mut self, id: StreamId, limits: &StreamLimits) -> Option<StreamFault> {
        let channel = self.channels.entry(id.channel_number).or_default();
        if channel.is_overrun {
            return None;
        }
        channel.refused.insert(key(id));
        let (allowed, reached) = (limits.refused_streams, channel.refused.len());
        if reached <= allowed {
            return None;
        }
        channel.is_overrun = true;
        channel.refused = HashSet::new();
        Some(exceeded(
            StreamLimit::RefusedStreams,
            allowed as u64,
            reached as u64,
        ))
    }

    /// Whether a part that belongs to no open stream is to be swallowed; the last one of a refused
    /// stream ends the remembering.
    pub(super) fn swallows(&mut self, id: StreamId, more: bool) -> bool {
        let Some(channel) = self.channels.get_mut(&id.channel_number) else {
            return false;
        };
        if channel.is_overrun || (more && channel.refused.contains(&key(id))) {
            return true;
        }
        let is_last = channel.refused.remove(&key(id));
        if channel.is_empty() {
            self.channels.remove(&id.channel_number);
        }
        is_last
    }

    /// Forgets all of a channel and gives its open streams, in the order of their ids.
    pub(super) fn close_channel(&mut self, number: ChannelNumber) -> Vec<(StreamId, Open)> {
        let Some(channel) = self.channels.remove(&number) else {
            return Vec::new();
        };
        let mut closed: Vec<_> = channel.open.into_iter().collect();
        closed.sort_by_key(|((op_code, message_id), _)| (*message_id, op_code.as_u8()));
        for (_, stream) in &closed {
            self.forget(stream);
        }
        let with_id = |((op_code, message_id), stream)| {
            let id = StreamId {
                channel_number: number,
                op_code,
                message_id,
            };
            (id, stream)
        };
        closed.into_iter().map(with_id).collect()
    }

    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first_key_value().map(|((at, _), _)| *at)
    }

    /// A stream whose deadline has come.
    pub(super) fn overdue(&self, now: Instant) -> Option<StreamId> {
        let ((at, _), id) = self.deadlines.first_key_value()?;
        (*at <= now).then_some(*id)
    }

    pub(super) fn open_count(&self) -> usize {
        self.open
    }

    pub(super) fn held(&self) -> usize {
        usize::try_from(self.held).unwrap_or(usize::MAX)
    }

    /// Counts that an open stream holds so many bytes more.
    pub(super) fn hold_more(&mut self, id: StreamId, more: usize) {
        if let Some(stream) = self.get_mut(id) {
            stream.held += more;
            self.held += more as u128;
        }
    }

    /// What must always hold; for tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        let streams = || {
            self.channels
                .values()
                .flat_map(|channel| channel.open.values())
        };
        assert_eq!(self.open, streams().count());
        assert_eq!(
            self.held,
            streams().map(|stream| stream.held as u128).sum::<u128>()
        );
        let deadlines: BTreeMap<_, ()> = streams()
            .filter_map(|stream| Some((stream.deadline?, ())))
            .collect();
        assert!(deadlines.keys().eq(self.deadlines.keys()));
        assert!(self.channels.values().all(|channel| !channel.is_empty()));
    }
}

impl Channel {
    fn is_empty(&self) -> bool {
        self.open.is_empty() && self.refused.is_empty() && !self.is_overrun
    }
}

fn key(id: StreamId) -> Key {
    (id.op_code, id.message_id)
}

pub(super) fn exceeded(limit: StreamLimit, allowed: u64, reached: u64) -> StreamFault {
    StreamFault::LimitExceeded {
        limit,
        allowed,
        reached,
    }
}
