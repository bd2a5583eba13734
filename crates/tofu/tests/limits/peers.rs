//! An engine at one end of a channel and a raw socket at the other: a peer that is silent, slow,
//! stuck or in a hurry.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use socket2::{Domain, SockAddr, Socket, Type};
use tofu::prelude::*;
use tofu_testkit::{End, RawPeer, TempUdsPath};

use crate::harness::{Build, LIMIT, Listening, Side, Transport, request};

/// What the kernel would take of what there is, it has taken after this: longer than a peer's
/// kernel puts off to acknowledge.
const SETTLED: Duration = Duration::from_millis(60);

/// A channel between an engine and a raw peer.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) channel: ChannelNumber,
    pub(crate) raw: RawPeer,
}

/// A listening socket at a place of its own.
#[derive(Debug)]
pub(crate) struct Place {
    socket: Socket,
    endpoint: Endpoint,
    _path: Option<TempUdsPath>,
}

impl Place {
    pub(crate) fn new(transport: Transport) -> Place {
        match transport {
            Transport::Tcp => Place::tcp(&Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()),
            Transport::Uds => Place::uds(),
        }
    }

    /// Its connections soon have enough of what nobody reads: a TCP engine's end, too, that knows
    /// of small segments only keeps a small buffer.
    pub(crate) fn narrow(transport: Transport) -> Place {
        match transport {
            Transport::Tcp => {
                let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
                socket.set_tcp_mss(4000).unwrap();
                socket.set_recv_buffer_size(4096).unwrap();
                Place::tcp(&socket)
            }
            Transport::Uds => Place::uds(),
        }
    }

    fn tcp(socket: &Socket) -> Place {
        let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        socket.bind(&any.into()).unwrap();
        let port = socket.local_addr().unwrap().as_socket().unwrap().port();
        let endpoint = Address::tcp_client("127.0.0.1", port).into_endpoint();
        Place::listen(socket, endpoint, None)
    }

    fn uds() -> Place {
        let path = TempUdsPath::new().unwrap();
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&SockAddr::unix(&path).unwrap()).unwrap();
        let endpoint = Address::uds_client(&path).into_endpoint();
        Place::listen(&socket, endpoint, Some(path))
    }

    fn listen(socket: &Socket, endpoint: Endpoint, path: Option<TempUdsPath>) -> Place {
        socket.listen(128).unwrap();
        // This is how long accepting may take.
        socket.set_read_timeout(Some(LIMIT)).unwrap();
        Place {
            socket: socket.try_clone().unwrap(),
            endpoint,
            _path: path,
        }
    }

    /// One connection fills the backlog from now on, until it is accepted: this one.
    pub(crate) fn fill_backlog(&self) -> RawPeer {
        self.socket.listen(0).unwrap();
        RawPeer::connect(&self.endpoint).unwrap()
    }

    pub(crate) fn accept(&self) -> RawPeer {
        RawPeer::try_from(self.socket.accept().unwrap().0).unwrap()
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }
}

impl Line {
    /// A raw peer says Hello to the engine's listener, and the application receives that.
    #[track_caller]
    pub(crate) fn accepted(side: &mut Side, listening: &Listening) -> Line {
        let raw = RawPeer::connect(&listening.endpoint).unwrap();
        Line::greeted(side, &listening.endpoint, raw)
    }

    /// A raw peer that has connected says Hello, and the application receives that.
    #[track_caller]
    pub(crate) fn greeted(side: &mut Side, endpoint: &Endpoint, raw: RawPeer) -> Line {
        raw.hello(endpoint).unwrap();
        Line::welcomed(side, raw)
    }

    /// The application receives the HelloRequest of a raw peer.
    #[track_caller]
    pub(crate) fn welcomed(side: &mut Side, raw: RawPeer) -> Line {
        let hello = side.next();
        assert_eq!(hello.op_code(), OpCode::HelloRequest, "{hello:?}");
        assert_eq!(hello.origin(), Origin::Peer);
        Line {
            channel: hello.channel_number(),
            raw,
        }
    }

    /// The engine connects to a raw listener, and the raw peer has the HelloRequest.
    #[track_caller]
    pub(crate) fn dialed(side: &Side, place: &Place) -> Line {
        let hello = side.hello(place.endpoint());
        let mut raw = place.accept();
        let received = raw.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(received.op_code(), OpCode::HelloRequest);
        assert_eq!(received.message_id(), hello.message_id());
        side.wait_sent(hello.channel_number());
        Line {
            channel: hello.channel_number(),
            raw,
        }
    }

    /// The peer sends this, and the application receives it.
    #[track_caller]
    pub(crate) fn peer_says(&self, side: &mut Side, message: &Message) {
        self.raw.send_frame(message).unwrap();
        side.expect_peer(self.channel, message);
    }

