//! Every malformed, missing or misplaced address that the protocol names, with its status, and
//! that the error's text quotes the value. The same table serves parsing and formatting.

use tofu_addr::{
    Address, AddressError, AddressFault, CONNECT_TO, Endpoint, LISTEN_ON, MAX_HOST_LEN,
    MAX_UDS_PATH_LEN, UdsName,
};
use tofu_msg::{MAX_TEXT_HEADERS_LEN, Message, OpCode, Status};

/// For whom a value is malformed.
#[derive(Clone, Copy, PartialEq)]
enum For {
    Connecting,
    Both,
}
use For::{Both, Connecting};

/// The malformed values that need no computing, by what is wrong with them.
const MALFORMED: &[(AddressFault, For, &[&str])] = &[
    (
        AddressFault::UnknownTransport,
        Both,
        &[
            "",
            "|",
            "udp|h|7099",
            "TCP|h|7099",
            "x tcp|h|7099",
            "tcp6|h|7099",
            "h|7099",
            "/run/a",
        ],
    ),
    (
        AddressFault::PartCount,
        Both,
        &[
            "tcp",
            "tcp|h",
            "tcp|h|7099|x",
            "tcp|h|7099|",
            "tcp|h|7099||||||",
            "uds",
            "uds|/a|b",
        ],
    ),
    (
        AddressFault::Port,
        Both,
        &[
            "tcp|h|",
            "tcp|h|http",
            "tcp|h|-1",
            "tcp|h|+7099",
            "tcp|h| 7099",
            "tcp|h|0x1f",
            "tcp|h|7_099",
            "tcp|h|7099.0",
            "tcp|h|\u{0661}",
            "tcp|h|65536",
            "tcp|h|99999999999999999999999",
        ],
    ),
    (
        AddressFault::PortZero,
        Connecting,
        &["tcp|h|0", "tcp|::1|0", "tcp|h|00"],
    ),
    (
        AddressFault::EmptyHost,
        Connecting,
        &["tcp||7099", "tcp||0"],
    ),
    (
        AddressFault::HostCharacter,
        Both,
        &[
            "tcp| |7099",
            "tcp|a b|7099",
            "tcp|a\tb|7099",
            "tcp|a\0b|7099",
            "tcp|a\rb|7099",
            "tcp|a\nb|7099",
            "tcp|a\x7fb|7099",
            "tcp|a\u{2003}b|7099",
        ],
    ),
    (AddressFault::EmptyPath, Both, &["uds|", "uds|@"]),
    (
        AddressFault::PathCharacter,
        Both,
        &["uds|/a\0b", "uds|/a\nb", "uds|/a\rb", "uds|@a\0b"],
    ),
];

/// Values one byte longer than may be.
fn too_long() -> Vec<(AddressFault, For, String)> {
    let path = AddressFault::PathTooLong {
        len: MAX_UDS_PATH_LEN + 1,
        limit: MAX_UDS_PATH_LEN,
    };
    let host = AddressFault::HostTooLong {
        len: MAX_HOST_LEN + 1,
    };
    vec![
        (path, Both, format!("uds|/{}", "p".repeat(MAX_UDS_PATH_LEN))),
        (path, Both, format!("uds|@{}", "p".repeat(MAX_UDS_PATH_LEN))),
        (
            host,
            Both,
            format!("tcp|{}|7099", "h".repeat(MAX_HOST_LEN + 1)),
        ),
    ]
}

fn malformed() -> impl Iterator<Item = (AddressFault, For, String)> {
    let listed = MALFORMED.iter().flat_map(|&(fault, whom, values)| {
        values
            .iter()
            .map(move |&value| (fault, whom, value.to_owned()))
    });
    listed.chain(too_long())
}

fn message_with(op_code: OpCode, name: &str, value: &[u8]) -> Message {
    let mut message = Message::new(op_code);
    let block = [name.as_bytes(), b":", value, b"\r\n"].concat();
    assert!(message.text_headers_mut().append_raw(&block).is_ok());
    message
}

#[test]
fn malformed_values_are_invalid_address_and_quoted() {
    for (reason, whom, value) in malformed() {
        let hello = message_with(OpCode::HelloRequest, CONNECT_TO, value.as_bytes());
        let welcome = message_with(OpCode::WelcomeRequest, LISTEN_ON, value.as_bytes());
        let invalid = AddressError::Invalid {
            value: value.clone(),
            reason,
        };
        assert_eq!(invalid.status(), Status::INVALID_ADDRESS);
        assert!(
            invalid.to_string().contains(&format!("{value:?}")),
            "{invalid}"
        );
        assert!(
            invalid.to_string().contains(&reason.to_string()),
            "{invalid}"
        );

        assert_eq!(Address::parse(&hello), Err(invalid.clone()));
        if whom == Both {
            assert_eq!(Address::parse(&welcome), Err(invalid.clone()));
            assert_eq!(value.parse::<Endpoint>(), Err(invalid));
        } else {
            assert!(
                Address::parse(&welcome).is_ok(),
                "{value:?} is fine to listen on"
            );
            assert!(
                value.parse::<Endpoint>().is_ok(),
                "{value:?} is an endpoint"
            );
        }
    }
}

#[test]
fn bytes_that_are_not_text_are_quoted_lossily_or_carried() {
    let error = Endpoint::from_bytes(b"tcp|h\xff|7099").unwrap_err();
    assert!(error.to_string().contains("tcp|h\u{fffd}|7099"), "{error}");
    assert_eq!(error.status(), Status::INVALID_ADDRESS);

    let path = b"uds|/run/\xff\xfe";
    assert_eq!(Endpoint::from_bytes(path).unwrap().to_bytes(), path);
}

