//! The libraries that are compared, by name.

mod floor;
#[cfg(feature = "libzmq")]
mod libzmq;
#[cfg(feature = "message-io")]
mod message_io;
#[cfg(feature = "nng")]
mod nng;
mod tofu;
#[cfg(feature = "tokio")]
mod tokio;
#[cfg(feature = "tokio")]
mod tokio_actor;

use anyhow::{Context, Result};

use crate::measures::Measures;
use crate::server_process::ServerProcess;
use crate::side::Library;
use crate::work::Work;
use crate::{client, server};

/// One of them: how it serves, and how it does the work.
pub(crate) struct Peer {
    name: &'static str,
    pub(crate) serve: fn(&Work) -> Result<()>,
    pub(crate) drive: fn(&Work, &mut ServerProcess) -> Result<Measures>,
}

const PEERS: &[Peer] = &[
    Peer {
        name: "tofu",
        serve: tofu::serve,
        drive: tofu::drive,
    },
    library::<floor::Floor>("floor4"),
    #[cfg(feature = "libzmq")]
    library::<libzmq::Libzmq>("libzmq"),
    #[cfg(feature = "nng")]
    library::<nng::Nng>("nng"),
    #[cfg(feature = "tokio")]
    Peer {
        name: "tokio",
        serve: tokio::serve,
        drive: tokio::drive,
    },
    #[cfg(feature = "tokio")]
    Peer {
        name: "tokio-64k",
        serve: tokio::serve,
        drive: tokio::drive,
    },
    #[cfg(feature = "tokio")]
    library::<tokio_actor::TokioActor>("tokio-actor"),
    #[cfg(feature = "message-io")]
    library::<message_io::MessageIo>("message-io"),
];

const fn library<L: Library>(name: &'static str) -> Peer {
    Peer {
        name,
        serve: server::serve::<L>,
        drive: client::drive::<L>,
    }
}

impl Peer {
    pub(crate) fn named(name: &str) -> Result<&'static Peer> {
        let peer = PEERS.iter().find(|peer| peer.name == name);
        peer.with_context(|| format!("{name} is unknown, or not compiled in"))
    }
}
