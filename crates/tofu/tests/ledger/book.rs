//! The ledger: what became of each message, and whether that may be.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::plan::Plan;

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
}

impl Book {
    pub(crate) fn new(connections: usize) -> Book {
        Book {
            directions: (0..connections).map(|_| Default::default()).collect(),
            started: Instant::now(),
            last_entry: AtomicU64::new(0),
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
                let direction = direction.lock().unwrap();
                let Direction {
                    posted,
                    delivered,
                    returned,
                } = &*direction;
                let back = returned.len() as u64;
                let last: Vec<u64> = (posted.saturating_sub(back)..*posted).collect();
                let what = format!(
                    "{connection}/{side} {:?}: {posted} posted, {delivered} delivered, {back} returned",
                    plan.connections[connection]
                );
                if side == 0 && plan.is_dropped(connection) {
                    assert!(delivered <= posted, "{what}");
                    continue;
                }
                assert_eq!(*returned, last, "{what}: not the last ones, in order");
                assert!(
                    delivered + back <= *posted,
                    "{what}: returned and delivered"
                );
                if !plan.is_lossy(connection) {
                    let all = plan.connections[connection].messages[side];
                    assert_eq!((*posted, *delivered), (all, all), "{what}: not all arrived");
                }
            }
        }
    }
}
