//! Posts that wait for room in a full send queue, and what ends the waiting.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{Build, LIMIT, SHORT, Side, Transport, assert_waited, request};
use crate::peers::{Line, Place};
use crate::run::on_both;

const LEN: usize = 60_000;

on_both! {
    post_timeout_is_taken_when_there_is_room,
    post_timeout_passes_without_room,
    post_timeout_ends_with_the_channel,
    post_timeout_ends_with_the_peer,
    post_timeout_ends_when_only_the_rest_is_sent,
    post_timeout_ends_with_the_grace_of_a_shutdown,
    post_timeout_ends_with_the_group,
    post_timeout_ends_with_the_engine,
    post_timeout_without_need_does_not_wait,
}

/// A channel whose queue is full, which nobody was told of, and what it has taken.
struct Full {
    side: Side,
    line: Line,
    /// The last of the ids that were taken; the first is 1.
    last: u64,
    place: Place,
}

/// What became of a post, and when.
type Outcome = (Result<(), (PostErrorKind, Message)>, Duration);

/// A post in another thread.
type Posted = JoinHandle<Outcome>;

impl Full {
    fn new(transport: Transport) -> Full {
        let side = Side::start(Options::default().send_queue_messages(4));
        let place = Place::narrow(transport);
        let line = Line::dialed(&side, &place);
        let clogged = line.clog(&side);
        for id in clogged + 1..clogged + 4 {
            side.post(request(id, LEN).on(line.channel));
        }
        Full {
            side,
            line,
            last: clogged + 3,
            place,
        }
    }

    /// The id of the first post that waits.
    fn next_id(&self) -> u64 {
        self.last + 1
    }

    /// Posts in another thread.
    fn post(&self, id: u64, timeout: Duration) -> Posted {
        let poster = self.side.group.poster();
        let msg = self.side.pooled(request(id, LEN).on(self.line.channel));
        std::thread::spawn(move || {
            let start = Instant::now();
            let result = poster.post_timeout(msg, timeout);
            let result = result.map(drop).map_err(|error| {
                let (kind, msg) = error.into_parts();
                (kind, (*msg).clone())
            });
            (result, start.elapsed())
        })
    }

    /// A post that waits already is refused for this, with its message as it was.
    fn expect_refused(&self, posted: Posted, why: PostErrorKind) {
        self.assert_refused(posted.join().unwrap(), why);
    }

    fn assert_refused(&self, (result, elapsed): Outcome, why: PostErrorKind) {
        let (kind, message) = result.unwrap_err();
        assert_eq!(kind, why);
        assert_eq!(message, request(self.next_id(), LEN).on(self.line.channel));
        assert!(elapsed < LIMIT, "{elapsed:?}");
    }

    /// A post that waits, for longer than the test takes.
    fn waiting(&self) -> Posted {
        let posted = self.post(self.next_id(), LIMIT);
        // Most likely it waits by then; the outcome is the same if not.
        for _ in 0..20 {
            self.side.turn();
        }
        assert!(!posted.is_finished());
        posted
    }
}

/// Several wait; each gets in, and no notice follows.
fn post_timeout_is_taken_when_there_is_room(transport: Transport) {
    let mut full = Full::new(transport);
    let first = full.next_id();
    let waiting: Vec<_> = (first..first + 10).map(|id| full.post(id, LIMIT)).collect();
    full.side.expect_nothing();
    let refused = full.side.stats().posts_refused;
    full.line.expect_ids(1..first);
    let mut rest: Vec<_> = (0..10).map(|_| full.line.receive_id()).collect();
    for posted in waiting {
        posted.join().unwrap().0.unwrap();
    }
    rest.sort_unstable();
    assert_eq!(rest, (first..first + 10).collect::<Vec<_>>());
    full.side.expect_nothing();
    assert_eq!(full.side.stats().posts_refused, refused);
}

fn post_timeout_passes_without_room(transport: Transport) {
    let mut full = Full::new(transport);
    let before = full.side.stats();
    let start = Instant::now();
    let posted = full.post(full.next_id(), SHORT);
    full.expect_refused(posted, PostErrorKind::QueueFull);
    assert_waited(start, SHORT);
    let posted = full.post(full.next_id(), Duration::ZERO);
    full.expect_refused(posted, PostErrorKind::QueueFull);
    let stats = full.side.stats();
    assert_eq!(stats.posts_refused, before.posts_refused + 2);
    assert_eq!(
        stats.posts_refused_queue_full,
        before.posts_refused_queue_full + 2
    );
    // Nobody waits for a notice.
    full.line.expect_ids(1..=full.last);
    full.side.expect_nothing();
}

