//! Bodies and messages: limits, plain data, reuse.

#![cfg(test)]

use std::io::Write;

use proptest::prelude::*;
use tofu_msg::{
    Body, BodyError, ChannelNumber, MAX_BODY_LEN, MAX_FRAME_LEN, Message, MessageId, OpCode,
    Origin, Status,
};

#[test]
fn the_limit_holds_to_the_byte_and_nothing_changes_beyond_it() {
    let too_long = |len| {
        Err(BodyError::TooLong {
            len,
            limit: MAX_BODY_LEN,
        })
    };
    let mut body = Body::new();
    body.append(&[7; MAX_BODY_LEN]).unwrap();
    assert_eq!(body.append(b"x"), too_long(MAX_BODY_LEN + 1));
    assert_eq!(body.append(b""), Ok(()));
    assert_eq!(body.append_value(&0u64), too_long(MAX_BODY_LEN + 8));
    assert_eq!(body.append_slice(&[0u32; 3]), too_long(MAX_BODY_LEN + 12));
    assert_eq!(body.replace(&[0; 70000]), too_long(70000));
    assert_eq!(body.as_bytes(), [7; MAX_BODY_LEN]);
    assert_eq!(Body::from_vec(vec![0; 65536]).map(|_| ()), too_long(65536));
    let error = body.append(b"x").unwrap_err();
    assert_eq!(error.status(), Status::INVALID_BODY_LEN);
    assert_eq!(error.to_string(), "a body of 65536 bytes exceeds 65535");
}

#[test]
fn a_vector_becomes_a_body_if_it_fits() {
    let body = Body::try_from(vec![1, 2, 3]).unwrap();
    assert_eq!(body.as_bytes(), [1, 2, 3]);
    let error = Body::try_from(vec![0; MAX_BODY_LEN + 1]).unwrap_err();
    assert!(matches!(error, BodyError::TooLong { .. }));
}

#[test]
fn an_error_as_one_of_input_and_output_keeps_its_kind_and_text() {
    let error = Body::new().read_value::<u64>(4).unwrap_err();
    let text = error.to_string();
    let error = std::io::Error::from(error);
    assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof);
    assert_eq!(error.to_string(), text);
}

#[test]
fn writing_takes_all_or_nothing() {
    let mut body = Body::new();
    write!(body, "{}-{}", 1, 2).unwrap();
    assert_eq!(&body[..], b"1-2");
    let error = body.write(&[0; MAX_BODY_LEN - 2]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::FileTooLarge);
    assert_eq!(&body[..], b"1-2");
    assert_eq!(
        body.write(&[0; MAX_BODY_LEN - 3]).unwrap(),
        MAX_BODY_LEN - 3
    );
    body.flush().unwrap();
    assert_eq!(body.len(), MAX_BODY_LEN);
}

#[test]
fn plain_data_comes_back_from_any_offset() {
    let mut body = Body::new();
    body.append(b"x").unwrap();
    body.append_value(&0x0102_0304_0506_0708u64).unwrap();
    body.append_slice(&[1.5f32, -2.0]).unwrap();
    assert_eq!(body.len(), 1 + 8 + 8);
    assert_eq!(body.read_value::<u64>(1), Ok(0x0102_0304_0506_0708));
    assert_eq!(body.read_values::<f32>(9, 2), Ok(vec![1.5, -2.0]));
    assert_eq!(body.read_values::<f32>(17, 0), Ok(vec![]));
    let beyond = |offset, len| BodyError::OutOfBounds {
        offset,
        len,
        body_len: 17,
    };
    assert_eq!(body.read_value::<u64>(10), Err(beyond(10, 8)));
    assert_eq!(
        body.read_value::<u8>(usize::MAX),
        Err(beyond(usize::MAX, 1))
    );
    assert_eq!(body.read_values::<f32>(9, 3), Err(beyond(9, 12)));
    assert_eq!(
        body.read_values::<u64>(0, usize::MAX),
        Err(beyond(0, usize::MAX))
    );
    assert_eq!(beyond(9, 12).status(), Status::INVALID_BODY_LEN);
    assert_eq!(
        beyond(9, 12).to_string(),
        "12 bytes at 9 reach beyond a body of 17 bytes"
    );
}

