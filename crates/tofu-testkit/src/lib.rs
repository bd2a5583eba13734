//! Helpers for testing tofu itself and programs that use it.
//!
//! - places to listen: [`free_tcp_port`], [`TempUdsPath`];
//! - threads and waiting, always with a deadline: [`run_tasks`], [`run_named_tasks`],
//!   [`wait_until`];
//! - a peer that speaks raw bytes and frames over TCP or UDS, as badly as the test wants:
//!   [`RawPeer`], [`RawListener`];
//! - what this process holds: [`thread_count`], [`threads_named`], [`descriptor_count`],
//!   [`resident_bytes`];
//! - repeatable randomness: [`seed`], [`Random`];
//! - feature `sim`: engines over a simulated network with virtual time, in the module `sim`.
//!
//! Every wait ends: a `deadline` here is the longest time that the call may take, counted from its
//! start. A test that would hang fails instead, and says on what.
//!
//! The crate stands below the engine and knows only the wire format and the addresses, so that the
//! engine's own tests can use it. Use it from integration tests, as a path-only dev-dependency.
//!
//! # Example
//!
//! A peer that says Hello and then closes its half of the connection:
//!
//! ```
//! use std::time::Duration;
//! use tofu_msg::OpCode;
//! use tofu_testkit::{End, RawListener, RawPeer, run_tasks};
//!
//! const DEADLINE: Duration = Duration::from_secs(10);
//!
//! let listener = RawListener::bind_tcp()?; // in a real test: the engine's listener
//! let endpoint = listener.endpoint().clone();
//! run_tasks(DEADLINE, vec![
//!     Box::new(move || {
//!         let peer = RawPeer::connect(&endpoint).unwrap();
//!         peer.hello(&endpoint).unwrap();
//!         peer.shutdown_write().unwrap();
//!     }),
//!     Box::new(move || {
//!         let mut accepted = listener.accept(DEADLINE).unwrap();
//!         let (frames, end) = accepted.receive_all(DEADLINE);
//!         assert_eq!(frames[0].op_code(), OpCode::HelloRequest);
//!         assert_eq!((frames.len(), end), (1, End::Eof));
//!     }),
//! ])?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod deadline;
mod places;
mod process;
mod random;
mod raw_listener;
mod raw_peer;
#[cfg(feature = "sim")]
pub mod sim;
mod tasks;

pub use places::{TempUdsPath, free_tcp_port};
pub use process::{descriptor_count, resident_bytes, thread_count, threads_named};
pub use random::{Random, seed};
pub use raw_listener::RawListener;
pub use raw_peer::{End, RawPeer};
pub use tasks::{Task, TasksError, run_named_tasks, run_tasks, wait_until};
