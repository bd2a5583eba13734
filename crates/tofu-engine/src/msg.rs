//! `Msg`: the application's owning pointer to a message of the engine's pool.
//!
//! Dropping it gives the message back. Side information (why, who, how it ended) lives here and
//! not in the message, so that it can never travel and never outlives one use.

use std::fmt;
use std::ops::{Deref, DerefMut};

use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin, Status};

use crate::close::{Cause, CloseInfo};
use crate::core::transport::PeerInfo;
use crate::shared::pool::{Pool, Tally};
use crate::sync::Arc;

/// What a pool keeps and a [`Msg`] points to.
#[derive(Debug)]
pub(crate) struct Envelope {
    pub(crate) message: Message,
    /// The pool to return to; `None` for the engine's own notices, which need no pool message.
    pub(crate) home: Option<Arc<Pool>>,
    /// Where the pool counts it as in use.
    pub(crate) tally: Tally,
    /// Forgotten when the message is posted or given back.
    pub(crate) side: Option<Box<Side>>,
}

/// What a message from the engine is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Report {
    /// The listener is bound: a WelcomeResponse with the real address in `~listen_on`.
    ListenerReady,
    /// The listener could not be bound: the WelcomeRequest as a WelcomeResponse with the cause.
    ListenFailed,
    /// The connection was not made, or its HelloRequest did not get out: the HelloRequest as a
    /// HelloResponse with the cause.
    ConnectFailed,
    /// A message that was posted and not sent, or a ByeSignal that has done its work.
    Returned,
    /// The channel's last word; see [`Msg::close_info`].
    ChannelClosed,
    /// Reading pauses for want of pool messages.
    PoolEmpty,
    /// The send queue has room again after a refusal.
    SendQueueReady,
    /// The listener could not accept; it tries again by itself.
    AcceptFailed,
    /// The listener's socket file is gone or has been replaced: nobody can connect any more.
    UdsPathGone,
}

impl Report {
    /// The status of a notice; why it is given stands in its cause.
    pub(crate) fn status(self) -> Status {
        match self {
            Report::PoolEmpty => Status::POOL_EMPTY,
            Report::SendQueueReady => Status::SEND_QUEUE_READY,
            Report::AcceptFailed => Status::ACCEPT_FAILED,
            Report::UdsPathGone => Status::UDS_PATH_GONE,
            _ => Status::CHANNEL_CLOSED,
        }
    }
}

/// What the engine has to say about a message beside the message itself.
#[derive(Debug, Default)]
pub(crate) struct Side {
    report: Option<Report>,
    cause: Option<Cause>,
    peer: Option<PeerInfo>,
    close: Option<CloseInfo>,
}

impl Envelope {
    pub(crate) fn new(message: Message, home: Option<Arc<Pool>>) -> Envelope {
        Envelope {
            message,
            home,
            tally: Tally::Nowhere,
            side: None,
        }
    }

    /// The message, if it is small data without side information: what most messages are that are posted.
    #[inline]
    pub(crate) fn plain(&self, large: usize) -> Option<&Message> {
        let Envelope { message, side, .. } = self;
        let is_data = match message.op_code() {
            OpCode::Request | OpCode::Signal => true,
            OpCode::Response => message.message_id().is_assigned(),
            _ => false,
        };
        (is_data && side.is_none() && message.frame_len() < large).then_some(message)
    }
}

/// An owned message out of an engine's pool.
///
/// It dereferences to [`Message`]; dropping it (or handing it to `put`) returns it to its pool.
/// A message that the engine delivered may carry side information: [`cause`](Msg::cause),
/// [`close_info`](Msg::close_info), [`peer`](Msg::peer). That is dropped when the message is posted
/// or put.
pub struct Msg {
    /// `None` only while the value is being taken apart.
    envelope: Option<Box<Envelope>>,
}

impl Msg {
    #[inline]
    pub(crate) fn from_envelope(envelope: Box<Envelope>) -> Msg {
        Msg {
            envelope: Some(envelope),
        }
    }

    /// What it points to, for whoever sees to its return.
    #[inline]
    pub(crate) fn into_envelope(mut self) -> Box<Envelope> {
        match self.envelope.take() {
            Some(envelope) => envelope,
            None => unreachable!("a Msg is empty only while it is dropped"),
        }
    }

    /// A message outside of every pool, freed when dropped.
    pub(crate) fn detached(message: Message) -> Msg {
        Msg::from_envelope(Box::new(Envelope::new(message, None)))
    }

