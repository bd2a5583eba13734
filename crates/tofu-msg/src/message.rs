//! The message in memory: what the application fills, posts and receives.
//!
//! Owned and reusable: `reset` and `load` keep the buffers, so that a pool of messages allocates
//! nothing when traffic flows. A message knows no socket and no engine; whether it may be sent is
//! judged where it is posted.

use alloc::vec::Vec;

use crate::layout::HEADER_LEN;
use crate::{
    BinaryHeader, Body, ChannelNumber, FrameRef, MessageId, OpCode, Origin, Status, TextHeaders,
};

/// Values of the binary header, text headers and a body.
///
/// ```
/// use tofu_msg::{ChannelNumber, Message, OpCode};
///
/// let mut message = Message::new(OpCode::Request);
/// message.set_channel_number(ChannelNumber::new(7));
/// message.text_headers_mut().append("Content-Type", "text/plain")?;
/// message.body_mut().append(b"hello")?;
/// assert_eq!(message.frame_len(), 16 + 25 + 5);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Message {
    channel_number: ChannelNumber,
    op_code: OpCode,
    more: bool,
    status: Status,
    origin: Origin,
    message_id: MessageId,
    text_headers: TextHeaders,
    body: Body,
}

impl Message {
    /// An empty message of this op code: no channel, no id, success, origin local. Allocates
    /// nothing. The default is the same with [`OpCode::Request`].
    #[inline]
    pub fn new(op_code: OpCode) -> Self {
        Self {
            op_code,
            ..Self::default()
        }
    }

    /// What the message is for.
    #[inline]
    pub const fn op_code(&self) -> OpCode {
        self.op_code
    }

    /// Says what the message is for.
    #[inline]
    pub fn set_op_code(&mut self, op_code: OpCode) {
        self.op_code = op_code;
    }

    /// Whether more messages of the same operation follow.
    #[inline]
    pub const fn more(&self) -> bool {
        self.more
    }

    /// Says whether more messages of the same operation follow.
    #[inline]
    pub fn set_more(&mut self, more: bool) {
        self.more = more;
    }

    /// The status byte. Ask [`Message::origin`] who says it.
    #[inline]
    pub const fn status(&self) -> Status {
        self.status
    }

    /// Sets the status byte. (An engine sends its messages with success, whatever stands here.)
    #[inline]
    pub fn set_status(&mut self, status: Status) {
        self.status = status;
    }

    /// Who speaks.
    #[inline]
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// Says who speaks: for whoever delivers the message.
    #[inline]
    pub fn set_origin(&mut self, origin: Origin) {
        self.origin = origin;
    }

    /// The channel that the message goes to or came from.
    #[inline]
    pub const fn channel_number(&self) -> ChannelNumber {
        self.channel_number
    }

    /// Sets the channel that the message goes to.
    #[inline]
    pub fn set_channel_number(&mut self, channel_number: ChannelNumber) {
        self.channel_number = channel_number;
    }

    /// The id that ties the messages of one operation together.
    #[inline]
    pub const fn message_id(&self) -> MessageId {
        self.message_id
    }

    /// Sets the id that ties the messages of one operation together.
    #[inline]
    pub fn set_message_id(&mut self, message_id: MessageId) {
        self.message_id = message_id;
    }

    /// The text headers.
    #[inline]
    pub const fn text_headers(&self) -> &TextHeaders {
        &self.text_headers
    }

    /// The text headers, to change them.
    #[inline]
    pub fn text_headers_mut(&mut self) -> &mut TextHeaders {
        &mut self.text_headers
    }

    /// The body.
    #[inline]
    pub const fn body(&self) -> &Body {
        &self.body
    }

    /// The body, to change it.
    #[inline]
    pub fn body_mut(&mut self) -> &mut Body {
        &mut self.body
    }

