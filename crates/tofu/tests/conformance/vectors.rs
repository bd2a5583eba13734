//! Recorded frames against a running engine: what it writes for the same posts is the same, byte
//! for byte, and what it reads is what was meant.

use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::data::{Recorded, recorded};
use crate::harness::{Build, LIMIT, Listening, Seen, Side, Transport, from_peer, on_both};
use crate::raw::{Line, RawPlace};

on_both! { what_we_write, what_we_read, automatic_ids_begin_with_1 }

/// Reads the vector's frame, which the engine has been asked for.
#[track_caller]
fn assert_written(line: &mut Line, vector: &Recorded) {
    let written = line.raw.receive_bytes(vector.frame.len(), LIMIT).unwrap();
    assert_eq!(
        &written[..2],
        line.channel.value().to_be_bytes(),
        "{}",
        vector.name
    );
    assert!(
        written[2..] == vector.frame[2..],
        "{}: {:02x?}",
        vector.name,
        &written[..16]
    );
}

/// The line on which this op code may be said now.
fn line_for(side: &mut Side, listening: &Listening, place: &RawPlace, op_code: OpCode) -> Line {
    match op_code {
        OpCode::HelloResponse => Line::accepted(side, listening),
        OpCode::ByeResponse => {
            let line = Line::dialed(side, place);
            line.peer_says(side, Message::new(OpCode::ByeRequest).id(500));
            line
        }
        _ => Line::dialed(side, place),
    }
}

fn what_we_write(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let place = RawPlace::new(transport);
    let mut written = Vec::new();
    for vector in recorded() {
        let op_code = vector.message.op_code();
        // A HelloRequest carries where it goes, which is elsewhere today.
        if vector.has_unused_bits || !vector.is_emitted || op_code == OpCode::HelloRequest {
            continue;
        }
        let mut line = line_for(&mut side, &listening, &place, op_code);
        // Neither travels.
        let mut message = vector.message.clone().with_status(Status::new(77));
        message.set_origin(Origin::Engine);
        side.post(message.on(line.channel));
        assert_written(&mut line, &vector);
        written.push(line);
    }
    assert!(written.len() >= 40, "only {}", written.len());
    hello_requests(&side, &place);
}

/// The recorded HelloRequests, with their address replaced by ours.
fn hello_requests(side: &Side, place: &RawPlace) {
    let mut written = 0;
    for vector in recorded() {
        if !vector.is_emitted || vector.message.op_code() != OpCode::HelloRequest {
            continue;
        }
        let address = Address::connect_to(place.endpoint().clone());
        // The address goes first, wherever the application's own headers were.
        let mut message = vector.message.clone();
        address.format(&mut message).unwrap();
        message.set_message_id(vector.message.message_id());
        let posted = side.post(message.clone());
        let mut raw = place.listener.accept(LIMIT).unwrap();
        let mut expected = vector.frame[..16].to_vec();
        expected[..2].copy_from_slice(&posted.channel_number().value().to_be_bytes());
        let mut headers = message.text_headers().as_bytes().to_vec();
        expected[12..14].copy_from_slice(&u16::try_from(headers.len()).unwrap().to_be_bytes());
        let recorded_line = vector.frame[16..].windows(2).position(|end| end == b"\r\n");
        let behind = &vector.frame[16 + recorded_line.unwrap() + 2..];
        let line = format!("~connect_to:{}\r\n", place.endpoint());
        assert_eq!(
            &headers.drain(..line.len()).collect::<Vec<_>>(),
            line.as_bytes()
        );
        expected.extend_from_slice(line.as_bytes());
        expected.extend_from_slice(behind);
        let frame = raw.receive_bytes(expected.len(), LIMIT).unwrap();
        assert_eq!(frame, expected, "{}", vector.name);
        written += 1;
    }
    assert!(written >= 3, "only {written}");
}

/// On a channel that is open, all but what no initiator says.
fn what_we_read(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let place = RawPlace::new(transport);
    let mut greeted = Vec::new();
    for vector in recorded() {
        let op_code = vector.message.op_code();
        let line = match op_code {
            OpCode::HelloRequest => {
                let raw = RawPeer::connect(&listening.endpoint).unwrap();
                raw.send(&vector.frame).unwrap();
                let hello = side.next();
                let expected = vector.message.clone().on(hello.channel_number());
                assert_eq!(Seen::of(&hello), from_peer(expected), "{}", vector.name);
                greeted.push(raw);
                continue;
            }
            OpCode::HelloResponse => Line::dialed(&side, &place),
            OpCode::ByeResponse => {
                let mut line = Line::accepted(&mut side, &listening);
                line.says(&side, Message::new(OpCode::ByeRequest));
                line
            }
            _ => Line::accepted(&mut side, &listening),
        };
        line.raw.send(&vector.frame).unwrap();
        let received = side.next();
        let expected = from_peer(vector.message.clone().on(line.channel));
        assert!(
            Seen::of(&received) == expected,
            "{}: {received:?}",
            vector.name
        );
        let last_word = match op_code {
            OpCode::ByeResponse => line.closed(Status::SUCCESS, true),
            _ => line.closed(Status::PEER_DISCONNECTED, false),
        };
        drop(line.raw);
        side.expect(&[last_word]);
    }
}

/// A counter per engine.
fn automatic_ids_begin_with_1(transport: Transport) {
    for _ in 0..2 {
        let side = Side::start(Options::default());
        let place = RawPlace::new(transport);
        let mut line = Line::dialed(&side, &place);
        assert_eq!(line.id, MessageId::new(1));
        for id in 2..10 {
            line.says(&side, Message::new(OpCode::Request).id(1000));
            let posted = line.says(&side, Message::new(OpCode::Signal));
            assert_eq!(posted.message_id(), MessageId::new(id));
        }
    }
}
