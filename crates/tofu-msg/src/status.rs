//! How an operation went: one byte that travels in every message.
//!
//! The table at the end is the only list of statuses: constants, kinds and names come from it.
//! Numbers below 64 are the wire's; those from 64 up are said by the local engine about its own
//! affairs. A peer can put any of them into a message, so a status alone proves nothing.

use core::fmt;

/// A status byte. Every one of the 256 values is kept as it is; [`Status::kind`] sorts them.
///
/// ```
/// use tofu_msg::{Status, StatusKind};
///
/// assert_eq!(Status::POOL_EMPTY.to_string(), "pool_empty");
/// assert_eq!(Status::new(200).kind(), StatusKind::UnknownError);
/// assert_eq!(Status::new(200).to_string(), "unknown_error(200)");
/// ```
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(transparent)]
pub struct Status(u8);

impl Status {
    /// Takes the number as it is.
    #[inline]
    pub const fn new(value: u8) -> Self {
        Self(value)
    }

    /// The bare number.
    #[inline]
    pub const fn value(self) -> u8 {
        self.0
    }

    /// Whether this is [`Status::SUCCESS`].
    #[inline]
    pub const fn is_success(self) -> bool {
        self.0 == Status::SUCCESS.0
    }
}

impl From<u8> for Status {
    #[inline]
    fn from(value: u8) -> Self {
        Self(value)
    }
}

impl From<Status> for u8 {
    #[inline]
    fn from(status: Status) -> Self {
        status.0
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind() {
            StatusKind::UnknownError if *self != Status::UNKNOWN_ERROR => {
                write!(f, "{}({})", StatusKind::UnknownError.name(), self.0)
            }
            kind => f.pad(kind.name()),
        }
    }
}

impl fmt::Debug for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Status({} {})", self.0, self.kind().name())
    }
}

impl fmt::Display for StatusKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

