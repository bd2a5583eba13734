//! The peer goes away: killed, reset, closed at once, in the middle of something, or because it
//! broke the protocol; and those who came and never said Hello.

use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::{End, RawPeer};

use crate::face::Face;
use crate::harness::{
    Build, LIMIT, Pair, Seen, Side, Transport, closed, exists, from_peer, on_both, returned,
};
use crate::raw::{Line, RawPlace, fill_the_kernel, frame, hasty, narrow_place};

on_both! {
    reset_with_messages_queued,
    closed_with_messages_queued,
    reset_while_idle,
    the_peers_engine_is_dropped,
    sent_data_and_closed_at_once,
    sent_data_and_reset_at_once,
    sent_large_data_and_closed_at_once,
    sent_data_and_closed_while_the_inbox_is_full,
    sent_data_and_closed_while_the_pool_is_empty,
    half_closed_and_answered,
    half_closed_and_slow_to_read_the_answers,
    closed_while_we_post_and_do_not_receive,
    closed_in_the_middle_of_a_frame,
    violation_behind_good_frames,
    violation_while_messages_are_queued,
    no_hello_closed,
    no_hello_reset,
    no_hello_half_of_one,
    no_hello_garbage,
    no_hello_handshake_timeout,
    no_hello_a_byte_at_a_time,
    a_frame_never_finished,
}

fn queued(transport: Transport, leave: impl FnOnce(RawPeer)) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    let posted = fill_the_kernel(&mut side, line.channel);
    let expected = line.closed(Status::PEER_DISCONNECTED, false);
    leave(line.raw);
    let unsent = side.expect_unsent(&posted, Status::PEER_DISCONNECTED);
    let last_word = side.next();
    assert_eq!(Seen::of(&last_word), expected);
    let info = last_word.close_info().unwrap();
    assert_eq!(info.messages_sent, 1 + (posted.len() - unsent) as u64);
    assert!(info.bytes_unconfirmed > 0);
    side.expect_nothing();
    assert_eq!(side.engine.channel_count(), 0);
}

fn reset_with_messages_queued(transport: Transport) {
    queued(transport, |raw| raw.reset().unwrap());
}

/// With all that was sent to it unread: that, too, is a reset, or a broken pipe.
fn closed_with_messages_queued(transport: Transport) {
    queued(transport, drop);
}

fn reset_while_idle(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let expected = line.closed(Status::PEER_DISCONNECTED, false);
    line.raw.reset().unwrap();
    side.expect_last(&[expected]);
}

/// Without a word: what its process's end would do.
fn the_peers_engine_is_dropped(transport: Transport) {
    let mut pair = Pair::connected(transport);
    pair.echo();
    drop(pair.client);
    let expected = closed(pair.at_server, pair.id, Status::PEER_DISCONNECTED, false);
    pair.server.expect_last(&[expected]);
}

/// `count` frames, and what the application receives of them.
fn frames(count: u64, body: &[u8]) -> (Vec<u8>, Vec<Message>) {
    let messages: Vec<_> = (1..=count)
        .map(|id| {
            let message = Message::new(OpCode::Request).id(id).with_body(body);
            message.with_header("number", &id.to_string())
        })
        .collect();
    (messages.iter().flat_map(frame).collect(), messages)
}

/// All of this is received, then the channel's last word, for the peer has gone.
#[track_caller]
fn assert_all_then_gone(side: &mut Side, channel: ChannelNumber, data: Vec<Message>) {
    let mut expected: Vec<_> = data
        .into_iter()
        .map(|message| from_peer(message.on(channel)))
        .collect();
    let id = MessageId::new(1);
    let cause = Status::PEER_DISCONNECTED;
    expected.push(closed(channel, id, cause, false));
    side.expect_last(&expected);
}

fn data_and_gone(transport: Transport, count: u64, body: &[u8], leave: impl FnOnce(RawPeer)) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let (bytes, messages) = frames(count, body);
    line.raw.send(&bytes).unwrap();
    leave(line.raw);
    assert_all_then_gone(&mut side, line.channel, messages);
}

