//! The structures one by one: the worklist's waking, the pool, an inbox, waiting for room.

use std::collections::VecDeque;
use std::task::{Wake, Waker};
use std::time::Duration;

use shuttle::thread;
use tofu_msg::{ChannelNumber, Message, Status};

use super::explore;
use crate::msg::Msg;
use crate::options::Options;
use crate::shared::chunks::Chunks;
use crate::shared::group::{GroupId, GroupShared};
use crate::shared::inbox::{Delivery, Fetched, Frames, Inbox};
use crate::shared::line::Place;
use crate::shared::pool::{Allocation, Pool, Spare};
use crate::shared::worklist::{Work, Worklist};
use crate::sync::{Arc, Condvar, Mutex};

/// The poller of a model: sleeps until it is woken, and remembers a wake that came before.
#[derive(Default)]
struct Poller {
    woken: Mutex<bool>,
    wake: Condvar,
}

impl Poller {
    fn notify(&self) {
        *self.woken.lock() = true;
        self.wake.notify_one();
    }

    fn sleep(&self) {
        let mut woken = self.woken.lock();
        while !*woken {
            self.wake.wait(&mut woken);
        }
        *woken = false;
    }
}

/// A task's waker is a poller that runs nothing else.
impl Wake for Poller {
    fn wake(self: Arc<Poller>) {
        self.notify();
    }
}

fn worklist() -> (Arc<Poller>, Arc<Worklist>) {
    let poller = Arc::new(Poller::default());
    let waker = Arc::clone(&poller);
    let worklist = Worklist::new(Box::new(move || waker.notify()), Arc::default());
    (poller, Arc::new(worklist))
}

#[test]
fn no_entry_is_left_to_a_sleeping_loop() {
    explore(|| {
        let (poller, worklist) = worklist();
        let posters: Vec<_> = (1..=2)
            .map(|number| {
                let worklist = Arc::clone(&worklist);
                thread::spawn(move || worklist.add_dirty(ChannelNumber::new(number)))
            })
            .collect();
        let mut seen = 0;
        while seen < 2 {
            if worklist.prepare_sleep() {
                poller.sleep();
            }
            worklist.awake();
            let mut work = Work::default();
            worklist.take(&mut work);
            seen += work.dirty.len();
        }
        posters
            .into_iter()
            .for_each(|poster| poster.join().unwrap());
    });
}

#[test]
fn a_loop_that_found_the_pool_empty_hears_of_every_return() {
    // Without magazines, and where each thread keeps what it gives back and the count of it.
    for magazine_len in [0, 2] {
        explore(move || {
            let (poller, worklist) = worklist();
            let options = Options::default()
                .pool_initial(0)
                .pool_maximum(2)
                .normalized();
            let pool = Pool::with_magazines(&options, &worklist, magazine_len);
            let share = pool.open_share();
            let received = pool.get_for_delivery(share);
            let held = pool.get(Allocation::Always).unwrap();
            let holders: Vec<_> = [received, held]
                .into_iter()
                .map(|msg| thread::spawn(move || drop(msg)))
                .collect();
            let mut work = Work::default();
            while pool.room(share) == 0 {
                if worklist.prepare_sleep() {
                    poller.sleep();
                }
                worklist.awake();
                worklist.take(&mut work);
                work.clear();
            }
            holders
                .into_iter()
                .for_each(|holder| holder.join().unwrap());
            assert_eq!(pool.levels().0, 0);
            pool.check_invariants().unwrap();
        });
    }
}

#[test]
fn runs_and_returns_beside_a_core_that_waits_for_room_lose_no_count() {
    for magazine_len in [0, 1, 2, 4] {
        explore(move || {
            let (poller, worklist) = worklist();
            let options = Options::default()
                .pool_initial(6)
                .pool_maximum(8)
                .normalized();
            let pool = Pool::with_magazines(&options, &worklist, magazine_len);
            let shares = [pool.open_share(), pool.open_share()];
            pool.charge_frames(shares[0], 4);
            pool.charge_frames(shares[1], 4);
            let receivers = shares.map(|share| {
                let pool = Arc::clone(&pool);
                thread::spawn(move || {
                    let mut spare = Spare::default();
                    let runs = (1..=4).rev();
                    let held: Vec<_> = runs
                        .map(|left| pool.get_for_frame(&mut spare, left, share))
                        .collect();
                    pool.settle_frames(share, 4);
                    held
                })
            });
            let taker = {
                let pool = Arc::clone(&pool);
                thread::spawn(move || drop(pool.get(Allocation::Always)))
            };
            let holders = receivers.map(|receiver| {
                let held = receiver.join().unwrap();
                thread::spawn(move || drop(held))
            });
            let mut work = Work::default();
            for share in shares {
                while pool.room(share) == 0 {
                    if worklist.prepare_sleep() {
                        poller.sleep();
                    }
                    worklist.awake();
                    worklist.take(&mut work);
                    work.clear();
                }
            }
            pool.close_share(shares[0]);
            holders
                .into_iter()
                .for_each(|holder| holder.join().unwrap());
            taker.join().unwrap();
            pool.look_again();
            assert_eq!(pool.levels().0, 0);
            pool.check_invariants().unwrap();
            assert_eq!(pool.open_share(), shares[0], "it is used again");
            pool.close();
        });
    }
}

