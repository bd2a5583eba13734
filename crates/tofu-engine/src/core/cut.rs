//! Cutting what was read into frames, and staging them: the engine's innermost loop.
//!
//! A run of frames that need nothing but delivery is handed over whole; the channel's number is
//! written over the peer's in each header. Everything else is judged by the conversation.

use tofu_msg::{
    BinaryHeader, FrameRef, HEADER_LEN, MessageId, OpCode, Origin, Parse, RawHeader, Status,
};

use crate::close::Cause;
use crate::core::channel::{Channel, Ending, Manner};
use crate::core::conversation::{Flags, Verdict};
use crate::core::deadlines::Timer;
use crate::core::desk::Desk;
use crate::core::fill::Budget;
use crate::core::groups::is_worth_its_buffer;
use crate::core::inflow::LargeFrame;
use crate::core::plain::PlainRun;
use crate::core::transport::{Stream, Transport};
use crate::shared::Arc;
use crate::shared::inbox::Frames;
use crate::shared::outbox::Role;
use crate::trace::event;

/// How far the walk has come.
///
/// Invariant: `run..end` of the bytes holds `count` whole frames that are to be delivered, and
/// `end <= next`.
#[derive(Debug, Default)]
struct Walk {
    run: usize,
    end: usize,
    next: usize,
    count: usize,
    /// Messages of any kind that were taken; they use up the room and the turn.
    taken: usize,
    ending: Option<Ending>,
    /// A frame begins at `next` and is not whole.
    cut_frame: bool,
}

impl<T: Transport> Channel<T> {
    /// Cuts the first `len` bytes of the scratch buffer into frames and stages at most `room`.
    pub(crate) fn cut(
        &mut self,
        desk: &mut Desk,
        len: usize,
        room: usize,
        budget: &mut Budget,
    ) -> Result<(), Ending> {
        let mut scratch = std::mem::take(&mut desk.scratch);
        let mut walk = Walk::default();
        let room = room.min(budget.messages);
        while walk.ending.is_none() && walk.next < len {
            if walk.taken == room {
                self.undelivered = true;
                break;
            }
            let bytes = &mut scratch[..len];
            if !self.take_plain(desk, bytes, &mut walk, room) && !self.step(desk, bytes, &mut walk)
            {
                break;
            }
        }
        budget.messages = budget.messages.saturating_sub(walk.taken);
        self.account.messages_received += walk.count as u64;
        desk.shared
            .counters
            .messages_received
            .add(walk.count as u64);
        if !self.undelivered {
            self.time_frame(desk, &walk);
        }
        // A large frame that was begun has taken the rest; otherwise it stays here.
        if self.inflow.large.is_none() && walk.ending.is_none() {
            self.inflow.keep(&scratch[walk.next..len]);
        }
        self.stage_run(desk, scratch, &walk);
        match walk.ending {
            Some(ending) => Err(ending),
            None => Ok(()),
        }
    }

    /// Takes the frames that come next and need nothing but delivery; whether there were any.
    fn take_plain(&mut self, desk: &Desk, bytes: &mut [u8], walk: &mut Walk, room: usize) -> bool {
        if !self.conversation.takes_data() {
            return false;
        }
        let bytes = &mut bytes[walk.next..];
        let any_headers = desk.options().header_lines == usize::MAX;
        let run = PlainRun::take(bytes, self.number, room - walk.taken, any_headers);
        let Some(last_id) = run.last_id(bytes) else {
            return false;
        };
        self.account.last_id_received = Some(last_id);
        if run.has_response {
            self.account.bytes_unconfirmed = 0;
        }
        walk.next += run.len;
        walk.end = walk.next;
        walk.count += run.count;
        walk.taken += run.count;
        true
    }

