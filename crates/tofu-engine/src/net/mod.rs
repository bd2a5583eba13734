//! The mio driver: the core's [`Transport`](crate::core::transport::Transport) over the kernel.
//!
//! Sockets (one transport per file), the watch over socket files, name lookup and the poller's
//! tokens. Everything here is called by the engine thread alone, except that the resolver has
//! threads of its own. Nothing here blocks: the one exception, waiting for a folder's lock before
//! a socket file is made, is bounded. What the bytes mean, and every decision about a channel, is
//! the core's business.

mod file_watch;
pub(crate) mod reactor;
pub(crate) mod resolver;
mod room_watch;
pub(crate) mod socket;
mod socket_file;
mod tcp;
pub(crate) mod token;
pub(crate) mod transport;
mod uds;

#[cfg(test)]
mod testing;
