//! Whatever legal address is formatted is parsed back, also into a message that was received,
//! and the values are those of the protocol to the byte.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStringExt;

use proptest::prelude::*;
use tofu_addr::{
    Address, AddressRole, CONNECT_TO, DEFAULT_HOST, DEFAULT_PORT, Endpoint, LISTEN_ON,
    MAX_UDS_PATH_LEN, UdsName,
};
use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin, Status};

#[test]
fn values_are_the_protocols() {
    let longest = format!("/{}", "p".repeat(MAX_UDS_PATH_LEN - 1));
    let rows = [
        (
            Address::tcp_client(DEFAULT_HOST, DEFAULT_PORT),
            "~connect_to:tcp|127.0.0.1|7099\r\n",
        ),
        (Address::tcp_client("::1", 1), "~connect_to:tcp|::1|1\r\n"),
        (
            Address::tcp_client("printer.example", 65535),
            "~connect_to:tcp|printer.example|65535\r\n",
        ),
        (Address::tcp_server("", 7099), "~listen_on:tcp||7099\r\n"),
        (Address::tcp_server("::", 0), "~listen_on:tcp|::|0\r\n"),
        (
            Address::uds_client("/run/a.sock"),
            "~connect_to:uds|/run/a.sock\r\n",
        ),
        (
            Address::uds_server("jobs/a b.sock"),
            "~listen_on:uds|jobs/a b.sock\r\n",
        ),
        (Address::uds_server("@jobs"), "~listen_on:uds|@jobs\r\n"),
        (
            Address::uds_server(&longest),
            &format!("~listen_on:uds|{longest}\r\n"),
        ),
    ];
    for (address, block) in rows {
        let mut message = Message::default();
        address.format(&mut message).unwrap();
        assert_eq!(message.text_headers().as_bytes(), block.as_bytes());
        assert_eq!(Address::parse(&message), Ok(address));
    }
}

#[test]
fn leading_zeros_in_a_port_are_read() {
    let endpoint: Endpoint = "tcp|h|007099".parse().unwrap();
    assert_eq!(
        endpoint,
        Endpoint::Tcp {
            host: "h".into(),
            port: 7099
        }
    );
}

#[test]
fn the_first_of_several_headers_counts() {
    let mut message = Message::new(OpCode::HelloRequest);
    for value in ["tcp|first|1", "tcp|second|2"] {
        message
            .text_headers_mut()
            .append(CONNECT_TO, value)
            .unwrap();
    }
    assert_eq!(
        Address::parse(&message),
        Ok(Address::tcp_client("first", 1))
    );
}

#[test]
fn socket_addresses_become_endpoints() {
    let rows = [
        ("127.0.0.1:80", "tcp|127.0.0.1|80"),
        ("[::1]:80", "tcp|::1|80"),
        ("[fe80::1%3]:80", "tcp|fe80::1%3|80"),
    ];
    for (address, value) in rows {
        let address: SocketAddr = address.parse().unwrap();
        assert_eq!(Endpoint::from(address).to_string(), value);
    }
}

#[test]
fn header_fields_are_as_in_a_new_message() {
    let mut message = Message::new(OpCode::ByeRequest);
    message.set_channel_number(ChannelNumber::new(7));
    message.set_message_id(MessageId::new(8));
    message.set_status(Status::new(9));
    message.set_more(true);
    message.set_origin(Origin::Peer);
    message.body_mut().append(b"kept").unwrap();

    Address::tcp_server("", 7099).format(&mut message).unwrap();
    let mut expected = Message::new(OpCode::WelcomeRequest);
    expected
        .text_headers_mut()
        .append(LISTEN_ON, "tcp||7099")
        .unwrap();
    expected.body_mut().append(b"kept").unwrap();
    assert_eq!(message, expected);
}

/// Hosts as applications write them; what else is legal is left to the fuzz target.
fn host() -> impl Strategy<Value = String> {
    prop_oneof![
        any::<std::net::Ipv4Addr>().prop_map(|ip| ip.to_string()),
        any::<std::net::Ipv6Addr>().prop_map(|ip| ip.to_string()),
        "[a-zA-Z0-9.\\-_%:äß]{1,60}",
    ]
}

/// Any bytes that a path may have in an address; abstract names are paths that begin with `@`.
fn uds_name() -> impl Strategy<Value = UdsName> {
    let byte = any::<u8>().prop_filter("legal", |byte| !b"\0\r\n| \t".contains(byte));
    prop::collection::vec(byte, 2..=MAX_UDS_PATH_LEN)
        .prop_map(|bytes| UdsName::from_path(OsString::from_vec(bytes)))
}

