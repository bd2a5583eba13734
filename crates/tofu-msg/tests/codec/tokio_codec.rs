//! The codec for tokio: the same frames, however they are cut.

use std::io::ErrorKind;

use proptest::prelude::*;
use tofu_msg::{HeaderError, MAX_BODY_LEN, Message, MessageCodec, MessageId, OpCode, Origin};
use tokio_util::bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};

fn messages(lens: &[usize]) -> Vec<Message> {
    let numbered = lens.iter().zip(1..);
    let messages = numbered.map(|(&len, id)| {
        let mut message = Message::new(OpCode::Signal);
        message.set_message_id(MessageId::new(id));
        message
            .text_headers_mut()
            .append("len", len.to_string())
            .unwrap();
        message.body_mut().append(&vec![9; len]).unwrap();
        message.set_origin(Origin::Peer);
        message
    });
    messages.collect()
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_messages(
        lens in prop::collection::vec(0..3000_usize, 1..8),
        chunk in 1..5000_usize,
    ) {
        let sent = messages(&lens);
        let mut wire = BytesMut::new();
        let mut expected = Vec::new();
        for message in &sent {
            MessageCodec.encode(message, &mut wire).unwrap();
            message.encode_into(&mut expected);
        }
        prop_assert_eq!(&wire[..], &expected[..]);
        let (mut buffer, mut received) = (BytesMut::new(), Vec::new());
        for chunk in wire.chunks(chunk) {
            buffer.extend_from_slice(chunk);
            while let Some(message) = MessageCodec.decode(&mut buffer).unwrap() {
                received.push(message);
            }
        }
        prop_assert_eq!(received, sent);
        prop_assert!(buffer.is_empty());
    }
}

#[test]
fn bytes_without_meaning_are_an_error_and_stay_one() {
    let [good] = &messages(&[5])[..] else {
        unreachable!()
    };
    let mut wire = BytesMut::new();
    MessageCodec.encode(good.clone(), &mut wire).unwrap();
    let mut bad = wire.clone();
    bad[2] = 15;
    wire.extend_from_slice(&bad);
    assert_eq!(MessageCodec.decode(&mut wire).unwrap().as_ref(), Some(good));
    for _ in 0..2 {
        let error = MessageCodec.decode(&mut wire).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidData);
        let source = error.get_ref().and_then(|source| source.downcast_ref());
        assert_eq!(source, Some(&HeaderError::InvalidOpCode { op_code: 15 }));
    }
    assert_eq!(wire, bad);
}

#[test]
fn a_stream_that_ends_in_a_frame_is_an_error() {
    let mut wire = BytesMut::new();
    MessageCodec.encode(&messages(&[5])[0], &mut wire).unwrap();
    wire.truncate(20);
    assert!(MessageCodec.decode_eof(&mut wire).is_err());
    wire.clear();
    assert!(MessageCodec.decode_eof(&mut wire).unwrap().is_none());
}

#[test]
fn what_a_header_announces_is_not_yet_allocated() {
    let mut wire = BytesMut::new();
    MessageCodec
        .encode(&messages(&[MAX_BODY_LEN])[0], &mut wire)
        .unwrap();
    let mut buffer = BytesMut::from(&wire[..16]);
    assert!(MessageCodec.decode(&mut buffer).unwrap().is_none());
    assert!(buffer.capacity() < 10_000, "{}", buffer.capacity());
}
