//! The worklist: what the application's threads have left for the event loop to do, and the
//! waking of the loop when it sleeps.
//!
//! Every entry stands in it at most once (a flag beside the thing it names says that it is
//! listed), so it needs no limit of its own and never refuses: a channel once, a group once, the
//! shutdown once. The urgent lane is served first.

use std::fmt;
use std::time::Duration;

use tofu_msg::ChannelNumber;

use crate::core::transport::Token;
use crate::shared::group::{GroupId, GroupShared};
use crate::shared::stats::Counters;
use crate::sync::{Arc, AtomicBool, Mutex, Ordering};

/// What there is to do. The loop swaps it for an empty one that keeps its capacity.
#[derive(Debug, Default)]
pub(crate) struct Work {
    /// Channels with a ByeSignal.
    pub(crate) urgent: Vec<ChannelNumber>,
    /// Channels with frames to send or to be opened.
    pub(crate) dirty: Vec<ChannelNumber>,
    /// Channels whose peer has ended and whose input the application has now taken to its end.
    pub(crate) read_to_end: Vec<Token>,
    /// Groups whose inbox has room again.
    pub(crate) inbox_room: Vec<GroupId>,
    /// The pool has room again.
    pub(crate) pool_room: bool,
    /// Room in a send queue that was set aside has been given back; the turn looks at all who were
    /// refused.
    pub(crate) send_room: bool,
    /// Groups to be destroyed.
    pub(crate) destroy: Vec<Arc<GroupShared>>,
    /// The engine is to stop, with so much time to flush.
    pub(crate) shutdown: Option<Duration>,
    /// The loop is to fail.
    #[cfg(feature = "fault-injection")]
    pub(crate) panic: bool,
}

impl Work {
    fn is_empty(&self) -> bool {
        #[cfg(feature = "fault-injection")]
        if self.panic {
            return false;
        }
        self.urgent.is_empty()
            && self.dirty.is_empty()
            && self.read_to_end.is_empty()
            && self.inbox_room.is_empty()
            && !self.pool_room
            && !self.send_room
            && self.destroy.is_empty()
            && self.shutdown.is_none()
    }

    /// Empties it, keeping capacity.
    pub(crate) fn clear(&mut self) {
        self.urgent.clear();
        self.dirty.clear();
        self.read_to_end.clear();
        self.inbox_room.clear();
        self.pool_room = false;
        self.send_room = false;
        self.destroy.clear();
        self.shutdown = None;
    }
}

/// The worklist of one engine.
pub(crate) struct Worklist {
    work: Mutex<Work>,
    /// Whether there is something in it: for a look without the lock, by a loop that is awake.
    pending: AtomicBool,
    /// The loop is about to block, or blocks, in the poller. Whoever swaps it to false wakes it.
    asleep: AtomicBool,
    wake: Box<dyn Fn() + Send + Sync>,
    counters: Arc<Counters>,
}

impl Worklist {
    /// A worklist whose loop is woken by `wake`.
    pub(crate) fn new(wake: Box<dyn Fn() + Send + Sync>, counters: Arc<Counters>) -> Worklist {
        Worklist {
            work: Mutex::default(),
            pending: AtomicBool::new(false),
            asleep: AtomicBool::new(false),
            wake,
            counters,
        }
    }

    /// Adds something and wakes the loop if it sleeps: at most one system call.
    pub(crate) fn add(&self, entry: impl FnOnce(&mut Work)) {
        self.enter(entry);
        self.wake_if_asleep();
    }

    /// A channel has frames or an opening.
    pub(crate) fn add_dirty(&self, number: ChannelNumber) {
        self.add(|work| work.dirty.push(number));
    }

    /// The same, without waking: for callers that hold a lock and wake when they have left it.
    pub(crate) fn add_dirty_quietly(&self, number: ChannelNumber) {
        self.enter(|work| work.dirty.push(number));
    }

    fn enter(&self, entry: impl FnOnce(&mut Work)) {
        let mut work = self.work.lock();
        entry(&mut work);
        self.pending.store(true, Ordering::Relaxed);
    }

    /// Messages returned to a pool that had none to spare.
    pub(crate) fn pool_has_room(&self) {
        self.add(|work| work.pool_room = true);
    }

    /// Takes all there is, leaving `empty` in its place.
    pub(crate) fn take(&self, empty: &mut Work) {
        debug_assert!(empty.is_empty());
        let mut work = self.work.lock();
        std::mem::swap(&mut *work, empty);
        self.pending.store(false, Ordering::Relaxed);
    }

    /// Takes the channels with something to send alone, leaving `empty` in their place.
    pub(crate) fn take_posted(&self, empty: &mut Vec<ChannelNumber>) {
        debug_assert!(empty.is_empty());
        let mut work = self.work.lock();
        std::mem::swap(&mut work.dirty, empty);
        self.pending.store(!work.is_empty(), Ordering::Relaxed);
    }

    /// Whether something has been added, as far as this thread has noticed.
    #[cfg(any(test, feature = "net"))]
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// The loop says that it is about to block. `false` if there is something to do first.
    ///
    /// The flag is set before the list is looked at, and whoever adds looks at the flag after
    /// adding; the list's lock orders the two, so one of them sees the other.
    pub(crate) fn prepare_sleep(&self) -> bool {
        self.asleep.store(true, Ordering::SeqCst);
        if self.work.lock().is_empty() {
            return true;
        }
        self.asleep.store(false, Ordering::SeqCst);
        false
    }

    /// The loop is awake and will look at the list by itself.
    pub(crate) fn awake(&self) {
        self.asleep.store(false, Ordering::SeqCst);
    }

    /// Wakes the loop unless it is awake already.
    pub(crate) fn wake_if_asleep(&self) {
        if self.asleep.load(Ordering::SeqCst) && self.asleep.swap(false, Ordering::SeqCst) {
            self.counters.wakes.increment_shared();
            (self.wake)();
        }
    }
}

impl fmt::Debug for Worklist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Worklist")
            .field("work", &*self.work.lock())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sync::AtomicU64;

    fn counting() -> (Arc<AtomicU64>, Worklist) {
        let count = Arc::new(AtomicU64::new(0));
        let inner = Arc::clone(&count);
        let wake = move || {
            inner.fetch_add(1, Ordering::SeqCst);
        };
        (count, Worklist::new(Box::new(wake), Arc::default()))
    }

    #[test]
    fn what_was_posted_can_be_taken_alone() {
        let (_, list) = counting();
        list.add_dirty(ChannelNumber::new(1));
        list.pool_has_room();
        let mut posted = Vec::new();
        list.take_posted(&mut posted);
        assert_eq!(posted, [ChannelNumber::new(1)]);
        assert!(list.is_pending(), "there is more to do");
        let mut work = Work::default();
        list.take(&mut work);
        assert!(work.pool_room && work.dirty.is_empty());
        list.add_dirty(ChannelNumber::new(2));
        posted.clear();
        list.take_posted(&mut posted);
        assert!(!list.is_pending());
    }

    #[test]
    fn an_awake_loop_is_not_woken_and_a_sleeping_one_once() {
        let (count, list) = counting();
        list.add_dirty(ChannelNumber::new(1));
        assert_eq!(count.load(Ordering::SeqCst), 0);
        assert!(!list.prepare_sleep(), "there is something to do");
        let mut work = Work::default();
        list.take(&mut work);
        assert_eq!(work.dirty, [ChannelNumber::new(1)]);
        assert!(list.prepare_sleep());
        list.add_dirty(ChannelNumber::new(2));
        list.add_dirty(ChannelNumber::new(3));
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }
}
