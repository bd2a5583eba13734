//! Decoder, encoder and frames: the cases that have a name.

#![cfg(test)]

#[cfg(feature = "tokio-codec")]
#[path = "codec/tokio_codec.rs"]
mod tokio_codec;

use std::io::{self, Write};

use tofu_msg::{
    BinaryHeader, ChannelNumber, Decoder, Encoder, FrameRef, HEADER_LEN, HeaderError,
    MAX_FRAME_LEN, Message, MessageId, OpCode, Origin, Parse, RawHeader, Status,
};

fn message() -> Message {
    let mut message = Message::new(OpCode::Signal);
    message.set_message_id(MessageId::new(0x0102_0304_0506_0708));
    message.text_headers_mut().append("name", "value").unwrap();
    message.body_mut().append(b"the body").unwrap();
    message
}

fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);
    bytes
}

#[test]
fn header_bytes_stand_where_the_layout_says() {
    let header = BinaryHeader {
        channel_number: ChannelNumber::new(0x0102),
        op_code: OpCode::WelcomeResponse,
        engine_origin: true,
        more: true,
        status: Status::new(0x03),
        message_id: MessageId::new(0x0405_0607_0809_0a0b),
        text_headers_len: 0x0c0d,
        body_len: 0x0e0f,
    };
    let bytes = [
        1,
        2,
        0b0011_1001,
        3,
        4,
        5,
        6,
        7,
        8,
        9,
        10,
        11,
        12,
        13,
        14,
        15,
    ];
    assert_eq!(header.encode(), bytes);
    assert_eq!(BinaryHeader::decode(&bytes), Ok(header));
    assert_eq!(RawHeader::new(bytes).as_bytes(), &bytes);
    assert_eq!(header.payload_len(), 0x0c0d + 0x0e0f);
    assert_eq!(header.frame_len(), 16 + 0x0c0d + 0x0e0f);
}

#[test]
fn unused_bits_are_ignored_and_never_sent() {
    let mut bytes = BinaryHeader::default().encode();
    bytes[2] |= 0b1100_0000;
    assert_eq!(RawHeader::new(bytes).flags(), 0b1100_0000);
    let header = BinaryHeader::decode(&bytes).unwrap();
    assert_eq!(header, BinaryHeader::default());
    assert_eq!(header.encode(), [0; 16]);
}

#[test]
fn every_cut_of_a_frame_in_two_gives_the_message() {
    let mut expected = message();
    expected.set_origin(Origin::Peer);
    let bytes = frame(&message());
    for cut in 0..=bytes.len() {
        let (mut first, mut second) = bytes.split_at(cut);
        let mut decoder = Decoder::new();
        let early = decoder.decode(&mut first).unwrap();
        assert!(first.is_empty());
        if cut == bytes.len() {
            assert_eq!(early.as_ref(), Some(&expected));
        } else {
            assert_eq!(early, None);
            assert_eq!(decoder.buffered_len(), cut);
            assert_eq!(
                decoder.decode(&mut second).unwrap().as_ref(),
                Some(&expected)
            );
        }
        assert_eq!((decoder.buffered_len(), decoder.capacity()), (0, 0));
    }
}

#[test]
fn a_frame_is_complete_with_its_last_byte() {
    let bytes = frame(&message());
    let (_, but_one) = bytes.split_last().unwrap();
    assert!(FrameRef::parse(but_one).unwrap().complete().is_none());
    let whole = FrameRef::parse(&bytes).unwrap().complete().unwrap();
    assert_eq!(whole.as_bytes(), bytes);
}

#[test]
fn one_message_per_call_and_the_rest_stays() {
    let bytes = [frame(&message()), frame(&Message::default())].concat();
    let mut decoder = Decoder::new();
    let mut input = &bytes[..];
    assert_eq!(
        decoder.decode(&mut input).unwrap().unwrap().op_code(),
        OpCode::Signal
    );
    assert_eq!(input.len(), HEADER_LEN);
    assert_eq!(
        decoder.decode(&mut input).unwrap().unwrap().op_code(),
        OpCode::Request
    );
    assert!(input.is_empty());
    assert_eq!(decoder.decode(&mut input), Ok(None));
}