    /// A Signal of the engine about a channel.
    pub(crate) fn notice(
        report: Report,
        number: ChannelNumber,
        id: MessageId,
        status: Status,
    ) -> Msg {
        let mut message = Message::new(OpCode::Signal);
        message.set_channel_number(number);
        message.set_message_id(id);
        let mut msg = Msg::detached(message);
        msg.mark_reported(report, status, None);
        msg
    }

    /// Turns the message into one from the engine, and says what it is about and why.
    pub(crate) fn mark_reported(&mut self, report: Report, status: Status, cause: Option<Cause>) {
        self.set_status(status);
        self.set_origin(Origin::Engine);
        let side = Side {
            report: Some(report),
            cause,
            ..Side::default()
        };
        self.envelope_mut().side = Some(Box::new(side));
    }

    /// Turns a message that was posted and not sent into what the application gets back.
    pub(crate) fn mark_unsent(&mut self, number: ChannelNumber, cause: &Cause) {
        let report = match self.op_code() {
            OpCode::HelloRequest => Report::ConnectFailed,
            OpCode::WelcomeRequest => Report::ListenFailed,
            _ => Report::Returned,
        };
        if report != Report::Returned {
            self.make_reply();
        }
        self.set_channel_number(number);
        self.mark_reported(report, cause.status(), Some(cause.clone()));
    }

    pub(crate) fn with_cause(mut self, cause: Cause) -> Msg {
        self.side_mut().cause = Some(cause);
        self
    }

    pub(crate) fn with_close_info(mut self, close: CloseInfo) -> Msg {
        self.side_mut().close = Some(close);
        self
    }

    pub(crate) fn with_peer(mut self, peer: PeerInfo) -> Msg {
        self.side_mut().peer = Some(peer);
        self
    }

    /// Forgets the side information.
    #[inline]
    pub(crate) fn drop_side(&mut self) {
        self.envelope_mut().side = None;
    }

    /// What this message is about, if it came from the engine.
    #[must_use]
    #[inline]
    pub fn report(&self) -> Option<Report> {
        self.envelope().side.as_deref()?.report
    }

    /// Why the engine sent this message: set on whatever it returns, refuses or reports.
    #[must_use]
    pub fn cause(&self) -> Option<&Cause> {
        let side = self.envelope().side.as_deref()?;
        side.cause
            .as_ref()
            .or(side.close.as_ref().map(|close| &close.cause))
    }

    /// How the channel ended: set on `channel_closed`.
    #[must_use]
    #[inline]
    pub fn close_info(&self) -> Option<&CloseInfo> {
        self.envelope().side.as_deref()?.close.as_ref()
    }

    /// Who is at the other end: set on a HelloRequest that was received.
    #[must_use]
    pub fn peer(&self) -> Option<&PeerInfo> {
        self.envelope().side.as_deref()?.peer.as_ref()
    }

    #[inline]
    pub(crate) fn envelope_mut(&mut self) -> &mut Envelope {
        match &mut self.envelope {
            Some(envelope) => envelope,
            None => unreachable!("a Msg is empty only while it is dropped"),
        }
    }

    #[inline]
    fn envelope(&self) -> &Envelope {
        match &self.envelope {
            Some(envelope) => envelope,
            None => unreachable!("a Msg is empty only while it is dropped"),
        }
    }

    fn side_mut(&mut self) -> &mut Side {
        self.envelope_mut().side.get_or_insert_default()
    }
}

impl Deref for Msg {
    type Target = Message;

    #[inline]
    fn deref(&self) -> &Message {
        &self.envelope().message
    }
}

impl DerefMut for Msg {
    #[inline]
    fn deref_mut(&mut self) -> &mut Message {
        &mut self.envelope_mut().message
    }
}

impl Drop for Msg {
    #[inline]
    fn drop(&mut self) {
        if let Some(envelope) = self.envelope.take() {
            Pool::put(envelope);
        }
    }
}

impl From<Message> for Msg {
    /// Wraps a message of the application's own making; it belongs to no pool.
    fn from(message: Message) -> Msg {
        Msg::detached(message)
    }
}

impl fmt::Debug for Msg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = f.debug_struct("Msg");
        out.field("message", &self.envelope().message);
        if let Some(side) = &self.envelope().side {
            out.field("side", side);
        }
        out.finish()
    }
}
