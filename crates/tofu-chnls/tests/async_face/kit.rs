//! What the tests of the async face share. No wait here is without a deadline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use tofu_addr::{Address, Endpoint};
use tofu_chnls::{Ampe, ChannelGroup, Msg, Options, Reactor};
use tofu_msg::{ChannelNumber, Message, MessageId, OpCode};
use tofu_testkit::{RawListener, RawPeer, TempUdsPath, wait_until};

pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// Messages that may be queued on a channel.
pub(crate) const QUEUE: usize = 4;

/// Bodies of this length soon fill what the kernel takes.
pub(crate) const LEN: usize = 60_000;

/// A waker that counts how often it was used.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    rung: AtomicUsize,
}

impl Wake for Bell {
    fn wake(self: Arc<Bell>) {
        self.rung.fetch_add(1, Ordering::SeqCst);
    }
}

impl Bell {
    pub(crate) fn new() -> Arc<Bell> {
        Arc::default()
    }

    pub(crate) fn count(&self) -> usize {
        self.rung.load(Ordering::SeqCst)
    }

    pub(crate) fn poll<F: Future + Unpin>(self: &Arc<Bell>, future: &mut F) -> Poll<F::Output> {
        let waker = Waker::from(Arc::clone(self));
        Pin::new(future).poll(&mut Context::from_waker(&waker))
    }

    /// Nobody but the test has it any more.
    pub(crate) fn expect_let_go(self: &Arc<Bell>) {
        wait_until(LIMIT, "the waker's end", || Arc::strong_count(self) == 1);
    }

    /// Waits until it has been rung more than `before` times.
    pub(crate) fn wait(&self, before: usize) {
        wait_until(LIMIT, "a wake-up", || self.count() > before);
    }
}

/// An engine with one group and one channel, whose peer is a raw socket that reads when it is told to.
#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) engine: Reactor,
    pub(crate) group: ChannelGroup,
    pub(crate) channel: ChannelNumber,
    pub(crate) peer: RawPeer,
    /// The folder of the socket file.
    _path: TempUdsPath,
}

impl Line {
    pub(crate) fn new(options: Options) -> Line {
        let engine = Reactor::start(options.send_queue_messages(QUEUE)).unwrap();
        let group = engine.create().unwrap();
        let (channel, peer, _path) = dial(&engine, &group);
        Line {
            engine,
            group,
            channel,
            peer,
            _path,
        }
    }

    /// A line whose queue is full; the next id.
    pub(crate) fn full() -> (Line, u64) {
        let line = Line::new(Options::default());
        let next = line.fill(line.channel);
        (line, next)
    }

    /// Fills a channel's queue, without a refusal; the id of the next Signal.
    pub(crate) fn fill(&self, channel: ChannelNumber) -> u64 {
        let mut id = 0;
        while self.queued(channel) < QUEUE {
            id += 1;
            self.group.post(self.signal(channel, id)).unwrap();
            self.turn();
        }
        id + 1
    }

    pub(crate) fn queued(&self, channel: ChannelNumber) -> usize {
        queued(&self.group, channel)
    }

    pub(crate) fn signal(&self, channel: ChannelNumber, id: u64) -> Msg {
        signal(&self.engine, channel, id, LEN)
    }

    /// The engine's thread goes round, and has done what there was to do.
    pub(crate) fn turn(&self) {
        for _ in 0..3 {
            let probe = self.engine.create().unwrap();
            assert!(probe.destroy(LIMIT).complete);
        }
    }

    /// The peer reads Signals with these ids, in this order.
    #[track_caller]
    pub(crate) fn expect_ids(&mut self, ids: impl IntoIterator<Item = u64>) {
        expect_ids(&mut self.peer, ids);
    }
}

fn queued(group: &ChannelGroup, channel: ChannelNumber) -> usize {
    let channels = group.channels();
    let info = channels.iter().find(|info| info.number == channel);
    info.unwrap().queued_messages
}

/// A Signal of the engine's pool.
pub(crate) fn signal(engine: &Reactor, channel: ChannelNumber, id: u64, len: usize) -> Msg {
    let mut msg = engine.message().unwrap();
    msg.set_op_code(OpCode::Signal);
    msg.set_channel_number(channel);
    msg.set_message_id(MessageId::new(id));
    msg.body_mut().append(&vec![7; len]).unwrap();
    msg
}

#[track_caller]
pub(crate) fn expect_ids(peer: &mut RawPeer, ids: impl IntoIterator<Item = u64>) {
    for id in ids {
        assert_eq!(next_id(peer), id);
    }
}

/// The id of the next message that the peer reads.
#[track_caller]
pub(crate) fn next_id(peer: &mut RawPeer) -> u64 {
    let message = peer.receive_frame(LIMIT).unwrap().unwrap();
    message.message_id().value()
}

/// A channel of the group to a raw peer, which has read the HelloRequest.
pub(crate) fn dial(
    engine: &Reactor,
    group: &ChannelGroup,
) -> (ChannelNumber, RawPeer, TempUdsPath) {
    let path = TempUdsPath::new().unwrap();
    let listener = RawListener::bind_uds(&path).unwrap();
    let channel = connect(engine, group, listener.endpoint().clone());
    let mut peer = listener.accept(LIMIT).unwrap();
    assert!(peer.receive_frame(LIMIT).unwrap().is_some());
    wait_until(LIMIT, "the engine's count", || queued(group, channel) == 0);
    (channel, peer, path)
}

pub(crate) fn connect(engine: &Reactor, group: &ChannelGroup, endpoint: Endpoint) -> ChannelNumber {
    let mut hello = engine.message().unwrap();
    Address::connect_to(endpoint).format(&mut hello).unwrap();
    group.post(hello).unwrap().channel_number()
}

/// The peer says so many Signals, with ids from 1.
pub(crate) fn say(peer: &RawPeer, ids: std::ops::RangeInclusive<u64>) {
    for id in ids {
        let mut message = Message::new(OpCode::Signal);
        message.set_message_id(MessageId::new(id));
        peer.send_frame(&message).unwrap();
    }
}
