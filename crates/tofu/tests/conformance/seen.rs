//! Messages as the tests build, post and compare them.

use tofu::engine::{Cause, Report};
use tofu::prelude::*;

/// Messages in one expression.
pub(crate) trait Build: Sized {
    fn on(self, channel: ChannelNumber) -> Self;
    fn id(self, id: impl Into<MessageId>) -> Self;
    fn with_status(self, status: Status) -> Self;
    fn with_more(self) -> Self;
    fn with_header(self, name: &str, value: &str) -> Self;
    fn with_body(self, bytes: &[u8]) -> Self;
    fn op(self, op_code: OpCode) -> Self;
}

impl Build for Message {
    fn on(mut self, channel: ChannelNumber) -> Message {
        self.set_channel_number(channel);
        self
    }

    fn id(mut self, id: impl Into<MessageId>) -> Message {
        self.set_message_id(id.into());
        self
    }

    fn with_status(mut self, status: Status) -> Message {
        self.set_status(status);
        self
    }

    fn with_more(mut self) -> Message {
        self.set_more(true);
        self
    }

    fn with_header(mut self, name: &str, value: &str) -> Message {
        self.text_headers_mut().append(name, value).unwrap();
        self
    }

    fn with_body(mut self, bytes: &[u8]) -> Message {
        self.body_mut().append(bytes).unwrap();
        self
    }

    fn op(mut self, op_code: OpCode) -> Message {
        self.set_op_code(op_code);
        self
    }
}

/// A received message with what the engine said beside it: everything that is compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) message: Message,
    about: Option<Report>,
    /// Status of the cause.
    cause: Option<Status>,
    /// Only of a `channel_closed`: its cause, and whether it was confirmed.
    close: Option<(Status, bool)>,
}

impl Seen {
    pub(crate) fn of(msg: &Msg) -> Seen {
        let is_told = msg.cause().is_none_or(|cause| !cause.text().is_empty());
        assert!(is_told, "a cause without a word: {msg:?}");
        Seen {
            message: (**msg).clone(),
            about: msg.report(),
            cause: msg.cause().map(Cause::status),
            close: msg
                .close_info()
                .map(|info| (info.cause.status(), info.confirmed)),
        }
    }
}

/// As it comes from the peer.
pub(crate) fn from_peer(mut message: Message) -> Seen {
    message.set_origin(Origin::Peer);
    Seen {
        message,
        about: None,
        cause: None,
        close: None,
    }
}

/// As it comes from the engine, with `why` in status and cause.
fn from_engine(mut message: Message, about: Report, why: Status) -> Seen {
    message.set_origin(Origin::Engine);
    message.set_status(why);
    Seen {
        message,
        about: Some(about),
        cause: Some(why),
        close: None,
    }
}

/// A WelcomeRequest that succeeded: as its response.
pub(crate) fn ready(welcome: Message) -> Seen {
    let response = welcome.op(OpCode::WelcomeResponse);
    let mut seen = from_engine(response, Report::ListenerReady, Status::SUCCESS);
    seen.cause = None;
    seen
}

/// A message that was posted and comes back.
pub(crate) fn returned(message: Message, why: Status) -> Seen {
    from_engine(message, Report::Returned, why)
}

/// A HelloRequest or WelcomeRequest that failed: as its response.
pub(crate) fn failed(message: Message, why: Status) -> Seen {
    let (response, about) = match message.op_code() {
        OpCode::HelloRequest => (OpCode::HelloResponse, Report::ConnectFailed),
        OpCode::WelcomeRequest => (OpCode::WelcomeResponse, Report::ListenFailed),
        other => panic!("{other} opens nothing"),
    };
    from_engine(message.op(response), about, why)
}

/// A channel's last word.
pub(crate) fn closed(
    channel: ChannelNumber,
    id: MessageId,
    cause: Status,
    confirmed: bool,
) -> Seen {
    let signal = Message::new(OpCode::Signal).on(channel).id(id);
    let mut seen = from_engine(signal, Report::ChannelClosed, Status::CHANNEL_CLOSED);
    seen.cause = Some(cause);
    seen.close = Some((cause, confirmed));
    seen
}

/// A notice of the engine about a channel.
pub(crate) fn notice(channel: ChannelNumber, id: MessageId, status: Status) -> Seen {
    let about = match status {
        Status::POOL_EMPTY => Report::PoolEmpty,
        Status::SEND_QUEUE_READY => Report::SendQueueReady,
        Status::UDS_PATH_GONE => Report::UdsPathGone,
        other => panic!("{other} is no notice"),
    };
    from_engine(
        Message::new(OpCode::Signal).on(channel).id(id),
        about,
        status,
    )
}

/// A message of `update_receiver`.
pub(crate) fn update(mut message: Message) -> Seen {
    message.set_origin(Origin::Local);
    message.set_status(Status::RECEIVER_UPDATE);
    Seen {
        message,
        about: None,
        cause: None,
        close: None,
    }
}
