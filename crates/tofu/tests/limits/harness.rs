//! An engine with one group, and what it is to say next. Every wait has a deadline; that nothing
//! more comes is shown by turns of the engine and a message of the test's own behind it.

use std::time::{Duration, Instant};

use tofu::chnls::{ChannelInfo, CloseInfo, Stats};
use tofu::prelude::*;
use tofu_testkit::{TempUdsPath, wait_until};

/// No single wait takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A timeout that a test waits out.
pub(crate) const SHORT: Duration = Duration::from_millis(250);

/// How much later than its timeout something may happen on a machine with other things to do.
const SLACK: Duration = Duration::from_secs(3);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Uds,
}

/// An engine with one group.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) engine: Reactor,
    pub(crate) group: ChannelGroup,
    /// The folders of the socket files that are listened on.
    paths: Vec<TempUdsPath>,
}

/// A listener that is ready.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) endpoint: Endpoint,
    pub(crate) channel: ChannelNumber,
}

impl Side {
    pub(crate) fn start(options: Options) -> Side {
        let engine = Reactor::start(options).unwrap();
        let group = engine.create().unwrap();
        Side {
            engine,
            group,
            paths: Vec::new(),
        }
    }

    /// Another group of the same engine.
    pub(crate) fn beside(&self) -> Side {
        Side {
            engine: self.engine.clone(),
            group: self.engine.create().unwrap(),
            paths: Vec::new(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// This channel of the group, if it is there.
    pub(crate) fn info(&self, channel: ChannelNumber) -> Option<ChannelInfo> {
        let mut channels = self.group.channels().into_iter();
        channels.find(|info| info.number == channel)
    }

    /// A message of the engine's pool with this content.
    pub(crate) fn pooled(&self, message: Message) -> Msg {
        let mut msg = self.engine.message().unwrap();
        *msg = message;
        msg
    }

    /// Posts; the message as it now travels, with channel and id filled in.
    #[track_caller]
    pub(crate) fn post(&self, message: Message) -> Message {
        let header = self.group.post(self.pooled(message.clone())).unwrap();
        message.on(header.channel_number).id(header.message_id)
    }

    /// A post that is refused: why. The message must come back as it was.
    #[track_caller]
    pub(crate) fn refused(&self, message: &Message) -> PostErrorKind {
        let error = self.group.post(self.pooled(message.clone())).unwrap_err();
        let (kind, back) = error.into_parts();
        assert_eq!(*back, *message, "changed by the refusal");
        kind
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Msg {
        match self.group.wait_receive(LIMIT) {
            Ok(Some(msg)) => msg,
            other => panic!("waited for a message, got {other:?}"),
        }
    }

    /// The next message is this one of the peer's.
    #[track_caller]
    pub(crate) fn expect_peer(&mut self, channel: ChannelNumber, message: &Message) -> Msg {
        let msg = self.next();
        let mut expected = message.clone().on(channel);
        expected.set_origin(Origin::Peer);
        assert_eq!(*msg, expected, "{msg:?}");
        msg
    }

    /// The next message is the engine's, about this channel.
    #[track_caller]
    pub(crate) fn expect_engine(&mut self, channel: ChannelNumber) -> (Notice, Msg) {
        let msg = self.next();
        assert_eq!(msg.channel_number(), channel, "{msg:?}");
        match Incoming::from(msg) {
            Incoming::Engine(notice, msg) => (notice, msg),
            other => panic!("expected the engine's word, got {other:?}"),
        }
    }

    /// The next message is this notice of the engine.
    #[track_caller]
    pub(crate) fn expect_notice(&mut self, channel: ChannelNumber, expected: &Notice) -> Msg {
        let (notice, msg) = self.expect_engine(channel);
        assert_eq!(notice, *expected, "{msg:?}");
        msg
    }

    /// The next message is one that was posted, as it was posted, and `why` it was not sent.
    #[track_caller]
    pub(crate) fn expect_back(&mut self, posted: &Message, why: Status) {
        let (notice, msg) = self.expect_engine(posted.channel_number());
        assert_eq!(msg.cause().map(tofu::engine::Cause::status), Some(why));
        let mut expected = posted.clone();
        let failed = posted.op_code() == OpCode::HelloRequest;
        if failed {
            expected.make_reply();
        }
        expected.set_origin(Origin::Engine);
        expected.set_status(why);
        assert_eq!(*msg, expected, "{msg:?}");
        let about = match failed {
            true => Notice::ConnectFailed,
            false => Notice::Returned,
        };
        assert_eq!(notice, about);
    }

    /// The next message is the channel's last word, and this is why it has ended.
    #[track_caller]
    pub(crate) fn expect_closed(&mut self, channel: ChannelNumber, why: Status) -> CloseInfo {
        let (notice, msg) = self.expect_engine(channel);
        let Notice::ChannelClosed(info) = notice else {
            panic!("expected the last word on {channel}, got {msg:?}");
        };
        assert_eq!(info.cause.status(), why, "{info:?}");
        assert_eq!(msg.status(), Status::CHANNEL_CLOSED);
        info
    }

    /// Nothing is in the inbox, and the engine has nothing more to say.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.turn();
        self.group.update_receiver(None).unwrap();
        let msg = self.next();
        assert_eq!(msg.origin(), Origin::Local, "instead of nothing: {msg:?}");
    }

    /// The engine's thread goes round: who had connected is accepted and read, and what there is
    /// to say of it is in the inboxes.
    pub(crate) fn turn(&self) {
        for _ in 0..3 {
            let probe = self.engine.create().unwrap();
            assert!(probe.destroy(Duration::ZERO).complete);
        }
    }

    /// Listens at a place of its own, and receives the WelcomeResponse.
    pub(crate) fn listen(&mut self, transport: Transport) -> Listening {
        let address = match transport {
            Transport::Tcp => Address::tcp_server("127.0.0.1", 0),
            Transport::Uds => {
                let path = TempUdsPath::new().unwrap();
                let address = Address::uds_server(&path);
                self.paths.push(path);
                address
            }
        };
        let (channel, endpoint) = self.listen_on(&address);
        Listening { endpoint, channel }
    }

    /// Nothing of this channel waits to be sent any more.
    pub(crate) fn wait_sent(&self, channel: ChannelNumber) {
        wait_until(LIMIT, "all to be sent", || {
            self.info(channel)
                .is_none_or(|info| info.queued_messages == 0)
        });
    }

    /// Lets time pass in which something must not happen, or does.
    pub(crate) fn pass(&self, time: Duration) {
        std::thread::sleep(time);
        self.turn();
    }

    /// Listens on an address; the channel and the real address.
    pub(crate) fn listen_on(&mut self, address: &Address) -> (ChannelNumber, Endpoint) {
        let posted = self.post(formatted(address));
        let ready = self.expect_notice(posted.channel_number(), &Notice::ListenerReady);
        let endpoint = Address::parse(&ready).unwrap().into_endpoint();
        (posted.channel_number(), endpoint)
    }

    /// Posts a HelloRequest; as it now travels.
    #[track_caller]
    pub(crate) fn hello(&self, endpoint: &Endpoint) -> Message {
        self.post(hello_to(endpoint))
    }
}

fn formatted(address: &Address) -> Message {
    let mut message = Message::default();
    address.format(&mut message).unwrap();
    message
}

/// A HelloRequest with a body of the application's.
pub(crate) fn hello_to(endpoint: &Endpoint) -> Message {
    formatted(&Address::connect_to(endpoint.clone())).with_body(b"good day")
}

/// Messages in one expression.
pub(crate) trait Build: Sized {
    fn on(self, channel: ChannelNumber) -> Self;
    fn id(self, id: impl Into<MessageId>) -> Self;
    fn with_body(self, bytes: &[u8]) -> Self;
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

    fn with_body(mut self, bytes: &[u8]) -> Message {
        self.body_mut().append(bytes).unwrap();
        self
    }
}

/// A Request with a body of so many bytes.
pub(crate) fn request(id: u64, len: usize) -> Message {
    let byte = id.to_be_bytes()[7];
    Message::new(OpCode::Request)
        .id(id)
        .with_body(&vec![byte; len])
}

/// The bytes of a frame.
pub(crate) fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);
    bytes
}

/// The bytes of requests with these ids.
pub(crate) fn requests(ids: impl IntoIterator<Item = u64>, len: usize) -> Vec<u8> {
    ids.into_iter()
        .flat_map(|id| frame(&request(id, len)))
        .collect()
}

/// What began then has taken its timeout, and not much longer.
#[track_caller]
pub(crate) fn assert_waited(since: Instant, timeout: Duration) {
    let elapsed = since.elapsed();
    assert!(elapsed >= timeout, "after {elapsed:?} of {timeout:?}");
    assert!(elapsed < timeout + SLACK, "after {elapsed:?}");
}