fn address() -> impl Strategy<Value = Address> {
    let tcp = |(host, port)| Endpoint::Tcp { host, port };
    prop_oneof![
        (host(), 1..=u16::MAX)
            .prop_map(tcp)
            .prop_map(Address::connect_to),
        (prop_oneof![host(), Just(String::new())], any::<u16>())
            .prop_map(tcp)
            .prop_map(Address::listen_on),
        uds_name()
            .prop_map(Endpoint::Uds)
            .prop_map(Address::connect_to),
        uds_name()
            .prop_map(Endpoint::Uds)
            .prop_map(Address::listen_on),
    ]
}

/// A message as it may have been received: any op code, any header lines, stale addresses among
/// them, wherever they stand.
fn received() -> impl Strategy<Value = Message> {
    let name = prop_oneof![
        Just(CONNECT_TO.to_owned()),
        Just(LISTEN_ON.to_owned()),
        "[a-z~_]{1,12}",
    ];
    let lines = prop::collection::vec((name, "[!-~]{0,20}"), 0..8);
    (
        0..OpCode::ALL.len(),
        lines,
        prop::collection::vec(any::<u8>(), 0..64),
        any::<u64>(),
    )
        .prop_map(|(op_code, lines, body, id)| {
            let mut message = Message::new(OpCode::ALL[op_code]);
            message.set_message_id(MessageId::new(id));
            message.set_channel_number(ChannelNumber::new(3));
            message.set_origin(Origin::Peer);
            let headers = message.text_headers_mut();
            assert!(
                lines
                    .iter()
                    .all(|(name, value)| headers.append(name, value).is_ok())
            );
            assert!(message.body_mut().append(&body).is_ok());
            message
        })
}

fn header_lines(message: &Message) -> Vec<(Vec<u8>, Vec<u8>)> {
    let lines = message.text_headers().iter();
    lines
        .map(|line| (line.name.to_vec(), line.value.to_vec()))
        .collect()
}

proptest! {
    #[test]
    fn legal_addresses_survive(address in address()) {
        let mut message = Message::default();
        prop_assert_eq!(address.format(&mut message), Ok(()));
        prop_assert_eq!(Address::parse(&message), Ok(address.clone()));

        let bytes = address.endpoint().to_bytes();
        prop_assert_eq!(Endpoint::from_bytes(&bytes), Ok(address.endpoint().clone()));
        if std::str::from_utf8(&bytes).is_ok() {
            let parsed = address.to_string().parse::<Endpoint>();
            prop_assert_eq!(parsed, Ok(address.into_endpoint()));
        }
    }

    /// The naive model: drop the address lines, put the new one first.
    #[test]
    fn a_received_message_gets_exactly_one_address(address in address(), received in received()) {
        let mut lines = header_lines(&received);
        lines.retain(|(name, _)| name != CONNECT_TO.as_bytes() && name != LISTEN_ON.as_bytes());
        let own_name = address.role().header_name().as_bytes().to_vec();
        lines.insert(0, (own_name, address.endpoint().to_bytes()));

        let mut message = received.clone();
        prop_assert_eq!(address.format(&mut message), Ok(()));
        prop_assert_eq!(header_lines(&message), lines);
        prop_assert_eq!(message.body().as_bytes(), received.body().as_bytes());
        prop_assert_eq!(message.op_code(), match address.role() {
            AddressRole::Connect => OpCode::HelloRequest,
            AddressRole::Listen => OpCode::WelcomeRequest,
        });
        prop_assert_eq!(message.message_id(), MessageId::UNASSIGNED);
        prop_assert_eq!(message.channel_number(), ChannelNumber::UNASSIGNED);
        prop_assert_eq!(message.origin(), Origin::Local);
    }

    #[test]
    fn any_bytes_keep_the_fuzzed_properties(data in prop::collection::vec(any::<u8>(), 0..300)) {
        tofu_addr::fuzzing::address(&data);
    }

    /// Bytes that get further than noise does.
    #[test]
    fn nearly_addresses_keep_the_fuzzed_properties(
        text in "(~connect_to:|~listen_on:)?(tcp|uds|udp)?[|][@/:.0-9a-z |\\r\\n]{0,120}"
    ) {
        tofu_addr::fuzzing::address(text.as_bytes());
    }
}
