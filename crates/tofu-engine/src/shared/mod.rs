//! What the application's threads and the event loop share: the only meeting place of the two.
//!
//! Each structure has one short lock of its own, taken for a few instructions. Lock order, where
//! two are held: numbers, then a slot, then the worklist.

pub(crate) mod chunks;
pub(crate) mod group;
pub(crate) mod idle;
pub(crate) mod inbox;
pub(crate) mod line;
pub(crate) mod outbox;
pub(crate) mod pool;
pub(crate) mod post;
pub(crate) mod post_async;
pub(crate) mod receiver;
pub(crate) mod registry;
pub(crate) mod send_budget;
pub(crate) mod stats;
pub(crate) mod wake;
pub(crate) mod worklist;

use std::collections::HashMap;
use std::ops::Range;

use tofu_msg::Status;

use crate::close::Cause;
use crate::error::EngineError;
use crate::options::Options;
pub(crate) use crate::sync::Arc;
use crate::sync::{Alone, AtomicBool, AtomicU64, Mutex, Ordering};

use chunks::Chunks;
use group::{GroupId, GroupShared, Leftovers};
use idle::Traffic;
use inbox::Delivery;
use pool::Pool;
use registry::Registry;
use send_budget::SendBudget;
use stats::{Counters, Stats};
use worklist::Worklist;

/// Ids that a channel has for itself, so that posts to different channels write nothing in common.
const IDS_ASIDE: u64 = 32;

/// Everything that outlives the event loop's thread as long as somebody holds a handle to it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) registry: Registry,
    pub(crate) pool: Arc<Pool>,
    pub(crate) worklist: Arc<Worklist>,
    /// Buffers of frames on their way out or in.
    pub(crate) chunks: Chunks,
    pub(crate) send_budget: SendBudget,
    pub(crate) counters: Arc<Counters>,
    pub(crate) traffic: Traffic,
    groups: Mutex<Groups>,
    last_id: Alone<AtomicU64>,
    ended: AtomicBool,
}

/// The groups alive; ended once, for all.
#[derive(Debug, Default)]
struct Groups {
    alive: HashMap<GroupId, Arc<GroupShared>>,
    created: u64,
    ended: Option<Status>,
}

impl Shared {
    /// The shared part of an engine whose loop is woken by `wake`.
    pub(crate) fn new(options: Options, wake: Box<dyn Fn() + Send + Sync>) -> Arc<Shared> {
        let options = options.normalized();
        let counters = Arc::new(Counters::default());
        let worklist = Arc::new(Worklist::new(wake, Arc::clone(&counters)));
        Arc::new(Shared {
            registry: Registry::new(options.channels)
                .reusing_at_once(planted!(options, NumberReusedEarly)),
            pool: Pool::new(&options, &worklist),
            worklist,
            chunks: Chunks::default(),
            send_budget: SendBudget::new(&options),
            counters,
            traffic: Traffic::default(),
            groups: Mutex::default(),
            last_id: Alone::default(),
            ended: AtomicBool::new(false),
            options,
        })
    }

    /// Automatic message ids for one channel to give out; never 0, and nobody else's.
    pub(crate) fn set_ids_aside(&self) -> Range<u64> {
        let first = self.last_id.fetch_add(IDS_ASIDE, Ordering::Relaxed) + 1;
        first..first + IDS_ASIDE
    }

    /// Makes a group.
    pub(crate) fn create_group(&self) -> Result<Arc<GroupShared>, EngineError> {
        let mut groups = self.groups.lock();
        if let Some(status) = groups.ended {
            return Err(EngineError::from_status(status));
        }
        if self.registry.is_closed() {
            return Err(EngineError::ShutdownStarted);
        }
        groups.created += 1;
        let id = GroupId(groups.created);
        let group = Arc::new(GroupShared::new(id, self.pool.open_share()));
        groups.alive.insert(id, Arc::clone(&group));
        Ok(group)
    }

    /// How the engine stands.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = self.counters.snapshot();
        self.registry
            .for_each(|_, outbox| outbox.count_into(&mut stats));
        (stats.pool_in_use, stats.pool_free) = self.pool.levels();
        stats.kept_bytes = self.pool.kept_bytes() + self.chunks.kept_bytes();
        stats
    }

    /// Forgets a group that is gone; returns what lay in its inbox.
    pub(crate) fn forget_group(&self, group: &GroupShared) -> Leftovers {
        self.groups.lock().alive.remove(&group.id);
        let mut leftovers = Leftovers::default();
        for delivery in group.inbox.drain() {
            leftovers.add(delivery);
        }
        if !planted!(self.options, PoolLeak) {
            let frames = leftovers.frames;
            self.pool.refund_frames(group.share, frames, frames);
        }
        self.pool.close_share(group.share);
        leftovers
    }

    /// The event loop has ended: nothing opens, every receiver is told, the pool empties.
    pub(crate) fn end(&self, status: Status) {
        self.registry.close();
        self.give_back_posted(status);
        let mut groups = self.groups.lock();
        groups.ended.get_or_insert(status);
        self.ended.store(true, Ordering::SeqCst);
        let alive: Vec<_> = groups.alive.values().cloned().collect();
        // A task that is woken may ask the engine how it stands before its waker returns.
        drop(groups);
        for group in alive {
            group.inbox.end(status);
            group.make_room(None);
            group.engine_ended();
        }
        self.pool.close();
    }

    /// Closes every outbox that the event loop has left open, which it does only when it fails, and
    /// gives back what has been posted since.
    fn give_back_posted(&self, status: Status) {
        let mut returned: HashMap<GroupId, Vec<Delivery>> = HashMap::new();
        self.registry.for_each(|number, outbox| {
            let Some(group) = outbox.group_if_alive() else {
                return;
            };
            let deliveries = returned.entry(group).or_default();
            let (taken, bytes) = outbox.close();
            self.send_budget.release(bytes);
            taken.for_each_message(|mut msg| {
                msg.mark_unsent(number, &Cause::new(status, "the engine has ended"));
                deliveries.push(Delivery::Message(msg));
            });
        });
        for (id, mut deliveries) in returned {
            let group = self.groups.lock().alive.get(&id).cloned();
            if let Some(group) = group {
                group.inbox.deliver(&mut deliveries, &self.chunks);
            }
        }
    }

    /// Whether the event loop has ended: one load, for calls on the hot path.
    #[inline]
    pub(crate) fn is_ended(&self) -> bool {
        self.ended.load(Ordering::SeqCst)
    }

    /// Why the event loop has ended, if it has.
    pub(crate) fn ended(&self) -> Option<Status> {
        self.groups.lock().ended
    }
}

#[cfg(test)]
mod tests;