    /// Text headers and body at once, to change both.
    #[inline]
    pub fn parts_mut(&mut self) -> (&mut TextHeaders, &mut Body) {
        (&mut self.text_headers, &mut self.body)
    }

    /// The binary header of this message: the lengths are those of its content, the origin bit is
    /// set if the origin is [`Origin::Engine`].
    #[inline]
    pub fn header(&self) -> BinaryHeader {
        BinaryHeader {
            channel_number: self.channel_number,
            op_code: self.op_code,
            engine_origin: self.origin == Origin::Engine,
            more: self.more,
            status: self.status,
            message_id: self.message_id,
            text_headers_len: self.text_headers.wire_len(),
            body_len: self.body.wire_len(),
        }
    }

    /// Length of the message as a frame in bytes.
    #[inline]
    pub fn frame_len(&self) -> usize {
        HEADER_LEN + self.text_headers.len() + self.body.len()
    }

    /// Makes it a fresh message again, equal to the default one, and keeps its memory.
    #[inline]
    pub fn reset(&mut self) {
        self.channel_number = ChannelNumber::UNASSIGNED;
        self.op_code = OpCode::Request;
        self.more = false;
        self.status = Status::SUCCESS;
        self.origin = Origin::Local;
        self.message_id = MessageId::UNASSIGNED;
        self.text_headers.clear();
        self.body.clear();
    }

    /// Bytes of memory that text headers and body hold together.
    #[inline]
    pub fn capacity(&self) -> usize {
        self.text_headers.capacity() + self.body.capacity()
    }

    /// Gives memory back until text headers and body each hold at most `max_capacity_each` bytes,
    /// or as much as their content needs.
    pub fn shrink_to(&mut self, max_capacity_each: usize) {
        self.text_headers.shrink_to(max_capacity_each);
        self.body.shrink_to(max_capacity_each);
    }

    /// Puts the content of a frame in place of everything here. The channel number is the
    /// sender's; the origin is [`Origin::Peer`], whatever the header's origin bit says.
    #[inline]
    pub fn load(&mut self, frame: &FrameRef<'_>) {
        self.load_header(&frame.header());
        self.text_headers.load(frame.text_headers());
        self.body.load(frame.body());
    }

    /// Writes the message as a frame behind what `out` holds.
    #[inline]
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        self.encode_with_header(self.header(), out);
    }

    /// As [`Message::encode_into`], but with this header in place of the message's own; its two
    /// lengths are set to those of the content. So an engine sends a message under its own channel
    /// number without changing the message.
    #[inline]
    pub fn encode_with_header(&self, header: BinaryHeader, out: &mut Vec<u8>) {
        let header = self.measured(header);
        out.reserve(header.frame_len());
        out.extend_from_slice(&header.encode());
        out.extend_from_slice(self.text_headers.as_bytes());
        out.extend_from_slice(self.body.as_bytes());
    }

    /// Turns the message into the answer to itself: the op code becomes
    /// [`op_code().reply()`](OpCode::reply), `more` is off; all else stays, channel and id too, so
    /// that the answer finds its way. Returns the new op code; none, and nothing changed, where
    /// there is no reply.
    pub fn make_reply(&mut self) -> Option<OpCode> {
        let reply = self.op_code.reply()?;
        self.op_code = reply;
        self.more = false;
        Some(reply)
    }

    /// Takes over a received header's values; headers and body are left to the caller.
    #[inline]
    pub(crate) fn load_header(&mut self, header: &BinaryHeader) {
        self.channel_number = header.channel_number;
        self.op_code = header.op_code;
        self.more = header.more;
        self.status = header.status;
        self.origin = Origin::Peer;
        self.message_id = header.message_id;
    }

    /// The header with the lengths of this message's content.
    #[inline]
    pub(crate) fn measured(&self, header: BinaryHeader) -> BinaryHeader {
        BinaryHeader {
            text_headers_len: self.text_headers.wire_len(),
            body_len: self.body.wire_len(),
            ..header
        }
    }
}
