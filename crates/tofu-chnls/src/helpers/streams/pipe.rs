//! The bytes between a receive loop and the reader of one stream: bounded, with an end that says how
//! it ended. The reassembler holds one half, the `StreamReader` the other.

use std::collections::VecDeque;
use std::io::{self, Read};
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};

use super::error::{StreamError, StreamFault, StreamId};

#[derive(Debug)]
struct Pipe {
    state: Mutex<State>,
    /// Told when bytes or the end came.
    data: Condvar,
    /// Told when bytes were taken, or the reader is gone.
    room: Condvar,
}

#[derive(Debug)]
struct State {
    bytes: VecDeque<u8>,
    /// `None` while more may come.
    end: Option<Result<(), StreamError>>,
    is_reader_gone: bool,
}

/// The half of the receive loop. Dropping it before the end leaves the reader with an error.
#[derive(Debug)]
pub(super) struct PipeWriter {
    pipe: Arc<Pipe>,
    stream: StreamId,
    limit: usize,
}

/// The reader's half.
#[derive(Debug)]
pub(super) struct PipeReader {
    pipe: Arc<Pipe>,
}

/// What became of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pushed {
    Taken,
    /// The reader has to make room first.
    Full,
    /// There is no reader any more.
    Gone,
}

/// A pipe for one stream. As many bytes as `limit` wait in it, or a single part that is longer.
pub(super) fn pipe(stream: StreamId, limit: usize) -> (PipeWriter, PipeReader) {
    let pipe = Arc::new(Pipe {
        state: Mutex::new(State {
            bytes: VecDeque::new(),
            end: None,
            is_reader_gone: false,
        }),
        data: Condvar::new(),
        room: Condvar::new(),
    });
    let writer = PipeWriter {
        pipe: Arc::clone(&pipe),
        stream,
        limit,
    };
    (writer, PipeReader { pipe })
}

impl PipeWriter {
    /// Takes all of the bytes or none.
    pub(super) fn push(&self, bytes: &[u8]) -> Pushed {
        let mut state = self.pipe.state.lock();
        if state.is_reader_gone {
            return Pushed::Gone;
        }
        if !state.has_room(bytes.len(), self.limit) {
            return Pushed::Full;
        }
        state.push(bytes, self.limit);
        self.pipe.data.notify_one();
        Pushed::Taken
    }

    /// Waits until `len` bytes would be taken, or the reader is gone. Whether that came in time.
    pub(super) fn wait_for_room(&self, len: usize, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        let mut state = self.pipe.state.lock();
        while !state.is_reader_gone && !state.has_room(len, self.limit) {
            match deadline {
                None => self.pipe.room.wait(&mut state),
                Some(deadline) => {
                    if self.pipe.room.wait_until(&mut state, deadline).timed_out() {
                        return state.is_reader_gone || state.has_room(len, self.limit);
                    }
                }
            }
        }
        true
    }

    /// Says how the stream ended; the first word counts.
    pub(super) fn end(&self, end: Result<(), StreamError>) {
        self.pipe.state.lock().end.get_or_insert(end);
        self.pipe.data.notify_one();
    }
}

impl Drop for PipeWriter {
    fn drop(&mut self) {
        self.end(Err(StreamError::new(self.stream, StreamFault::Abandoned)));
    }
}

impl PipeReader {
    /// What is there, or 0 at the end of a whole stream; waits for either for up to `timeout`.
    pub(super) fn read(&self, buffer: &mut [u8], timeout: Duration) -> io::Result<usize> {
        if buffer.is_empty() {
            return Ok(0);
        }
        let mut state = self.pipe.state.lock();
        if state.bytes.is_empty() && state.end.is_none() {
            self.wait_for_data(&mut state, timeout);
        }
        if !state.bytes.is_empty() {
            let taken = state.bytes.read(buffer)?;
            self.pipe.room.notify_one();
            return Ok(taken);
        }
        match &state.end {
            Some(Ok(())) => Ok(0),
            Some(Err(error)) => Err(error.clone().into()),
            None if timeout.is_zero() => Err(io::ErrorKind::WouldBlock.into()),
            None => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    fn wait_for_data(&self, state: &mut parking_lot::MutexGuard<'_, State>, timeout: Duration) {
        let nothing_yet = |state: &mut State| state.bytes.is_empty() && state.end.is_none();
        match Instant::now().checked_add(timeout) {
            None => self.pipe.data.wait_while(state, nothing_yet),
            Some(deadline) => {
                self.pipe
                    .data
                    .wait_while_until(state, nothing_yet, deadline);
            }
        }
    }
}

impl Drop for PipeReader {
    fn drop(&mut self) {
        self.pipe.state.lock().is_reader_gone = true;
        self.pipe.room.notify_one();
    }
}

impl State {
    /// Grows twofold up to the limit, so that no more than that is ever held for want of a reader.
    fn push(&mut self, bytes: &[u8], limit: usize) {
        let (needed, capacity) = (self.bytes.len() + bytes.len(), self.bytes.capacity());
        if needed > capacity {
            let target = needed.max((2 * capacity).min(limit));
            self.bytes.reserve_exact(target - self.bytes.len());
        }
        self.bytes.extend(bytes);
    }

    fn has_room(&self, len: usize, limit: usize) -> bool {
        self.bytes.is_empty() || self.bytes.len() + len <= limit
    }
}

#[cfg(test)]
mod tests {
    use tofu_msg::Message;

    use super::*;

    #[test]
    fn no_more_memory_is_held_than_the_limit() {
        let stream = StreamId::of(&Message::default());
        let (writer, reader) = pipe(stream, 1000);
        while writer.push(&[7; 30]) == Pushed::Taken {}
        let state = |writer: &PipeWriter| {
            let state = writer.pipe.state.lock();
            (state.bytes.len(), state.bytes.capacity())
        };
        assert_eq!(state(&writer), (990, 1000));
        assert!(!writer.wait_for_room(30, Duration::from_millis(1)));
        let mut all = vec![0; 2000];
        assert_eq!(reader.read(&mut all, Duration::ZERO).ok(), Some(990));
        assert!(writer.wait_for_room(30, Duration::MAX));
        assert_eq!(
            writer.push(&[7; 2000]),
            Pushed::Taken,
            "one part always fits"
        );
        drop(reader);
        assert!(writer.wait_for_room(30, Duration::MAX));
        assert_eq!(writer.push(&[7; 30]), Pushed::Gone);
    }
}