fn sent_data_and_closed_at_once(transport: Transport) {
    data_and_gone(transport, 100, &[b'x'; 100], drop);
}

fn sent_data_and_reset_at_once(transport: Transport) {
    data_and_gone(transport, 100, &[b'x'; 100], |raw| raw.reset().unwrap());
}

fn sent_large_data_and_closed_at_once(transport: Transport) {
    data_and_gone(transport, 30, &[b'x'; 65_535], drop);
}

/// What nobody had room for when the peer left is received all the same.
fn data_and_gone_without_room(transport: Transport, options: Options) {
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let (bytes, messages) = frames(400, &[b'x'; 50]);
    line.raw.send(&bytes).unwrap();
    let (large, more) = frames(4, &[b'y'; 20_000]);
    line.raw.send(&large).unwrap();
    drop(line.raw);
    // It has gone before anything is received.
    side.turn();
    side.turn();
    for message in messages.into_iter().chain(more) {
        let mut msg = side.next();
        while msg.status() == Status::POOL_EMPTY {
            msg = side.next();
        }
        assert_eq!(Seen::of(&msg), from_peer(message.on(line.channel)));
    }
    let mut last_word = side.next();
    if last_word.status() == Status::POOL_EMPTY {
        last_word = side.next();
    }
    let expected = closed(line.channel, line.id, Status::PEER_DISCONNECTED, false);
    assert_eq!(Seen::of(&last_word), expected);
    side.expect_nothing();
}

fn sent_data_and_closed_while_the_inbox_is_full(transport: Transport) {
    data_and_gone_without_room(transport, Options::default().inbox_messages(3));
}

fn sent_data_and_closed_while_the_pool_is_empty(transport: Transport) {
    data_and_gone_without_room(
        transport,
        Options::default().pool_initial(1).pool_maximum(3),
    );
}

/// Its direction ends, and it reads on: what is answered to the last of its requests gets there.
fn half_closed_and_answered(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    let (bytes, messages) = frames(200, b"ask");
    line.raw.send(&bytes).unwrap();
    line.raw.shutdown_write().unwrap();
    for message in &messages {
        let request = side.next();
        assert_eq!(
            Seen::of(&request),
            from_peer(message.clone().on(line.channel))
        );
        side.post((*request).clone().op(OpCode::Response));
    }
    side.expect_last(&[line.closed(Status::PEER_DISCONNECTED, false)]);
    let (answers, end) = line.raw.receive_all(LIMIT);
    assert_eq!(end, End::Eof);
    let ids: Vec<_> = answers
        .iter()
        .map(|answer| answer.message_id().value())
        .collect();
    assert_eq!(ids, (1..=200).collect::<Vec<_>>());
    assert!(
        answers
            .iter()
            .all(|answer| answer.op_code() == OpCode::Response)
    );
}

/// It reads, but later than a closing connection would be waited for.
fn half_closed_and_slow_to_read_the_answers(transport: Transport) {
    let linger = Duration::from_millis(100);
    let mut side = Side::start(Options::default().linger_timeout(linger));
    let listening = side.listen(transport);
    let mut line = Line::accepted(&mut side, &listening);
    let (bytes, _) = frames(60, b"ask");
    line.raw.send(&bytes).unwrap();
    line.raw.shutdown_write().unwrap();
    for _ in 0..60 {
        let mut request = side.next();
        request.make_reply().unwrap();
        request.body_mut().replace(&[9; 60_000]).unwrap();
        side.group.post(request).unwrap();
    }
    // The end of what it sent is behind the last request: here the engine learns that we have
    // taken it. Where the kernel has room for all answers, the channel is over already.
    let last_word = side.group.receive_within(linger * 3).unwrap();
    let (answers, end) = line.raw.receive_all(LIMIT);
    assert_eq!((answers.len(), end), (60, End::Eof));
    let last_word = last_word.unwrap_or_else(|| side.next());
    let expected = line.closed(Status::PEER_DISCONNECTED, false);
    assert_eq!(Seen::of(&last_word), expected);
    side.expect_nothing();
}

