//! Helpers for what many programs build around the four calls: thin, optional, and made of public
//! parts only, so that a program can as well have its own.
//!
//! - [`Calls`]: which answer belongs to which Request, and what becomes of Requests without one.
//! - [`Caller`]: the same for threads that wait for their answers.
//! - [`Connector`]: a connection that is made again when it is lost.
//! - [`Heartbeat`]: Signals at an interval, and notice of peers that have fallen silent.
//! - [`Chunks`], [`ChunkWriter`], [`Reassembler`]: bodies of any size, as many messages.
//! - [`Service`] and [`Host`]: a server with any number of listeners, the loop included.
//!
//! None of them starts a thread, and but for [`Caller`], `Host` and the ways to send a stream all at
//! once none waits or looks at a clock: the program's receive loop feeds them what came and what time
//! it is, and asks them what has happened and what is due next. So they compose in one loop, and can
//! be tested without waiting. They must use nothing of the engine that a program could not use itself.
//!
#![doc = include_str!("../../docs/receive_loop.md")]

mod calls;
mod connector;
mod deadlines;
mod heartbeat;
mod host;
mod post;
mod service;
mod streams;
#[cfg(test)]
mod testing;

pub use self::calls::{
    Answer, CallError, CallErrorKind, CallEvent, CallFailure, CallFailureKind, CallId, Caller,
    Calls, Dispatcher, PendingCall, RequestFate,
};
pub use self::connector::{ConnectError, Connector, ConnectorEvent, ConnectorOptions};
pub use self::deadlines::time_to_next;
pub use self::heartbeat::{HEARTBEAT, Heartbeat, HeartbeatEvent};
pub use self::host::{Host, HostEnd, HostError, HostHandle, Served};
pub use self::post::{Post, close_at_once};
pub use self::service::{Context, Listener, Service};
pub use self::streams::{
    ChunkError, ChunkWriter, Chunks, Progress, Reassembler, Received, STREAM_ABORTED, Sent,
    StreamError, StreamFault, StreamId, StreamLimit, StreamLimits, StreamReader, Swallowed,
    WholeBody,
};
