//! Message passing between programs over TCP and Unix domain sockets.

/// Everything that most programs need, in one line.
pub mod prelude {
    pub use tofu_addr::{Address, AddressError, Endpoint};
    pub use tofu_chnls::{
        Allocation, Ampe, ChannelGroup, EngineError, Incoming, Msg, Notice, Options, PostError,
        PostErrorKind, Poster, Reactor,
    };
    pub use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin, Status, StatusKind};
}

pub use tofu_addr as addr;
pub use tofu_chnls as chnls;
pub use tofu_engine as engine;
pub use tofu_msg as msg;