macro_rules! statuses {
    ($($(#[$doc:meta])* $value:literal $constant:ident $kind:ident $name:literal,)+) => {
        impl Status {
            $($(#[$doc])* pub const $constant: Status = Status($value);)+

            /// Every status that has a name, in the order of their numbers.
            pub const ALL: &'static [Status] = &[$(Status::$constant),+];

            /// What the number means. Total: a number without a name is
            /// [`StatusKind::UnknownError`].
            pub const fn kind(self) -> StatusKind {
                match self.0 {
                    $($value => StatusKind::$kind,)+
                    _ => StatusKind::UnknownError,
                }
            }
        }

        /// The meaning of a [`Status`], for `match`.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum StatusKind {
            $($(#[$doc])* $kind,)+
        }

        impl StatusKind {
            /// The name in snake case, such as `channel_closed`.
            pub const fn name(self) -> &'static str {
                match self {
                    $(StatusKind::$kind => $name,)+
                }
            }
        }
    };
}

statuses! {
    /// All is well.
    0 SUCCESS Success "success",
    /// This is not implemented.
    1 NOT_IMPLEMENTED_YET NotImplementedYet "not_implemented_yet",
    /// The address is missing or of the wrong kind.
    2 WRONG_ADDRESS WrongAddress "wrong_address",
    /// The message is not allowed in this state of its channel.
    3 NOT_ALLOWED NotAllowed "not_allowed",
    /// There is no message.
    4 NULL_MESSAGE NullMessage "null_message",
    /// The message breaks a rule that has no status of its own.
    5 INVALID_MESSAGE InvalidMessage "invalid_message",
    /// The op code does not exist or has no place here.
    6 INVALID_OP_CODE InvalidOpCode "invalid_op_code",
    /// The text headers are too long.
    7 INVALID_HEADERS_LEN InvalidHeadersLen "invalid_headers_len",
    /// The body is too long, or shorter than what is to be read from it.
    8 INVALID_BODY_LEN InvalidBodyLen "invalid_body_len",
    /// `more` is set on an operation that cannot have it.
    9 INVALID_MORE_USAGE InvalidMoreUsage "invalid_more_usage",
    /// No such channel.
    10 INVALID_CHANNEL_NUMBER InvalidChannelNumber "invalid_channel_number",
    /// The channel belongs to another group.
    11 INVALID_CHANNEL_GROUP InvalidChannelGroup "invalid_channel_group",
    /// The message id is missing or does not belong here.
    12 INVALID_MESSAGE_ID InvalidMessageId "invalid_message_id",
    /// The address is malformed.
    13 INVALID_ADDRESS InvalidAddress "invalid_address",
    /// Nothing lies at the Unix socket's path.
    14 UDS_PATH_NOT_FOUND UdsPathNotFound "uds_path_not_found",
    /// Notifications are switched off.
    15 NOTIFICATION_DISABLED NotificationDisabled "notification_disabled",
    /// A notification could not be delivered.
    16 NOTIFICATION_FAILED NotificationFailed "notification_failed",
    /// The peer closed the connection or went away.
    17 PEER_DISCONNECTED PeerDisconnected "peer_disconnected",
    /// The connection failed.
    18 COMMUNICATION_FAILED CommunicationFailed "communication_failed",
    /// The pool has no message to give.
    19 POOL_EMPTY PoolEmpty "pool_empty",
    /// Memory ran out.
    20 ALLOCATION_FAILED AllocationFailed "allocation_failed",
    /// Another thread speaks to the receiving one.
    21 RECEIVER_UPDATE ReceiverUpdate "receiver_update",
    /// The channel is closed; the last word on it.
    22 CHANNEL_CLOSED ChannelClosed "channel_closed",
    /// The engine shuts down.
    23 SHUTDOWN_STARTED ShutdownStarted "shutdown_started",
    /// The connection could not be made.
    24 CONNECT_FAILED ConnectFailed "connect_failed",
    /// The listener could not be set up.
    25 LISTEN_FAILED ListenFailed "listen_failed",
    /// A connection could not be accepted.
    26 ACCEPT_FAILED AcceptFailed "accept_failed",
    /// Sending failed.
    27 SEND_FAILED SendFailed "send_failed",
    /// Receiving failed.
    28 RECV_FAILED RecvFailed "recv_failed",
    /// A socket option could not be set.
    29 SETSOCKOPT_FAILED SetsockoptFailed "setsockopt_failed",
    /// The engine failed inside.
    30 PROCESSING_FAILED ProcessingFailed "processing_failed",
    /// A status that has no name here, or an error without one.
    31 UNKNOWN_ERROR UnknownError "unknown_error",
    /// Another socket listens at this address.
    64 ADDRESS_IN_USE AddressInUse "address_in_use",
    /// The connection was not made in time.
    65 CONNECT_TIMEOUT ConnectTimeout "connect_timeout",
    /// An accepted connection sent no HelloRequest in time.
    66 HANDSHAKE_TIMEOUT HandshakeTimeout "handshake_timeout",
    /// The peer's application did not answer the HelloRequest in time.
    67 HELLO_RESPONSE_TIMEOUT HelloResponseTimeout "hello_response_timeout",
    /// A frame did not arrive whole in time.
    68 FRAME_TIMEOUT FrameTimeout "frame_timeout",
    /// The peer did not answer the ByeRequest in time.
    69 BYE_TIMEOUT ByeTimeout "bye_timeout",
    /// The peer did not close in time after an agreed close.
    70 LINGER_TIMEOUT LingerTimeout "linger_timeout",
    /// The peer took no byte for too long.
    71 WRITE_STALL_TIMEOUT WriteStallTimeout "write_stall_timeout",
    /// The channel was idle for too long.
    72 IDLE_TIMEOUT IdleTimeout "idle_timeout",
    /// The peer sent what it may not send.
    73 PROTOCOL_VIOLATION ProtocolViolation "protocol_violation",
    /// The channel's send queue is full.
    74 QUEUE_FULL QueueFull "queue_full",
    /// The channel's send queue has room again.
    75 SEND_QUEUE_READY SendQueueReady "send_queue_ready",
    /// A listener's Unix socket path was removed.
    76 UDS_PATH_GONE UdsPathGone "uds_path_gone",
    /// Every channel number is in use.
    77 CHANNELS_EXHAUSTED ChannelsExhausted "channels_exhausted",
    /// Too many host names wait to be looked up.
    78 TOO_MANY_LOOKUPS TooManyLookups "too_many_lookups",
    /// The text headers have too many lines.
    79 TOO_MANY_HEADER_LINES TooManyHeaderLines "too_many_header_lines",
    /// An accepted connection gave way to newer ones before its HelloRequest.
    80 HANDSHAKE_EVICTED HandshakeEvicted "handshake_evicted",
    /// The listener has as many connections as it may.
    81 CONNECTION_LIMIT ConnectionLimit "connection_limit",
    /// The system or an allow list refuses it.
    82 PERMISSION_DENIED PermissionDenied "permission_denied",
}
