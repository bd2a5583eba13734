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
//! Start with the guide below, or with the programs `first_server` and `first_client` in the
//! project's `examples`. How it is built inside is told in [`architecture`].
//!
//! The package is called `tofu-net`, the library `tofu`. It holds no code of its own: it re-exports
//! the layers [`msg`] (the wire format), [`addr`] (addresses), [`engine`](mod@engine) (the engine)
//! and [`chnls`] (channel groups), with the [`helpers`] that stand on them.
//!
#![doc = include_str!("../docs/guide.md")]

pub mod architecture;

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
