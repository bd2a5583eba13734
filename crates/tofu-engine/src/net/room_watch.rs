//! Whether the poller tells of room for writing on a Unix domain socket.
//!
//! Such a socket has news of room whenever the peer reads, wanted or not: each message would wake the
//! engine's thread of its sender once more. So after some that were in vain the poller is asked to
//! tell only of what can be read, until a write blocks. (TCP tells of room only after such a write.)

use std::io;

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::sync::Arc;

/// So much news in vain, in a row, is enough.
const IN_VAIN: u8 = 4;

/// What one socket's poller has been asked to tell.
#[derive(Debug)]
pub(super) struct RoomWatch {
    registry: Arc<Registry>,
    token: Token,
    in_vain: u8,
}

impl RoomWatch {
    /// Registers a socket, first for both directions.
    pub(super) fn register(
        socket: &mut impl Source,
        registry: &Arc<Registry>,
        token: Token,
    ) -> io::Result<RoomWatch> {
        registry.register(socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(RoomWatch {
            registry: Arc::clone(registry),
            token,
            in_vain: 0,
        })
    }

    /// There was news of room, and nothing waited for it.
    pub(super) fn was_in_vain(&mut self, socket: &mut impl Source) {
        if self.in_vain < IN_VAIN {
            self.in_vain += 1;
            if self.in_vain == IN_VAIN {
                let quiet = self
                    .registry
                    .reregister(socket, self.token, Interest::READABLE);
                // Where that fails, the news goes on, and costs time only.
                self.in_vain = if quiet.is_ok() { IN_VAIN } else { 0 };
            }
        }
    }

    /// A write has blocked: from now on news of room is wanted. What has come meanwhile is told at
    /// once.
    pub(super) fn has_blocked(&mut self, socket: &mut impl Source) -> io::Result<()> {
        if std::mem::take(&mut self.in_vain) < IN_VAIN {
            return Ok(());
        }
        let both = Interest::READABLE | Interest::WRITABLE;
        self.registry.reregister(socket, self.token, both)
    }
}
