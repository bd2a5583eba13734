//! The engine without its world: every state machine, queue, timer and limit, driven from outside.
//!
//! Time and sockets come in as arguments; what comes out is deliveries to inboxes and calls on a
//! [`transport::Transport`]. Nothing in this tree names a poller, a socket type, a thread, a lock or
//! a clock, so the same code runs under the mio driver and under a simulated network.

mod attempt;
mod census;
mod channel;
mod closing;
mod conversation;
mod cut;
mod deadlines;
mod desk;
pub(crate) mod engine;
mod fill;
mod flush;
pub(crate) mod groups;
mod inflow;
mod invariants;
mod lingering;
mod listener;
mod opening;
pub(crate) mod outgoing;
mod plain;
mod segments;
pub(crate) mod stopping;
mod table;
pub(crate) mod time;
mod timers;
pub(crate) mod transport;
mod waiting;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;
