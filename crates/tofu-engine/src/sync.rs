//! The one place from which this crate takes locks, condition variables and atomics.
//!
//! Everything that two threads share goes through here, so that a model checker can be put in
//! their place. Nothing else in the crate may name `parking_lot` or `std::sync`.

pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, OnceLock};
