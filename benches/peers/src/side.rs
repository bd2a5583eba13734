//! What the work needs of a library, as an application's thread sees it.
//!
//! Libraries whose application has a thread of its own implement it; where the application runs on
//! the thread that does the input and output, the work is written anew (`peers::tokio`).

use anyhow::Result;

use crate::work::Work;

/// Either end.
pub(crate) trait Side {
    /// A message as the library hands it out.
    type Message;

    /// The next message from a peer. Waits for ever: whoever started us has a deadline.
    fn receive(&mut self) -> Result<Self::Message>;

    fn body<'message>(&self, message: &'message Self::Message) -> &'message [u8];
}

pub(crate) trait Server: Side {
    /// Sends a message back whence it came.
    fn reply(&mut self, message: Self::Message) -> Result<()>;
}

pub(crate) trait Client: Side {
    /// Opens one more connection; they are counted from 0.
    fn connect(&mut self) -> Result<()>;

    /// Sends a message with this body, waiting where there is no room.
    fn send(&mut self, connection: usize, body: &[u8]) -> Result<()>;

    /// The connection that a message came by.
    fn connection(&self, message: &Self::Message) -> usize;

    /// The message has been looked at: for libraries that use messages again.
    fn done(&mut self, message: Self::Message) {
        drop(message);
    }
}

/// A library under one name.
pub(crate) trait Library {
    type Server: Server;
    type Client: Client;

    /// Starts to listen. Returns the server and where it can be reached.
    fn listen(work: &Work) -> Result<(Self::Server, String)>;

    /// A client without connections yet.
    fn client(work: &Work, address: &str) -> Result<Self::Client>;
}
