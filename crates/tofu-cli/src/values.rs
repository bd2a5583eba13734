//! The values of options and arguments: what a word on the command line has to look like.
//!
//! Called by clap while it reads the command line, so that a wrong value is told before anything
//! is done. Nothing here opens a file or looks up a name.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{OsStringValueParser, TypedValueParser};
use tofu::addr::{AddressRole, Endpoint};
use tofu::msg::TextHeaders;
use tofu::prelude::{Address, AddressError, Message};

/// The longest duration: short enough to be added to any point in time.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// An address that one can connect to.
pub(crate) fn to_connect() -> impl TypedValueParser<Value = Endpoint> {
    OsStringValueParser::new().try_map(|value| endpoint(value, AddressRole::Connect))
}

/// An address that one can listen on.
pub(crate) fn to_listen() -> impl TypedValueParser<Value = Endpoint> {
    OsStringValueParser::new().try_map(|value| endpoint(value, AddressRole::Listen))
}

fn endpoint(value: OsString, role: AddressRole) -> Result<Endpoint, String> {
    let parse = || {
        let endpoint = Endpoint::from_bytes(&value.into_vec())?;
        let address = match role {
            AddressRole::Connect => Address::connect_to(endpoint),
            AddressRole::Listen => Address::listen_on(endpoint),
        };
        address.format(&mut Message::default())?;
        Ok(address.into_endpoint())
    };
    // The value itself is quoted by clap.
    parse().map_err(|error| match error {
        AddressError::Invalid { reason, .. } => reason.to_string(),
        other => other.to_string(),
    })
}

/// A duration: a number with `us`, `ms`, `s` or `m` behind it; seconds without.
pub(crate) fn duration(value: &str) -> Result<Duration, String> {
    let is_unit = |character: char| character.is_ascii_alphabetic();
    let (number, unit) = value.split_at(value.find(is_unit).unwrap_or(value.len()));
    let seconds_each = match unit {
        "us" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => {
            return Err(format!(
                "{unit:?} is no unit of time; there are us, ms, s, m"
            ));
        }
    };
    let number: f64 = match number.parse() {
        Ok(number) if number >= 0.0 => number,
        _ => return Err("not a duration such as 5s, 200ms or 0.5".to_owned()),
    };
    match Duration::try_from_secs_f64(number * seconds_each) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        _ => Err("more than a year".to_owned()),
    }
}

/// A duration above zero.
pub(crate) fn nonzero_duration(value: &str) -> Result<Duration, String> {
    match duration(value)? {
        Duration::ZERO => Err("a duration of zero leaves no time for anything".to_owned()),
        duration => Ok(duration),
    }
}

/// A text header.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) name: Vec<u8>,
    pub(crate) value: Vec<u8>,
}

/// A text header, written `NAME=VALUE`.
pub(crate) fn header() -> impl TypedValueParser<Value = Header> {
    OsStringValueParser::new().try_map(|value| parse_header(&value.into_vec()))
}

fn parse_header(bytes: &[u8]) -> Result<Header, String> {
    let Some(at) = bytes.iter().position(|byte| *byte == b'=') else {
        return Err("it is not of the form NAME=VALUE".to_owned());
    };
    let (name, value) = (bytes[..at].to_vec(), bytes[at + 1..].to_vec());
    match TextHeaders::new().append(&name, &value) {
        Ok(()) => Ok(Header { name, value }),
        Err(error) => Err(error.to_string()),
    }
}

/// Where a body comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Source {
    Text(Vec<u8>),
    File(PathBuf),
    StandardInput,
}

/// A body: `-`, `@FILE`, or the text itself.
pub(crate) fn source() -> impl TypedValueParser<Value = Source> {
    OsStringValueParser::new().map(|value| parse_source(value.into_vec()))
}

fn parse_source(bytes: Vec<u8>) -> Source {
    match bytes.split_first() {
        Some((b'-', [])) => Source::StandardInput,
        Some((b'@', path)) => Source::File(OsString::from_vec(path.to_vec()).into()),
        _ => Source::Text(bytes),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("0.2"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("10us"), Ok(Duration::from_micros(10)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        assert!(nonzero_duration("0s").is_err());
        for wrong in [
            "", "s", "-1s", "5h", "1e400", "inf", "NaN", "5 s", "1m30s", "9e99m", "1000000m",
        ] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn headers_are_split_at_the_first_equals_sign() {
        let header = parse_header(b"filter=a=b").unwrap();
        assert_eq!(
            (&*header.name, &*header.value),
            (&b"filter"[..], &b"a=b"[..])
        );
        for wrong in [&b"name"[..], b"=value", b"a:b=c", b"a=b\nc"] {
            assert!(parse_header(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn bodies_come_from_three_places() {
        assert_eq!(parse_source(b"-".to_vec()), Source::StandardInput);
        assert_eq!(parse_source(b"@a".to_vec()), Source::File("a".into()));
        assert_eq!(parse_source(b"-a".to_vec()), Source::Text(b"-a".to_vec()));
        assert_eq!(parse_source(Vec::new()), Source::Text(Vec::new()));
    }

    #[test]
    fn a_client_needs_a_whole_address() {
        let parse = |value: &str, role| endpoint(value.into(), role);
        assert!(parse("tcp|127.0.0.1|0", AddressRole::Listen).is_ok());
        assert!(parse("tcp|127.0.0.1|0", AddressRole::Connect).is_err());
        assert!(parse("udp|127.0.0.1|1", AddressRole::Listen).is_err());
        let path = OsString::from_vec(b"uds|/not/utf-8/\xff".to_vec());
        let endpoint = endpoint(path, AddressRole::Connect).unwrap();
        assert_eq!(endpoint.to_bytes(), b"uds|/not/utf-8/\xff");
    }
}
