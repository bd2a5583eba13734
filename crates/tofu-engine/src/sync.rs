//! The one place from which this crate takes locks, condition variables and atomics.
//!
//! Everything that two threads share goes through here, so that the model checker can be put in
//! their place (feature `model`). Nothing else in the crate may name `parking_lot`, `spin` or
//! `std::sync`.

#[cfg(not(feature = "model"))]
mod brief;
#[cfg(feature = "model")]
mod model;

#[cfg(not(feature = "model"))]
pub(crate) use brief::BriefMutex;
#[cfg(feature = "model")]
pub(crate) use model::{
    AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Condvar, Mutex, Mutex as BriefMutex, MutexGuard,
    Ordering, thread_local,
};
#[cfg(not(feature = "model"))]
pub(crate) use parking_lot::{Condvar, Mutex, MutexGuard};
pub(crate) use std::sync::atomic::compiler_fence;
#[cfg(not(feature = "model"))]
pub(crate) use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
pub(crate) use std::sync::{Arc, OnceLock, Weak};
#[cfg(not(feature = "model"))]
pub(crate) use std::thread_local;

/// A value alone in its cache lines: what many threads write must not lie beside what they read.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct Alone<T>(pub(crate) T);

impl<T> std::ops::Deref for Alone<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