/// What it had sent before is received, although a write has failed meanwhile and no room was
/// there for a time longer than any patience with a peer.
fn closed_while_we_post_and_do_not_receive(transport: Transport) {
    let patience = Duration::from_millis(100);
    let options = hasty().write_stall_timeout(patience).inbox_messages(1);
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let (bytes, messages) = frames(5, b"last words");
    line.raw.send(&bytes).unwrap();
    drop(line.raw);
    side.turn();
    // The first of them finds out that nobody is there any more.
    let posted = [1, 2, 3].map(|id| {
        let signal = Message::new(OpCode::Signal).id(id).on(line.channel);
        std::thread::sleep(patience / 2);
        side.post(signal)
    });
    std::thread::sleep(patience * 2);
    for message in messages {
        side.expect(&[from_peer(message.on(line.channel))]);
    }
    let mut msg = side.next();
    let first = posted
        .iter()
        .position(|message| message.message_id() == msg.message_id());
    for message in &posted[first.unwrap_or(posted.len())..] {
        let back = returned(message.clone(), Status::PEER_DISCONNECTED);
        assert_eq!(Seen::of(&msg), back);
        msg = side.next();
    }
    let last_word = closed(line.channel, line.id, Status::PEER_DISCONNECTED, false);
    assert_eq!(Seen::of(&msg), last_word);
    side.expect_nothing();
}

fn closed_in_the_middle_of_a_frame(transport: Transport) {
    let whole = Message::new(OpCode::Request).id(2).with_body(b"whole");
    let cut = frame(&Message::new(OpCode::Signal).id(3).with_body(&[1; 20_000]));
    for held in [1, 15, 16, 17, 9000, cut.len() - 1] {
        let mut side = Side::start(Options::default());
        let listening = side.listen(transport);
        let line = Line::accepted(&mut side, &listening);
        let mut bytes = frame(&whole);
        bytes.extend_from_slice(&cut[..held]);
        line.raw.send(&bytes).unwrap();
        let last_word = line.closed(Status::PEER_DISCONNECTED, false);
        drop(line.raw);
        side.expect(&[from_peer(whole.clone().on(line.channel))]);
        let msg = side.next();
        assert_eq!(Seen::of(&msg), last_word);
        assert_eq!(msg.close_info().unwrap().partial_frame_bytes, held);
        side.expect_nothing();
    }
}

/// What was whole before it is received; the peer is told nothing but the end.
fn violation_behind_good_frames(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let mut neighbour = Line::accepted(&mut side, &listening);
    let mut line = Line::accepted(&mut side, &listening);
    let (mut bytes, messages) = frames(3, b"good");
    bytes.extend(frame(&Message::new(OpCode::HelloRequest).id(9)));
    bytes.extend(frame(&Message::new(OpCode::Request).id(10)));
    line.raw.send(&bytes).unwrap();
    let mut expected: Vec<_> = messages
        .into_iter()
        .map(|message| from_peer(message.on(line.channel)))
        .collect();
    expected.push(line.closed(Status::PROTOCOL_VIOLATION, false));
    side.expect_last(&expected);
    line.expect_end();
    neighbour.peer_says(&mut side, Message::new(OpCode::Request).id(1));
    neighbour.says(&side, Message::new(OpCode::Response).id(1));
}

fn violation_while_messages_are_queued(transport: Transport) {
    let mut side = Side::start(Options::default().send_queue_messages(16));
    let place = narrow_place(transport);
    let line = Line::dialed(&side, &place);
    let posted = fill_the_kernel(&mut side, line.channel);
    line.raw.send(&[0xff; 16]).unwrap();
    side.expect_unsent(&posted, Status::PROTOCOL_VIOLATION);
    side.expect_last(&[line.closed(Status::PROTOCOL_VIOLATION, false)]);
}

