//! The ledger: what became of each message, and whether that may be.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::plan::{Plan, Raw};

/// Nothing at all happens for so long: something is stuck. Longer than any linger.
const STUCK: Duration = Duration::from_secs(8);

/// One direction of a connection: messages are numbered in the order of their posts.
#[derive(Debug, Default)]
struct Direction {
    posted: u64,
    delivered: u64,
    returned: Vec<u64>,
}

/// The directions of all connections: from the initiator, from the acceptor.
#[derive(Debug)]
pub(crate) struct Book {
    directions: Vec<[Mutex<Direction>; 2]>,
    started: Instant,
    /// Milliseconds from the start to the last entry.
    last_entry: AtomicU64,
    /// Whatever came back to the clients.
    pub(crate) returned_to_clients: AtomicU64,
}

impl Book {
    pub(crate) fn new(connections: usize) -> Book {
        Book {
            directions: (0..connections).map(|_| Default::default()).collect(),
            started: Instant::now(),
            last_entry: AtomicU64::new(0),
            returned_to_clients: AtomicU64::new(0),
        }
    }

    /// Notes that something has happened.
    pub(crate) fn note_progress(&self) {
        let now = u64::try_from(self.started.elapsed().as_millis()).expect("a short test");
        self.last_entry.fetch_max(now, Ordering::Relaxed);
    }

    /// Whether nothing has happened for too long.
    pub(crate) fn is_stuck(&self) -> bool {
        let last = Duration::from_millis(self.last_entry.load(Ordering::Relaxed));
        self.started.elapsed().saturating_sub(last) > STUCK
    }

    fn enter(&self, connection: usize, side: usize, entry: impl FnOnce(&mut Direction)) {
        entry(&mut self.directions[connection][side].lock().unwrap());
        self.note_progress();
    }

    /// Side `side` has posted its next message.
    pub(crate) fn posted(&self, connection: usize, side: usize) {
        self.enter(connection, side, |direction| direction.posted += 1);
    }

    /// The other side has received message `number` of `side`.
    pub(crate) fn delivered(&self, connection: usize, side: usize, number: u64) {
        self.enter(connection, side, |direction| {
            let expected = direction.delivered;
            assert_eq!(
                number, expected,
                "{connection}/{side}: lost, doubled or out of order"
            );
            direction.delivered += 1;
        });
    }

    /// Message `number` came back to `side`.
    pub(crate) fn returned(&self, connection: usize, side: usize, number: u64) {
        self.enter(connection, side, |direction| {
            direction.returned.push(number);
        });
    }

    /// Every message has one outcome.
    pub(crate) fn settle(&self, plan: &Plan) {
        for (connection, directions) in self.directions.iter().enumerate() {
            for (side, direction) in directions.iter().enumerate() {
                direction.lock().unwrap().settle(plan, connection, side);
            }
        }
    }
}

impl Direction {
    fn settle(&self, plan: &Plan, connection: usize, side: usize) {
        let (posted, delivered) = (self.posted, self.delivered);
        let back = self.returned.len() as u64;
        let entry = &plan.connections[connection];
        let what = format!(
            "{connection}/{side} {entry:?}: {posted} posted, {delivered} delivered, {back} returned"
        );
        assert!(delivered + back <= posted, "{what}: returned and delivered");
        if side == 0 && plan.is_dropped(connection) {
            return;
        }
        let last: Vec<u64> = (posted - back..posted).collect();
        assert_eq!(self.returned, last, "{what}: not the last ones, in order");
        if plan.is_lossy(connection) {
            return;
        }
        // A peer without an engine ends when it has said all, wherever the other is in what it says.
        let whole = match (entry.raw, side) {
            (Some(Raw::Closes), 1) => return,
            (Some(Raw::HalfCloses), 1) => posted,
            _ => entry.messages[side],
        };
        assert_eq!(
            (posted, delivered),
            (whole, whole),
            "{what}: not all arrived"
        );
    }
}
