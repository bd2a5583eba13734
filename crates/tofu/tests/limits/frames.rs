//! Single frames: how long they may take, how many header lines they may have, and from what size
//! on they are handled as large.

use std::time::Instant;

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{Build, SHORT, Side, Transport, assert_waited, request, requests};
use crate::peers::{Line, Place, expect_turned_away};
use crate::run::on_both;

on_both! {
    frame_timeout_of_a_frame_never_finished,
    frame_timeout_of_a_frame_byte_by_byte,
    frame_timeout_does_not_count_whole_frames,
    frame_timeout_stands_still_while_the_inbox_is_full,
    frame_timeout_stands_still_while_the_pool_is_empty,
    header_lines_of_a_message,
    header_lines_of_a_large_message,
    header_lines_of_a_hello,
    large_message_on_both_sides_of_the_threshold,
    large_message_comes_back_as_it_was,
    large_message_is_not_copied,
}

/// Cut here and there, each on a line of its own.
fn frame_timeout_of_a_frame_never_finished(transport: Transport) {
    const CUTS: [usize; 5] = [1, 15, 16, 17, 20_000];
    let mut side = Side::start(Options::default().frame_timeout(SHORT));
    let listening = side.listen(transport);
    let mut other = Line::accepted(&mut side, &listening);
    let mut lines = CUTS.map(|_| Line::accepted(&mut side, &listening));
    let start = Instant::now();
    for (line, cut) in lines.iter().zip(CUTS) {
        let mut bytes = requests([2], 3);
        bytes.extend_from_slice(&requests([3], 60_000)[..cut]);
        line.raw.send(&bytes).unwrap();
        side.expect_peer(line.channel, &request(2, 3));
    }
    for (line, cut) in lines.iter_mut().zip(CUTS) {
        let info = side.expect_closed(line.channel, Status::FRAME_TIMEOUT);
        assert_waited(start, SHORT);
        assert_eq!((info.partial_frame_bytes, info.messages_received), (cut, 2));
        line.expect_end();
    }
    assert_eq!(side.stats().timeouts, 5);
    assert_eq!(side.stats().protocol_violations, 0);
    other.echo(&mut side);
    side.expect_nothing();
}

/// From the first byte: one more now and then does not help.
fn frame_timeout_of_a_frame_byte_by_byte(transport: Transport) {
    let mut side = Side::start(Options::default().frame_timeout(SHORT));
    let listening = side.listen(transport);
    let Line { channel, raw } = Line::accepted(&mut side, &listening);
    let start = Instant::now();
    let sender = std::thread::spawn(move || {
        let bytes = requests([2], 60_000);
        raw.send_slowly(&bytes, 1)
    });
    side.expect_closed(channel, Status::FRAME_TIMEOUT);
    assert_waited(start, SHORT);
    drop(side);
    sender.join().unwrap().expect_err("all of it got through");
}

/// A stream of cut frames, each finished in time, lives on.
fn frame_timeout_does_not_count_whole_frames(transport: Transport) {
    let timeout = SHORT * 4;
    let mut side = Side::start(Options::default().frame_timeout(timeout));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let start = Instant::now();
    let (mut held, mut id) = (Vec::new(), 2);
    while start.elapsed() < timeout * 5 / 4 {
        held.extend(requests([id], 100));
        // The end of one frame and the beginning of the next in one piece.
        let rest = held.split_off(held.len() - 60);
        line.raw.send(&held).unwrap();
        held = rest;
        if id > 2 {
            side.expect_peer(line.channel, &request(id - 1, 100));
        }
        id += 1;
    }
    line.raw.send(&held).unwrap();
    side.expect_peer(line.channel, &request(id - 1, 100));
    side.expect_nothing();
}

/// The peer has begun a frame, and we are the ones who do not read on.
fn stands_still(transport: Transport, options: Options, pause: Status) {
    let timeout = SHORT * 2;
    let mut side = Side::start(options.frame_timeout(timeout));
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let filler = Line::accepted(&mut side, &listening);
    let bytes = requests([2], 10_000);
    line.raw.send(&bytes[..100]).unwrap();
    side.turn();
    filler.raw.send(&requests(1..=4, 10)).unwrap();
    side.turn();
    line.raw.send(&bytes[100..200]).unwrap();
    side.pass(timeout * 3 / 2);
    line.raw.send(&bytes[200..]).unwrap();
    let mut whole = false;
    let mut ids = Vec::new();
    while ids.len() < 4 || !whole {
        let msg = side.next();
        if msg.channel_number() == filler.channel && msg.origin() == Origin::Peer {
            ids.push(msg.message_id().value());
        } else if msg.origin() == Origin::Peer {
            assert_eq!(msg.body().len(), 10_000);
            whole = true;
        } else {
            assert_eq!(msg.status(), pause, "{msg:?}");
        }
    }
    assert_eq!(ids, [1, 2, 3, 4]);
    assert_eq!(side.stats().timeouts, 0);
}

