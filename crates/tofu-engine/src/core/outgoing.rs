//! Outgoing messages in the form in which they cross threads and enter the kernel: small frames
//! encoded back to back in chunks, large messages by pointer with their encoded header.
//!
//! Filled by posting threads under a channel's lock, emptied by the channel's state machine, which
//! remembers how far the kernel has taken it. Frames not wholly taken can be decoded back out.

use std::io::IoSlice;

use tofu_msg::{BinaryHeader, FrameRef, Message, Parse};

use crate::core::conversation::moves_when_sent;
use crate::core::segments::{Segment, Segments, SentFrames};
use crate::msg::Msg;

/// Small frames are gathered in chunks of about this size.
pub(crate) const CHUNK_LEN: usize = 64 * 1024;

/// Frames on their way out, in order, with the position up to which the kernel has them.
///
/// Invariants: `frame_start <= written`, both within the first segment; `frame_start` is the
/// offset of the first frame that is not wholly written; no segment is empty, and none is wholly
/// written.
#[derive(Debug, Default)]
pub(crate) struct Outgoing {
    segments: Segments,
    written: usize,
    frame_start: usize,
}

impl Outgoing {
    /// Frames that are not wholly written.
    pub(crate) fn messages(&self) -> usize {
        self.segments.iter().map(Segment::left).sum()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.segments.is_empty()
    }

    /// Whether the kernel has a part of what is next.
    pub(crate) fn is_cut(&self) -> bool {
        self.written > 0
    }

    /// Encodes a small message behind the others. `fresh` gives a buffer for a new chunk.
    pub(crate) fn push_small(
        &mut self,
        header: &BinaryHeader,
        message: &Message,
        fresh: impl FnOnce() -> Vec<u8>,
    ) {
        self.push_frame(header, message, moves_when_sent(header.op_code), fresh);
    }

    /// The same for data, which moves no conversation when it is sent.
    #[inline]
    pub(crate) fn push_plain(
        &mut self,
        header: &BinaryHeader,
        message: &Message,
        fresh: impl FnOnce() -> Vec<u8>,
    ) {
        debug_assert!(!moves_when_sent(header.op_code), "{header:?} is no data");
        self.push_frame(header, message, false, fresh);
    }

    #[inline]
    fn push_frame(
        &mut self,
        header: &BinaryHeader,
        message: &Message,
        moves: bool,
        fresh: impl FnOnce() -> Vec<u8>,
    ) {
        let len = header.frame_len();
        let chunk = match self.segments.open_chunk(len) {
            Some(chunk) => chunk,
            None => self.segments.push_chunk(fresh()),
        };
        chunk.note(moves);
        let bytes = &mut chunk.bytes;
        make_room(bytes, len);
        bytes.extend_from_slice(&header.encode());
        let headers = message.text_headers().as_bytes();
        // Mostly there are none, and even a copy of nothing is a call.
        if !headers.is_empty() {
            bytes.extend_from_slice(headers);
        }
        bytes.extend_from_slice(message.body().as_bytes());
    }

    /// Puts a large message behind the others, uncopied.
    pub(crate) fn push_large(&mut self, header: &BinaryHeader, message: Msg) {
        self.segments.push_back(Segment::Large {
            header: header.encode(),
            message,
        });
    }

    /// Moves all of `other`, of which nothing has been written, behind this.
    pub(crate) fn append(&mut self, other: &mut Outgoing) {
        debug_assert_eq!(other.written, 0);
        self.segments.append(&mut other.segments);
    }

    /// Bytes from what is written up to the end of the first `messages` frames that are not. Looks
    /// at single frames only in the chunk in which that is.
    pub(crate) fn stretch(&self, messages: usize) -> usize {
        let mut left = messages;
        let mut offset = self.frame_start;
        let mut end = 0;
        for segment in self.segments.iter() {
            if segment.left() > left {
                while let (true, Some(frame)) = (left > 0, segment.frame_at(offset)) {
                    offset += frame.len;
                    left -= 1;
                }
                return (end + offset).saturating_sub(self.written);
            }
            left -= segment.left();
            end += segment.len();
            offset = 0;
        }
        end - self.written
    }

