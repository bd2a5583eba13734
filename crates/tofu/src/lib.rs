//! Message passing between programs, over TCP and Unix domain sockets.
//!
//! Everything is a message: to listen, to connect, to ask, to answer, to tell and to close is to
//! post a message that says so. What becomes of it comes back as a message too. One engine does all
//! socket work on one thread of its own; the program posts and receives.
//!
//! ```text
//!            your program                                               the peer's program
//!  get   post          wait_receive                               get   post          wait_receive
//!   |     |                 ^                                      |     |                 ^
//!   v     v                 |                                      v     v                 |
//!  +-------------------------+      frames over TCP or UDS      +-------------------------+
//!  | engine: pool, channels, | <------------------------------> | engine: pool, channels, |
//!  | inboxes, one thread     |                                  | inboxes, one thread     |
//!  +-------------------------+                                  +-------------------------+
//! ```
//!
//! A client that asks one question:
//!
//! ```no_run
//! use std::time::Duration;
//! use tofu::prelude::*;
//!
//! let engine = Reactor::start(Options::default())?; // one thread
//! let mut group = engine.create()?;
//! let mut hello = engine.message()?;
//! Address::tcp_client("127.0.0.1", 7099).format(&mut hello)?;
//! let channel = group.post(hello)?.channel_number;
//!
//! let mut request = engine.message()?;
//! request.set_channel_number(channel);
//! request.body_mut().append(b"how much?")?;
//! let id = group.post(request)?.message_id;
//!
//! while let Some(message) = group.wait_receive(Duration::from_secs(15))? {
//!     match Incoming::from(message) {
//!         Incoming::Peer(answer) if answer.message_id() == id => println!("{:?}", answer.body()),
//!         other => println!("{other:?}"), // the answer to the Hello; or what went wrong
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The [`guide`] begins with a first server and leads to production; the programs in the project's
//! `examples` show one thing each. How it is built inside is told in [`architecture`].
//!
//! The package is called `tofu-net`, the library `tofu`. It holds no code of its own: it re-exports
//! the layers [`msg`] (the wire format), [`addr`] (addresses), [`engine`](mod@engine) (the engine)
//! and [`chnls`] (channel groups), with the [`helpers`] that stand on them.

pub mod architecture;
pub mod guide;

/// Everything that most programs need, in one line.
pub mod prelude {
    #[doc(inline)]
    pub use tofu_addr::{Address, AddressError, Endpoint};
    #[doc(inline)]
    pub use tofu_chnls::{
        Allocation, Ampe, ChannelGroup, EngineError, IdleStrategy, Incoming, Msg, Notice, Options,
        PostError, PostErrorKind, Poster, Reactor,
    };
    #[doc(inline)]
    pub use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin, Status, StatusKind};
}

#[doc(inline)]
pub use tofu_addr as addr;
#[doc(inline)]
pub use tofu_chnls as chnls;
#[doc(inline)]
pub use tofu_chnls::helpers;
#[doc(inline)]
pub use tofu_engine as engine;
#[doc(inline)]
pub use tofu_msg as msg;

/// Compiles what the project's front page shows.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct ReadmeDoctests;
