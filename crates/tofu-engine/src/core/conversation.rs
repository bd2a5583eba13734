//! The state machine of a channel's conversation: what a peer may say when, and what follows.
//!
//! Pure: headers and events in, verdicts out. The one place that knows the ingress table. It never
//! looks at statuses, ids or bodies, which are the application's business.
//!
//! ```text
//!  initiator                              acceptor
//!  Connecting --HelloRequest sent--+      Greeting --HelloRequest came--+
//!                                  v                                    v
//!                                  +----------------> Open <------------+
//!                                own ByeRequest |      | the peer's ByeRequest
//!                                          sent v      v came
//!                                         ByeSent      ByeReceived --own ByeResponse sent--> Draining
//!                  the peer's ByeRequest came |          | own ByeRequest sent
//!                                             +-> ByeCrossed
//!  ByeSent, ByeCrossed --the peer's ByeResponse came--> closed, confirmed
//!  (ByeCrossed: once the own ByeResponse is sent as well)
//!  Draining --end of stream or linger--> closed
//!  any --ByeSignal, error, deadline, violation--> closed
//! ```

use tofu_msg::{BinaryHeader, HeaderError, OpCode, OpType, RawHeader};

use crate::shared::outbox::Role;

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum State {
    /// The connection is being made, or its HelloRequest is not wholly sent.
    Connecting,
    /// Accepted; the HelloRequest has not come.
    Greeting,
    Open,
    /// Our ByeRequest is sent.
    ByeSent,
    /// The peer's ByeRequest has been delivered.
    ByeReceived,
    /// Both.
    ByeCrossed,
    /// Our ByeResponse is sent: nothing more is said, the tail is being read away.
    Draining,
}

/// The part of a frame's header by which it is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Flags {
    pub(crate) op_code: OpCode,
    pub(crate) engine_origin: bool,
    pub(crate) more: bool,
}

impl Flags {
    /// Read out of a header as it came.
    #[inline]
    pub(crate) fn read(raw: RawHeader) -> Result<Flags, HeaderError> {
        let flags = raw.flags();
        Ok(Flags {
            op_code: OpCode::try_from(flags & RawHeader::OP_CODE_MASK)?,
            engine_origin: flags & RawHeader::ENGINE_ORIGIN_BIT != 0,
            more: flags & RawHeader::MORE_BIT != 0,
        })
    }
}

impl From<&BinaryHeader> for Flags {
    fn from(header: &BinaryHeader) -> Flags {
        Flags {
            op_code: header.op_code,
            engine_origin: header.engine_origin,
            more: header.more,
        }
    }
}

/// What a frame from the peer means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Deliver it.
    Deliver,
    /// Deliver it: it is the HelloRequest that opens the channel.
    DeliverAndOpen,
    /// Deliver it: the peer's ByeRequest.
    DeliverBye,
    /// Deliver it: the peer's ByeResponse to our ByeRequest.
    DeliverConfirmed,
    /// Deliver it, then close as if the peer had closed.
    DeliverAndClose,
    /// Do not deliver it; close as if the peer had closed.
    Close,
    /// A protocol violation: what was wrong.
    Violation(&'static str),
}

/// What having sent a frame wholly means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sent {
    /// Nothing in particular.
    Nothing,
    /// The HelloRequest is out: the channel is open.
    Hello,
    /// Our ByeRequest is out: the bye timeout begins.
    Bye,
    /// Our ByeResponse is out and nothing more is awaited: drain and close.
    Drain,
    /// Our ByeResponse is out and the peer's has come before: close, confirmed.
    Confirmed,
}

/// One conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Conversation {
    role: Role,
    state: State,
    /// An initiator has had its HelloResponse.
    hello_answered: bool,
    /// In `ByeCrossed`: the peer's ByeResponse has come.
    confirmed: bool,
    /// In `ByeCrossed` or on the way there: our ByeResponse is sent.
    response_sent: bool,
}

impl Conversation {
    pub(crate) fn initiator() -> Conversation {
        Conversation::new(Role::Initiator, State::Connecting)
    }

    pub(crate) fn acceptor() -> Conversation {
        Conversation::new(Role::Acceptor, State::Greeting)
    }

    fn new(role: Role, state: State) -> Conversation {
        Conversation {
            role,
            state,
            hello_answered: false,
            confirmed: false,
            response_sent: false,
        }
    }

    pub(crate) fn state(&self) -> State {
        self.state
    }

    /// The peer's ByeResponse to our ByeRequest has come.
    pub(crate) fn is_confirmed(&self) -> bool {
        self.confirmed
    }

