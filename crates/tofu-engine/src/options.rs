//! Every bound of the engine in one struct, with its default and what happens when it is reached.
//!
//! Read by both sides: the application's threads (pool, send queues) and the core (timers, reading).

use std::time::Duration;

use crate::shared::idle::IdleStrategy;

/// Declares [`Options`]: each line is a documented field, a default and a setter of its name.
macro_rules! options {
    ($($(#[$doc:meta])* $name:ident: $kind:ty = $default:expr;)*) => {
        /// The limits and timeouts of one engine.
        ///
        /// Start from [`Options::default`] and change what you need:
        ///
        /// ```
        /// use std::time::Duration;
        /// use tofu_engine::Options;
        ///
        /// let options = Options::default()
        ///     .connect_timeout(Duration::from_secs(3))
        ///     .pool_maximum(1024);
        /// assert_eq!(options.pool_maximum, 1024);
        /// ```
        ///
        /// `Duration::MAX` switches a timeout off. A count or size of 0 is taken as 1: a queue
        /// that may hold nothing could never move anything.
        #[derive(Debug, Clone)]
        #[non_exhaustive]
        pub struct Options {
            $($(#[$doc])* pub $name: $kind,)*
            /// A defect built in on purpose.
            #[cfg(feature = "planted-bugs")]
            pub planted: Option<crate::planted::Planted>,
            /// What a channel may draw ahead from the send budget, however small that is: for the
            /// simulator, whose budgets are.
            #[cfg(feature = "marks")]
            #[doc(hidden)]
            pub send_budget_ahead: Option<usize>,
        }

        impl Default for Options {
            fn default() -> Options {
                Options {
                    $($name: $default,)*
                    #[cfg(feature = "planted-bugs")]
                    planted: None,
                    #[cfg(feature = "marks")]
                    send_budget_ahead: None,
                }
            }
        }

        impl Options {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $name(mut self, value: $kind) -> Options {
                    self.$name = value;
                    self
                }
            )*
        }
    };
}

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

options! {
    /// From the HelloRequest being taken up to the connection being made, name lookup and all
    /// targets together. When it passes, the HelloRequest comes back as a HelloResponse from the
    /// engine with `connect_timeout`. Default 10 s.
    connect_timeout: Duration = Duration::from_secs(10);

    /// From a connection being accepted to its HelloRequest having arrived whole. When it passes,
    /// the connection is closed; the application never knew it. Default 10 s.
    handshake_timeout: Duration = Duration::from_secs(10);

    /// From the first byte of a frame to its last. When it passes, the channel is closed with
    /// `frame_timeout`. It stands still while the engine itself does not read. Default 30 s.
    frame_timeout: Duration = Duration::from_secs(30);

    /// How long a channel waits for the ByeResponse: from the last byte of its ByeRequest being in
    /// the kernel, and afresh from every byte that the peer sends or takes. When it passes, the
    /// channel is closed unconfirmed with `bye_timeout`. Default 30 s.
    bye_timeout: Duration = Duration::from_secs(30);

    /// How long a closing connection waits for the peer's end of stream, so that the tail of what
    /// was sent is not lost to an early close. Default 2 s.
    linger_timeout: Duration = Duration::from_secs(2);

    /// How many bytes of a closing connection are read and thrown away while waiting for the
    /// peer's end of stream. Default 1 MiB.
    linger_drain: usize = MIB;

    /// The longest pause of a peer that a connection survives while there are data for it. When it
    /// passes without the peer taking a byte, the channel is closed with `write_stall_timeout`
    /// and what was queued comes back. Default 60 s.
    write_stall_timeout: Duration = Duration::from_secs(60);

    /// From the HelloRequest's last byte being in the kernel to its HelloResponse. When it passes,
    /// the channel is closed with `hello_response_timeout`. Off by default: a peer may take its
    /// time, and data flow without the answer.
    hello_response_timeout: Duration = Duration::MAX;

    /// How long a channel may pass no byte in either direction. When it passes, the channel is
    /// closed with `idle_timeout`. Off by default.
    idle_timeout: Duration = Duration::MAX;

    /// Silence of a TCP peer after which the kernel asks whether it is still there. A peer that is
    /// gone closes the channel with `peer_disconnected`. Counted in whole seconds; `Duration::MAX`
    /// switches keepalive off. Default 30 s.
    keepalive_idle: Duration = Duration::from_secs(30);

    /// Time between the kernel's questions. Default 10 s.
    keepalive_interval: Duration = Duration::from_secs(10);

    /// Questions without an answer that end the connection. On Linux `tcp_user_timeout`, where it is
    /// set, takes their place: a peer that is gone is given up when the first question after it has
    /// passed stays unanswered. Default 3.
    keepalive_probes: u32 = 3;

    /// How long data may stay unacknowledged by a TCP peer's kernel (Linux: `TCP_USER_TIMEOUT`).
    /// Never less than the write stall timeout and 15 s, for it must exceed every pause that a
    /// connection is to survive. Default 75 s.
    tcp_user_timeout: Duration = Duration::from_secs(75);

    /// Permission bits of the socket file of a listener on a Unix domain socket, set before it can
    /// be connected to. Default `0o600`: only processes of the same user.
    uds_mode: u16 = 0o600;

    /// User ids whose processes may connect to listeners on Unix domain sockets; the connections of
    /// others are closed and counted. Default `None`: whoever the file's mode lets in.
    uds_allowed_uids: Option<Vec<u32>> = None;

    /// Open connections per listener. One more is accepted and closed at once, and counted; an
    /// `accept_failed` notice says so, at most once a second. Off by default.
    connections_per_listener: usize = usize::MAX;

    /// The same per IP address of the peers, over all listeners of the engine. Off by default.
    connections_per_ip: usize = usize::MAX;

    /// The same per user id of the peers on Unix domain sockets. Off by default.
    connections_per_uid: usize = usize::MAX;

    /// Lines that the text headers of a received message may have. A message with more closes its
    /// channel with `too_many_header_lines`. Off by default.
    header_lines: usize = usize::MAX;

    /// Bytes held for connections that have not sent their HelloRequest. When it is reached, such
    /// connections are read no further; those that do not finish in time end by the handshake
    /// timeout. Default 8 MiB.
    handshake_bytes: usize = 8 * MIB;

    /// Bytes queued for sending, all channels together. A post beyond it is refused with
    /// `queue_full`, unless its channel has nothing queued. From 16 MiB on a channel reserves a
    /// quarter of what it has queued, at most 16 KiB, on top. Default 256 MiB.
    send_budget: usize = 256 * MIB;

    /// Bytes that the engine holds of frames which are not whole or could not be delivered, all
    /// channels together. When it is reached, only channels in the middle of a frame are read.
    /// Default 64 MiB.
    receive_budget: usize = 64 * MIB;

    /// Connections per listener that were accepted and have not sent their HelloRequest yet. One
    /// more evicts the oldest of them. Default 4096.
    pending_handshakes: usize = 4096;

    /// Channels (listeners and connections) that live at the same time in one engine, at most
    /// 64510. A post that would open one more is refused with `channels_exhausted`; an accepted
    /// connection beyond it is closed. Default 64510.
    channels: usize = MAXIMUM_CHANNELS;

    /// Messages posted to one channel and not yet handed to the kernel. One more is refused with
    /// `queue_full`; when the queue has fallen below half, one `send_queue_ready` notice says so.
    /// Default 16384.
    send_queue_messages: usize = 16_384;

    /// The same in bytes of whole frames. An empty queue takes any one message. Default 4 MiB.
    send_queue_bytes: usize = 4 * MIB;

    /// Messages that the pool holds from the start. Default 64.
    pool_initial: usize = 64;

    /// Messages in use: those that the application holds and the frames that wait in inboxes. When
    /// it is reached the engine stops reading, and one `pool_empty` notice says so; reading goes on
    /// by itself when messages return. `get` with `Allocation::Always` is never refused. The
    /// pool keeps at most so many unused messages. Default 16384.
    pool_maximum: usize = 16_384;

    /// Capacity, in bytes, of the unused messages that the pool keeps. A message beyond it is
    /// freed. Default 64 MiB.
    pool_bytes: usize = 64 * MIB;

    /// Messages from peers that wait in one group's inbox. When it is reached, the group's
    /// channels are not read. Default 8192.
    inbox_messages: usize = 8192;

    /// The same in bytes of held capacity. Default 16 MiB.
    inbox_bytes: usize = 16 * MIB;

    /// Messages of `update_receiver` that wait in one group's inbox. One more is refused with
    /// `queue_full`. Default 1024.
    inbox_updates: usize = 1024;

    /// Name lookups under way or waiting. One more fails its connect with `too_many_lookups`.
    /// Default 1024.
    lookups: usize = 1024;

    /// Messages handled for one channel and direction in one turn of the event loop before the
    /// others have theirs. Default 1024.
    turn_messages: usize = 1024;

    /// The same in bytes. As soon as half as many, at most 128 KiB, have come for all channels together,
    /// they are handed over in the middle of the turn. Default 256 KiB.
    turn_bytes: usize = 256 * KIB;

    /// Connections accepted from one listener in one turn. Default 64.
    turn_accepts: usize = 64;

    /// A frame whose text headers and body together have at least this size is not copied into
    /// the send queue: its message travels by pointer, and is read straight into its message on
    /// the other side. Default 8 KiB.
    large_message: usize = 8 * KIB;

    /// How the engine's thread and `wait_receive` wait when nothing is there: by looking again for some
    /// microseconds before they sleep, by sleeping at once, or never. Default adaptive.
    idle: IdleStrategy = IdleStrategy::Adaptive;
}

/// As many channels as there are numbers, less those that rest after use.
const MAXIMUM_CHANNELS: usize = 64_510;

/// The kernel gives a peer up so much later than the write stall does.
const USER_TIMEOUT_MARGIN: Duration = Duration::from_secs(15);

impl Options {
    /// The same options with every value in its range.
    pub(crate) fn normalized(mut self) -> Options {
        self.channels = self.channels.clamp(1, MAXIMUM_CHANNELS);
        for count in [
            &mut self.pending_handshakes,
            &mut self.connections_per_listener,
            &mut self.connections_per_ip,
            &mut self.connections_per_uid,
            &mut self.header_lines,
            &mut self.handshake_bytes,
            &mut self.send_budget,
            &mut self.receive_budget,
            &mut self.send_queue_messages,
            &mut self.send_queue_bytes,
            &mut self.pool_maximum,
            &mut self.inbox_messages,
            &mut self.inbox_bytes,
            &mut self.inbox_updates,
            &mut self.lookups,
            &mut self.turn_messages,
            &mut self.turn_bytes,
            &mut self.turn_accepts,
        ] {
            *count = (*count).max(1);
        }
        self.pool_initial = self.pool_initial.min(self.pool_maximum);
        let shortest = self.write_stall_timeout.saturating_add(USER_TIMEOUT_MARGIN);
        self.tcp_user_timeout = self.tcp_user_timeout.max(shortest);
        // Small frames are gathered in chunks; a frame above half a chunk would waste the rest.
        self.large_message = self.large_message.clamp(1, 32 * KIB);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_may_be_zero_or_out_of_range() {
        let options = Options::default()
            .channels(1_000_000)
            .pool_maximum(0)
            .pool_initial(9)
            .turn_messages(0)
            .large_message(usize::MAX)
            .normalized();
        assert_eq!(options.channels, 64_510);
        assert_eq!(options.pool_maximum, 1);
        assert_eq!(options.pool_initial, 1);
        assert_eq!(options.turn_messages, 1);
        assert_eq!(options.large_message, 32 * KIB);
    }
}