/// A connection that does this is closed, and the application never hears of it.
fn unnoticed(
    transport: Transport,
    options: Options,
    act: impl FnOnce(&RawPeer),
) -> (Side, RawPeer) {
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    let mut raw = RawPeer::connect(&listening.endpoint).unwrap();
    act(&raw);
    // A socket that is closed with something unread says so by a reset.
    let (replies, end) = raw.receive_all(LIMIT);
    assert!(replies.is_empty(), "{replies:?}");
    assert!(matches!(end, End::Eof | End::Reset), "{end:?}");
    side.expect_nothing();
    assert_eq!(side.engine.channel_count(), 1, "the listener");
    // The next one is welcome.
    Line::accepted(&mut side, &listening);
    assert!(listening.path.as_ref().is_none_or(exists));
    (side, raw)
}

fn no_hello_closed(transport: Transport) {
    unnoticed(transport, Options::default(), |raw| {
        raw.shutdown_write().unwrap();
    });
}

fn no_hello_reset(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    RawPeer::connect(&listening.endpoint)
        .unwrap()
        .reset()
        .unwrap();
    // Those who come are served in their order.
    let line = Line::accepted(&mut side, &listening);
    line.peer_says(&mut side, Message::new(OpCode::Request).id(2));
    side.expect_nothing();
}

fn no_hello_half_of_one(transport: Transport) {
    unnoticed(transport, Options::default(), |raw| {
        let hello = frame(&Message::new(OpCode::HelloRequest).id(1).with_body(b"12345"));
        raw.send(&hello[..hello.len() - 1]).unwrap();
        raw.shutdown_write().unwrap();
    });
}

fn no_hello_garbage(transport: Transport) {
    unnoticed(transport, Options::default(), |raw| {
        raw.send(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    });
    unnoticed(transport, Options::default(), |raw| {
        raw.send(&[0xff; 4096]).unwrap();
    });
    unnoticed(transport, Options::default(), |raw| {
        raw.send_frame(&Message::new(OpCode::Request).id(1))
            .unwrap();
    });
}

fn no_hello_handshake_timeout(transport: Transport) {
    unnoticed(transport, hasty(), |_| {});
}

/// The time is that of the whole HelloRequest, not of its next byte.
fn no_hello_a_byte_at_a_time(transport: Transport) {
    let start = std::time::Instant::now();
    unnoticed(transport, hasty(), |raw| {
        let hello = frame(
            &Message::new(OpCode::HelloRequest)
                .id(1)
                .with_body(&[0; 60_000]),
        );
        while start.elapsed() < LIMIT {
            let bytes = &hello[..40];
            if raw.send_slowly(bytes, 1).is_err() {
                return;
            }
        }
    });
    assert!(start.elapsed() < LIMIT, "closed by nothing but its own end");
}

fn a_frame_never_finished(transport: Transport) {
    for announced in [1_u16, 65_535] {
        let mut side = Side::start(hasty());
        let listening = side.listen(transport);
        let mut line = Line::accepted(&mut side, &listening);
        let mut header = Message::new(OpCode::Request).id(5).header();
        (header.text_headers_len, header.body_len) = (announced, announced);
        line.raw.send(&header.encode()).unwrap();
        side.expect_last(&[line.closed(Status::FRAME_TIMEOUT, false)]);
        line.expect_end();
    }
}

/// The time runs from the frame's first byte: a byte now and then does not help.
#[test]
fn a_frame_a_byte_at_a_time() {
    let mut side = Side::start(hasty());
    let place = RawPlace::new(Transport::Tcp);
    let line = Line::dialed(&side, &place);
    let bytes = frame(&Message::new(OpCode::Request).id(5).with_body(&[0; 60_000]));
    let sender = line.raw.try_clone().unwrap();
    let sent = std::thread::spawn(move || sender.send_slowly(&bytes, 1).is_err());
    side.expect_last(&[line.closed(Status::FRAME_TIMEOUT, false)]);
    drop(line.raw);
    drop(side);
    assert!(sent.join().unwrap(), "all 60 KB got through");
}