fn frames(count: usize) -> Delivery {
    let mut bytes = Vec::new();
    for _ in 0..count {
        Message::default().encode_into(&mut bytes);
    }
    let end = bytes.len();
    Delivery::Frames(Frames {
        bytes,
        start: 0,
        end,
        count,
    })
}

/// Takes everything out; how many messages it was.
fn count(queue: &mut VecDeque<Delivery>) -> usize {
    let messages = queue.drain(..).map(|delivery| match delivery {
        Delivery::Frames(frames) => frames.count,
        _ => 1,
    });
    messages.sum()
}

#[test]
fn a_waiting_receiver_gets_everything_and_then_the_end() {
    explore(|| {
        let inbox = Arc::new(Inbox::default());
        let engine = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                inbox.deliver(&mut vec![frames(2)], &Chunks::default());
                inbox.deliver(&mut vec![frames(1)], &Chunks::default());
                inbox.end(Status::SHUTDOWN_STARTED);
            })
        };
        let feeder = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.update(Msg::from(Message::default()), 4).is_ok())
        };
        let mut received = 0;
        let mut queue = VecDeque::new();
        while let (Fetched::Some, _) = inbox.fetch(&mut queue, None) {
            received += count(&mut queue);
        }
        engine.join().unwrap();
        // An update that was taken is received; one that came too late was refused.
        let fed = usize::from(feeder.join().unwrap());
        assert_eq!(received, 3 + fed);
    });
}

#[test]
fn a_task_that_awaits_gets_everything_and_then_the_end() {
    explore(|| {
        let inbox = Arc::new(Inbox::default());
        let engine = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || {
                inbox.deliver(&mut vec![frames(2)], &Chunks::default());
                inbox.end(Status::SHUTDOWN_STARTED);
            })
        };
        let feeder = {
            let inbox = Arc::clone(&inbox);
            thread::spawn(move || inbox.update(Msg::from(Message::default()), 4).is_ok())
        };
        // First in another task, which is then dropped: its waker must not take the wake-up along.
        let mut queue = VecDeque::new();
        let _ = inbox.poll_fetch(&mut queue, &Waker::from(Arc::new(Poller::default())));
        let mut received = count(&mut queue);
        let poller = Arc::new(Poller::default());
        let waker = Waker::from(Arc::clone(&poller));
        loop {
            match inbox.poll_fetch(&mut queue, &waker) {
                None => poller.sleep(),
                Some((Fetched::Some, _)) => received += count(&mut queue),
                Some(_) => break,
            }
        }
        engine.join().unwrap();
        let fed = usize::from(feeder.join().unwrap());
        assert_eq!(received, 2 + fed);
    });
}

/// Waits in the line until `full` is no longer so, as a future that posts does.
fn wait_in_line(group: &Arc<GroupShared>, channel: ChannelNumber, full: &Mutex<bool>) {
    let poller = Arc::new(Poller::default());
    let waker = Waker::from(Arc::clone(&poller));
    let mut place = None;
    loop {
        let seen = group.room_epoch();
        if !*full.lock() {
            return;
        }
        if Place::wait(&mut place, group, channel, seen, &waker) {
            poller.sleep();
        }
    }
}

#[test]
fn every_task_that_waits_for_room_hears_of_it_also_beside_one_that_gives_up() {
    explore(|| {
        let group = Arc::new(GroupShared::new(GroupId(1), pool_share()));
        let full = Arc::new(Mutex::new(true));
        let channel = ChannelNumber::new(7);
        let core = {
            let (group, full) = (Arc::clone(&group), Arc::clone(&full));
            thread::spawn(move || {
                // What becomes free elsewhere is not for them, and must not disturb.
                group.make_room(Some(ChannelNumber::new(8)));
                *full.lock() = false;
                group.make_room(Some(channel));
            })
        };
        let other = {
            let (group, full) = (Arc::clone(&group), Arc::clone(&full));
            thread::spawn(move || wait_in_line(&group, channel, &full))
        };
        let waker = Waker::from(Arc::new(Poller::default()));
        let mut given_up = None;
        Place::wait(&mut given_up, &group, channel, group.room_epoch(), &waker);
        drop(given_up);
        wait_in_line(&group, channel, &full);
        core.join().unwrap();
        other.join().unwrap();
    });
}

#[test]
fn whoever_waits_for_room_hears_of_it() {
    explore(|| {
        let group = Arc::new(GroupShared::new(GroupId(1), pool_share()));
        let full = Arc::new(Mutex::new(true));
        let core = {
            let (group, full) = (Arc::clone(&group), Arc::clone(&full));
            thread::spawn(move || {
                *full.lock() = false;
                group.make_room(None);
            })
        };
        loop {
            let seen = group.room_epoch();
            if !*full.lock() {
                break;
            }
            assert!(group.wait_for_room(seen, None));
        }
        core.join().unwrap();
    });
}

fn pool_share() -> crate::shared::pool::ShareIndex {
    let (_, worklist) = worklist();
    Pool::new(&Options::default().pool_initial(0).normalized(), &worklist).open_share()
}

#[test]
fn a_destruction_is_waited_for_until_its_report_comes() {
    explore(|| {
        let group = Arc::new(GroupShared::new(GroupId(1), pool_share()));
        let core = {
            let group = Arc::clone(&group);
            thread::spawn(move || group.finish(crate::DestroyReport::default()))
        };
        let far = std::time::Instant::now() + Duration::from_secs(3600);
        assert!(group.wait_finished(far, || false).is_some());
        core.join().unwrap();
    });
}
