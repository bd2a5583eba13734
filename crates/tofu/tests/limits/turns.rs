//! How much one channel may do in a turn of the event loop before the others have theirs.

use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{Build, LIMIT, Side, Transport, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    turn_messages_bound_what_is_received,
    turn_messages_bound_what_is_sent,
    turn_bytes_bound_what_is_received,
    turn_bytes_bound_what_is_sent,
    turn_messages_leave_room_beside_a_flood_of_input,
    turn_messages_leave_room_beside_a_flood_of_output,
}

const COUNT: u64 = 1_000;

/// Turns that receiving the messages takes, which are all there at once.
fn turns_to_receive(transport: Transport, options: Options, len: usize) -> u64 {
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    let line = Line::accepted(&mut side, &listening);
    let before = side.stats().turns;
    line.raw.send(&requests(1..=COUNT, len)).unwrap();
    for id in 1..=COUNT {
        side.expect_peer(line.channel, &request(id, len));
    }
    side.stats().turns - before
}

/// Turns that sending the messages takes, which are all there before the peer makes room.
fn turns_to_send(transport: Transport, options: Options, len: usize) -> u64 {
    let side = Side::start(options);
    let place = Place::narrow(transport);
    let mut line = Line::dialed(&side, &place);
    let clogged = line.clog(&side);
    for id in 1..=COUNT {
        side.post(request(id, len).on(line.channel));
    }
    side.turn();
    let before = side.stats().turns;
    line.expect_ids(1..=clogged);
    line.expect_ids(1..=COUNT);
    side.stats().turns - before
}

fn turn_messages_bound_what_is_received(transport: Transport) {
    let turns = turns_to_receive(transport, Options::default().turn_messages(10), 0);
    assert!(turns >= 100, "{turns}");
}

fn turn_messages_bound_what_is_sent(transport: Transport) {
    let turns = turns_to_send(transport, Options::default().turn_messages(10), 0);
    assert!(turns >= 100, "{turns}");
}

fn turn_bytes_bound_what_is_received(transport: Transport) {
    let turns = turns_to_receive(transport, Options::default().turn_bytes(2_048), 84);
    assert!(turns >= 48, "{turns}");
}

fn turn_bytes_bound_what_is_sent(transport: Transport) {
    let turns = turns_to_send(transport, Options::default().turn_bytes(2_048), 84);
    assert!(turns >= 48, "{turns}");
}

/// An honest peer asks one question after the other; the longest wait for an answer.
fn ask(mut honest: RawPeer) -> JoinHandle<Duration> {
    std::thread::spawn(move || {
        let mut longest = Duration::ZERO;
        for id in 1..=30 {
            let asked = Instant::now();
            honest.send_frame(&request(id, 10)).unwrap();
            let answer = honest.receive_frame(LIMIT).unwrap().unwrap();
            assert_eq!(answer.message_id().value(), id);
            longest = longest.max(asked.elapsed());
        }
        longest
    })
}

/// Answers on this channel until all has been asked; how many messages came on others.
fn answer(side: &mut Side, channel: ChannelNumber, asking: JoinHandle<Duration>) -> u64 {
    let mut others = 0;
    while !asking.is_finished() {
        let Some(msg) = side.group.wait_receive(Duration::from_millis(1)).unwrap() else {
            continue;
        };
        if msg.channel_number() != channel {
            others += 1;
        } else if msg.origin() == Origin::Peer {
            side.group.post(msg).unwrap();
        }
    }
    let longest = asking.join().unwrap();
    assert!(longest < LIMIT / 2, "{longest:?}");
    others
}

fn short_turns() -> Options {
    Options::default().turn_messages(64).turn_bytes(64 * 1024)
}

/// Two peers send as fast as they can.
fn turn_messages_leave_room_beside_a_flood_of_input(transport: Transport) {
    let mut side = Side::start(short_turns());
    let listening = side.listen(transport);
    let honest = Line::accepted(&mut side, &listening);
    let flooding = [
        Line::accepted(&mut side, &listening).raw,
        Line::accepted(&mut side, &listening).raw,
    ];
    let floods: Vec<_> = flooding
        .into_iter()
        .map(|raw| {
            let bytes = requests(1..=500, 100);
            std::thread::spawn(move || while raw.send(&bytes).is_ok() {})
        })
        .collect();
    let received = answer(&mut side, honest.channel, ask(honest.raw));
    assert!(received > 1_000, "{received} is no flood");
    drop(side);
    for flood in floods {
        flood.join().unwrap();
    }
}

/// The application sends as fast as it can to a peer that takes it all.
fn turn_messages_leave_room_beside_a_flood_of_output(transport: Transport) {
    let mut side = Side::start(short_turns());
    let listening = side.listen(transport);
    let honest = Line::accepted(&mut side, &listening);
    let Line { channel, mut raw } = Line::accepted(&mut side, &listening);
    let (told, flooded) = std::sync::mpsc::channel();
    let reader = std::thread::spawn(move || {
        let mut count = 0_u64;
        while raw.receive_frame(LIMIT).is_ok_and(|frame| frame.is_some()) {
            count += 1;
            if count == 1_000 {
                told.send(()).unwrap();
            }
        }
    });
    let poster = side.group.poster();
    let flood = std::thread::spawn(move || {
        let message = || Msg::from(request(1, 100).on(channel));
        while poster.post_timeout(message(), LIMIT).is_ok() {}
    });
    // Only then is there something to leave room beside.
    flooded.recv_timeout(LIMIT).unwrap();
    answer(&mut side, honest.channel, ask(honest.raw));
    drop(side);
    flood.join().unwrap();
    reader.join().unwrap();
}
