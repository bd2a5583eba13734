//! Every recorded frame decodes to its fields, and what we may emit encodes to the same bytes.

use tofu_msg::{
    ChannelNumber, Decoder, Encoder, FrameRef, Message, MessageId, OpCode, Origin, Parse, Status,
};

use crate::data::{self, Vector};

fn parse(vector: &Vector) -> FrameRef<'_> {
    match FrameRef::parse(&vector.frame) {
        Ok(Parse::Complete(frame)) => frame,
        other => panic!("{}: {other:?}", vector.name),
    }
}

/// What the recorded lines read as. Two kinds of line were recorded as they were appended, which
/// the original does not refuse; they read differently.
fn lines_as_read(vector: &Vector) -> Option<Vec<(Vec<u8>, Vec<u8>)>> {
    let mut lines = vector.lines.clone()?;
    let read: Option<(&[u8], &[u8])> = match vector.name.split_once('.').unwrap().1 {
        "hdr.trim" => Some((b"Name", b"v")),
        "hdr.blank_value" => Some((b"blank", b"")),
        "hdr.colon_name" => Some((b"na", b"me:v")),
        _ => None,
    };
    if let Some((name, value)) = read {
        assert_eq!(lines.len(), 1);
        assert_ne!(lines[0], (name.to_vec(), value.to_vec()));
        lines[0] = (name.to_vec(), value.to_vec());
    }
    Some(lines)
}

#[test]
fn every_recorded_frame_decodes_to_its_fields() {
    let vectors = data::vectors();
    assert_eq!(vectors.len(), 91);
    for vector in &vectors {
        let frame = parse(vector);
        let header = frame.header();
        assert_eq!(frame.frame_len(), vector.frame.len(), "{}", vector.name);
        assert_eq!(
            header.channel_number.value(),
            vector.channel_number,
            "{}",
            vector.name
        );
        assert_eq!(header.op_code.name(), vector.op_code, "{}", vector.name);
        assert_eq!(
            header.op_code.as_u8(),
            vector.flags & 0x0f,
            "{}",
            vector.name
        );
        assert!(!header.engine_origin, "{}", vector.name);
        assert_eq!(header.more, vector.more, "{}", vector.name);
        assert_eq!(header.status.value(), vector.status, "{}", vector.name);
        assert_eq!(
            header.message_id.value(),
            vector.message_id,
            "{}",
            vector.name
        );
        assert_eq!(
            frame.text_headers().as_bytes(),
            vector.text_headers,
            "{}",
            vector.name
        );
        assert_eq!(frame.body(), vector.body, "{}", vector.name);
    }
}

#[test]
fn every_recorded_frame_reads_as_its_lines() {
    let mut compared = 0;
    for vector in &data::vectors() {
        let headers = parse(vector).text_headers();
        let read: Vec<_> = headers
            .iter()
            .map(|line| (line.name.to_vec(), line.value.to_vec()))
            .collect();
        match lines_as_read(vector) {
            Some(lines) => assert_eq!(read, lines, "{}", vector.name),
            None => {
                assert_eq!(read.len(), 1, "{}", vector.name);
                assert_eq!(
                    read[0].0.len() + read[0].1.len() + 3,
                    vector.text_headers.len()
                );
            }
        }
        compared += read.len();
    }
    assert!(compared > 40, "only {compared} lines");
}

/// The message that an application and its engine would make of a vector's fields.
fn built(vector: &Vector) -> Message {
    let op_code = OpCode::ALL
        .into_iter()
        .find(|op_code| op_code.name() == vector.op_code)
        .unwrap();
    let mut message = Message::new(op_code);
    message.set_channel_number(ChannelNumber::new(vector.channel_number));
    message.set_more(vector.more);
    message.set_status(Status::new(vector.status));
    message.set_message_id(MessageId::new(vector.message_id));
    message
        .text_headers_mut()
        .append_raw(&vector.text_headers)
        .unwrap();
    message.body_mut().append(&vector.body).unwrap();
    message
}

#[test]
fn what_we_may_emit_encodes_to_the_recorded_bytes() {
    let mut compared = 0;
    for vector in data::vectors().iter().filter(|vector| !vector.unused_bits) {
        let message = built(vector);
        let mut encoded = Vec::new();
        message.encode_into(&mut encoded);
        assert!(encoded == vector.frame, "{}: encode_into", vector.name);
        let mut encoder = Encoder::new(&message);
        let mut written = Vec::new();
        encoder.write_to(&mut written).unwrap();
        assert!(written == vector.frame, "{}: Encoder", vector.name);
        compared += 1;
    }
    assert!(compared > 80, "only {compared} frames");
}

#[test]
fn lines_that_we_would_append_give_the_recorded_block() {
    let mut compared = 0;
    for vector in data::vectors().iter().filter(|vector| vector.emitted) {
        let Some(lines) = &vector.lines else { continue };
        let mut message = Message::default();
        let headers = message.text_headers_mut();
        if lines
            .iter()
            .all(|(name, value)| headers.append(name, value).is_ok())
        {
            assert_eq!(headers.as_bytes(), vector.text_headers, "{}", vector.name);
            compared += lines.len();
        }
    }
    assert!(compared >= 20, "only {compared} lines");
}

#[test]
fn all_recorded_frames_in_one_stream_come_out_of_any_pieces() {
    let vectors = data::vectors();
    let stream: Vec<u8> = vectors
        .iter()
        .flat_map(|vector| vector.frame.clone())
        .collect();
    for piece_len in [1, 2, 15, 16, 17, 1000, 65536, stream.len()] {
        let mut decoder = Decoder::new();
        let mut messages = Vec::new();
        for mut piece in stream.chunks(piece_len) {
            while let Some(message) = decoder.decode(&mut piece).unwrap() {
                messages.push(message);
            }
        }
        assert_eq!(decoder.buffered_len(), 0);
        assert_eq!(messages.len(), vectors.len());
        for (message, vector) in messages.iter().zip(&vectors) {
            let mut expected = built(vector);
            expected.set_origin(Origin::Peer);
            assert!(
                *message == expected,
                "{} in pieces of {piece_len}",
                vector.name
            );
        }
    }
}