    /// The application posts this, and the peer receives it.
    #[track_caller]
    pub(crate) fn says(&mut self, side: &Side, message: Message) {
        let posted = side.post(message.on(self.channel));
        let received = self.raw.receive_frame(LIMIT).unwrap().unwrap();
        assert_eq!(received.message_id(), posted.message_id());
        assert_eq!(received.body().as_bytes(), posted.body().as_bytes());
        side.wait_sent(self.channel);
    }

    /// A message goes through in either direction: the channel is alive.
    #[track_caller]
    pub(crate) fn echo(&mut self, side: &mut Side) {
        self.peer_says(side, &request(9_999, 9));
        self.says(side, request(9_999, 9));
    }

    /// The engine has ended its direction in order and has sent nothing more.
    #[track_caller]
    pub(crate) fn expect_end(&mut self) {
        assert_eq!(self.raw.receive_all(LIMIT), (Vec::new(), End::Eof));
    }

    /// The id of the next whole frame.
    #[track_caller]
    pub(crate) fn receive_id(&mut self) -> u64 {
        let message = self.raw.receive_frame(LIMIT).unwrap();
        message.expect("a frame").message_id().value()
    }

    /// The next whole frames have these ids.
    #[track_caller]
    pub(crate) fn expect_ids(&mut self, ids: impl IntoIterator<Item = u64>) {
        for id in ids {
            assert_eq!(self.receive_id(), id);
        }
    }

    /// Everything that was posted has been received.
    #[track_caller]
    pub(crate) fn expect_nothing_more(&mut self, side: &Side) {
        // What the peer has read may still count as queued for a moment.
        side.wait_sent(self.channel);
        self.says(side, request(8_888, 8));
    }

    /// Posts requests of so many bytes each until the peer's kernel takes no more and the next is
    /// refused for a full queue, which is not kept. All ids that were taken, counted from `first`.
    #[track_caller]
    pub(crate) fn fill(&self, side: &Side, first: u64, len: usize) -> Vec<u64> {
        let mut next = first;
        let mut settled = false;
        loop {
            let before = next;
            loop {
                let message = request(next, len).on(self.channel);
                match side.group.post(side.pooled(message)) {
                    Ok(_) => next += 1,
                    Err(error) => {
                        assert_eq!(error.kind(), PostErrorKind::QueueFull);
                        break;
                    }
                }
            }
            if next > before {
                side.turn();
            } else if settled {
                return (first..next).collect();
            } else {
                side.pass(SETTLED);
            }
            settled = next == before;
        }
    }

    /// Posts large messages until one stays queued, for the kernel takes no more. The last
    /// id; the first is 1.
    #[track_caller]
    pub(crate) fn clog(&self, side: &Side) -> u64 {
        let queued = || side.info(self.channel).unwrap().queued_messages;
        for count in 1.. {
            side.post(request(count, 60_000).on(self.channel));
            side.turn();
            if queued() > 0 {
                side.pass(SETTLED);
            }
            if queued() > 0 {
                return count;
            }
        }
        unreachable!("kernels have bounds")
    }
}

impl Side {
    /// What comes next is the end of what was posted to a line, up to the request `last`, all of
    /// `len` bytes, in order, because of `why`; the first of it. The kernel may have taken more
    /// than was known.
    #[track_caller]
    pub(crate) fn expect_rest_back(
        &mut self,
        line: &Line,
        last: u64,
        len: usize,
        why: Status,
    ) -> u64 {
        let first = self.next();
        let id = first.message_id().value();
        assert_eq!(first.status(), why, "{first:?}");
        assert_eq!(first.channel_number(), line.channel);
        assert_eq!(first.body(), request(id, len).body());
        for id in id + 1..=last {
            self.expect_back(&request(id, len).on(line.channel), why);
        }
        id
    }

    /// Takes the notices that a filled queue has room again, which come while it is being filled.
    #[track_caller]
    pub(crate) fn take_ready_notices(&mut self) -> usize {
        let mut count = 0;
        while let Some(msg) = self.group.wait_receive(Duration::ZERO).unwrap() {
            assert_eq!(msg.status(), Status::SEND_QUEUE_READY, "{msg:?}");
            count += 1;
        }
        count
    }
}

/// A peer that the engine has closed without a word.
#[track_caller]
pub(crate) fn expect_turned_away(raw: &mut RawPeer) {
    let (frames, end) = raw.receive_all(LIMIT);
    assert!(frames.is_empty(), "{frames:?}");
    // A socket that is closed with something unread says so by a reset.
    assert!(matches!(end, End::Eof | End::Reset), "{end:?}");
}