    /// The ingress table: judges a frame by what its header's flags say, changing nothing.
    #[inline]
    pub(crate) fn judge(&self, flags: Flags) -> Verdict {
        let op_code = flags.op_code;
        if flags.engine_origin {
            return Verdict::Violation("the origin bit is set: only an engine speaks so, locally");
        }
        if flags.more && op_code.op_type() != OpType::Regular {
            return Verdict::Violation("`more` on something else than Request, Response or Signal");
        }
        if self.state == State::Greeting {
            return match op_code {
                OpCode::HelloRequest => Verdict::DeliverAndOpen,
                _ => Verdict::Violation("the first frame of a connection must be a HelloRequest"),
            };
        }
        match op_code {
            OpCode::Request | OpCode::Response | OpCode::Signal => match self.peer_said_bye() {
                false => Verdict::Deliver,
                true => Verdict::Violation("data behind a ByeRequest"),
            },
            OpCode::HelloRequest => Verdict::Violation("a HelloRequest on an open channel"),
            OpCode::HelloResponse => self.judge_hello_response(),
            OpCode::ByeRequest => match self.peer_said_bye() {
                false => Verdict::DeliverBye,
                true => Verdict::Violation("a second ByeRequest"),
            },
            OpCode::ByeResponse => match self.state {
                State::ByeSent | State::ByeCrossed if !self.confirmed => Verdict::DeliverConfirmed,
                State::ByeCrossed => Verdict::Violation("a second ByeResponse"),
                _ => Verdict::DeliverAndClose,
            },
            OpCode::ByeSignal => Verdict::Close,
            OpCode::WelcomeRequest | OpCode::WelcomeResponse => {
                Verdict::Violation("a Welcome message: listening is a local matter")
            }
        }
    }

    fn judge_hello_response(&self) -> Verdict {
        if self.role == Role::Acceptor {
            Verdict::Violation("a HelloResponse from the side that said Hello")
        } else if self.hello_answered {
            Verdict::Violation("a second HelloResponse")
        } else if self.peer_said_bye() {
            Verdict::Violation("a HelloResponse behind a ByeRequest")
        } else {
            Verdict::Deliver
        }
    }

    /// Whether data from the peer is delivered, whatever it is.
    #[inline]
    pub(crate) fn takes_data(&self) -> bool {
        self.state != State::Greeting && !self.peer_said_bye()
    }

    /// The peer's ByeRequest was delivered: it may say nothing more but a Bye.
    fn peer_said_bye(&self) -> bool {
        matches!(
            self.state,
            State::ByeReceived | State::ByeCrossed | State::Draining
        )
    }

    /// A frame that was judged is being delivered.
    pub(crate) fn delivered(&mut self, op_code: OpCode) {
        match op_code {
            OpCode::HelloRequest => self.state = State::Open,
            OpCode::HelloResponse => self.hello_answered = true,
            OpCode::ByeRequest => {
                self.state = match self.state {
                    State::ByeSent => State::ByeCrossed,
                    _ => State::ByeReceived,
                }
            }
            OpCode::ByeResponse => {
                self.confirmed = matches!(self.state, State::ByeSent | State::ByeCrossed);
            }
            _ => {}
        }
    }

    /// Whether a confirmed channel has nothing left to say: in a crossing, its own ByeResponse
    /// still has to reach the peer.
    pub(crate) fn is_finished(&self) -> bool {
        self.confirmed && (self.state == State::ByeSent || self.response_sent)
    }

    /// A frame of ours is wholly in the kernel.
    pub(crate) fn sent(&mut self, op_code: OpCode) -> Sent {
        match op_code {
            OpCode::HelloRequest => {
                if self.state == State::Connecting {
                    self.state = State::Open;
                }
                Sent::Hello
            }
            OpCode::ByeRequest => {
                self.state = match self.state {
                    State::ByeReceived => State::ByeCrossed,
                    _ => State::ByeSent,
                };
                Sent::Bye
            }
            OpCode::ByeResponse => self.sent_bye_response(),
            _ => Sent::Nothing,
        }
    }

    fn sent_bye_response(&mut self) -> Sent {
        self.response_sent = true;
        if self.state != State::ByeCrossed {
            self.state = State::Draining;
            Sent::Drain
        } else if self.confirmed {
            Sent::Confirmed
        } else {
            Sent::Nothing
        }
    }
}

/// Whether [`sent`](Conversation::sent) is to hear of such a frame by itself.
#[inline]
pub(crate) fn moves_when_sent(op_code: OpCode) -> bool {
    matches!(
        op_code,
        OpCode::HelloRequest | OpCode::ByeRequest | OpCode::ByeResponse
    )
}

#[cfg(test)]
mod tests;
