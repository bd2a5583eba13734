//! An engine at one end and a raw socket at the other: a peer that says what no engine would say,
//! reads when it likes and leaves as it likes.

use std::time::Duration;

use socket2::{Domain, Socket, Type};
use tofu::prelude::*;
use tofu_testkit::{End, RawListener, RawPeer, TempUdsPath, wait_until};

use crate::face::Face;
use crate::harness::{Build, LIMIT, Listening, Seen, Side, Transport, closed, from_peer, returned};

/// A channel between an engine and a raw peer.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) channel: ChannelNumber,
    /// The HelloRequest's.
    pub(crate) id: MessageId,
    pub(crate) raw: RawPeer,
}

/// A raw listener at a place of its own.
#[derive(Debug)]
pub(crate) struct RawPlace {
    pub(crate) listener: RawListener,
    pub(crate) path: Option<TempUdsPath>,
}

impl RawPlace {
    pub(crate) fn new(transport: Transport) -> RawPlace {
        match transport {
            Transport::Tcp => RawPlace {
                listener: RawListener::bind_tcp().unwrap(),
                path: None,
            },
            Transport::Uds => {
                let path = TempUdsPath::new().unwrap();
                RawPlace {
                    listener: RawListener::bind_uds(&path).unwrap(),
                    path: Some(path),
                }
            }
        }
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.listener.endpoint()
    }
}

/// A listener that lets nobody in until `unblock`: its backlog is full.
#[derive(Debug)]
pub(crate) struct Blocked {
    pub(crate) place: RawPlace,
    filler: RawPeer,
}

impl Blocked {
    pub(crate) fn new(transport: Transport) -> Blocked {
        let place = RawPlace::new(transport);
        place.listener.set_backlog(0).unwrap();
        let filler = RawPeer::connect(place.endpoint()).unwrap();
        Blocked { place, filler }
    }

    /// Lets connections in.
    pub(crate) fn unblock(self) -> RawPlace {
        drop(self.filler);
        drop(self.place.listener.accept(LIMIT).unwrap());
        self.place
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
        assert_eq!(hello.message_id().value(), 1);
        Line {
            channel: hello.channel_number(),
            id: hello.message_id(),
            raw,
        }
    }

    /// The engine connects to a raw listener, and the raw peer has the HelloRequest.
    #[track_caller]
    pub(crate) fn dialed(side: &Side, place: &RawPlace) -> Line {
        let hello = side.hello(place.endpoint());
        let mut raw = place.listener.accept(LIMIT).unwrap();
        let received = raw.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(received, as_on_the_wire(hello.clone()));
        Line {
            channel: hello.channel_number(),
            id: hello.message_id(),
            raw,
        }
    }

    /// The raw peer sends this, and the application receives it.
    #[track_caller]
    pub(crate) fn peer_says(&self, side: &mut Side, message: Message) {
        self.raw.send_frame(&message).unwrap();
        side.expect(&[from_peer(message.on(self.channel))]);
    }

    /// The application posts this, and the raw peer receives it.
    #[track_caller]
    pub(crate) fn says(&mut self, side: &Side, message: Message) -> Message {
        let posted = side.post(message.on(self.channel));
        let received = self.raw.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(received, as_on_the_wire(posted.clone()));
        posted
    }

    /// This channel's last word.
    pub(crate) fn closed(&self, cause: Status, confirmed: bool) -> Seen {
        closed(self.channel, self.id, cause, confirmed)
    }

    /// The engine has ended its direction in order and has sent nothing more.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.raw.receive_all(LIMIT), (Vec::new(), End::Eof));
    }
}

/// As a raw peer receives it.
pub(crate) fn as_on_the_wire(mut message: Message) -> Message {
    message.set_origin(Origin::Peer);
    message.set_status(Status::SUCCESS);
    message
}

/// The bytes of a frame.
pub(crate) fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);
    bytes
}