    /// What is to be written next, at most `limit` bytes, where it lies in one piece, as it mostly does.
    pub(crate) fn single_slice(&self, limit: usize) -> Option<&[u8]> {
        let bytes = self.segments.only_chunk()?.get(self.written..)?;
        Some(&bytes[..limit.min(bytes.len())])
    }

    /// Collects what is to be written next, at most `limit` bytes, as slices for one vectored
    /// write.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>], limit: usize) -> usize {
        let mut used = 0;
        let mut total = 0;
        let mut skip = self.written;
        for segment in self.segments.iter() {
            let parts: [&[u8]; 3] = match segment {
                Segment::Chunk(chunk) => [&chunk.bytes, &[], &[]],
                Segment::Large { header, message } => [
                    header,
                    message.text_headers().as_bytes(),
                    message.body().as_bytes(),
                ],
            };
            for part in parts {
                let start = skip.min(part.len());
                skip -= start;
                let part = &part[start..];
                if part.is_empty() {
                    continue;
                }
                if used == slices.len() || total >= limit {
                    return used;
                }
                let part = &part[..part.len().min(limit - total)];
                slices[used] = IoSlice::new(part);
                used += 1;
                total += part.len();
            }
        }
        used
    }

    /// The kernel has taken `count` bytes more. Calls `sent` for the frames that are now wholly
    /// written, and `done` with every chunk buffer that is no longer needed.
    pub(crate) fn advance(
        &mut self,
        count: usize,
        mut sent: impl FnMut(SentFrames),
        mut done: impl FnMut(Vec<u8>),
    ) {
        self.written += count;
        while let Some(segment) = self.segments.front_mut() {
            let len = segment.len();
            while self.frame_start < len {
                let Some(frames) = segment.take_sent(self.frame_start, self.written) else {
                    return;
                };
                self.frame_start += frames.len;
                sent(frames);
            }
            self.written -= len;
            self.frame_start = 0;
            if let Some(Segment::Chunk(chunk)) = self.segments.pop_front() {
                done(chunk.bytes);
            }
        }
    }

    /// Decodes every frame that is not wholly written back into its message, in order.
    pub(crate) fn drain_unsent(&mut self, mut returned: impl FnMut(Msg)) {
        let mut offset = self.frame_start;
        for segment in std::mem::take(self).segments.into_all() {
            match segment {
                Segment::Chunk(chunk) => {
                    let bytes = chunk.bytes;
                    let mut rest = &bytes[offset.min(bytes.len())..];
                    while let Ok(Parse::Complete(frame)) = FrameRef::parse(rest) {
                        rest = &rest[frame.frame_len()..];
                        returned(Msg::detached(frame.to_message()));
                    }
                }
                Segment::Large {
                    header,
                    mut message,
                } => {
                    if let Ok(header) = BinaryHeader::decode(&header) {
                        message.set_message_id(header.message_id);
                        message.set_channel_number(header.channel_number);
                    }
                    returned(message);
                }
            }
            offset = 0;
        }
    }
}

/// Makes room for `len` bytes more. The first frame takes what it needs, for most channels have one at
/// a time; where more follow, four times as much is soon enough.
#[inline]
fn make_room(chunk: &mut Vec<u8>, len: usize) {
    let needed = chunk.len() + len;
    if chunk.capacity() < needed {
        grow(chunk, needed);
    }
}

#[cold]
fn grow(chunk: &mut Vec<u8>, needed: usize) {
    let roomy = (4 * chunk.capacity()).min(CHUNK_LEN);
    chunk.reserve_exact(roomy.max(needed) - chunk.len());
}

#[cfg(test)]
mod tests {
    use super::*;
    use tofu_msg::OpCode;

    fn message(id: u64, body: usize) -> Message {
        let mut message = Message::new(OpCode::Signal);
        message.set_message_id(id.into());
        message.body_mut().append(&vec![7; body]).unwrap();
        message
    }

    /// Three small frames, a large one, and small ones behind it, one of which is a ByeRequest.
    fn sample() -> (Outgoing, Vec<Message>, Vec<u8>) {
        let lengths = [(1, 0), (2, 5), (3, 1), (4, 90), (5, 2), (6, 0), (7, 3)];
        let mut messages = lengths.map(|(id, len)| message(id, len));
        messages[5].set_op_code(OpCode::ByeRequest);
        let messages = Vec::from(messages);
        let mut outgoing = Outgoing::default();
        let mut stream = Vec::new();
        for message in &messages {
            message.encode_into(&mut stream);
            let header = message.header();
            if message.body().len() > 50 {
                outgoing.push_large(&header, Msg::detached(message.clone()));
            } else {
                outgoing.push_small(&header, message, Vec::new);
            }
        }
        (outgoing, messages, stream)
    }

