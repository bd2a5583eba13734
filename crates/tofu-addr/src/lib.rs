//! Addresses of tofu endpoints: where a listener listens and where an initiator connects.
//!
//! In tofu an address travels inside a message, as its first text header: `~connect_to` on a
//! HelloRequest, `~listen_on` on a WelcomeRequest. The value is one of
//!
//! | value | meaning |
//! |---|---|
//! | `tcp\|HOST\|PORT` | TCP; the host is an IPv4 or IPv6 address or a name |
//! | `tcp\|\|PORT` | TCP on every IPv4 address of this host; only to listen |
//! | `uds\|PATH` | a Unix domain socket in the file system |
//! | `uds\|@NAME` | a Unix domain socket in Linux's abstract namespace |
//!
//! Port 0 lets the system choose and is only for listening; the port it chose comes back in the
//! `~listen_on` header of the WelcomeResponse, which [`Address::parse`] reads as well.
//!
//! [`Endpoint`] is the place alone, [`Address`] is the place and what shall be done there.
//! Nothing here opens a socket or asks a name server. Nothing is ever shortened to fit: what is
//! malformed or too long is an [`AddressError`], whose text quotes the value and whose
//! [`status`](AddressError::status) is what a message would carry about it.
//!
//! # Example
//!
//! ```
//! use tofu_addr::{Address, AddressRole, Endpoint};
//! use tofu_msg::{Message, OpCode};
//!
//! let mut hello = Message::default();
//! Address::tcp_client("127.0.0.1", 7099).format(&mut hello)?;
//! assert_eq!(hello.op_code(), OpCode::HelloRequest);
//!
//! // The acceptor reads it back.
//! let address = Address::parse(&hello)?;
//! assert_eq!(address.role(), AddressRole::Connect);
//! assert_eq!(address.endpoint(), &Endpoint::Tcp { host: "127.0.0.1".into(), port: 7099 });
//! assert_eq!(address.to_string(), "tcp|127.0.0.1|7099");
//!
//! // A place from a configuration file.
//! let endpoint: Endpoint = "uds|/run/printer.sock".parse()?;
//! Address::listen_on(endpoint).format(&mut hello)?;
//! assert_eq!(hello.op_code(), OpCode::WelcomeRequest);
//! # Ok::<(), tofu_addr::AddressError>(())
//! ```
//!
//! The crate is for systems with Unix domain sockets, whose paths are bytes and need not be text.

mod address;
mod endpoint;
mod error;
#[doc(hidden)]
pub mod fuzzing;
mod uds_name;

pub use address::{Address, AddressRole};
pub use endpoint::Endpoint;
pub use error::{AddressError, AddressFault};
pub use uds_name::UdsName;

/// The text header of a HelloRequest that says where to connect to.
pub const CONNECT_TO: &str = "~connect_to";

/// The text header of a WelcomeRequest that says where to listen.
pub const LISTEN_ON: &str = "~listen_on";

/// The host to use where nobody named one: this one, by IPv4 loopback.
pub const DEFAULT_HOST: &str = "127.0.0.1";

/// The TCP port to use where nobody named one.
pub const DEFAULT_PORT: u16 = 7099;

/// The most bytes that a host may have: what the domain name system allows a name.
pub const MAX_HOST_LEN: usize = 255;

/// The most bytes that a Unix domain socket's path may have; for an abstract name, the `@`
/// included. It is what the system's address structure holds, less a final NUL.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub const MAX_UDS_PATH_LEN: usize = 107;

/// The most bytes that a Unix domain socket's path may have; for an abstract name, the `@`
/// included. It is what the system's address structure holds, less a final NUL.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub const MAX_UDS_PATH_LEN: usize = 103;
