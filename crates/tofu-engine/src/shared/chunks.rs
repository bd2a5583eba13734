//! Buffers between uses: chunks of frames on their way in or out.
//!
//! Last in, first out, so that the working set stays in the cache; bounded in number and size, and
//! what was not needed for a while is freed, so that a burst gives its memory back. Those that are
//! read into keep their length, so that they need not be filled before each use; they lie apart from
//! those that frames are written into.

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

/// After so many that were given back it is looked at what was not needed meanwhile.
const WHILE: usize = 1024;

/// Invariants: `bytes` is the sum of the capacities; `least` is the least that there were since
/// `given` was 0.
#[derive(Debug, Default)]
struct Stack {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
    least: usize,
    given: usize,
}

impl Stack {
    fn pop(&mut self) -> Option<Vec<u8>> {
        let buffer = self.buffers.pop()?;
        self.bytes -= buffer.capacity();
        self.least = self.least.min(self.buffers.len());
        Some(buffer)
    }

    /// Keeps it. Returns what is to be freed: it, when there are enough, or those that were not needed
    /// for a while.
    fn push(&mut self, buffer: Vec<u8>) -> Vec<Vec<u8>> {
        if self.bytes + buffer.capacity() > MAXIMUM_BYTES {
            return vec![buffer];
        }
        self.bytes += buffer.capacity();
        self.buffers.push(buffer);
        self.given += 1;
        match self.given {
            WHILE.. => self.trim(),
            _ => Vec::new(),
        }
    }

    /// Takes out half of what was not needed since the last time: those at the bottom.
    fn trim(&mut self) -> Vec<Vec<u8>> {
        let surplus: Vec<_> = self.buffers.drain(..self.least / 2).collect();
        self.bytes -= surplus.iter().map(Vec::capacity).sum::<usize>();
        (self.least, self.given) = (self.buffers.len(), 0);
        surplus
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

    /// The capacity of all.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.full.lock().bytes + self.empty.lock().bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Stack {
        /// A while in which `count` buffers are in use at the same time, again and again.
        fn pass(&mut self, count: usize) {
            let mut given = 0;
            while given < WHILE {
                let taken: Vec<_> = (0..count)
                    .map(|_| self.pop().unwrap_or_else(|| Vec::with_capacity(100)))
                    .collect();
                given += taken.len();
                taken.into_iter().for_each(|buffer| drop(self.push(buffer)));
                let bytes: usize = self.buffers.iter().map(Vec::capacity).sum();
                assert_eq!(self.bytes, bytes);
            }
        }
    }

    #[test]
    fn what_a_burst_has_brought_goes_when_it_is_not_needed_any_more() {
        let mut stack = Stack::default();
        stack.pass(400);
        assert_eq!(stack.buffers.len(), 400);
        stack.pass(400);
        assert_eq!(stack.buffers.len(), 400, "all of them were needed");
        (0..20).for_each(|_| stack.pass(8));
        assert!(stack.buffers.len() <= 10, "{}", stack.buffers.len());
    }

    #[test]
    fn no_more_is_kept_than_may_be() {
        let mut stack = Stack::default();
        let len = MAXIMUM_CAPACITY;
        let kept = (0..100).filter(|_| stack.push(Vec::with_capacity(len)).is_empty());
        assert_eq!(kept.count(), MAXIMUM_BYTES / MAXIMUM_CAPACITY);
    }
}
