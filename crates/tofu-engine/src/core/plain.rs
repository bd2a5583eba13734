//! Runs of frames that need nothing but delivery: data on an open channel, as nearly all frames are.
//!
//! The walk over them looks at what the ingress table looks at for such frames, and stops in front of
//! the first that wants a closer look; `cut` gives it that.

use tofu_msg::{ChannelNumber, HEADER_LEN, MessageId, OpCode, RawHeader};

/// What was found at the beginning of some bytes.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct PlainRun {
    /// Length of the frames together.
    pub(super) len: usize,
    pub(super) count: usize,
    /// There is a Response among them.
    pub(super) has_response: bool,
    /// Where the last begins.
    last: usize,
}

impl PlainRun {
    /// Walks over the plain frames at the beginning of `bytes`, at most `most`, and writes `number` over
    /// the peer's in each. One with text headers is plain only if `any_headers`.
    #[inline(never)]
    pub(super) fn take(
        bytes: &mut [u8],
        number: ChannelNumber,
        most: usize,
        any_headers: bool,
    ) -> PlainRun {
        let number = number.value().to_be_bytes();
        let mut run = PlainRun::default();
        let mut rest = bytes;
        while run.count < most {
            let Some(header) = rest.first_chunk_mut::<HEADER_LEN>() else {
                break;
            };
            let raw = RawHeader::new(*header);
            let headers_len = usize::from(raw.text_headers_len());
            let len = HEADER_LEN + headers_len + usize::from(raw.body_len());
            let Some(is_response) = is_response(raw.flags()) else {
                break;
            };
            if len > rest.len() || (headers_len > 0 && !any_headers) {
                break;
            }
            rest[..number.len()].copy_from_slice(&number);
            rest = &mut rest[len..];
            run.has_response |= is_response;
            run.last = run.len;
            run.len += len;
            run.count += 1;
        }
        run
    }

    /// The last frame's id, out of the same bytes.
    pub(super) fn last_id(&self, bytes: &[u8]) -> Option<MessageId> {
        let header = bytes.get(self.last..)?.first_chunk()?;
        (self.count > 0).then(|| MessageId::new(RawHeader::new(*header).message_id()))
    }
}

/// Of a header's flags byte: whether it is that of a Response; `None` where it is no data at all, or
/// said by an engine.
#[inline]
fn is_response(flags: u8) -> Option<bool> {
    const REQUEST: u8 = OpCode::Request.as_u8();
    const RESPONSE: u8 = OpCode::Response.as_u8();
    const SIGNAL: u8 = OpCode::Signal.as_u8();
    match flags & (RawHeader::OP_CODE_MASK | RawHeader::ENGINE_ORIGIN_BIT) {
        REQUEST | SIGNAL => Some(false),
        RESPONSE => Some(true),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::conversation::{Conversation, Flags, Verdict};
    use tofu_msg::Message;

    fn frame(op_code: OpCode, id: u64, header: Option<&str>, body: usize) -> Vec<u8> {
        let mut message = Message::new(op_code);
        message.set_message_id(MessageId::new(id));
        if let Some(value) = header {
            message.text_headers_mut().append("name", value).unwrap();
        }
        message.body_mut().append(&vec![7; body]).unwrap();
        let mut bytes = Vec::new();
        message.encode_into(&mut bytes);
        bytes
    }

    #[test]
    fn what_is_plain_is_what_the_table_delivers_without_ado() {
        let mut open = Conversation::initiator();
        open.sent(OpCode::HelloRequest);
        for byte in 0..=u8::MAX {
            let mut bytes = [0; HEADER_LEN];
            bytes[2] = byte;
            let flags = Flags::read(RawHeader::new(bytes));
            let verdict = flags.map(|flags| (flags.op_code, open.judge(flags)));
            let is_data = matches!(
                verdict,
                Ok((op_code, Verdict::Deliver)) if op_code != OpCode::HelloResponse
            );
            let run = PlainRun::take(&mut bytes, ChannelNumber::new(9), 1, true);
            assert_eq!(run.count == 1, is_data, "flags {byte:#x}");
        }
    }

    #[test]
    fn it_ends_before_what_is_not_plain_or_not_whole_or_too_many() {
        let number = ChannelNumber::new(0x0102);
        let first = frame(OpCode::Request, 1, None, 5);
        let second = frame(OpCode::Response, 2, Some("value"), 0);
        let both = [first.clone(), second].concat();
        let take = |tail: &[u8], most, any_headers| {
            let mut bytes = [&both[..], tail].concat();
            let run = PlainRun::take(&mut bytes, number, most, any_headers);
            assert_eq!(bytes[both.len()..], *tail, "what follows is as it was");
            let id = run.last_id(&bytes).map(MessageId::value);
            (run.count, run.len, run.has_response, id)
        };
        let bye = frame(OpCode::ByeRequest, 3, None, 0);
        for tail in [&[][..], &bye, &first[..20], &first[..15]] {
            assert_eq!(take(tail, 9, true), (2, both.len(), true, Some(2)));
            assert_eq!(take(tail, 1, true), (1, first.len(), false, Some(1)));
            assert_eq!(take(tail, 9, false), (1, first.len(), false, Some(1)));
            assert_eq!(take(tail, 0, true), (0, 0, false, None));
        }
        let mut bytes = both.clone();
        PlainRun::take(&mut bytes, number, 9, true);
        assert_eq!(bytes[..2], [1, 2]);
        assert_eq!(bytes[first.len()..first.len() + 2], [1, 2]);
        assert_eq!(bytes[2..first.len()], both[2..first.len()]);
    }
}
