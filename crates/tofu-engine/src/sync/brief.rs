//! A lock for what is held for a moment, by few at a time: a channel's outbox.
//!
//! Taking it is one locked instruction and giving it back is a plain store, which does not wait for
//! what was just written to become visible: that is a fifth of what a post costs. The price is that
//! nobody is told when it is free. Whoever finds it taken looks again, yields its core, and soon sleeps
//! between two looks, for then its holder has lost its own core.

use std::thread;
use std::time::Duration;

use spin::mutex::{SpinMutex, SpinMutexGuard};

/// Looks in a row, with longer and longer pauses.
const LOOKS: u32 = 6;

/// Looks between which the core is yielded.
const YIELDS: u32 = 10;

/// The sleep between further looks: about as long as somebody else's use of the core.
const SLEEP: Duration = Duration::from_micros(50);

/// A mutual exclusion lock.
#[derive(Debug, Default)]
pub(crate) struct BriefMutex<T>(SpinMutex<T>);

impl<T> BriefMutex<T> {
    #[inline]
    pub(crate) fn lock(&self) -> SpinMutexGuard<'_, T> {
        match self.0.try_lock() {
            Some(guard) => guard,
            None => self.wait(),
        }
    }

    #[cold]
    fn wait(&self) -> SpinMutexGuard<'_, T> {
        let mut look = 0;
        loop {
            pause(look);
            if let Some(guard) = self.0.try_lock() {
                return guard;
            }
            look += 1;
        }
    }
}

fn pause(look: u32) {
    if look < LOOKS {
        for _ in 0..1 << look {
            std::hint::spin_loop();
        }
    } else if look < LOOKS + YIELDS {
        thread::yield_now();
    } else {
        thread::sleep(SLEEP);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::mpsc;

    use super::*;

    #[test]
    fn one_at_a_time_holds_it() {
        const THREADS: u64 = 4;
        const ROUNDS: u64 = 20_000;
        let counter: Arc<BriefMutex<u64>> = Arc::default();
        let threads: Vec<_> = (0..THREADS)
            .map(|_| {
                let counter = Arc::clone(&counter);
                thread::spawn(move || (0..ROUNDS).for_each(|_| *counter.lock() += 1))
            })
            .collect();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert_eq!(*counter.lock(), THREADS * ROUNDS);
    }

    #[test]
    fn whoever_waits_for_a_holder_that_sleeps_gets_it_in_the_end() {
        let lock: Arc<BriefMutex<bool>> = Arc::default();
        let (told, tell) = (Arc::clone(&lock), mpsc::channel());
        let mut held = lock.lock();
        let waiter = thread::spawn(move || {
            tell.0.send(()).unwrap();
            *told.lock()
        });
        tell.1.recv().unwrap();
        thread::sleep(20 * SLEEP);
        *held = true;
        drop(held);
        assert!(waiter.join().unwrap(), "it was taken while it was held");
    }

    #[test]
    fn a_panic_gives_it_back() {
        let lock: Arc<BriefMutex<u8>> = Arc::default();
        let panicking = Arc::clone(&lock);
        let ended = thread::spawn(move || {
            let _held = panicking.lock();
            panic!("planned");
        });
        ended.join().unwrap_err();
        assert_eq!(*lock.lock(), 0);
    }
}