#[test]
fn a_frame_that_only_announces_costs_nothing() {
    let header = BinaryHeader {
        text_headers_len: 65535,
        body_len: 65535,
        ..Default::default()
    };
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(&mut &header.encode()[..]), Ok(None));
    assert_eq!(decoder.buffered_len(), HEADER_LEN);
    assert_eq!(decoder.capacity(), 0);
    let mut arrived = 0;
    while arrived < MAX_FRAME_LEN - HEADER_LEN - 1 {
        assert_eq!(decoder.decode(&mut &[b'x'][..]), Ok(None));
        arrived += 1;
        assert_eq!(decoder.buffered_len(), HEADER_LEN + arrived);
        assert!(
            decoder.capacity() <= 2 * arrived + 64,
            "after {arrived} bytes"
        );
    }
    let message = decoder.decode(&mut &[b'y'][..]).unwrap().unwrap();
    assert_eq!(message.frame_len(), MAX_FRAME_LEN);
    assert_eq!(message.body().last(), Some(&b'y'));
    assert_eq!((decoder.buffered_len(), decoder.capacity()), (0, 0));
}

#[test]
fn a_failed_decoder_stays_failed_until_reset() {
    let good = frame(&message());
    let bad = [0, 0, 0x0b, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    let error = HeaderError::InvalidOpCode { op_code: 11 };
    for cut in 0..HEADER_LEN {
        let mut decoder = Decoder::new();
        assert_eq!(decoder.decode(&mut &bad[..cut]), Ok(None));
        let stream = [&bad[cut..], &good].concat();
        let mut input = &stream[..];
        assert_eq!(decoder.decode(&mut input), Err(error));
        assert_eq!(input, good, "the bad header is taken, nothing behind it");
        assert_eq!(decoder.decode(&mut input), Err(error));
        assert_eq!(input, good);
        decoder.reset();
        assert!(decoder.decode(&mut input).unwrap().is_some());
    }
    assert_eq!(error.status(), Status::INVALID_OP_CODE);
    assert_eq!(error.to_string(), "op code 11 does not exist");
}

#[test]
fn reset_forgets_a_cut_frame() {
    let bytes = frame(&message());
    let mut decoder = Decoder::new();
    assert_eq!(decoder.decode(&mut &bytes[..20]), Ok(None));
    decoder.reset();
    assert_eq!(decoder.buffered_len(), 0);
    assert!(decoder.decode(&mut &bytes[..]).unwrap().is_some());
}

#[test]
fn encoder_with_a_header_of_its_own_measures_the_content() {
    let message = message();
    let header = BinaryHeader {
        channel_number: ChannelNumber::new(9),
        op_code: OpCode::Request,
        body_len: 60000,
        ..BinaryHeader::default()
    };
    let mut written = Vec::new();
    Encoder::with_header(header, &message)
        .write_to(&mut written)
        .unwrap();
    let mut appended = b"in front".to_vec();
    message.encode_with_header(header, &mut appended);
    assert_eq!(&appended[8..], written);
    let Ok(Parse::Complete(frame)) = FrameRef::parse(&written) else {
        panic!("not whole")
    };
    assert_eq!(frame.header().channel_number, ChannelNumber::new(9));
    assert_eq!(frame.header().op_code, OpCode::Request);
    assert_eq!(frame.body(), b"the body");
    assert_eq!(frame.frame_len(), written.len());
}

#[test]
fn an_encoder_made_anew_goes_on_where_the_other_stopped() {
    let message = message();
    let bytes = frame(&message);
    for sent in 0..=bytes.len() {
        let mut encoder = Encoder::new(&message);
        encoder.advance(sent);
        assert_eq!(encoder.slices().concat(), &bytes[sent..]);
        encoder.advance(usize::MAX);
        assert!(encoder.is_done());
        assert_eq!(encoder.encode(&mut [0; 8]), 0);
    }
}

/// Takes nothing and says so.
struct Full;

impl Write for Full {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Ok(0)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_writer_that_takes_nothing_is_an_error() {
    let message = message();
    let mut encoder = Encoder::new(&message);
    assert_eq!(
        encoder.write_to(Full).unwrap_err().kind(),
        io::ErrorKind::WriteZero
    );
    assert_eq!(encoder.remaining(), message.frame_len());
    encoder.advance(usize::MAX);
    assert!(
        encoder.write_to(Full).is_ok(),
        "nothing remains to be written"
    );
}
