//! The tofu engine: one thread, one poll loop, all socket work.
//!
//! ```text
//!  application threads          |  shared                 |  the reactor's thread
//!  post ---encode--------------->  outbox (per channel) --->  core: state machine --> socket
//!  wait_receive <--build--------<  inbox (per group) <------  core: cut into frames <-- socket
//!  get, put <------------------->  pool                   |   mio driver around the core
//! ```
//!
//! - `shared`: what the application's threads and the reactor's both touch; short locks.
//! - `core`: every state machine, timer and limit; takes time and sockets as arguments.
//! - [`driver`]: the core for an event loop of one's own.
//! - `net` (feature `net`, on by default): the mio driver and its thread.
//!
//! Applications use this through the `tofu` umbrella (package `tofu-net`), whose documentation holds
//! the guide.

#[macro_use]
mod marks;
#[macro_use]
mod planted;

mod close;
mod core;
pub mod driver;
mod error;
mod group;
#[cfg(all(test, feature = "model"))]
mod models;
mod msg;
#[cfg(feature = "net")]
mod net;
mod options;
#[cfg(feature = "net")]
mod reactor;
mod shared;
mod sync;
mod trace;

pub use crate::close::{Cause, CloseInfo};
pub use crate::core::stopping::ShutdownReport;
pub use crate::core::transport::{Credentials, PeerInfo};
pub use crate::error::{EngineError, PostError, PostErrorKind};
pub use crate::group::{Destruction, Group, GroupSender};
pub use crate::msg::{Msg, Report};
pub use crate::options::Options;
#[cfg(feature = "planted-bugs")]
pub use crate::planted::Planted;
#[cfg(feature = "net")]
pub use crate::reactor::Reactor;
pub use crate::shared::group::DestroyReport;
pub use crate::shared::idle::IdleStrategy;
pub use crate::shared::outbox::{ChannelInfo, ChannelState};
pub use crate::shared::pool::Allocation;
pub use crate::shared::post_async::{Permit, PostAsync, Reserve};
pub use crate::shared::stats::{ChannelCounts, Stats};
