//! An engine with one group and raw peers at the other ends, over real sockets. Every wait has a
//! deadline; that nothing more comes is shown by turns of the engine and a message of the test's
//! own behind it.

use std::time::Duration;

use tofu::chnls::Stats;
use tofu::prelude::*;
use tofu_testkit::{RawListener, RawPeer, TempUdsPath};

/// No single wait takes longer.
pub(crate) const LIMIT: Duration = Duration::from_secs(5);

/// The tests of a module, each on both transports.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod tcp {
            $(#[test] fn $name() { super::$name(crate::harness::Transport::Tcp); })*
        }
        mod uds {
            $(#[test] fn $name() { super::$name(crate::harness::Transport::Uds); })*
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

/// A listener of an engine that is ready.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) endpoint: Endpoint,
    /// The folder of a socket file.
    _path: Option<TempUdsPath>,
}

/// A channel between an engine and a raw peer.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) channel: ChannelNumber,
    pub(crate) raw: RawPeer,
}

impl Side {
    pub(crate) fn start(options: Options) -> Side {
        let engine = Reactor::start(options).unwrap();
        let group = engine.create().unwrap();
        Side { engine, group }
    }

    /// Another group of the same engine.
    pub(crate) fn beside(&self) -> Side {
        Side {
            engine: self.engine.clone(),
            group: self.engine.create().unwrap(),
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Posts a message of the engine's pool with this content; as it now travels.
    #[track_caller]
    pub(crate) fn post(&self, message: Message) -> Message {
        let mut msg = self.engine.message().unwrap();
        *msg = message.clone();
        let header = self.group.post(msg).unwrap();
        message.on(header.channel_number).id(header.message_id)
    }

    #[track_caller]
    pub(crate) fn next(&mut self) -> Msg {
        match self.group.wait_receive(LIMIT) {
            Ok(Some(msg)) => msg,
            other => panic!("waited for a message, got {other:?}"),
        }
    }

    /// The next message of a peer; notices that the pool is empty may come before it.
    #[track_caller]
    pub(crate) fn next_of_peer(&mut self) -> Msg {
        loop {
            let msg = self.next();
            if msg.origin() == Origin::Peer {
                return msg;
            }
            assert_eq!(msg.status(), Status::POOL_EMPTY, "{msg:?}");
        }
    }

    /// Nothing is in the inbox, and the engine has nothing more to say.
    #[track_caller]
    pub(crate) fn expect_nothing(&mut self) {
        self.turn();
        self.group.update_receiver(None).unwrap();
        let msg = self.next();
        assert_eq!(msg.origin(), Origin::Local, "instead of nothing: {msg:?}");
    }

    /// The engine's thread goes round several times: what had reached it is accepted, read and
    /// delivered.
    pub(crate) fn turn(&self) {
        for _ in 0..4 {
            let probe = self.engine.create().unwrap();
            assert!(probe.destroy(Duration::ZERO).complete);
        }
    }

    /// Listens at a place of its own.
    #[track_caller]
    pub(crate) fn listen(&mut self, transport: Transport) -> Listening {
        let (address, path) = match transport {
            Transport::Tcp => (Address::tcp_server("127.0.0.1", 0), None),
            Transport::Uds => {
                let path = TempUdsPath::new().unwrap();
                (Address::uds_server(&path), Some(path))
            }
        };
        let mut welcome = Message::default();
        address.format(&mut welcome).unwrap();
        self.post(welcome);
        let ready = self.next();
        assert_eq!(ready.op_code(), OpCode::WelcomeResponse, "{ready:?}");
        assert_eq!(ready.status(), Status::SUCCESS, "{ready:?}");
        Listening {
            endpoint: Address::parse(&ready).unwrap().into_endpoint(),
            _path: path,
        }
    }
}

impl Line {
    /// A raw peer says Hello to the engine's listener, and the application receives that.
    #[track_caller]
    pub(crate) fn accepted(side: &mut Side, listening: &Listening) -> Line {
        let raw = RawPeer::connect(&listening.endpoint).unwrap();
        raw.hello(&listening.endpoint).unwrap();
        let hello = side.next();
        assert_eq!(hello.op_code(), OpCode::HelloRequest, "{hello:?}");
        Line {
            channel: hello.channel_number(),
            raw,
        }
    }

    /// The peer asks, and the application, which receives that, answers.
    #[track_caller]
    pub(crate) fn echo(&mut self, side: &mut Side) {
        self.raw.send_frame(&request(77, 7)).unwrap();
        let mut msg = side.next();
        assert_eq!(msg.channel_number(), self.channel, "{msg:?}");
        msg.make_reply().unwrap();
        side.group.post(msg).unwrap();
        let answer = self.raw.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(answer.op_code(), OpCode::Response);
        assert_eq!(answer.body().as_bytes(), [b'x'; 7]);
    }
}

/// A raw listener at a place of its own.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) listener: RawListener,
    _path: Option<TempUdsPath>,
}

impl Place {
    pub(crate) fn new(transport: Transport) -> Place {
        let (listener, path) = match transport {
            Transport::Tcp => (RawListener::bind_tcp(), None),
            Transport::Uds => {
                let path = TempUdsPath::new().unwrap();
                (RawListener::bind_uds(&path), Some(path))
            }
        };
        Place {
            listener: listener.unwrap(),
            _path: path,
        }
    }
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
    let body = vec![b'x'; len];
    Message::new(OpCode::Request).id(id).with_body(&body)
}

/// A HelloRequest with a body of so many bytes.
pub(crate) fn hello_to(endpoint: &Endpoint, len: usize) -> Message {
    let mut hello = Message::default();
    let address = Address::connect_to(endpoint.clone());
    address.format(&mut hello).unwrap();
    hello.id(1).with_body(&vec![b'h'; len])
}

/// The bytes of a frame.
pub(crate) fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);
    bytes
}

/// The bytes of requests with these ids.
pub(crate) fn requests(ids: impl IntoIterator<Item = u64>, len: usize) -> Vec<u8> {
    let frames = ids.into_iter().map(|id| frame(&request(id, len)));
    frames.flatten().collect()
}
