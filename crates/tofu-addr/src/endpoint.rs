//! The place of a socket and its text form, `tcp|HOST|PORT` or `uds|PATH`. [`Address`] adds what
//! shall be done there; the engine turns an endpoint into sockets. Parsing looks nothing up.
//!
//! [`Address`]: crate::Address

use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

use crate::{AddressError, AddressFault, MAX_HOST_LEN, UdsName};

/// What stands between the parts of an address.
const SEPARATOR: u8 = b'|';

/// The place of a TCP or Unix domain socket.
///
/// Any value can be built; [`Address::format`](crate::Address::format) refuses one that no address
/// can carry, and what [`from_bytes`](Endpoint::from_bytes) returned can always be carried.
///
/// ```
/// use tofu_addr::Endpoint;
///
/// let endpoint: Endpoint = "tcp|printer.example|7099".parse()?;
/// assert_eq!(endpoint, Endpoint::Tcp { host: "printer.example".into(), port: 7099 });
/// assert_eq!(endpoint.to_string(), "tcp|printer.example|7099");
/// assert!("tcp|printer.example|70990".parse::<Endpoint>().is_err());
/// # Ok::<(), tofu_addr::AddressError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// A TCP socket.
    Tcp {
        /// An IPv4 address, an IPv6 address without brackets, or a name; at most
        /// [`MAX_HOST_LEN`] bytes. Empty means every IPv4 address of this host, to listen.
        host: String,
        /// The port. 0 lets the system choose one, to listen.
        port: u16,
    },
    /// A Unix domain socket.
    Uds(UdsName),
}

impl Endpoint {
    /// Reads an endpoint as it stands in a text header.
    ///
    /// # Errors
    ///
    /// [`AddressError::Invalid`] with the value and what is wrong with it.
    pub fn from_bytes(value: &[u8]) -> Result<Endpoint, AddressError> {
        parse(value).map_err(|fault| AddressError::invalid(value, fault))
    }

    /// The endpoint as it stands in a text header. Only a path that is not UTF-8 makes it differ
    /// from the text that `Display` gives.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Endpoint::Tcp { host, port } => format!("tcp|{host}|{port}").into_bytes(),
            Endpoint::Uds(name) => [b"uds|", name.to_bytes().as_slice()].concat(),
        }
    }

    /// Checks that an address can carry the endpoint.
    pub(crate) fn check(&self) -> Result<(), AddressFault> {
        match self {
            Endpoint::Tcp { host, .. } => check_host(host),
            Endpoint::Uds(name) => name.check(),
        }
    }
}

fn parse(value: &[u8]) -> Result<Endpoint, AddressFault> {
    // A fourth part is one too many for either form, and a peer may send thousands.
    let parts: Vec<&[u8]> = value.splitn(4, |&byte| byte == SEPARATOR).collect();
    let endpoint = match parts.as_slice() {
        [b"tcp", host, port] => Endpoint::Tcp {
            host: parse_host(host)?,
            port: parse_port(port)?,
        },
        [b"uds", path] => Endpoint::Uds(UdsName::from_bytes(path)),
        [b"tcp" | b"uds", ..] => return Err(AddressFault::PartCount),
        _ => return Err(AddressFault::UnknownTransport),
    };
    endpoint.check()?;
    Ok(endpoint)
}

fn parse_host(host: &[u8]) -> Result<String, AddressFault> {
    match std::str::from_utf8(host) {
        Ok(host) => Ok(host.to_owned()),
        Err(_) => Err(AddressFault::HostCharacter),
    }
}

/// Digits only: `u16::from_str` would take a plus sign as well.
fn parse_port(port: &[u8]) -> Result<u16, AddressFault> {
    if !port.iter().all(u8::is_ascii_digit) {
        return Err(AddressFault::Port);
    }
    let digits = std::str::from_utf8(port).map_err(|_| AddressFault::Port)?;
    digits.parse().map_err(|_| AddressFault::Port)
}

fn check_host(host: &str) -> Result<(), AddressFault> {
    if host.len() > MAX_HOST_LEN {
        return Err(AddressFault::HostTooLong { len: host.len() });
    }
    if host.contains(|c: char| c.is_whitespace() || c.is_control() || c == '|') {
        return Err(AddressFault::HostCharacter);
    }
    Ok(())
}

/// As in a text header, with U+FFFD in place of what is not UTF-8.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp { host, port } => write!(f, "tcp|{host}|{port}"),
            Endpoint::Uds(name) => write!(f, "uds|{name}"),
        }
    }
}

impl FromStr for Endpoint {
    type Err = AddressError;

    /// The same as [`Endpoint::from_bytes`].
    fn from_str(value: &str) -> Result<Endpoint, AddressError> {
        Endpoint::from_bytes(value.as_bytes())
    }
}

/// The numeric endpoint, with an IPv6 scope kept as `%SCOPE`.
impl From<SocketAddr> for Endpoint {
    fn from(address: SocketAddr) -> Endpoint {
        let host = match address {
            SocketAddr::V6(v6) if v6.scope_id() != 0 => format!("{}%{}", v6.ip(), v6.scope_id()),
            _ => address.ip().to_string(),
        };
        Endpoint::Tcp {
            host,
            port: address.port(),
        }
    }
}