    /// Takes the next frame; `false` when the bytes hold no further whole one.
    ///
    /// Its header is taken as two words and not as a `BinaryHeader`: a structure of small fields that
    /// is copied as it has just been written stalls the processor, at every frame.
    fn step(&mut self, desk: &mut Desk, bytes: &mut [u8], walk: &mut Walk) -> bool {
        let rest = &bytes[walk.next..];
        let Some(raw) = rest.first_chunk::<HEADER_LEN>() else {
            walk.cut_frame = true;
            return false;
        };
        let raw = RawHeader::new(*raw);
        let flags = match Flags::read(raw) {
            Ok(flags) => flags,
            Err(error) => {
                walk.ending = Some(violation(format!("{error}")));
                return false;
            }
        };
        let verdict = self.conversation.judge(flags);
        if let Verdict::Violation(what) = verdict {
            walk.ending = Some(spoken_wrongly(flags.op_code, what));
            return false;
        }
        let headers_len = usize::from(raw.text_headers_len());
        let payload_len = headers_len + usize::from(raw.body_len());
        if rest.len() < HEADER_LEN + payload_len {
            walk.cut_frame = true;
            if payload_len >= desk.options().large_message {
                self.begin_large(desk, rest);
            }
            return false;
        }
        let headers = HEADER_LEN..HEADER_LEN + headers_len;
        if has_more_lines(&rest[headers], desk.options().header_lines) {
            walk.ending = Some(too_many_lines());
            return false;
        }
        let start = walk.next;
        walk.next += HEADER_LEN + payload_len;
        if verdict == Verdict::DeliverAndOpen {
            (walk.run, walk.end) = (walk.next, walk.next);
            walk.taken += 1;
            walk.ending = self.greet(desk, &bytes[start..walk.next]).err();
        } else if verdict == Verdict::Close {
            walk.ending = Some(Ending::by_peer("the peer sent a ByeSignal"));
        } else {
            bytes[start..start + 2].copy_from_slice(&self.number.value().to_be_bytes());
            walk.count += 1;
            walk.taken += 1;
            walk.end = walk.next;
            let id = MessageId::new(raw.message_id());
            if let Err(ending) = self.note_delivery(desk, flags.op_code, id, verdict) {
                walk.ending = Some(ending);
            }
        }
        true
    }

    /// The last frame is large and not all there: from here on it is gathered by itself.
    fn begin_large(&mut self, desk: &Desk, rest: &[u8]) {
        let header = rest.first_chunk().map(BinaryHeader::decode);
        if let Some(Ok(header)) = header {
            let message = desk.shared.pool.get_unused();
            let large = LargeFrame::new(header, message, &rest[HEADER_LEN..]);
            self.inflow.large = Some(Box::new(large));
        }
    }

    /// A frame is being delivered: accounts for it, and moves the conversation on.
    #[inline]
    fn note_delivery(
        &mut self,
        desk: &Desk,
        op_code: OpCode,
        id: MessageId,
        verdict: Verdict,
    ) -> Result<(), Ending> {
        self.account.last_id_received = Some(id);
        if matches!(
            op_code,
            OpCode::Response | OpCode::HelloResponse | OpCode::ByeResponse
        ) {
            self.account.bytes_unconfirmed = 0;
        }
        match verdict {
            Verdict::Deliver if op_code != OpCode::HelloResponse => Ok(()),
            _ => self.note_turn(desk, op_code, verdict),
        }
    }

    /// A frame is being delivered after which the conversation stands elsewhere.
    #[cold]
    fn note_turn(&mut self, desk: &Desk, op_code: OpCode, verdict: Verdict) -> Result<(), Ending> {
        if op_code == OpCode::HelloResponse {
            self.deadlines.stop(Timer::HelloResponse);
        }
        if verdict == Verdict::DeliverBye {
            // Before the application can see it, so that its answer is not refused.
            desk.shared
                .registry
                .with(self.number, crate::shared::outbox::Outbox::peer_said_bye);
        }
        self.conversation.delivered(op_code);
        match verdict {
            Verdict::DeliverAndClose => Err(Ending::by_peer("the peer sent a ByeResponse unasked")),
            Verdict::DeliverConfirmed
                if self.conversation.is_finished()
                    || planted!(desk.options(), CrossingByeEndsEarly) =>
            {
                Err(Ending::confirmed())
            }
            _ => Ok(()),
        }
    }

    /// The HelloRequest of an accepted connection: the channel begins.
    fn greet(&mut self, desk: &mut Desk, frame: &[u8]) -> Result<(), Ending> {
        let mut msg = desk.shared.pool.get_for_delivery(self.share);
        match FrameRef::parse(frame) {
            Ok(Parse::Complete(frame)) => msg.load(&frame),
            _ => msg.reset(),
        }
        let id = msg.message_id();
        self.open_by_hello(desk, msg, id)
    }

    /// Gives the accepted connection its number and delivers its HelloRequest.
    fn open_by_hello(
        &mut self,
        desk: &mut Desk,
        mut msg: crate::msg::Msg,
        id: MessageId,
    ) -> Result<(), Ending> {
        let (group, token) = (self.group, self.token);
        let peer = self.stream.as_ref().map(|stream| Arc::new(stream.peer()));
        let opened = desk.shared.registry.open(|_, outbox| {
            outbox.open(Role::Acceptor, group, Some(token));
            if let Some(peer) = &peer {
                outbox.set_connected(Arc::clone(peer));
            }
            Ok(())
        });
        let number = opened.map_err(|kind| {
            let cause = Cause::new(
                kind.status(),
                format!("the connection got no number: {kind}"),
            );
            Ending {
                cause,
                manner: Manner::Linger,
            }
        })?;
        self.number = number;
        self.ticket = None;
        event!(channel = number.value(), "accepted");
        self.id = id;
        self.peer = peer;
        self.deadlines.stop(Timer::Handshake);
        self.conversation.delivered(OpCode::HelloRequest);
        self.account.messages_received += 1;
        desk.shared.counters.messages_received.add(1);
        self.account.last_id_received = Some(id);
        msg.set_channel_number(number);
        msg.set_origin(Origin::Peer);
        if let Some(peer) = &self.peer {
            msg = msg.with_peer((**peer).clone());
        }
        desk.groups.stage_message(self.group, msg);
        Ok(())
    }