#[test]
fn buffers_pass_through_uncopied() {
    let bytes = vec![1, 2, 3];
    let place = bytes.as_ptr();
    let mut body = Body::from_vec(bytes).unwrap();
    body.as_mut_bytes()[0] = 9;
    assert_eq!(body.as_ref(), [9, 2, 3]);
    let bytes = body.into_vec();
    assert_eq!(bytes.as_ptr(), place);
}

#[test]
fn a_long_body_is_not_printed_whole() {
    let mut body = Body::new();
    body.append(b"a\xff").unwrap();
    assert_eq!(format!("{body:?}"), r#"Body(2 bytes, "a\xff")"#);
    body.replace(&[b'x'; 1000]).unwrap();
    assert_eq!(
        format!("{body:?}"),
        format!("Body(1000 bytes, \"{}\"..)", "x".repeat(32))
    );
}

#[test]
fn a_fresh_message_is_empty_and_local() {
    let message = Message::default();
    assert_eq!(message.op_code(), OpCode::Request);
    assert!(!message.more());
    assert_eq!(message.status(), Status::SUCCESS);
    assert_eq!(message.origin(), Origin::Local);
    assert_eq!(message.channel_number(), ChannelNumber::UNASSIGNED);
    assert_eq!(message.message_id(), MessageId::UNASSIGNED);
    assert!(message.text_headers().is_empty() && message.body().is_empty());
    assert_eq!(message.capacity(), 0);
    assert_eq!(message.frame_len(), 16);
    assert_eq!(message.header().encode(), [0; 16]);
    let signal = Message::new(OpCode::Signal);
    assert_eq!(signal.op_code(), OpCode::Signal);
}

fn full() -> Message {
    let mut message = Message::new(OpCode::HelloRequest);
    message.set_more(true);
    message.set_status(Status::QUEUE_FULL);
    message.set_origin(Origin::Engine);
    message.set_channel_number(ChannelNumber::MAX);
    message.set_message_id(MessageId::new(u64::MAX));
    let (text_headers, body) = message.parts_mut();
    text_headers.append_raw(&[b'h'; 65535]).unwrap();
    body.append(&[b'b'; 65535]).unwrap();
    message
}

#[test]
fn the_header_tells_of_the_content() {
    let message = full();
    let header = message.header();
    assert!(header.engine_origin && header.more);
    assert_eq!(header.channel_number, ChannelNumber::MAX);
    assert_eq!((header.text_headers_len, header.body_len), (65535, 65535));
    assert_eq!(header.frame_len(), MAX_FRAME_LEN);
    assert_eq!(message.frame_len(), MAX_FRAME_LEN);
    for origin in [Origin::Peer, Origin::Local] {
        let mut message = message.clone();
        message.set_origin(origin);
        assert!(!message.header().engine_origin);
    }
}

#[test]
fn reset_keeps_memory_and_shrinking_gives_it_back() {
    let mut message = full();
    let held = message.capacity();
    assert!(held >= 131_070);
    message.reset();
    assert_eq!(message, Message::default());
    assert_eq!(message.capacity(), held);
    message.shrink_to(1000);
    assert!(message.capacity() <= 2000);
    let mut message = full();
    message.shrink_to(0);
    assert_eq!(message, full());
}

#[test]
fn a_reply_keeps_channel_and_id() {
    let mut message = full();
    assert_eq!(message.make_reply(), Some(OpCode::HelloResponse));
    let mut expected = full();
    expected.set_op_code(OpCode::HelloResponse);
    expected.set_more(false);
    assert_eq!(message, expected);
    message.set_more(true);
    let before = message.clone();
    assert_eq!(message.make_reply(), None);
    assert_eq!(message, before);
}

proptest! {
    #[test]
    fn plain_values_written_are_read(
        before in proptest::collection::vec(any::<u8>(), 0..9),
        values in proptest::collection::vec(any::<u32>(), 0..50),
    ) {
        let mut body = Body::new();
        body.append(&before).unwrap();
        body.append_slice(&values).unwrap();
        prop_assert_eq!(body.read_values::<u32>(before.len(), values.len()), Ok(values.clone()));
        for (index, value) in values.iter().enumerate() {
            prop_assert_eq!(body.read_value(before.len() + 4 * index), Ok(*value));
        }
        prop_assert!(body.read_value::<u32>(body.len().saturating_sub(3)).is_err());
    }
}
