//! Two engines, their groups, and exact sequences of messages. No test here waits without a
//! deadline, and none sleeps: that nothing more comes is shown by a turn of the engine and a
//! message of the test's own behind it.

use std::path::Path;
use std::time::Duration;

use tofu::msg::BinaryHeader;
use tofu::prelude::*;
use tofu_testkit::TempUdsPath;

use crate::face::Face;
pub(crate) use crate::seen::{
    Build, Seen, closed, failed, from_peer, notice, ready, returned, update,
};

/// No single wait takes longer, also on a machine that has stopped for a while.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// How late an end with a deadline may be: a second is promised, and another one is the machine's.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);

/// The tests of a module, each on both transports, and once more by futures.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod tcp {
            $(#[test] fn $name() { super::$name(crate::harness::Transport::Tcp); })*
        }
        mod uds {
            $(#[test] fn $name() { super::$name(crate::harness::Transport::Uds); })*
        }
        #[cfg(feature = "async")]
        mod awaited {
            $(#[test] fn $name() {
                crate::face::await_from_now_on();
                super::$name(crate::harness::Transport::Uds);
            })*
        }
    };
}
pub(crate) use on_both;

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
}

/// A listener that is ready.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) endpoint: Endpoint,
    pub(crate) channel: ChannelNumber,
    pub(crate) id: MessageId,
    /// The folder of a socket file.
    pub(crate) path: Option<TempUdsPath>,
}

impl Side {
    pub(crate) fn start(options: Options) -> Side {
        let engine = Reactor::start(options).unwrap();
        let group = engine.create().unwrap();
        Side { engine, group }
    }

    /// A message of the engine's pool with this content.
    pub(crate) fn pooled(&self, message: Message) -> Msg {
        let mut msg = self.engine.message().unwrap();
        *msg = message;
        msg
    }

    /// Posts; returns the message as it now travels: channel and id filled in.
    #[track_caller]
    pub(crate) fn post(&self, message: Message) -> Message {
        let msg = self.pooled(message.clone());
        let header = self.group.post_with_room(msg).unwrap();
        assert_header(&header, &message);
        message.on(header.channel_number).id(header.message_id)
    }

    /// A post that is refused: why. The message must come back as it was.
    #[track_caller]
    pub(crate) fn refused(&self, message: Message) -> Status {
        refused_by(&self.group, self.pooled(message))
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Msg {
        match self.group.receive_within(LIMIT) {
            Ok(Some(msg)) => msg,
            other => panic!("waited for a message, got {other:?}"),
        }
    }

    /// The next messages are exactly these, in this order.
    #[track_caller]
    pub(crate) fn expect(&mut self, expected: &[Seen]) {
        for (index, expected) in expected.iter().enumerate() {
            let msg = self.next();
            let seen = Seen::of(&msg);
            assert!(
                seen == *expected,
                "message {index}:\n expected {expected:?}\n      got {seen:?}\n     with {msg:?}"
            );
        }
    }

    /// The next messages are exactly these, and nothing follows them.
    #[track_caller]
    pub(crate) fn expect_last(&mut self, expected: &[Seen]) {
        self.expect(expected);
        self.expect_nothing();
    }

    /// Nothing is in the inbox, and the engine has nothing more to say.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.turn();
        self.group.update_receiver(None).unwrap();
        let msg = self.next();
        assert_eq!(
            Seen::of(&msg),
            update(Message::new(OpCode::Signal)),
            "instead of nothing: {msg:?}"
        );
    }

    /// The engine's thread goes round: it has taken the first when it looks at the poller, and has said
    /// what there was to say when it takes the third.
    pub(crate) fn turn(&self) {
        for _ in 0..3 {
            let probe = self.engine.create().unwrap();
            assert!(probe.destroy(LIMIT).complete);
        }
    }

    /// Listens at a place of its own, and receives the WelcomeResponse.
    pub(crate) fn listen(&mut self, transport: Transport) -> Listening {
        let (address, path) = place(transport);
        let mut welcome = Message::default();
        address.format(&mut welcome).unwrap();
        let posted = self.post(welcome);
        let ready = self.next();
        assert_eq!(ready.op_code(), OpCode::WelcomeResponse, "{ready:?}");
        assert_eq!(ready.status(), Status::SUCCESS, "{ready:?}");
        Listening {
            endpoint: Address::parse(&ready).unwrap().into_endpoint(),
            channel: posted.channel_number(),
            id: posted.message_id(),
            path,
        }
    }

    /// Posts a HelloRequest, with a header and a body of the application's; as it now travels.
    pub(crate) fn hello(&self, endpoint: &Endpoint) -> Message {
        self.post(hello_to(endpoint))
    }
}

/// A HelloRequest with a header and a body of the application's.
pub(crate) fn hello_to(endpoint: &Endpoint) -> Message {
    let mut hello = Message::default();
    let address = Address::connect_to(endpoint.clone());
    address.format(&mut hello).unwrap();
    hello.with_header("who", "a test").with_body(b"good day")
}

