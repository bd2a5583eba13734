//! What must hold for any bytes: the body of the fuzz target `address`, replayed over its corpus
//! by a test. Not part of the public interface.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use tofu_msg::{MAX_TEXT_HEADERS_LEN, Message, OpCode};

use crate::{Address, AddressError, CONNECT_TO, Endpoint, LISTEN_ON};

/// Takes `data` as an address value, as a block of text headers and as the parts of an address,
/// and asserts that nothing panics, that nothing is truncated and that what is accepted is read
/// back the same.
pub fn address(data: &[u8]) {
    as_value(data);
    as_headers(data);
    as_parts(data);
}

fn as_value(data: &[u8]) {
    match Endpoint::from_bytes(data) {
        Ok(endpoint) => {
            let bytes = endpoint.to_bytes();
            assert_eq!(Endpoint::from_bytes(&bytes).as_ref(), Ok(&endpoint));
            match (&endpoint, std::str::from_utf8(data)) {
                // A port may have leading zeros; everything before it is kept to the byte.
                (Endpoint::Tcp { host, .. }, _) => {
                    let port = data.strip_prefix(format!("tcp|{host}|").as_bytes());
                    assert!(port.is_some_and(|port| port.iter().all(u8::is_ascii_digit)));
                }
                (Endpoint::Uds(_), Ok(text)) => assert_eq!(endpoint.to_string(), text),
                (Endpoint::Uds(_), Err(_)) => assert_eq!(bytes, data),
            }
        }
        Err(error) => assert_quotes(&error, data),
    }
}

fn assert_quotes(error: &AddressError, data: &[u8]) {
    let head = data.get(..32).unwrap_or(data);
    if head
        .iter()
        .all(|byte| byte.is_ascii_alphanumeric() || b"|/.:@-".contains(byte))
    {
        let quoted = String::from_utf8_lossy(head);
        assert!(
            error.to_string().contains(quoted.as_ref()),
            "{error} does not quote {quoted}"
        );
    }
    assert!(
        error.to_string().len() < 8192,
        "the error's text is bounded"
    );
}

fn as_headers(data: &[u8]) {
    for op_code in OpCode::ALL {
        let mut message = Message::new(op_code);
        let block = data.get(..MAX_TEXT_HEADERS_LEN).unwrap_or(data);
        assert!(message.text_headers_mut().replace_raw(block).is_ok());
        if let Ok(parsed) = Address::parse(&message) {
            assert_formats(&parsed, &mut message);
        }
    }
}

fn as_parts(data: &[u8]) {
    let (number, rest) = data.split_at_checked(2).unwrap_or_default();
    let port = number
        .iter()
        .fold(0, |port, &byte| port << 8 | u16::from(byte));
    let host = String::from_utf8_lossy(rest);
    let path = OsStr::from_bytes(rest);
    for address in [
        Address::tcp_client(host.as_ref(), port),
        Address::tcp_server(host.as_ref(), port),
        Address::uds_client(path),
        Address::uds_server(path),
    ] {
        assert_formats(&address, &mut Message::default());
    }
}

/// Formats `address` into `message`: either it comes out as it went in, first and alone, or the
/// message is unchanged.
fn assert_formats(address: &Address, message: &mut Message) {
    let before = message.clone();
    match address.format(message) {
        Ok(()) => {
            assert_eq!(Address::parse(message).as_ref(), Ok(address));
            let first = message.text_headers().iter().next();
            let first = first.map(|header| (header.name, header.value));
            let value = address.endpoint().to_bytes();
            assert_eq!(
                first,
                Some((address.role().header_name().as_bytes(), value.as_slice()))
            );
            assert_eq!(address_headers(message), 1);
            assert_eq!(message.body().as_bytes(), before.body().as_bytes());
        }
        Err(_) => assert_eq!(message, &before),
    }
}

fn address_headers(message: &Message) -> usize {
    let names = [CONNECT_TO.as_bytes(), LISTEN_ON.as_bytes()];
    message
        .text_headers()
        .iter()
        .filter(|header| names.contains(&header.name))
        .count()
}
