//! Buffers between uses: chunks of frames on their way in or out.
//!
//! Last in, first out, so that the working set stays in the cache; bounded in number and size, so
//! that a burst gives its memory back. Those that are read into keep their length, so that they need
//! not be filled before each use; they lie apart from those that frames are written into.

use crate::core::outgoing::CHUNK_LEN;
use crate::sync::Mutex;

/// Capacity that is kept of each kind, at most.
const MAXIMUM_BYTES: usize = 8 * 1024 * 1024;
/// A buffer that has grown beyond this is freed instead.
const MAXIMUM_CAPACITY: usize = 256 * 1024;

/// Idle buffers.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    /// Of their whole length, `CHUNK_LEN` or more.
    full: Mutex<Stack>,
    /// The others, empty.
    empty: Mutex<Stack>,
}

/// Invariant: `bytes` is the sum of the capacities.
#[derive(Debug, Default)]
struct Stack {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

impl Stack {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.bytes -= buffer.capacity();
        Some(buffer)
    }

    /// Keeps it, or gives it back when there are enough.
    fn push(&mut self, buffer: Vec<u8>) -> Option<Vec<u8>> {
        if self.bytes + buffer.capacity() > MAXIMUM_BYTES {
            return Some(buffer);
        }
        self.bytes += buffer.capacity();
        self.buffers.push(buffer);
        None
    }
}

impl Chunks {
    /// A buffer of at least `CHUNK_LEN` bytes, with whatever it held before.
    pub(crate) fn take_full(&self) -> Vec<u8> {
        let buffer = self.full.lock().pop();
        buffer.unwrap_or_else(|| vec![0; CHUNK_LEN])
    }

    /// An empty buffer.
    pub(crate) fn take_empty(&self) -> Vec<u8> {
        self.empty.lock().pop().unwrap_or_default()
    }

    /// Gives a buffer back.
    pub(crate) fn give(&self, mut buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > MAXIMUM_CAPACITY {
            return;
        }
        let idle = if buffer.len() >= CHUNK_LEN {
            &self.full
        } else {
            buffer.clear();
            &self.empty
        };
        // Freed, if need be, when the lock is left.
        let _surplus = idle.lock().push(buffer);
    }
}
