//! A simulated network under real engines: virtual time, one seed, and every fault that a network
//! or a kernel may show.
//!
//! [`Simulation`] is for whoever wants to test a protocol of their own; [`check`] is tofu's own
//! test, which draws applications, limits and faults from a seed and watches what must hold.
//!
#![doc = include_str!("../../docs/simulation.md")]

mod check;
mod connection;
mod engine;
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod midway;
mod network;
mod simulation;
mod trace;
mod traffic;
mod transport;

pub use check::{Failed, Marks, Passed, check, check_with};
pub use connection::End;
pub use faults::Faults;
pub use simulation::{Simulation, Step, Violation};
pub use trace::Tracing;
