//! Who speaks through a message.
//!
//! Lives in memory only: whoever creates or delivers a message sets it, and nobody may derive it
//! from bytes that a peer sent.

/// Who says what a message says. Everything that asks "can I believe this notice" asks the
/// origin, never the status: a peer may put any status into its messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Origin {
    /// The application on the other end of the channel.
    Peer,
    /// This process's engine.
    Engine,
    /// This process's application.
    #[default]
    Local,
}
