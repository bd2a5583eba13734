//! A socket whose channel has ended: it only reads the peer's tail away, so that closing it does
//! not cost the peer the end of what we sent.

use std::io::{self, Read};

use crate::core::desk::Desk;
use crate::core::time::Time;
use crate::core::transport::{Stream, Transport};

/// A socket in its last moments.
pub(crate) struct Lingering<T: Transport> {
    stream: T::Stream,
    pub(crate) readable: bool,
    pub(crate) queued: bool,
    pub(crate) armed: Option<Time>,
    pub(crate) deadline: Time,
    /// Bytes that will still be read away.
    left: usize,
}

impl<T: Transport> Lingering<T> {
    /// Ends our direction. `None` if there is nothing to wait for.
    pub(crate) fn begin(
        mut stream: T::Stream,
        deadline: Time,
        left: usize,
    ) -> Option<Lingering<T>> {
        stream.shutdown_write().ok()?;
        Some(Lingering {
            stream,
            readable: true,
            queued: false,
            armed: None,
            deadline,
            left,
        })
    }

    /// Reads what has come; `true` when the socket may be closed.
    pub(crate) fn drain(&mut self, desk: &mut Desk) -> bool {
        while self.readable {
            match self.stream.read(&mut desk.scratch) {
                Ok(0) => {
                    mark!(desk, "linger: the peer has ended");
                    return true;
                }
                Ok(count) => match self.left.checked_sub(count) {
                    Some(left) => self.left = left,
                    None => {
                        mark!(desk, "linger: the peer goes on sending");
                        return true;
                    }
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.readable = false,
                Err(_) => {
                    mark!(desk, "linger: the connection broke");
                    return true;
                }
            }
        }
        false
    }
}
