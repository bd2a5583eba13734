//! The budgets that all channels of an engine share: what waits to be sent, and what was received
//! and is not whole.

use tofu::prelude::*;

use crate::harness::{Build, LIMIT, SHORT, Side, Transport, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    send_budget_one_more_is_refused,
    send_budget_lets_a_channel_with_nothing_queued_go_on,
    send_budget_tells_of_room_that_another_channel_made,
    send_budget_lets_in_who_waits_when_another_channel_makes_room,
    receive_budget_reads_only_frames_that_are_begun,
    receive_budget_is_free_again_when_a_frame_never_ends,
}

const LEN: usize = 30_000;

/// An engine whose budget of five frames is spent by the queue of one channel; another has one
/// message queued, which it may whatever the others have. Neither peer reads.
struct Spent {
    side: Side,
    hog: Line,
    hogs: Vec<u64>,
    other: Line,
    others: Vec<u64>,
    _places: [Place; 2],
}

impl Spent {
    fn new(transport: Transport) -> Spent {
        let mut side = Side::start(Options::default().send_budget(5 * (LEN + 16)));
        let places = [Place::narrow(transport), Place::narrow(transport)];
        let hog = Line::dialed(&side, &places[0]);
        let other = Line::dialed(&side, &places[1]);
        let hogs = hog.fill(&side, 1, LEN);
        let others = other.fill(&side, 1_001, LEN);
        side.take_ready_notices();
        Spent {
            side,
            hog,
            hogs,
            other,
            others,
            _places: places,
        }
    }

    /// The next message for the channel that has only one queued.
    fn next(&self) -> Message {
        request(1_001 + self.others.len() as u64, LEN).on(self.other.channel)
    }
}

fn send_budget_one_more_is_refused(transport: Transport) {
    let mut spent = Spent::new(transport);
    let side = &mut spent.side;
    let stats = side.stats();
    assert_eq!(stats.queued_messages, 6);
    assert_eq!(stats.queued_bytes, 6 * (LEN + 16));
    let queued = |line: &Line| side.info(line.channel).unwrap().queued_messages;
    assert_eq!((queued(&spent.hog), queued(&spent.other)), (5, 1));
    for line in [&spent.hog, &spent.other] {
        let refused = side.refused(&Message::new(OpCode::Signal).on(line.channel).id(5));
        assert_eq!(refused, PostErrorKind::QueueFull);
    }
    let after = side.stats();
    assert_eq!(
        after.posts_refused_queue_full,
        stats.posts_refused_queue_full + 2
    );
    // All that was taken gets there.
    spent.hog.expect_ids(spent.hogs.clone());
    spent.other.expect_ids(spent.others.clone());
    for line in [&spent.hog, &spent.other] {
        side.wait_sent(line.channel);
    }
    assert_eq!(side.stats().queued_bytes, 0);
}

fn send_budget_lets_a_channel_with_nothing_queued_go_on(transport: Transport) {
    let mut spent = Spent::new(transport);
    let place = Place::new(transport);
    let mut line = Line::dialed(&spent.side, &place);
    for _ in 0..10 {
        line.echo(&mut spent.side);
    }
    line.says(&spent.side, request(1, 65_535));
    spent.side.expect_nothing();
}

fn send_budget_tells_of_room_that_another_channel_made(transport: Transport) {
    let mut spent = Spent::new(transport);
    assert_eq!(spent.side.refused(&spent.next()), PostErrorKind::QueueFull);
    spent.hog.expect_ids(spent.hogs.clone());
    let mut told = vec![spent.side.next(), spent.side.next()];
    told.sort_by_key(|msg| msg.channel_number());
    let mut channels = Vec::new();
    for msg in told {
        assert_eq!(msg.status(), Status::SEND_QUEUE_READY);
        channels.push(msg.channel_number());
    }
    assert_eq!(channels, [spent.hog.channel, spent.other.channel]);
    spent.side.post(spent.next());
    spent.side.expect_nothing();
}

fn send_budget_lets_in_who_waits_when_another_channel_makes_room(transport: Transport) {
    let mut spent = Spent::new(transport);
    let (poster, msg) = (spent.side.group.poster(), spent.side.pooled(spent.next()));
    let waiting = std::thread::spawn(move || poster.post_timeout(msg, LIMIT / 5));
    for _ in 0..20 {
        spent.side.turn();
    }
    assert!(!waiting.is_finished());
    spent.hog.expect_ids(spent.hogs.clone());
    let header = waiting.join().unwrap().unwrap();
    spent.others.push(header.message_id().value());
    spent.other.expect_ids(spent.others.clone());
}

/// Someone whose frame is not whole may go on, or nobody would ever give anything up.
fn receive_budget_reads_only_frames_that_are_begun(transport: Transport) {
    let mut side = Side::start(Options::default().receive_budget(20_000));
    let listening = side.listen(transport);
    let mut lines: Vec<_> = (0..3)
        .map(|_| Line::accepted(&mut side, &listening))
        .collect();
    let (begun, whole) = (requests([2], 200), requests([3], 60_000));
    let [middle, idle, hog] = &mut lines[..] else {
        unreachable!("there are three")
    };
    middle.raw.send(&begun[..100]).unwrap();
    hog.raw.send(&whole[..25_000]).unwrap();
    side.turn();
    idle.raw.send_frame(&request(4, 4)).unwrap();
    side.turn();
    side.expect_nothing();
    assert_eq!(side.stats().pauses_budget, 1);
    middle.raw.send(&begun[100..]).unwrap();
    side.expect_peer(middle.channel, &request(2, 200));
    // What the application says is no matter of reading.
    idle.says(&side, request(5, 5));
    side.expect_nothing();
    hog.raw.send(&whole[25_000..]).unwrap();
    side.expect_peer(hog.channel, &request(3, 60_000));
    side.expect_peer(idle.channel, &request(4, 4));
    for line in &mut lines {
        line.echo(&mut side);
    }
}

fn receive_budget_is_free_again_when_a_frame_never_ends(transport: Transport) {
    let options = Options::default().frame_timeout(SHORT);
    let mut side = Side::start(options.receive_budget(20_000));
    let listening = side.listen(transport);
    let hog = Line::accepted(&mut side, &listening);
    let mut idle = Line::accepted(&mut side, &listening);
    hog.raw.send(&requests([2], 60_000)[..25_000]).unwrap();
    side.turn();
    let text = requests(3..=5, 10);
    idle.raw.send(&text[..text.len() - 1]).unwrap();
    side.expect_closed(hog.channel, Status::FRAME_TIMEOUT);
    side.expect_peer(idle.channel, &request(3, 10));
    side.expect_peer(idle.channel, &request(4, 10));
    idle.raw.send(&text[text.len() - 1..]).unwrap();
    side.expect_peer(idle.channel, &request(5, 10));
    idle.echo(&mut side);
}