/// A post that the group refuses: why. The message must come back as it was.
#[track_caller]
pub(crate) fn refused_by(group: &ChannelGroup, msg: Msg) -> Status {
    let before = (*msg).clone();
    let peer = msg.peer().cloned();
    match group.post(msg) {
        Ok(header) => panic!("{before:?} was taken as {header:?}"),
        Err(error) => {
            let (kind, after) = error.into_parts();
            assert_eq!(*after, before, "the message was changed by the refusal");
            assert_eq!(after.peer(), peer.as_ref(), "and so was what is beside it");
            kind.status()
        }
    }
}

/// A post's header says what the message was, with channel and id filled in.
#[track_caller]
fn assert_header(header: &BinaryHeader, message: &Message) {
    let mut expected = message.header();
    assert!(header.channel_number.is_assigned() && header.message_id.is_assigned());
    if !expected.channel_number.is_assigned() {
        expected.channel_number = header.channel_number;
    }
    if !expected.message_id.is_assigned() {
        expected.message_id = header.message_id;
    }
    (expected.engine_origin, expected.status) = (header.engine_origin, header.status);
    assert_eq!(*header, expected);
}

/// Where nobody listens yet: a port that the system will choose, or a fresh path.
pub(crate) fn place(transport: Transport) -> (Address, Option<TempUdsPath>) {
    match transport {
        Transport::Tcp => (Address::tcp_server("127.0.0.1", 0), None),
        Transport::Uds => {
            let path = TempUdsPath::new().unwrap();
            (Address::uds_server(&path), Some(path))
        }
    }
}

/// Two engines with a channel between them.
#[derive(Debug)]
pub(crate) struct Pair {
    pub(crate) server: Side,
    pub(crate) client: Side,
    pub(crate) listening: Listening,
    /// The channel, as either side calls it.
    pub(crate) at_server: ChannelNumber,
    pub(crate) at_client: ChannelNumber,
    /// The HelloRequest's.
    pub(crate) id: MessageId,
}

impl Pair {
    /// Connected; the HelloRequest is received and not answered.
    pub(crate) fn greeted(transport: Transport) -> Pair {
        // Where nobody receives at the other end, a shutdown with grace waits this long.
        let options = Options::default().linger_timeout(LIMIT / 40);
        let mut server = Side::start(options.clone());
        let listening = server.listen(transport);
        let client = Side::start(options);
        let hello = client.hello(&listening.endpoint);
        let received = server.next();
        let at_server = received.channel_number();
        assert_eq!(Seen::of(&received), from_peer(hello.clone().on(at_server)));
        Pair {
            server,
            client,
            listening,
            at_server,
            at_client: hello.channel_number(),
            id: hello.message_id(),
        }
    }

    /// Connected, and the HelloRequest answered.
    pub(crate) fn connected(transport: Transport) -> Pair {
        let mut pair = Pair::greeted(transport);
        let response = Message::new(OpCode::HelloResponse).id(pair.id);
        pair.server_says(response);
        pair
    }

    /// The client posts this on the channel, and the server receives it.
    #[track_caller]
    pub(crate) fn client_says(&mut self, message: Message) -> Message {
        let posted = self.client.post(message.on(self.at_client));
        self.server
            .expect(&[from_peer(posted.clone().on(self.at_server))]);
        posted
    }

    /// The server posts this on the channel, and the client receives it.
    #[track_caller]
    pub(crate) fn server_says(&mut self, message: Message) -> Message {
        let posted = self.server.post(message.on(self.at_server));
        self.client
            .expect(&[from_peer(posted.clone().on(self.at_client))]);
        posted
    }

    /// A request and its response go through: the channel is alive.
    #[track_caller]
    pub(crate) fn echo(&mut self) {
        let request = self.client_says(Message::new(OpCode::Request).with_body(b"echo"));
        self.server_says(request.op(OpCode::Response));
    }

    /// The client's last word on the channel.
    pub(crate) fn client_closed(&self, cause: Status, confirmed: bool) -> Seen {
        closed(self.at_client, self.id, cause, confirmed)
    }

    /// The server's last word on the channel.
    pub(crate) fn server_closed(&self, cause: Status, confirmed: bool) -> Seen {
        closed(self.at_server, self.id, cause, confirmed)
    }

    /// Nothing more comes on either side.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        // Whatever was under way between the two has got there after this.
        for side in [&self.client, &self.server, &self.client] {
            side.turn();
        }
        self.client.expect_nothing();
        self.server.expect_nothing();
    }
}

/// Whether a socket file, or anything else, is there.
pub(crate) fn exists(path: impl AsRef<Path>) -> bool {
    path.as_ref().symlink_metadata().is_ok()
}

/// Nobody gets there.
pub(crate) fn anywhere() -> Endpoint {
    Address::tcp_client("127.0.0.1", 1).into_endpoint()
}
