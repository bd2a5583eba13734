//! `Reassembler`: puts streams together again, any number of them at once, within limits. A receive
//! loop feeds it what came and what time it is; it has no thread and no clock.

use std::fmt;
use std::time::{Duration, Instant};

use tofu_msg::{Message, OpType, Origin};

use super::error::{StreamError, StreamFault, StreamId};
use super::head::{REASON_LEN, STREAM_ABORTED, one_line};
use super::limits::StreamLimits;
use super::memory::{append, why_too_long, why_too_much};
use super::pipe::{Pushed, pipe};
use super::reader::StreamReader;
use super::received::{Received, Swallowed, WholeBody};
use super::table::{Open, Sink, Table};
use crate::Msg;

/// Puts the streams of any number of channels together.
///
/// What a receive loop gets, it feeds in, and goes on with what comes out. A stream that exceeds a
/// limit is refused: it comes out as [`Failed`](Received::Failed), what comes of it later is
/// swallowed and counted, and all others go on. How late it is comes in as an argument: wait until
/// [`next_deadline`](Reassembler::next_deadline) at most, and call [`expire`](Reassembler::expire).
///
/// Only messages of peers are looked at, also those that [`Calls`](crate::helpers::Calls) hands out as
/// the parts of an answer; text headers of later parts are dropped. An unfinished
/// stream holds no message of the pool.
///
/// ```
/// use std::time::Instant;
/// use tofu_chnls::Msg;
/// use tofu_chnls::helpers::{Reassembler, Received, StreamLimits};
/// use tofu_msg::{Message, OpCode, Origin};
///
/// let part = |content: &[u8], more| {
///     let mut message = Message::new(OpCode::Request);
///     message.set_origin(Origin::Peer); // as if it had been received
///     message.set_more(more);
///     message.body_mut().append(content).map(|()| Msg::from(message))
/// };
/// let mut streams = Reassembler::new(StreamLimits::default());
/// let now = Instant::now();
/// assert!(matches!(streams.feed(part(b"one ", true)?, now), Received::Part));
/// match streams.feed(part(b"body", false)?, now) {
///     Received::Whole(whole) => assert_eq!(whole.body, b"one body"),
///     other => panic!("{other:?}"),
/// }
/// # Ok::<(), tofu_msg::BodyError>(())
/// ```
pub struct Reassembler {
    limits: StreamLimits,
    reads: Option<Choice>,
    table: Table,
    swallowed: Swallowed,
}

/// Whether a stream is to be read as it comes, told by its first message.
type Choice = Box<dyn FnMut(&Message) -> bool + Send>;

impl Reassembler {
    /// Puts every stream together in memory.
    #[must_use]
    pub fn new(limits: StreamLimits) -> Reassembler {
        Reassembler {
            limits,
            reads: None,
            table: Table::default(),
            swallowed: Swallowed::default(),
        }
    }

    /// Streams of whose first message this says so, whether more follow or not, are not put together
    /// but come out as a [`StreamReader`] at once. The message still has its body.
    #[must_use]
    pub fn read_if(mut self, choice: impl FnMut(&Message) -> bool + Send + 'static) -> Reassembler {
        self.reads = Some(Box::new(choice));
        self
    }

    /// Takes the next message that was received.
    pub fn feed(&mut self, message: Msg, now: Instant) -> Received {
        match message.origin() {
            Origin::Peer if message.op_code().op_type() == OpType::Regular => {
                self.take(message, now)
            }
            Origin::Engine if message.close_info().is_some() => self.close(message),
            _ => Received::Other(message),
        }
    }

    /// As [`feed`](Reassembler::feed), but waits for up to `timeout` for a reader to make room, and
    /// refuses the stream if it does not. All other channels of the loop wait meanwhile.
    pub fn feed_timeout(&mut self, message: Msg, now: Instant, timeout: Duration) -> Received {
        let started = Instant::now();
        let mut received = self.feed(message, now);
        while let Received::Full(message) = received {
            let left = timeout.saturating_sub(started.elapsed());
            let id = StreamId::of(&message);
            if left.is_zero() || !self.wait_for_room(id, message.body().len(), left) {
                let fault = StreamFault::ReaderStalled { waited: timeout };
                return self.fail(id, message.more(), fault);
            }
            received = self.feed(message, now);
        }
        received
    }

