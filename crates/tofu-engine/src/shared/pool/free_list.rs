//! Unused messages, bounded in number and memory; lies under the pool's lock.
//!
//! They keep what they held until they are used again: a body that is read into need not be cleared
//! before.

use crate::msg::Envelope;
use crate::options::Options;

/// Messages with much capacity may have this part of what all unused ones may have.
const LARGE_PART: usize = 16;

/// A stack of unused messages.
///
/// Invariants: `bytes` is the sum of their capacities, `large_bytes` of those with more than
/// `large`.
#[derive(Debug, Default)]
pub(super) struct FreeList {
    /// Last in, first out: the one used last is the one in the cache.
    #[expect(
        clippy::vec_box,
        reason = "a message is handed out by pointer, never moved"
    )]
    stack: Vec<Box<Envelope>>,
    bytes: usize,
    large_bytes: usize,
    maximum: usize,
    maximum_bytes: usize,
    /// Of messages with more capacity than this only a few keep it.
    large: usize,
}

impl FreeList {
    #[expect(
        clippy::vec_box,
        reason = "a message is handed out by pointer, never moved"
    )]
    pub(super) fn new(options: &Options, fresh: Vec<Box<Envelope>>) -> FreeList {
        FreeList {
            stack: fresh,
            bytes: 0,
            large_bytes: 0,
            maximum: options.pool_maximum,
            maximum_bytes: options.pool_bytes,
            large: (options.pool_bytes / options.pool_maximum).max(4096),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.stack.len()
    }

    /// The capacity of all.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn pop(&mut self) -> Option<Box<Envelope>> {
        let envelope = self.stack.pop()?;
        let capacity = envelope.message.capacity();
        self.bytes -= capacity;
        if capacity > self.large {
            self.large_bytes -= capacity;
        }
        Some(envelope)
    }

    /// Keeps a message, if need be without its buffers; gives it back when there are enough.
    pub(super) fn push(&mut self, mut envelope: Box<Envelope>) -> Option<Box<Envelope>> {
        let mut capacity = envelope.message.capacity();
        let large_maximum = self.maximum_bytes / LARGE_PART;
        if capacity > self.large && self.large_bytes + capacity > large_maximum {
            envelope.message.reset();
            envelope.message.shrink_to(0);
            capacity = envelope.message.capacity();
        }
        if self.stack.len() >= self.maximum || self.bytes + capacity > self.maximum_bytes {
            return Some(envelope);
        }
        self.bytes += capacity;
        if capacity > self.large {
            self.large_bytes += capacity;
        }
        self.stack.push(envelope);
        None
    }
}
