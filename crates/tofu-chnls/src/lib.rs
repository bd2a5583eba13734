//! Channel groups: the thin, asynchronous face of the tofu engine.
//!
//! [`Ampe`] is the engine's interface, implemented for [`Reactor`]; [`ChannelGroup`] posts and
//! receives; [`Poster`] posts from other threads; [`Incoming`] sorts what was received by who said
//! it. [`helpers`] holds what many programs build around them. Applications usually take all of this
//! through the `tofu` umbrella (package `tofu-net`).
//!
//! Feature `async` (off by default): `ChannelGroup::receive`, the group as a `Stream`, and
//! `Poster::post_async` and `reserve`, for tasks of any runtime.

mod ampe;
#[cfg(feature = "async")]
mod async_face;
mod channel_group;
pub mod helpers;
mod incoming;

pub use crate::ampe::Ampe;
#[cfg(feature = "async")]
pub use crate::async_face::Receive;
pub use crate::channel_group::{ChannelGroup, Poster};
pub use crate::incoming::{Incoming, Notice};
pub use tofu_engine::{
    Allocation, Cause, ChannelCounts, ChannelInfo, ChannelState, CloseInfo, Credentials,
    DestroyReport, EngineError, IdleStrategy, Msg, Options, PeerInfo, PostError, PostErrorKind,
    Reactor, ShutdownReport, Stats,
};
#[cfg(feature = "async")]
pub use tofu_engine::{Permit, PostAsync, Reserve};
