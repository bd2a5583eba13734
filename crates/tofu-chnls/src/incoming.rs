//! `Incoming`: a received message by who it is from, and what the engine has to say.

use tofu_engine::{CloseInfo, Msg, Report};
use tofu_msg::Origin;

/// A received message, sorted by its origin: the first thing to look at.
///
/// A peer can put any status into its messages; the origin it cannot forge.
#[derive(Debug)]
pub enum Incoming {
    /// From the peer's application.
    Peer(Msg),
    /// From the engine: an outcome or a notice.
    Engine(Notice, Msg),
    /// From this process, by `update_receiver`.
    Update(Msg),
}

impl Incoming {
    /// The message, whoever it is from.
    #[must_use]
    pub fn message(&self) -> &Msg {
        match self {
            Incoming::Peer(message) | Incoming::Engine(_, message) | Incoming::Update(message) => {
                message
            }
        }
    }

    /// The message by itself, as it was received.
    #[must_use]
    pub fn into_message(self) -> Msg {
        match self {
            Incoming::Peer(message) | Incoming::Engine(_, message) | Incoming::Update(message) => {
                message
            }
        }
    }
}

/// What a message from the engine is about.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Notice {
    /// The listener is bound; the message is the WelcomeResponse with the real address.
    ListenerReady,
    /// The listener could not be bound; the message is the WelcomeRequest turned into its
    /// response, its cause says why.
    ListenFailed,
    /// The connection was not made; the message is the HelloRequest turned into its response, its
    /// cause says why.
    ConnectFailed,
    /// The channel's last word.
    ChannelClosed(CloseInfo),
    /// A message that was posted and not sent, as it was posted; its cause says why. (A ByeSignal
    /// comes back so when it has done its work.)
    Returned,
    /// Reading pauses: no message of the pool is free. It goes on by itself when messages return.
    PoolEmpty,
    /// The send queue has room again after a post was refused with `queue_full`.
    SendQueueReady,
    /// The listener could not accept connections; it tries again by itself.
    AcceptFailed,
    /// The listener's socket file is gone or has been replaced: nobody can connect any more.
    UdsPathGone,
    /// Something that this version of the facade does not know; look at the status.
    Other,
}

impl From<Msg> for Incoming {
    #[inline]
    fn from(msg: Msg) -> Incoming {
        match msg.origin() {
            Origin::Peer => Incoming::Peer(msg),
            Origin::Local => Incoming::Update(msg),
            Origin::Engine => Incoming::Engine(Notice::of(&msg), msg),
        }
    }
}

impl Notice {
    /// What a message from the engine is about.
    fn of(msg: &Msg) -> Notice {
        match (msg.report(), msg.close_info()) {
            (_, Some(info)) => Notice::ChannelClosed(info.clone()),
            (Some(Report::ListenerReady), _) => Notice::ListenerReady,
            (Some(Report::ListenFailed), _) => Notice::ListenFailed,
            (Some(Report::ConnectFailed), _) => Notice::ConnectFailed,
            (Some(Report::Returned), _) => Notice::Returned,
            (Some(Report::PoolEmpty), _) => Notice::PoolEmpty,
            (Some(Report::SendQueueReady), _) => Notice::SendQueueReady,
            (Some(Report::AcceptFailed), _) => Notice::AcceptFailed,
            (Some(Report::UdsPathGone), _) => Notice::UdsPathGone,
            _ => Notice::Other,
        }
    }
}