/// A TCP listener whose connections take little: small segments and a small receive buffer, so
/// that a large frame does not fit into the kernel.
pub(crate) fn narrow_listener() -> (Socket, Endpoint) {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.set_tcp_mss(536).unwrap();
    socket.set_recv_buffer_size(2048).unwrap();
    socket
        .bind(
            &"127.0.0.1:0"
                .parse::<std::net::SocketAddr>()
                .unwrap()
                .into(),
        )
        .unwrap();
    socket.listen(16).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    let endpoint = Endpoint::Tcp {
        host: "127.0.0.1".to_owned(),
        port: address.port(),
    };
    (socket, endpoint)
}

/// Options with short timeouts for what a test waits out.
pub(crate) fn hasty() -> Options {
    let short = Duration::from_millis(200);
    Options::default()
        .connect_timeout(short)
        .handshake_timeout(short)
        .frame_timeout(short)
        .bye_timeout(short)
}

/// A place whose connections soon have enough of what nobody reads.
pub(crate) fn narrow_place(transport: Transport) -> RawPlace {
    let place = RawPlace::new(transport);
    place.listener.set_receive_buffer(4096).unwrap();
    place
}

/// Posts until the kernel takes no more and the send queue is full; what was posted.
pub(crate) fn fill_the_kernel(side: &mut Side, channel: ChannelNumber) -> Vec<Message> {
    let mut posted = Vec::new();
    loop {
        let before = posted.len();
        loop {
            let message = Message::new(OpCode::Signal).on(channel);
            let message = message
                .id(1000 + posted.len() as u64)
                .with_body(&[3; 20_000]);
            match side.group.post(side.pooled(message.clone())) {
                Ok(_) => posted.push(message),
                Err(refused) => {
                    assert_eq!(refused.status(), Status::QUEUE_FULL);
                    break;
                }
            }
        }
        // Whatever the kernel would take, it has taken after this.
        side.turn();
        while let Some(msg) = side.group.receive_within(Duration::ZERO).unwrap() {
            assert_eq!(msg.status(), Status::SEND_QUEUE_READY, "{msg:?}");
        }
        if posted.len() == before {
            return posted;
        }
    }
}

impl Side {
    /// The next messages are the last of `posted`, in order, and come back for this reason; how
    /// many. The one behind them is left.
    #[track_caller]
    pub(crate) fn expect_unsent(&mut self, posted: &[Message], why: Status) -> usize {
        let first = self.next();
        let id = first.message_id();
        let start = posted.iter().position(|message| message.message_id() == id);
        let start = start.unwrap_or_else(|| panic!("{first:?} was not posted"));
        assert_eq!(Seen::of(&first), returned(posted[start].clone(), why));
        for message in &posted[start + 1..] {
            self.expect(&[returned(message.clone(), why)]);
        }
        posted.len() - start
    }
}

/// A line that is full, and a message for it.
pub(crate) fn full_line(transport: Transport) -> (Side, Line, Vec<Message>) {
    let mut side = Side::start(Options::default().send_queue_messages(4));
    let line = Line::dialed(&side, &narrow_place(transport));
    let posted = fill_the_kernel(&mut side, line.channel);
    (side, line, posted)
}

/// Waits until this post is refused for another reason than a full queue.
#[track_caller]
pub(crate) fn refused_at_last(poster: &Poster, message: &Message) -> PostErrorKind {
    let mut kind = PostErrorKind::QueueFull;
    wait_until(LIMIT, "the end to begin", || {
        let refused = poster.post(Msg::from(message.clone())).unwrap_err();
        kind = refused.kind();
        assert_eq!(**refused.message(), *message);
        kind != PostErrorKind::QueueFull
    });
    kind
}

/// The peer reads, and has all that was posted before the end began.
#[track_caller]
pub(crate) fn assert_all_sent(line: &mut Line, posted: Vec<Message>) {
    let (received, end) = line.raw.receive_all(LIMIT);
    let sent: Vec<_> = posted.into_iter().map(as_on_the_wire).collect();
    assert!(received == sent, "{} of {}", received.len(), sent.len());
    assert_eq!(end, End::Eof);
}