fn frame_timeout_stands_still_while_the_inbox_is_full(transport: Transport) {
    let options = Options::default().inbox_messages(2);
    stands_still(transport, options, Status::SUCCESS);
}

fn frame_timeout_stands_still_while_the_pool_is_empty(transport: Transport) {
    let options = Options::default().pool_initial(1).pool_maximum(4);
    stands_still(transport, options, Status::POOL_EMPTY);
}

/// So many lines, the last with or without its line end.
fn lines(op_code: OpCode, count: usize, ended: bool) -> Message {
    let mut block = "name:value\r\n".repeat(count);
    if !ended {
        block.truncate(block.len() - 2);
    }
    let mut message = Message::new(op_code).id(7);
    message
        .text_headers_mut()
        .append_raw(block.as_bytes())
        .unwrap();
    message
}

fn too_many_lines(transport: Transport, body: usize) {
    for ended in [true, false] {
        let mut side = Side::start(Options::default().header_lines(3));
        let listening = side.listen(transport);
        let mut line = Line::accepted(&mut side, &listening);
        let mut other = Line::accepted(&mut side, &listening);
        let as_many_as_allowed = lines(OpCode::Request, 3, ended).with_body(&vec![1; body]);
        line.peer_says(&mut side, &as_many_as_allowed);
        let one_more = lines(OpCode::Request, 4, ended).with_body(&vec![1; body]);
        line.raw.send_frame(&one_more).unwrap();
        side.expect_closed(line.channel, Status::TOO_MANY_HEADER_LINES);
        line.expect_end();
        other.echo(&mut side);
        side.expect_nothing();
    }
}

fn header_lines_of_a_message(transport: Transport) {
    too_many_lines(transport, 5);
}

fn header_lines_of_a_large_message(transport: Transport) {
    too_many_lines(transport, 60_000);
}

fn header_lines_of_a_hello(transport: Transport) {
    let mut side = Side::start(Options::default().header_lines(3));
    let listening = side.listen(transport);
    let mut refused = RawPeer::connect(&listening.endpoint).unwrap();
    refused
        .send_frame(&lines(OpCode::HelloRequest, 4, true))
        .unwrap();
    expect_turned_away(&mut refused);
    side.expect_nothing();
    assert_eq!(side.stats().handshakes_failed, 1);
    Line::accepted(&mut side, &listening).echo(&mut side);
}

/// Below, at and above the threshold, counted with headers and body: nobody can tell.
fn large_message_on_both_sides_of_the_threshold(transport: Transport) {
    for threshold in [1, 100, 8 * 1024, 32 * 1024] {
        let options = Options::default().large_message(threshold);
        let mut server = Side::start(options.clone());
        let listening = server.listen(transport);
        let client = Side::start(options);
        let hello = client.hello(&listening.endpoint);
        let at_server = server.next().channel_number();
        let mut lens = vec![0, threshold - 1, threshold, threshold + 1, 65_535];
        lens.push(threshold.saturating_sub(12));
        for len in lens {
            let mut message = request(0, len).on(hello.channel_number());
            for with_header in [false, true] {
                if with_header {
                    message.text_headers_mut().append("name", "value").unwrap();
                }
                let posted = client.post(message.clone());
                server.expect_peer(at_server, &posted);
            }
        }
        server.expect_nothing();
    }
}

/// Some by pointer and some copied, they come back in order.
fn large_message_comes_back_as_it_was(transport: Transport) {
    const LAST: u64 = 200;
    let options = Options::default().large_message(1_000);
    let mut side = Side::start(options.send_queue_bytes(usize::MAX));
    let place = Place::narrow(transport);
    let line = Line::dialed(&side, &place);
    let message = |id| {
        let len = if id % 2 == 0 { 60_000 } else { 983 };
        request(id, len).on(line.channel)
    };
    for id in 1..=LAST {
        side.post(message(id));
    }
    side.turn();
    let sent = LAST - u64::try_from(side.stats().queued_messages).unwrap();
    line.raw.reset().unwrap();
    for id in sent + 1..=LAST {
        side.expect_back(&message(id), Status::PEER_DISCONNECTED);
    }
    let info = side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    assert_eq!(info.messages_sent, 1 + sent);
    assert_eq!(side.stats().messages_returned, LAST - sent);
    assert_eq!(side.stats().queued_bytes, 0);
}

/// A small one is free for the next as soon as it is posted; a large one is the queue's.
fn large_message_is_not_copied(transport: Transport) {
    let options = Options::default().large_message(1_000);
    let side = Side::start(options.pool_initial(5));
    let place = Place::narrow(transport);
    let line = Line::dialed(&side, &place);
    line.clog(&side);
    let free = || side.stats().pool_free;
    let before = free();
    let mut lost = 0;
    for (len, is_large) in [(999, false), (1_000, true), (0, false), (65_535, true)] {
        side.post(request(5, len).on(line.channel));
        lost += usize::from(is_large);
        assert_eq!(free(), before - lost, "after one of {len}");
    }
}
