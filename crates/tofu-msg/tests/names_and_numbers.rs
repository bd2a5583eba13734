//! Op codes, statuses, channel numbers and message ids: their numbers and names on the wire.

#![cfg(test)]

use tofu_msg::{
    ChannelNumber, HeaderError, MessageId, OpCode, OpType, Origin, Role, Status, StatusKind,
};

#[test]
fn op_codes_are_what_the_protocol_says() {
    use OpType::{Bye, Hello, Regular, Welcome};
    use Role::{Request, Response, Signal};
    let table = [
        (0, "Request", Regular, Request, Some(1)),
        (1, "Response", Regular, Response, None),
        (2, "Signal", Regular, Signal, Some(2)),
        (3, "HelloRequest", Hello, Request, Some(4)),
        (4, "HelloResponse", Hello, Response, None),
        (5, "ByeRequest", Bye, Request, Some(6)),
        (6, "ByeResponse", Bye, Response, None),
        (7, "ByeSignal", Bye, Signal, None),
        (8, "WelcomeRequest", Welcome, Request, Some(9)),
        (9, "WelcomeResponse", Welcome, Response, None),
    ];
    for (op_code, (number, name, op_type, role, reply)) in OpCode::ALL.into_iter().zip(table) {
        assert_eq!(op_code.as_u8(), number);
        assert_eq!(u8::from(op_code), number);
        assert_eq!(OpCode::from_u8(number), Some(op_code));
        assert_eq!(OpCode::try_from(number), Ok(op_code));
        assert_eq!(
            (op_code.name(), op_code.to_string()),
            (name, name.to_owned())
        );
        assert_eq!((op_code.op_type(), op_code.role()), (op_type, role));
        assert_eq!(op_code.reply().map(OpCode::as_u8), reply);
    }
    for number in 10..=255 {
        assert_eq!(OpCode::from_u8(number), None);
        assert_eq!(
            OpCode::try_from(number),
            Err(HeaderError::InvalidOpCode { op_code: number })
        );
    }
    assert_eq!(format!("[{:>8}]", OpCode::Signal), "[  Signal]");
}

#[test]
fn statuses_are_what_the_protocol_says() {
    let wire = "success not_implemented_yet wrong_address not_allowed null_message invalid_message \
        invalid_op_code invalid_headers_len invalid_body_len invalid_more_usage \
        invalid_channel_number invalid_channel_group invalid_message_id invalid_address \
        uds_path_not_found notification_disabled notification_failed peer_disconnected \
        communication_failed pool_empty allocation_failed receiver_update channel_closed \
        shutdown_started connect_failed listen_failed accept_failed send_failed recv_failed \
        setsockopt_failed processing_failed unknown_error";
    let local = "address_in_use connect_timeout handshake_timeout hello_response_timeout \
        frame_timeout bye_timeout linger_timeout write_stall_timeout idle_timeout \
        protocol_violation queue_full send_queue_ready uds_path_gone channels_exhausted \
        too_many_lookups too_many_header_lines handshake_evicted connection_limit \
        permission_denied";
    let numbers = (0..32).chain(64..83);
    let names: Vec<_> = wire
        .split_whitespace()
        .chain(local.split_whitespace())
        .collect();
    assert_eq!(names.len(), Status::ALL.len());
    for ((number, name), status) in numbers.zip(names).zip(Status::ALL) {
        assert_eq!(
            (status.value(), status.to_string()),
            (number, name.to_owned())
        );
        assert_eq!(status.kind().name(), name);
        assert_eq!(format!("{status:?}"), format!("Status({number} {name})"));
    }
    assert_eq!(Status::CHANNEL_CLOSED.value(), 22);
    assert_eq!(
        Status::PERMISSION_DENIED.kind(),
        StatusKind::PermissionDenied
    );
}

#[test]
fn every_byte_is_a_status_and_stays_itself() {
    let mut unnamed = 0;
    for number in 0..=255u8 {
        let status = Status::new(number);
        assert_eq!(
            (status.value(), u8::from(status), Status::from(number)),
            (number, number, status)
        );
        assert_eq!(status.is_success(), number == 0);
        if !Status::ALL.contains(&status) {
            unnamed += 1;
            assert_eq!(status.kind(), StatusKind::UnknownError);
            assert_eq!(status.to_string(), format!("unknown_error({number})"));
        }
    }
    assert_eq!(unnamed, 256 - 51);
    assert_eq!(Status::UNKNOWN_ERROR.kind(), StatusKind::UnknownError);
    assert_eq!(Status::UNKNOWN_ERROR.to_string(), "unknown_error");
    assert_eq!(format!("{:>14}", StatusKind::QueueFull), "    queue_full");
}

#[test]
fn zero_is_no_channel_and_no_id() {
    assert_eq!(ChannelNumber::default(), ChannelNumber::UNASSIGNED);
    assert!(!ChannelNumber::UNASSIGNED.is_assigned());
    assert!(ChannelNumber::new(1).is_assigned() && ChannelNumber::new(u16::MAX).is_assigned());
    assert_eq!(ChannelNumber::MAX.value(), 65534);
    assert_eq!(ChannelNumber::from(7).to_string(), "7");
    assert_eq!(u16::from(ChannelNumber::from(7)), 7);
    assert_eq!(MessageId::default(), MessageId::UNASSIGNED);
    assert!(!MessageId::UNASSIGNED.is_assigned());
    assert!(MessageId::new(u64::MAX).is_assigned());
    assert_eq!(u64::from(MessageId::from(u64::MAX)), u64::MAX);
    assert_eq!(MessageId::new(42).to_string(), "42");
    assert_eq!(Origin::default(), Origin::Local);
}