impl Full {
    /// What was queued comes back, and the channel ends.
    fn expect_end(&mut self, why: Status) {
        for id in self.last - 3..=self.last {
            let posted = request(id, LEN).on(self.line.channel);
            self.side.expect_back(&posted, why);
        }
        self.side.expect_closed(self.line.channel, why);
    }
}

fn post_timeout_ends_with_the_channel(transport: Transport) {
    let mut full = Full::new(transport);
    let posted = full.waiting();
    let signal = full
        .side
        .post(Message::new(OpCode::ByeSignal).on(full.line.channel));
    full.expect_refused(posted, PostErrorKind::ChannelClosed);
    full.side.expect_back(&signal, Status::CHANNEL_CLOSED);
    full.expect_end(Status::CHANNEL_CLOSED);
    full.side.expect_nothing();
}

fn post_timeout_ends_with_the_peer(transport: Transport) {
    let mut full = Full::new(transport);
    let posted = full.waiting();
    let another = RawPeer::connect(full.place.endpoint()).unwrap();
    let raw = std::mem::replace(&mut full.line.raw, another);
    raw.reset().unwrap();
    full.expect_refused(posted, PostErrorKind::ChannelClosed);
    full.expect_end(Status::PEER_DISCONNECTED);
    full.side.expect_nothing();
}

/// The peer has ended its direction and does not read: what is queued may still be sent, but
/// nothing can be posted any more, however much room there will be.
/// The peer's last packet may open its window by so much that the post gets in after all; that says
/// nothing, and it is tried again.
fn post_timeout_ends_when_only_the_rest_is_sent(transport: Transport) {
    let is_refused = (0..5).any(|_| is_refused_when_only_the_rest_is_sent(transport));
    assert!(is_refused, "every post got in");
}

fn is_refused_when_only_the_rest_is_sent(transport: Transport) -> bool {
    let mut full = Full::new(transport);
    let posted = full.waiting();
    let start = Instant::now();
    full.line.raw.shutdown_write().unwrap();
    full.side.turn();
    // This takes the end of the peer's messages.
    full.side.expect_nothing();
    let outcome = posted.join().unwrap();
    if outcome.0.is_ok() {
        return false;
    }
    full.assert_refused(outcome, PostErrorKind::ChannelClosed);
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    full.line.expect_ids(1..=full.last);
    let channel = full.line.channel;
    full.side.expect_closed(channel, Status::PEER_DISCONNECTED);
    true
}

fn post_timeout_ends_with_the_grace_of_a_shutdown(transport: Transport) {
    let mut full = Full::new(transport);
    let posted = full.waiting();
    let start = Instant::now();
    let report = full.side.engine.shutdown(SHORT);
    assert_eq!(report.unsent, 4);
    full.expect_refused(posted, PostErrorKind::ShutdownStarted);
    assert!(start.elapsed() < LIMIT / 2, "{:?}", start.elapsed());
    full.expect_end(Status::SHUTDOWN_STARTED);
}

fn post_timeout_ends_with_the_group(transport: Transport) {
    let full = Full::new(transport);
    let posted = full.waiting();
    let report = full.side.group.destroy(Duration::ZERO);
    let (result, elapsed) = posted.join().unwrap();
    let (kind, message) = result.unwrap_err();
    assert!(
        matches!(
            kind,
            PostErrorKind::ChannelClosed | PostErrorKind::InvalidChannelGroup
        ),
        "{kind:?}"
    );
    assert_eq!(message.body().len(), LEN);
    assert!(elapsed < LIMIT);
    let unsent: Vec<_> = report
        .unsent
        .iter()
        .map(|msg| msg.message_id().value())
        .collect();
    assert_eq!(unsent, (full.last - 3..=full.last).collect::<Vec<_>>());
}

fn post_timeout_ends_with_the_engine(transport: Transport) {
    let mut full = Full::new(transport);
    let posted = full.waiting();
    let report = full.side.engine.shutdown(Duration::ZERO);
    assert_eq!(report.unsent, 4);
    full.expect_refused(posted, PostErrorKind::ShutdownStarted);
    full.expect_end(Status::SHUTDOWN_STARTED);
}

fn post_timeout_without_need_does_not_wait(transport: Transport) {
    let mut side = Side::start(Options::default());
    let place = Place::new(transport);
    let mut line = Line::dialed(&side, &place);
    for timeout in [Duration::ZERO, Duration::MAX] {
        let msg = side.pooled(request(5, 5).on(line.channel));
        side.group.post_timeout(msg, timeout).unwrap();
        line.expect_ids([5]);
    }
    // What waiting does not help is refused at once.
    let msg = side.pooled(request(5, 5).on(ChannelNumber::new(60_000)));
    let error = side.group.post_timeout(msg, Duration::MAX).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::InvalidChannelNumber);
    side.expect_nothing();
}
