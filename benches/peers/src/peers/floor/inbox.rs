//! What was read, on its way to the application's thread: many frames in one buffer.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::{Condvar, Mutex};

use super::driver::Shared;
use super::frame::{self, HEADER_LEN};
use super::sleep::Spinner;

/// The length of a buffer that is read into.
pub(super) const BATCH_LEN: usize = 256 * 1024;

/// Buffers that wait beyond which nothing is read.
const LIMIT: usize = 8;

/// A buffer, and which part of it came by which connection. All frames are whole.
pub(super) struct Batch {
    pub(super) bytes: Vec<u8>,
    pub(super) filled: usize,
    pub(super) runs: Vec<(usize, Range<usize>)>,
}

#[derive(Default)]
pub(super) struct Inbox {
    content: Mutex<Content>,
    arrived: Condvar,
    /// How many wait, to be looked at without the lock.
    len: AtomicUsize,
    /// The reading thread waits for room.
    is_full: AtomicBool,
}

#[derive(Default)]
struct Content {
    batches: VecDeque<Batch>,
    spare: Vec<Batch>,
    is_awaited: bool,
}

impl Batch {
    fn new() -> Batch {
        Batch {
            bytes: vec![0; BATCH_LEN],
            filled: 0,
            runs: Vec::new(),
        }
    }
}

impl Inbox {
    pub(super) fn push(&self, batch: Batch) {
        let mut content = self.content.lock();
        content.batches.push_back(batch);
        self.len.store(content.batches.len(), Ordering::Release);
        if std::mem::take(&mut content.is_awaited) {
            self.arrived.notify_one();
        }
    }

    /// An empty batch, used before if possible.
    pub(super) fn spare(&self) -> Batch {
        self.content.lock().spare.pop().unwrap_or_else(Batch::new)
    }

    /// Whether reading has to pause; then the receiver wakes the reading thread.
    pub(super) fn is_full(&self) -> bool {
        let is_full = || self.len.load(Ordering::SeqCst) >= LIMIT;
        if !is_full() {
            return false;
        }
        self.is_full.store(true, Ordering::SeqCst);
        is_full()
    }

    fn has_some(&self) -> bool {
        self.len.load(Ordering::Acquire) > 0
    }

    /// The next batch, against one that has been used up.
    fn next(&self, used: Option<Batch>, spinner: &mut Spinner) -> Batch {
        if !self.has_some() {
            spinner.wait(|| self.has_some());
        }
        let mut content = self.content.lock();
        if let Some(mut used) = used {
            used.filled = 0;
            used.runs.clear();
            content.spare.push(used);
        }
        loop {
            if let Some(batch) = content.batches.pop_front() {
                self.len.store(content.batches.len(), Ordering::SeqCst);
                spinner.woken();
                return batch;
            }
            content.is_awaited = true;
            self.arrived.wait(&mut content);
        }
    }
}

/// The receiving end, on the application's thread.
pub(super) struct Receiver {
    shared: Arc<Shared>,
    batch: Option<Batch>,
    run: usize,
    /// In the bytes of the batch.
    position: usize,
    spinner: Spinner,
}

impl Receiver {
    pub(super) fn new(shared: Arc<Shared>, spins: bool) -> Receiver {
        Receiver {
            shared,
            batch: None,
            run: 0,
            position: 0,
            spinner: Spinner::new(spins),
        }
    }

    pub(super) fn sent(&mut self) {
        self.spinner.sent();
    }

    /// Writes the next body over `body`. Returns the connection that it came by.
    pub(super) fn next(&mut self, body: &mut Vec<u8>) -> usize {
        loop {
            if let Some(connection) = self.frame(body) {
                return connection;
            }
            self.fetch();
        }
    }

    fn frame(&mut self, body: &mut Vec<u8>) -> Option<usize> {
        let batch = self.batch.as_ref()?;
        while let Some((connection, range)) = batch.runs.get(self.run) {
            self.position = self.position.max(range.start);
            let rest = &batch.bytes[self.position..range.end];
            if let Some(len) = frame::len(rest) {
                body.clear();
                body.extend_from_slice(&rest[HEADER_LEN..len]);
                self.position += len;
                return Some(*connection);
            }
            self.run += 1;
        }
        None
    }

    fn fetch(&mut self) {
        let inbox = self.shared.inbox();
        let batch = inbox.next(self.batch.take(), &mut self.spinner);
        if inbox.is_full.swap(false, Ordering::SeqCst) {
            self.shared.wake();
        }
        self.spinner.received();
        (self.batch, self.run, self.position) = (Some(batch), 0, 0);
    }
}