    /// Delivers the large frame that was being gathered, once it is whole.
    pub(crate) fn deliver_large_if_whole(
        &mut self,
        desk: &mut Desk,
        budget: &mut Budget,
    ) -> Result<(), Ending> {
        let Some(large) = self.inflow.large.take_if(|large| large.is_whole()) else {
            return Ok(());
        };
        self.deadlines.stop(Timer::Frame);
        budget.messages = budget.messages.saturating_sub(1);
        let header = *large.header();
        let verdict = self.conversation.judge(Flags::from(&header));
        if let Verdict::Violation(what) = verdict {
            return Err(spoken_wrongly(header.op_code, what));
        }
        if has_more_lines(large.text_headers(), desk.options().header_lines) {
            return Err(too_many_lines());
        }
        if verdict == Verdict::Close {
            return Err(Ending::by_peer("the peer sent a ByeSignal"));
        }
        if desk.groups.count_unreceived(self.group, 1) {
            mark!(desk, "a large frame for a group that is destroyed");
            return Ok(());
        }
        let mut msg = large.into_message();
        desk.shared.pool.count(&mut msg, self.share);
        if verdict == Verdict::DeliverAndOpen {
            return self.open_by_hello(desk, msg, header.message_id);
        }
        msg.set_channel_number(self.number);
        msg.set_origin(Origin::Peer);
        self.ticket = None;
        let ending = self.note_delivery(desk, header.op_code, header.message_id, verdict);
        self.account.messages_received += u64::from(!planted!(desk.options(), LargeNotCounted));
        desk.shared.counters.messages_received.add(1);
        desk.groups.stage_message(self.group, msg);
        ending
    }

    /// Hands the run over: with its buffer, or copied where the buffer would be mostly waste.
    fn stage_run(&mut self, desk: &mut Desk, scratch: Vec<u8>, walk: &Walk) {
        desk.scratch = scratch;
        if walk.count == 0 {
            return;
        }
        if desk.groups.count_unreceived(self.group, walk.count) {
            mark!(desk, "frames for a group that is destroyed");
            return;
        }
        self.ticket = None;
        desk.shared.pool.charge_frames(self.share, walk.count);
        if let Some(group) = desk.groups.get_mut(self.group) {
            group.pool_empty_told = false;
        }
        let run = walk.run..walk.end;
        if is_worth_its_buffer(run.len(), desk.scratch.capacity()) {
            let bytes = std::mem::take(&mut desk.scratch);
            desk.renew_scratch();
            let frames = Frames {
                bytes,
                start: run.start,
                end: run.end,
                count: walk.count,
            };
            desk.groups.stage_buffer(self.group, frames);
        } else {
            desk.groups
                .stage_copy(self.group, &desk.scratch[run], walk.count, &desk.shared);
        }
    }

    /// The frame timeout runs from a frame's first byte to its last.
    fn time_frame(&mut self, desk: &Desk, walk: &Walk) {
        if !walk.cut_frame {
            self.deadlines.stop(Timer::Frame);
        } else if walk.next > 0 || !self.deadlines.is_running(Timer::Frame) {
            self.deadlines
                .start(Timer::Frame, desk.now, desk.options().frame_timeout);
        }
    }
}

/// Whether a block of text headers has more than `limit` lines; empty ones do not count, and the
/// last needs no end.
fn has_more_lines(headers: &[u8], limit: usize) -> bool {
    if limit == usize::MAX {
        return false;
    }
    let mut lines = 0;
    let mut start = 0;
    for (at, pair) in headers.windows(2).enumerate() {
        if at >= start && pair == b"\r\n" {
            lines += usize::from(at > start);
            start = at + 2;
        }
    }
    lines + usize::from(start < headers.len()) > limit
}

fn too_many_lines() -> Ending {
    let text = "a message with more text header lines than are allowed";
    Ending::new(Manner::Linger, Status::TOO_MANY_HEADER_LINES, text)
}

/// The ending of a channel whose peer said what it may not say now.
fn spoken_wrongly(op_code: OpCode, what: &str) -> Ending {
    violation(format!("{op_code} from the peer: {what}"))
}

/// The ending of a channel whose peer broke the protocol.
fn violation(what: String) -> Ending {
    Ending {
        cause: Cause::new(Status::PROTOCOL_VIOLATION, what),
        manner: Manner::Linger,
    }
}