    /// When [`expire`](Reassembler::expire) will have something to do; `None` while no stream can
    /// expire.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.table.next_deadline()
    }

    /// Refuses the streams that are older than [`StreamLimits::age`].
    pub fn expire(&mut self, now: Instant) -> Vec<StreamError> {
        let mut expired = Vec::new();
        while let Some(id) = self.table.overdue(now) {
            let age = self.limits.age;
            if let Received::Failed(error) = self.fail(id, true, StreamFault::Expired { age }) {
                expired.push(error);
            }
        }
        expired
    }

    /// Streams whose last part has not come.
    #[must_use]
    pub fn open_streams(&self) -> usize {
        self.table.open_count()
    }

    /// What they hold, as [`StreamLimits::held_bytes`] counts it.
    #[must_use]
    pub fn held_bytes(&self) -> usize {
        self.table.held()
    }

    /// What came of streams that had been refused, or that nobody wanted to read on.
    #[must_use]
    pub fn swallowed(&self) -> Swallowed {
        self.swallowed
    }

    fn take(&mut self, message: Msg, now: Instant) -> Received {
        let id = StreamId::of(&message);
        if self.table.get_mut(id).is_some() {
            return self.go_on(id, message);
        }
        if self.table.swallows(id, message.more()) {
            return self.swallow(&message);
        }
        match abort_reason(&message) {
            Some(reason) => self.fail(id, false, StreamFault::Aborted { reason }),
            None => self.begin(id, message, now),
        }
    }

    fn swallow(&mut self, part: &Message) -> Received {
        self.swallowed.parts += 1;
        self.swallowed.bytes += part.body().len() as u64;
        Received::Part
    }

    fn begin(&mut self, id: StreamId, mut message: Msg, now: Instant) -> Received {
        let is_read = self.reads.as_mut().is_some_and(|choice| choice(&message));
        // Out of the pool's message, which goes back: streams must not keep it from running.
        let mut head = std::mem::take(&mut *message);
        drop(message);
        let more = head.more();
        head.set_more(false);
        let mut body = std::mem::take(head.body_mut()).into_vec();
        if more {
            head.shrink_to(0);
            body.shrink_to(2 * body.len());
        }
        let held = match is_read {
            true => self.limits.reader_bytes,
            false => body.capacity() + head.capacity(),
        };
        if let Some(fault) = self.why_not(id, body.len(), is_read, more.then_some(held)) {
            return self.fail(id, more, fault);
        }
        let sizes = (body.len() as u64, held);
        let expires = now.checked_add(self.limits.age);
        if is_read {
            let (writer, reader) = pipe(id, self.limits.reader_bytes);
            writer.push(&body);
            match more {
                true => self.table.open(id, Sink::Reader(writer), sizes, expires),
                false => writer.end(Ok(())),
            }
            return Received::Begun(StreamReader::new(head, reader));
        }
        if !more {
            return Received::Whole(WholeBody { head, body });
        }
        self.table
            .open(id, Sink::Whole { head, body }, sizes, expires);
        Received::Part
    }

    /// The limit that a first part exceeds; what it would hold, if it is not the last one.
    fn why_not(
        &self,
        id: StreamId,
        len: usize,
        is_read: bool,
        held: Option<usize>,
    ) -> Option<StreamFault> {
        let limits = &self.limits;
        let too_long = why_too_long(len as u64, is_read, limits);
        let Some(held) = held else {
            return too_long;
        };
        too_long
            .or_else(|| self.table.why_not_one_more(id.channel_number, limits))
            .or_else(|| why_too_much(self.table.held(), held, limits))
    }

    fn go_on(&mut self, id: StreamId, message: Msg) -> Received {
        let more = message.more();
        if let Some(reason) = abort_reason(&message) {
            return self.fail(id, more, StreamFault::Aborted { reason });
        }
        let held = self.table.held();
        let Some(stream) = self.table.get_mut(id) else {
            return Received::Other(message);
        };
        let part = message.body().as_bytes();
        let bytes = stream.bytes + part.len() as u64;
        let is_read = matches!(stream.sink, Sink::Reader(_));
        if let Some(fault) = why_too_long(bytes, is_read, &self.limits) {
            return self.fail(id, more, fault);
        }
        let added = match &mut stream.sink {
            Sink::Reader(writer) => match writer.push(part) {
                Pushed::Taken => Ok(0),
                Pushed::Full => return Received::Full(message),
                Pushed::Gone => return self.stop_reading(id, &message),
            },
            Sink::Whole { body, .. } => append(body, part, held, &self.limits),
        };
        match added {
            Ok(added) => {
                stream.bytes = bytes;
                self.table.hold_more(id, added);
            }
            Err(fault) => return self.fail(id, more, fault),
        }
        match more {
            true => Received::Part,
            false => self.finish(id),
        }
    }

    fn finish(&mut self, id: StreamId) -> Received {
        match self.table.close(id).map(|stream| stream.sink) {
            Some(Sink::Whole { head, body }) => Received::Whole(WholeBody { head, body }),
            Some(Sink::Reader(writer)) => {
                writer.end(Ok(()));
                Received::Part
            }
            None => Received::Part,
        }
    }

    /// The reader was dropped: no failure, for it was the program's will.
    fn stop_reading(&mut self, id: StreamId, message: &Message) -> Received {
        self.table.close(id);
        self.swallow(message);
        let overrun = match message.more() {
            true => self.table.refuse(id, &self.limits),
            false => None,
        };
        match overrun {
            Some(fault) => Received::Failed(StreamError::new(id, fault)),
            None => Received::Part,
        }
    }

    /// Refuses a stream, whether it is open or was about to begin; `more` of it may come.
    fn fail(&mut self, id: StreamId, more: bool, fault: StreamFault) -> Received {
        let overrun = match more {
            true => self.table.refuse(id, &self.limits),
            false => None,
        };
        let error = StreamError::new(id, overrun.unwrap_or(fault));
        if let Some(stream) = self.table.close(id) {
            tell_reader(&stream, &error);
        }
        Received::Failed(error)
    }

    fn close(&mut self, message: Msg) -> Received {
        let closed = self.table.close_channel(message.channel_number());
        let cause = message.close_info().map(|info| info.cause.clone());
        let fault = cause.map_or(StreamFault::Abandoned, |cause| StreamFault::ChannelClosed {
            cause,
        });
        let fail = |(id, stream): (StreamId, Open)| {
            let error = StreamError::new(id, fault.clone());
            tell_reader(&stream, &error);
            error
        };
        let failed = closed.into_iter().map(fail).collect();
        Received::Closed(message, failed)
    }

    fn wait_for_room(&mut self, id: StreamId, len: usize, timeout: Duration) -> bool {
        match self.table.get_mut(id).map(|stream| &stream.sink) {
            Some(Sink::Reader(writer)) => writer.wait_for_room(len, timeout),
            _ => true,
        }
    }

    /// What must always hold; for tests.
    #[cfg(test)]
    pub(super) fn check(&self) {
        self.table.check();
        assert!(self.table.held() <= self.limits.held_bytes);
        assert!(self.table.open_count() <= self.limits.streams);
    }
}

fn tell_reader(stream: &Open, error: &StreamError) {
    if let Sink::Reader(writer) = &stream.sink {
        writer.end(Err(error.clone()));
    }
}

/// Why the sender gave up, if this part says that it did.
fn abort_reason(part: &Message) -> Option<String> {
    if part.more() || part.text_headers().is_empty() {
        return None;
    }
    let reason = part.text_headers().get(STREAM_ABORTED)?;
    let reason = String::from_utf8_lossy(&reason[..reason.len().min(4 * REASON_LEN)]);
    Some(one_line(&reason))
}

impl fmt::Debug for Reassembler {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reassembler")
            .field("limits", &self.limits)
            .field("open", &self.open_streams())
            .field("held", &self.held_bytes())
            .field("swallowed", &self.swallowed)
            .finish_non_exhaustive()
    }
}
