//! Properties of headers, frames, decoder and encoder over arbitrary content.

#![cfg(test)]

use std::io::{self, Write};

use proptest::prelude::*;
use tofu_msg::{
    BinaryHeader, ChannelNumber, Decoder, Encoder, FrameRef, Message, MessageId, OpCode, Origin,
    Parse, Status,
};

fn op_codes() -> impl Strategy<Value = OpCode> {
    proptest::sample::select(&OpCode::ALL[..])
}

fn headers() -> impl Strategy<Value = BinaryHeader> {
    let flags = (op_codes(), any::<bool>(), any::<bool>());
    let numbers = (
        any::<u16>(),
        any::<u8>(),
        any::<u64>(),
        any::<u16>(),
        any::<u16>(),
    );
    (flags, numbers).prop_map(|(flags, numbers)| BinaryHeader {
        op_code: flags.0,
        engine_origin: flags.1,
        more: flags.2,
        channel_number: ChannelNumber::new(numbers.0),
        status: Status::new(numbers.1),
        message_id: MessageId::new(numbers.2),
        text_headers_len: numbers.3,
        body_len: numbers.4,
    })
}

/// Mostly short parts, now and then as long as can be.
fn parts() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        8 => proptest::collection::vec(any::<u8>(), 0..64),
        1 => proptest::collection::vec(any::<u8>(), 0..2000),
        1 => (65000..=65535usize, any::<u8>()).prop_map(|(len, byte)| vec![byte; len]),
    ]
}

fn messages() -> impl Strategy<Value = Message> {
    let origins = proptest::sample::select(&[Origin::Peer, Origin::Engine, Origin::Local][..]);
    (headers(), origins, parts(), parts()).prop_map(|(header, origin, text_headers, body)| {
        let mut message = Message::new(header.op_code);
        message.set_channel_number(header.channel_number);
        message.set_more(header.more);
        message.set_status(header.status);
        message.set_message_id(header.message_id);
        message.set_origin(origin);
        message
            .text_headers_mut()
            .append_raw(&text_headers)
            .unwrap();
        message.body_mut().append(&body).unwrap();
        message
    })
}

fn encoded(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);
    bytes
}

/// A message as its peer gets it.
fn arrived(message: &Message) -> Message {
    let mut arrived = message.clone();
    arrived.set_origin(Origin::Peer);
    arrived
}

proptest! {
    #[test]
    fn header_encode_then_decode_is_identity(header in headers()) {
        prop_assert_eq!(BinaryHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn any_header_bytes_decode_by_the_layout(bytes in any::<[u8; 16]>()) {
        tofu_msg::fuzzing::header(&bytes);
    }

    #[test]
    fn message_encode_then_parse_is_identity(message in messages(), behind in parts()) {
        let mut bytes = encoded(&message);
        prop_assert_eq!(bytes.len(), message.frame_len());
        bytes.extend_from_slice(&behind);
        let Ok(Parse::Complete(frame)) = FrameRef::parse(&bytes) else {
            return Err(TestCaseError::fail("the frame is not complete"));
        };
        prop_assert_eq!(frame.header(), message.header());
        prop_assert!(frame.to_message() == arrived(&message));
    }

    #[test]
    fn any_cut_is_partial_and_says_what_is_needed(message in messages(), cut in any::<prop::sample::Index>()) {
        let bytes = encoded(&message);
        let cut = cut.index(bytes.len());
        let needed = if cut < 16 { 16 } else { bytes.len() };
        prop_assert_eq!(FrameRef::parse(&bytes[..cut]), Ok(Parse::Partial { needed }));
    }

    #[test]
    fn load_replaces_everything(before in messages(), after in messages()) {
        let bytes = encoded(&after);
        let Ok(Parse::Complete(frame)) = FrameRef::parse(&bytes) else {
            return Err(TestCaseError::fail("the frame is not complete"));
        };
        let mut reused = before;
        reused.load(&frame);
        prop_assert!(reused == arrived(&after));
        reused.reset();
        prop_assert!(reused == Message::default());
    }

    #[test]
    fn any_pieces_give_the_same_messages(
        sent in proptest::collection::vec(messages(), 1..6),
        cuts in proptest::collection::vec(1usize..3000, 1..20),
    ) {
        let stream: Vec<u8> = sent.iter().flat_map(encoded).collect();
        let mut decoder = Decoder::new();
        let mut received = Vec::new();
        let mut rest = &stream[..];
        for cut in cuts.iter().cycle() {
            let (mut piece, behind) = rest.split_at(rest.len().min(*cut));
            rest = behind;
            while let Some(message) = decoder.decode(&mut piece).unwrap() {
                received.push(message);
            }
            prop_assert!(piece.is_empty());
            prop_assert!(decoder.capacity() <= 2 * decoder.buffered_len() + 64);
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(decoder.buffered_len(), 0);
        prop_assert!(received.iter().eq(&sent.iter().map(arrived).collect::<Vec<_>>()));
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        tofu_msg::fuzzing::header(&bytes);
        tofu_msg::fuzzing::frame_decoder(&bytes);
        tofu_msg::fuzzing::text_headers(&bytes);
    }

    #[test]
    fn encoder_gives_the_frame_in_any_steps(
        message in messages(),
        steps in proptest::collection::vec(0usize..5000, 1..20),
    ) {
        let frame = encoded(&message);
        let mut encoder = Encoder::new(&message);
        let mut written = Vec::new();
        for step in steps {
            prop_assert!(encoder.slices().concat() == frame[written.len()..]);
            let mut out = vec![0; step];
            let len = encoder.encode(&mut out);
            prop_assert_eq!(len, step.min(frame.len() - written.len()));
            written.extend_from_slice(&out[..len]);
            prop_assert_eq!(encoder.remaining(), frame.len() - written.len());
            prop_assert_eq!(encoder.is_done(), written.len() == frame.len());
        }
        encoder.write_to(&mut written).unwrap();
        prop_assert!(encoder.is_done());
        prop_assert!(written == frame);
    }

    #[test]
    fn encoder_goes_on_after_errors_of_the_writer(
        message in messages(),
        script in proptest::collection::vec(0usize..300, 1..30),
    ) {
        let mut writer = Scripted { script: script.clone(), turn: 0, written: Vec::new() };
        let mut encoder = Encoder::new(&message);
        let untouched = message.clone();
        while let Err(error) = encoder.write_to(&mut writer) {
            prop_assert!(matches!(
                error.kind(),
                io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted
            ));
            if script.iter().all(|len| *len < 2) {
                break;
            }
        }
        prop_assert!(encoded(&message).starts_with(&writer.written));
        prop_assert_eq!(encoder.remaining(), message.frame_len() - writer.written.len());
        prop_assert!(message == untouched);
    }
}

/// Takes as many bytes as its script says, in turn; 0 and 1 stand for errors.
struct Scripted {
    script: Vec<usize>,
    turn: usize,
    written: Vec<u8>,
}

impl Write for Scripted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let step = self.script[self.turn % self.script.len()];
        self.turn += 1;
        match step {
            0 => Err(io::ErrorKind::WouldBlock.into()),
            1 => Err(io::ErrorKind::Interrupted.into()),
            len => {
                let len = len.min(bytes.len());
                self.written.extend_from_slice(&bytes[..len]);
                Ok(len)
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
