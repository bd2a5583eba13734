//! What a message is for: the ten op codes, and the type and role each of them has.
//!
//! Everyone asks here; which op code may travel or be posted when is the engine's business.

use core::fmt;

use crate::HeaderError;

/// The operation that a message stands for. Exhaustive: the wire has no room for others that an
/// engine would accept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum OpCode {
    /// Asks the peer; a [`Response`](OpCode::Response) with the same message id answers.
    #[default]
    Request = 0,
    /// Answers a request.
    Response = 1,
    /// Tells the peer something that needs no answer.
    Signal = 2,
    /// Connects: the first message of a channel.
    HelloRequest = 3,
    /// Accepts a connection.
    HelloResponse = 4,
    /// Asks for an orderly close.
    ByeRequest = 5,
    /// Agrees to an orderly close.
    ByeResponse = 6,
    /// Closes at once; never travels.
    ByeSignal = 7,
    /// Listens; never travels.
    WelcomeRequest = 8,
    /// Says that a listener is ready; never travels.
    WelcomeResponse = 9,
}

/// Which group of operations an [`OpCode`] belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OpType {
    /// The application's own messages.
    Regular,
    /// Opening a channel to a peer.
    Hello,
    /// Closing a channel.
    Bye,
    /// Listening.
    Welcome,
}

/// Which part of an operation an [`OpCode`] plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Role {
    /// Expects an answer.
    Request,
    /// Is the answer.
    Response,
    /// Expects none.
    Signal,
}

impl OpCode {
    /// Every op code, in the order of their numbers.
    pub const ALL: [OpCode; 10] = [
        OpCode::Request,
        OpCode::Response,
        OpCode::Signal,
        OpCode::HelloRequest,
        OpCode::HelloResponse,
        OpCode::ByeRequest,
        OpCode::ByeResponse,
        OpCode::ByeSignal,
        OpCode::WelcomeRequest,
        OpCode::WelcomeResponse,
    ];

    /// The op code with this number; none from 10 up.
    #[inline]
    pub const fn from_u8(value: u8) -> Option<OpCode> {
        Some(match value {
            0 => OpCode::Request,
            1 => OpCode::Response,
            2 => OpCode::Signal,
            3 => OpCode::HelloRequest,
            4 => OpCode::HelloResponse,
            5 => OpCode::ByeRequest,
            6 => OpCode::ByeResponse,
            7 => OpCode::ByeSignal,
            8 => OpCode::WelcomeRequest,
            9 => OpCode::WelcomeResponse,
            _ => return None,
        })
    }

    /// The number on the wire, 0 to 9.
    #[inline]
    pub const fn as_u8(self) -> u8 {
        self as u8
    }

    /// The group of operations it belongs to.
    #[inline]
    pub const fn op_type(self) -> OpType {
        match self {
            OpCode::Request | OpCode::Response | OpCode::Signal => OpType::Regular,
            OpCode::HelloRequest | OpCode::HelloResponse => OpType::Hello,
            OpCode::ByeRequest | OpCode::ByeResponse | OpCode::ByeSignal => OpType::Bye,
            OpCode::WelcomeRequest | OpCode::WelcomeResponse => OpType::Welcome,
        }
    }

    /// The part it plays in its operation.
    #[inline]
    pub const fn role(self) -> Role {
        match self {
            OpCode::Request
            | OpCode::HelloRequest
            | OpCode::ByeRequest
            | OpCode::WelcomeRequest => Role::Request,
            OpCode::Response
            | OpCode::HelloResponse
            | OpCode::ByeResponse
            | OpCode::WelcomeResponse => Role::Response,
            OpCode::Signal | OpCode::ByeSignal => Role::Signal,
        }
    }

    /// The op code that answers this one: a request's response, a signal's signal; none for
    /// responses and for [`OpCode::ByeSignal`].
    ///
    /// ```
    /// use tofu_msg::OpCode;
    ///
    /// assert_eq!(OpCode::HelloRequest.reply(), Some(OpCode::HelloResponse));
    /// assert_eq!(OpCode::Response.reply(), None);
    /// ```
    #[inline]
    pub const fn reply(self) -> Option<OpCode> {
        match self {
            OpCode::Request => Some(OpCode::Response),
            OpCode::Signal => Some(OpCode::Signal),
            OpCode::HelloRequest => Some(OpCode::HelloResponse),
            OpCode::ByeRequest => Some(OpCode::ByeResponse),
            OpCode::WelcomeRequest => Some(OpCode::WelcomeResponse),
            OpCode::Response
            | OpCode::HelloResponse
            | OpCode::ByeResponse
            | OpCode::ByeSignal
            | OpCode::WelcomeResponse => None,
        }
    }

    /// The name as in this enum, such as `HelloRequest`.
    pub const fn name(self) -> &'static str {
        match self {
            OpCode::Request => "Request",
            OpCode::Response => "Response",
            OpCode::Signal => "Signal",
            OpCode::HelloRequest => "HelloRequest",
            OpCode::HelloResponse => "HelloResponse",
            OpCode::ByeRequest => "ByeRequest",
            OpCode::ByeResponse => "ByeResponse",
            OpCode::ByeSignal => "ByeSignal",
            OpCode::WelcomeRequest => "WelcomeRequest",
            OpCode::WelcomeResponse => "WelcomeResponse",
        }
    }
}

impl TryFrom<u8> for OpCode {
    type Error = HeaderError;

    /// # Errors
    /// [`HeaderError::InvalidOpCode`] from 10 up.
    #[inline]
    fn try_from(value: u8) -> Result<Self, HeaderError> {
        Self::from_u8(value).ok_or(HeaderError::InvalidOpCode { op_code: value })
    }
}

impl From<OpCode> for u8 {
    #[inline]
    fn from(op_code: OpCode) -> Self {
        op_code.as_u8()
    }
}

impl fmt::Display for OpCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
