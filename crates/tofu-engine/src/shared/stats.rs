//! Counters of an engine: what it has done and what its limits have cost.
//!
//! Most have one writer, the event loop, and cost a plain store; reading them never disturbs it.

use crate::sync::{AtomicU64, Ordering};

/// One count. Those that only the event loop writes are raised without a locked instruction.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    /// Raises it; only for the counter's one writer.
    pub(crate) fn add(&self, count: u64) {
        let sum = self.0.load(Ordering::Relaxed).wrapping_add(count);
        self.0.store(sum, Ordering::Relaxed);
    }

    /// Raises it by one; from any thread.
    pub(crate) fn increment_shared(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn value(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Declares the counters and the public snapshot of them together.
macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        /// The counters themselves.
        #[derive(Debug, Default)]
        pub(crate) struct Counters {
            $(pub(crate) $name: Counter,)*
            #[cfg(feature = "marks")]
            pub(crate) marks: crate::marks::Marks,
        }

        /// What an engine has done since its start, and how it stands now.
        ///
        /// Counters only grow; the rest is a look at one moment, taken while the engine goes on.
        #[derive(Debug, Clone, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Stats {
            $($(#[$doc])* pub $name: u64,)*
            /// Channels as they stand now.
            pub channels: ChannelCounts,
            /// Messages posted and not wholly handed to the kernel, and those that room is reserved for.
            pub queued_messages: usize,
            /// Their bytes.
            pub queued_bytes: usize,
            /// Messages that the application holds, and frames that wait in inboxes.
            pub pool_in_use: usize,
            /// Messages free in the pool.
            pub pool_free: usize,
            /// Capacity that is kept for reuse, in bytes: of the buffers of the pool's free messages, but
            /// for small ones that rest with threads that put them, and of idle buffers. It grows to what
            /// bursts have needed, within [`Options::pool_bytes`](crate::Options::pool_bytes) and 16 MiB.
            pub kept_bytes: usize,
        }

        impl Counters {
            /// The counters' values; what is not counted is left empty.
            pub(crate) fn snapshot(&self) -> Stats {
                Stats { $($name: self.$name.value(),)* ..Stats::default() }
            }
        }
    };
}

counters! {
    /// Turns of the event loop.
    turns;
    /// Times that a sleeping event loop was woken by a call.
    wakes;
    /// Messages wholly handed to the kernel.
    messages_sent;
    /// Bytes handed to the kernel.
    bytes_sent;
    /// Messages from peers that were delivered.
    messages_received;
    /// Bytes read from sockets.
    bytes_received;
    /// Messages that came back because they could not be sent.
    messages_returned;
    /// Posts refused for whatever reason.
    posts_refused;
    /// Posts refused for a full send queue or send budget.
    posts_refused_queue_full;
    /// Connections accepted.
    connections_accepted;
    /// Connections made by a HelloRequest.
    connections_made;
    /// Connections that could not be made.
    connects_failed;
    /// Accepted connections closed at once for a limit or a user id that is not allowed.
    connections_refused;
    /// Accepted connections that ended before their HelloRequest, for whatever reason.
    handshakes_failed;
    /// The part of them that were evicted because too many waited.
    handshakes_evicted;
    /// Failed attempts to accept (out of descriptors, say).
    accepts_failed;
    /// Connections shed because no descriptor came free for long.
    connections_shed;
    /// Channels closed for a violation of the protocol.
    protocol_violations;
    /// Channels closed because a timeout had passed.
    timeouts;
    /// Times that a channel was not read for want of pool messages.
    pauses_pool_empty;
    /// Times that a channel was not read because its group's inbox was full.
    pauses_inbox_full;
    /// Times that a channel was not read because the engine held too much.
    pauses_budget;
}

/// Channels by state.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelCounts {
    /// Listeners.
    pub listening: usize,
    /// Connections that are not made yet.
    pub connecting: usize,
    /// Connections over which messages may be posted.
    pub open: usize,
    /// Connections that only send the rest.
    pub closing: usize,
}
