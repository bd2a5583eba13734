//! Buffers between uses: chunks of frames on their way in or out.
//!
//! Last in, first out, so that the working set stays in the cache; bounded in number and size, so
//! that a burst gives its memory back.

use crate::sync::Mutex;

/// Buffers that are kept, at most.
const MAXIMUM_BUFFERS: usize = 64;
/// A buffer that has grown beyond this is freed instead.
const MAXIMUM_CAPACITY: usize = 256 * 1024;

/// A stack of idle buffers.
#[derive(Debug, Default)]
pub(crate) struct Chunks {
    idle: Mutex<Vec<Vec<u8>>>,
}

impl Chunks {
    /// A buffer with whatever it held before; the caller sets its length.
    pub(crate) fn take(&self) -> Vec<u8> {
        self.idle.lock().pop().unwrap_or_default()
    }

    /// An empty buffer.
    pub(crate) fn take_empty(&self) -> Vec<u8> {
        let mut buffer = self.take();
        buffer.clear();
        buffer
    }

    /// Gives a buffer back.
    pub(crate) fn give(&self, buffer: Vec<u8>) {
        if buffer.capacity() == 0 || buffer.capacity() > MAXIMUM_CAPACITY {
            return;
        }
        let mut idle = self.idle.lock();
        if idle.len() < MAXIMUM_BUFFERS {
            idle.push(buffer);
        }
    }
}
