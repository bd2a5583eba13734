//! What the parts of a stream to be sent have in common. Used by `Chunks` and `ChunkWriter`, which
//! add the content; it posts nothing itself.

use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, OpType};

use super::error::ChunkError;
use crate::{Ampe, Msg};

/// The text header on the last part of a stream whose sender gave up; its value says why.
///
/// A status would be the natural place, but an engine sends all its messages with success. Such a part
/// has no body.
pub const STREAM_ABORTED: &str = "~stream_aborted";

/// As much of a reason travels, in bytes, and no more is believed of a peer's.
pub(super) const REASON_LEN: usize = 256;

/// The makings of the next part.
#[derive(Debug)]
pub(super) struct Head {
    op_code: OpCode,
    channel_number: ChannelNumber,
    /// Unassigned until the first part has been posted, unless the program chose one.
    pub(super) message_id: MessageId,
    /// The program's own message with its text headers, until it has become the first part.
    first: Option<Msg>,
}

impl Head {
    pub(super) fn new(first: Msg) -> Head {
        Head {
            op_code: first.op_code(),
            channel_number: first.channel_number(),
            message_id: first.message_id(),
            first: Some(first),
        }
    }

    /// The next part, without content.
    pub(super) fn part(&mut self, engine: &dyn Ampe) -> Result<Msg, ChunkError> {
        if self.op_code.op_type() != OpType::Regular {
            return Err(ChunkError::NotRegular(self.op_code));
        }
        if let Some(mut first) = self.first.take() {
            first.body_mut().clear();
            return Ok(first);
        }
        if !self.message_id.is_assigned() {
            return Err(ChunkError::MessageIdMissing);
        }
        let mut part = engine.message()?;
        self.address(&mut part);
        Ok(part)
    }

    /// The last part of a stream that ends in failure. It needs no engine: it must get out even
    /// where the pool has nothing left.
    pub(super) fn aborting(&self, reason: &str) -> Msg {
        let mut part = Msg::from(Message::new(self.op_code));
        self.address(&mut part);
        // Neither is too long or holds what a text header must not.
        part.text_headers_mut()
            .append(STREAM_ABORTED, one_line(reason))
            .ok();
        part
    }

    fn address(&self, part: &mut Message) {
        part.set_op_code(self.op_code);
        part.set_channel_number(self.channel_number);
        part.set_message_id(self.message_id);
    }
}

/// A reason as the value of a text header, and as what a log or a terminal may show.
pub(super) fn one_line(reason: &str) -> String {
    let separates = |character: char| character.is_whitespace() || character.is_control();
    let words = reason.split(separates).filter(|word| !word.is_empty());
    let mut line = words.collect::<Vec<_>>().join(" ");
    let mut end = line.len().min(REASON_LEN);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    line.truncate(end);
    line.truncate(line.trim_end().len());
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_becomes_one_short_line() {
        assert_eq!(one_line(" disk\r\nfull\t"), "disk full");
        assert_eq!(one_line("\u{1b}]0;x\u{7}\u{9b}2J"), "]0;x 2J");
        let long = one_line(&"ä".repeat(300));
        assert_eq!(long.len(), REASON_LEN);
        assert_eq!(
            one_line(&format!("{} b", "a".repeat(REASON_LEN - 1))).len(),
            REASON_LEN - 1
        );
    }

    #[test]
    fn an_aborting_part_is_addressed_like_the_others() {
        let mut first = Msg::from(Message::new(OpCode::Response));
        first.set_channel_number(ChannelNumber::new(3));
        first.set_message_id(MessageId::new(9));
        let part = Head::new(first).aborting("why\nnot");
        assert_eq!(part.op_code(), OpCode::Response);
        assert_eq!(part.channel_number(), ChannelNumber::new(3));
        assert_eq!(part.message_id(), MessageId::new(9));
        assert!(!part.more() && part.body().is_empty());
        assert_eq!(
            part.text_headers().get(STREAM_ABORTED),
            Some(&b"why not"[..])
        );
    }
}