#[test]
fn a_huge_value_is_refused_and_quoted_in_part() {
    for filler in [b'x', b'|', b'0', 0xff] {
        let mut value = b"tcp|".to_vec();
        value.resize(60_000, filler);
        let error = Endpoint::from_bytes(&value).unwrap_err();
        assert_eq!(error.status(), Status::INVALID_ADDRESS);
        let text = error.to_string();
        assert!(
            text.contains("tcp|") && text.contains("...") && text.len() < 4096,
            "{text}"
        );
    }
}

#[test]
fn missing_and_wrong_kind_are_wrong_address() {
    let other = "127.0.0.1";
    for (op_code, expected, found) in [
        (OpCode::HelloRequest, CONNECT_TO, LISTEN_ON),
        (OpCode::WelcomeRequest, LISTEN_ON, CONNECT_TO),
    ] {
        let missing = Address::parse(&message_with(op_code, "host", other.as_bytes()));
        assert_eq!(missing, Err(AddressError::Missing { expected }));
        let wrong = Address::parse(&message_with(op_code, found, b"tcp|127.0.0.1|7099"));
        assert_eq!(wrong, Err(AddressError::WrongKind { expected, found }));
        for error in [missing, wrong].map(Result::unwrap_err) {
            assert_eq!(error.status(), Status::WRONG_ADDRESS);
            assert!(error.to_string().contains(expected), "{error}");
        }
        // Names are case sensitive.
        let upper = message_with(op_code, &expected.to_uppercase(), b"tcp|127.0.0.1|7099");
        assert_eq!(
            Address::parse(&upper),
            Err(AddressError::Missing { expected })
        );
    }
}

#[test]
fn other_op_codes_carry_no_address() {
    for op_code in OpCode::ALL {
        let mut message = message_with(op_code, CONNECT_TO, b"tcp|127.0.0.1|7099");
        assert!(
            message
                .text_headers_mut()
                .append(LISTEN_ON, "uds|/run/a")
                .is_ok()
        );
        let header = Address::parse(&message).map(|address| address.role().header_name());
        match op_code {
            OpCode::HelloRequest | OpCode::HelloResponse => assert_eq!(header, Ok(CONNECT_TO)),
            OpCode::WelcomeRequest | OpCode::WelcomeResponse => assert_eq!(header, Ok(LISTEN_ON)),
            _ => {
                let error = header.unwrap_err();
                assert_eq!(error, AddressError::NotAnAddressOp { op_code });
                assert_eq!(error.status(), Status::INVALID_OP_CODE);
            }
        }
    }
}

#[test]
fn what_cannot_be_carried_is_refused_and_leaves_the_message_alone() {
    let file = |path: &str| Endpoint::Uds(UdsName::File(path.into()));
    let rows = [
        (Address::tcp_client("", 7099), AddressFault::EmptyHost),
        (Address::tcp_client("localhost", 0), AddressFault::PortZero),
        (
            Address::tcp_server("a|b", 7099),
            AddressFault::HostCharacter,
        ),
        (
            Address::tcp_server("a\r\nb:c", 7099),
            AddressFault::HostCharacter,
        ),
        (Address::uds_client(""), AddressFault::EmptyPath),
        (Address::uds_server("@"), AddressFault::EmptyPath),
        (Address::uds_server("/run/a|b"), AddressFault::PathCharacter),
        (
            Address::uds_server("/run/a\r\nb:c"),
            AddressFault::PathCharacter,
        ),
        (Address::uds_server("/run/a "), AddressFault::PathCharacter),
        (Address::uds_server("/run/a\t"), AddressFault::PathCharacter),
        (Address::listen_on(file("@a")), AddressFault::AmbiguousPath),
    ];
    for (address, fault) in rows {
        let mut message = message_with(OpCode::Response, CONNECT_TO, b"tcp|127.0.0.1|7099");
        message.set_status(Status::new(200));
        let before = message.clone();
        let error = address.format(&mut message).unwrap_err();
        let value = address.to_string();
        assert_eq!(
            error,
            AddressError::Invalid {
                value,
                reason: fault
            }
        );
        assert_eq!(message, before);
    }
}

#[test]
fn full_text_headers_are_an_error_and_stay() {
    let mut message = Message::new(OpCode::Request);
    let own_line = "~connect_to:tcp|127.0.0.1|7099\r\n";
    let room_left = own_line.len() - 1;
    let filler = "v".repeat(MAX_TEXT_HEADERS_LEN - room_left - "n:\r\n".len());
    let headers = message.text_headers_mut();
    headers.append("n", &filler).unwrap();
    // Removed for the new address, which is then still one byte too long.
    headers.append("~listen_on", "uds|/a").unwrap();
    let before = message.clone();

    let address = Address::tcp_client("127.0.0.1", 7099);
    let error = address.format(&mut message).unwrap_err();
    assert!(matches!(error, AddressError::DoesNotFit(_)), "{error:?}");
    assert_eq!(error.status(), Status::INVALID_HEADERS_LEN);
    assert_eq!(message, before);

    // One byte less, and it fits.
    Address::tcp_client("127.0.0.1", 709)
        .format(&mut message)
        .unwrap();
    assert_eq!(message.text_headers().len(), MAX_TEXT_HEADERS_LEN);
}