    fn gathered(outgoing: &Outgoing) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); 8];
        let used = outgoing.slices(&mut slices, usize::MAX);
        slices[..used]
            .iter()
            .flat_map(|slice| slice.to_vec())
            .collect()
    }

    #[test]
    fn cut_at_every_byte_the_written_part_is_sent_and_the_rest_comes_back() {
        let len = sample().2.len();
        for cut in 0..=len {
            for first in 0..=cut {
                let (mut outgoing, messages, stream) = sample();
                let (mut sent, mut sent_len) = (0, 0);
                let mut account = |frames: SentFrames| {
                    (sent, sent_len) = (sent + frames.count, sent_len + frames.len);
                    let last = &messages[sent - 1];
                    assert_eq!(frames.message_id, last.message_id(), "the last of them");
                    assert_eq!(frames.op_code, last.op_code());
                };
                for part in [first, cut - first] {
                    outgoing.advance(part, &mut account, |_| {});
                }
                assert_eq!(gathered(&outgoing), stream[cut..]);
                let left = outgoing.messages();
                let rest: usize = messages[sent..].iter().map(Message::frame_len).sum();
                assert_eq!(rest, stream.len() - sent_len);
                let mut back = Vec::new();
                outgoing.drain_unsent(|msg| back.push(msg));
                assert_eq!(sent + back.len(), messages.len(), "cut at {cut}");
                assert_eq!(left, back.len());
                for (msg, original) in back.iter().zip(&messages[sent..]) {
                    assert_eq!(msg.message_id(), original.message_id());
                    assert_eq!(msg.body().as_bytes(), original.body().as_bytes());
                }
                assert!(outgoing.is_empty());
            }
        }
    }

    #[test]
    fn only_frames_that_move_no_conversation_are_told_together() {
        let (mut outgoing, _, stream) = sample();
        let mut told = Vec::new();
        outgoing.advance(stream.len(), |frames| told.push(frames.count), |_| {});
        assert_eq!(told, [3, 1, 1, 1, 1]);
    }

    #[test]
    fn finished_chunks_come_back_for_reuse_and_nothing_is_left() {
        let (mut outgoing, _, stream) = sample();
        let mut buffers = 0;
        outgoing.advance(stream.len(), |_| {}, |_| buffers += 1);
        assert_eq!(buffers, 2);
        assert_eq!((outgoing.messages(), outgoing.is_empty()), (0, true));
    }

    #[test]
    fn appended_frames_follow_in_order() {
        let (mut first, _, stream) = sample();
        let (mut second, ..) = sample();
        first.append(&mut second);
        assert!(second.is_empty());
        assert_eq!(gathered(&first), [stream.clone(), stream].concat());
        assert_eq!(first.messages(), 14);
    }

    #[test]
    fn a_stretch_ends_with_its_last_frame_wherever_the_writing_stands() {
        let (_, messages, stream) = sample();
        let ends: Vec<usize> = messages
            .iter()
            .scan(0, |end, message| {
                *end += message.frame_len();
                Some(*end)
            })
            .collect();
        for written in 0..stream.len() {
            let (mut outgoing, ..) = sample();
            outgoing.advance(written, |_| {}, |_| {});
            let unsent: Vec<usize> = ends.iter().copied().filter(|&end| end > written).collect();
            for (index, end) in unsent.iter().enumerate() {
                assert_eq!(
                    outgoing.stretch(index + 1),
                    end - written,
                    "{written} written"
                );
            }
            assert_eq!(outgoing.stretch(99), stream.len() - written);
        }
    }

    #[test]
    fn slices_respect_the_limit() {
        let (outgoing, ..) = sample();
        let mut slices = [IoSlice::new(&[]); 8];
        assert_eq!(outgoing.slices(&mut slices, 1), 1);
        assert_eq!(slices[0].len(), 1);
        assert_eq!(outgoing.slices(&mut slices[..2], usize::MAX), 2);
    }
}
