//! What may go wrong in a simulated network, and how often.
//!
//! Set by whoever runs a simulation; read by the network each time that something could go wrong.
//! All rates are per mille of the occasions named.

use std::time::Duration;

/// How often what goes wrong. [`Faults::none`] is a network that only takes its time.
#[derive(Debug, Clone, Default)]
pub struct Faults {
    /// The longest time that bytes, connections and announcements are on their way.
    pub delay: Duration,
    /// A write takes fewer bytes than there is room for, down to one; a read gives fewer than there
    /// are, or bytes that were written together arrive apart.
    pub partial: u16,
    /// A read or write says that it would block although it need not; an event follows.
    pub would_block: u16,
    /// An event is announced that has no cause, to a socket that lives or to one that is gone.
    pub spurious: u16,
    /// A write or read breaks its connection instead: both ends see a reset.
    pub reset: u16,
    /// A write or read fails although the connection is whole: for want of memory, say.
    pub fail: u16,
    /// A connection attempt is refused.
    pub refuse: u16,
    /// A connection attempt is never answered.
    pub silence: u16,
    /// An accept begins a time without free descriptors.
    pub no_descriptors: u16,
    /// The longest such time.
    pub drought: Duration,
    /// A waiting connection is gone when it is to be accepted.
    pub abort_accept: u16,
    /// Registering an accepted connection fails.
    pub register: u16,
    /// The socket file of a listener is gone: nobody can connect to it any more.
    pub path_gone: u16,
    /// An engine is not scheduled for a while, as a stopped process.
    pub pause: u16,
    /// The longest such while.
    pub pause_time: Duration,
    /// An engine's clock jumps: forward, or back as far as it was ahead.
    pub jump: u16,
    /// The longest such jump.
    pub jump_time: Duration,
}

impl Faults {
    /// Nothing goes wrong and nothing takes time.
    #[must_use]
    pub fn none() -> Faults {
        Faults::default()
    }

    /// Only harmless things happen: delays, partial reads and writes, spurious events.
    #[must_use]
    pub fn harmless(delay: Duration) -> Faults {
        Faults {
            delay,
            partial: 300,
            would_block: 100,
            spurious: 50,
            ..Faults::default()
        }
    }
}
