//! The async face: futures that are polled by hand, dropped at every poll, and run by several runtimes.
//!
//! - `kit`: engines, channels that are full, a waker that counts.
//! - `receive`: `receive` and the stream; `post`: `post_async`; `reserve`: permits.
//! - `runtimes`: the same conversation on each.

#![cfg(test)]

mod kit;
mod post;
mod receive;
mod reserve;
mod runtimes;
