//! What the application's wakers may do, on the engine's thread.

use std::collections::VecDeque;
use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;
use std::task::{Wake, Waker};
use std::thread;
use std::time::Duration;

use tofu_msg::{ChannelNumber, Message, OpCode};

use super::*;
use crate::msg::Msg;
use crate::shared::line::Place;
use crate::shared::outbox::Role;
use crate::shared::pool::Allocation;
use crate::sync::Weak;

/// Asks the engine how it stands, as a task does that is polled by its own waker.
struct Asking {
    shared: Weak<Shared>,
    woken: AtomicUsize,
}

impl Wake for Asking {
    fn wake(self: Arc<Asking>) {
        if let Some(shared) = self.shared.upgrade() {
            let _ended = shared.ended();
        }
        self.woken.fetch_add(1, Ordering::SeqCst);
    }
}

/// Fails, as a defect of the application does.
struct Failing;

impl Wake for Failing {
    fn wake(self: Arc<Failing>) {
        std::panic::resume_unwind(Box::new("a waker that fails"));
    }
}

fn engine() -> Arc<Shared> {
    Shared::new(Options::default().pool_initial(0), Box::new(|| {}))
}

/// Leaves a waker where both a message and room are waited for.
fn leave(group: &Arc<GroupShared>, waker: &Waker) -> Option<Place> {
    let nothing = group.inbox.poll_fetch(&mut VecDeque::new(), waker);
    assert!(nothing.is_none());
    let (mut place, number) = (None, ChannelNumber::new(1));
    Place::wait(&mut place, group, number, group.room_epoch(), waker);
    place
}

#[test]
fn a_waker_may_ask_the_engine_that_ends() {
    let shared = engine();
    let group = shared.create_group().unwrap();
    let asking = Arc::new(Asking {
        shared: Arc::downgrade(&shared),
        woken: AtomicUsize::new(0),
    });
    let _place = leave(&group, &Waker::from(Arc::clone(&asking)));
    let (done, ended) = mpsc::channel();
    let ending = Arc::clone(&shared);
    thread::spawn(move || {
        ending.end(Status::SHUTDOWN_STARTED);
        done.send(()).unwrap();
    });
    let waited = ended.recv_timeout(Duration::from_secs(20));
    assert_eq!(waited, Ok(()), "the end of the engine waits for itself");
    assert_eq!(asking.woken.load(Ordering::SeqCst), 2);
}

#[test]
fn a_waker_that_fails_takes_nobody_along() {
    let shared = engine();
    let group = shared.create_group().unwrap();
    let place = leave(&group, &Waker::from(Arc::new(Failing)));
    let asking = Arc::new(Asking {
        shared: Weak::new(),
        woken: AtomicUsize::new(0),
    });
    let (mut other, number) = (None, ChannelNumber::new(1));
    let waker = Waker::from(Arc::clone(&asking));
    Place::wait(&mut other, &group, number, group.room_epoch(), &waker);
    group.make_room(Some(number));
    assert_eq!(asking.woken.load(Ordering::SeqCst), 1);
    let message = Msg::from(Message::default());
    assert!(group.inbox.update(message, 1).is_ok());
    drop((place, other));
}

#[test]
fn a_wake_that_panics_leaks_no_count() {
    let shared = Shared::new(Options::default(), Box::new(|| panic!("planned")));
    let group = shared.create_group().unwrap();
    let number = shared
        .registry
        .open(|_, outbox| {
            outbox.open(Role::Initiator, group.id, None);
            Ok(())
        })
        .unwrap();
    let mut msg = shared.pool.get(Allocation::Always).unwrap();
    msg.set_op_code(OpCode::Signal);
    msg.set_channel_number(number);
    assert!(shared.worklist.prepare_sleep());
    let posted =
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| shared.post(&group, msg)));
    assert!(posted.is_err());
    let in_use = shared.pool.levels().0;
    shared.pool.close();
    assert_eq!(in_use, 0);
}
