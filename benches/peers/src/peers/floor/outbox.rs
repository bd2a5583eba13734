//! A connection's bytes on their way from the application's thread to the one that writes.

use parking_lot::{Condvar, Mutex};

use super::frame;

/// Bytes in one outbox beyond which a post waits.
const LIMIT: usize = 256 * 1024;

#[derive(Default)]
pub(super) struct Outbox {
    content: Mutex<Content>,
    room: Condvar,
}

#[derive(Default)]
struct Content {
    bytes: Vec<u8>,
    is_dirty: bool,
    waiting: bool,
}

impl Outbox {
    /// Appends a frame, waiting for room. Returns whether the outbox was clean before.
    pub(super) fn append(&self, body: &[u8]) -> bool {
        let mut content = self.content.lock();
        while content.bytes.len() > LIMIT {
            content.waiting = true;
            self.room.wait(&mut content);
        }
        frame::encode(body, &mut content.bytes);
        !std::mem::replace(&mut content.is_dirty, true)
    }

    /// Gives the bytes away against an empty buffer.
    pub(super) fn take(&self, bytes: &mut Vec<u8>) {
        let mut content = self.content.lock();
        std::mem::swap(&mut content.bytes, bytes);
        content.is_dirty = false;
        if std::mem::take(&mut content.waiting) {
            self.room.notify_all();
        }
    }
}
