//! Waking the application's tasks, mostly on the engine's thread.
//!
//! A waker is foreign code: it may call the engine, so no lock is held meanwhile, and where it panics it
//! takes neither the engine nor those along that are woken behind it. It must not block: all else waits.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

use crate::trace::warning;

/// Wakes a task.
pub(crate) fn wake(waker: Waker) {
    if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
        warning!("a task's waker has panicked");
    }
}
