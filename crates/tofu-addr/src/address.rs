//! An endpoint together with what shall be done there, and the way of both into a message and out
//! of it. Applications call `format`; the engine calls `parse` when a Hello or a Welcome is
//! posted. Only op code, header fields and address headers of a message are touched here.

use std::fmt;
use std::path::Path;

use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, OpType, Origin, Status};

use crate::{AddressError, AddressFault, CONNECT_TO, Endpoint, LISTEN_ON, UdsName};

/// What shall be done at an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AddressRole {
    /// Connect to it; the header is [`CONNECT_TO`], on a HelloRequest.
    Connect,
    /// Listen on it; the header is [`LISTEN_ON`], on a WelcomeRequest.
    Listen,
}

impl AddressRole {
    /// The name of the text header that carries the address.
    pub const fn header_name(self) -> &'static str {
        match self {
            AddressRole::Connect => CONNECT_TO,
            AddressRole::Listen => LISTEN_ON,
        }
    }

    /// The op code of the message that asks for it.
    pub const fn op_code(self) -> OpCode {
        match self {
            AddressRole::Connect => OpCode::HelloRequest,
            AddressRole::Listen => OpCode::WelcomeRequest,
        }
    }

    const fn other(self) -> AddressRole {
        match self {
            AddressRole::Connect => AddressRole::Listen,
            AddressRole::Listen => AddressRole::Connect,
        }
    }

    /// By the op code's type; the responses count too, since they carry the address back.
    fn of(op_code: OpCode) -> Result<AddressRole, AddressError> {
        match op_code.op_type() {
            OpType::Hello => Ok(AddressRole::Connect),
            OpType::Welcome => Ok(AddressRole::Listen),
            _ => Err(AddressError::NotAnAddressOp { op_code }),
        }
    }
}

/// An [`Endpoint`] to connect to or to listen on.
///
/// Building one never fails; [`format`](Address::format) checks it. `Display` gives the value of
/// the text header.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Address {
    role: AddressRole,
    endpoint: Endpoint,
}

impl Address {
    /// To connect by TCP to `host`, an IPv4 or IPv6 address or a name.
    pub fn tcp_client(host: impl Into<String>, port: u16) -> Address {
        Address::connect_to(Endpoint::Tcp {
            host: host.into(),
            port,
        })
    }

    /// To listen by TCP on `host`: an address or a name of this host, `""` for every IPv4 address,
    /// `"::"` for every IPv4 and IPv6 address. Port 0 lets the system choose.
    pub fn tcp_server(host: impl Into<String>, port: u16) -> Address {
        Address::listen_on(Endpoint::Tcp {
            host: host.into(),
            port,
        })
    }

    /// To connect to a Unix domain socket; `@name` is one in Linux's abstract namespace.
    pub fn uds_client(path: impl AsRef<Path>) -> Address {
        Address::connect_to(Endpoint::Uds(UdsName::from_path(path)))
    }

    /// To listen on a Unix domain socket; `@name` is one in Linux's abstract namespace.
    pub fn uds_server(path: impl AsRef<Path>) -> Address {
        Address::listen_on(Endpoint::Uds(UdsName::from_path(path)))
    }

    /// To connect to `endpoint`.
    pub fn connect_to(endpoint: Endpoint) -> Address {
        Address {
            role: AddressRole::Connect,
            endpoint,
        }
    }

    /// To listen on `endpoint`.
    pub fn listen_on(endpoint: Endpoint) -> Address {
        Address {
            role: AddressRole::Listen,
            endpoint,
        }
    }

    /// What shall be done at the endpoint.
    pub fn role(&self) -> AddressRole {
        self.role
    }

    /// The place.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// The place, by value.
    pub fn into_endpoint(self) -> Endpoint {
        self.endpoint
    }

    /// Makes `message` the request for this address: a HelloRequest or a WelcomeRequest with
    /// channel, id, status and `more` as in a new message, and the address as its first text
    /// header. An address that was there is replaced; body and other text headers stay, so a
    /// received message can be used again.
    ///
    /// # Errors
    ///
    /// [`AddressError::Invalid`] if the address is malformed, [`AddressError::DoesNotFit`] if the
    /// text headers have no room for it. The message is then unchanged.
    pub fn format(&self, message: &mut Message) -> Result<(), AddressError> {
        let value = self.endpoint.to_bytes();
        self.check()
            .map_err(|fault| AddressError::invalid(&value, fault))?;

        let headers = message.text_headers_mut();
        let before = headers.clone();
        headers.remove_all(CONNECT_TO);
        headers.remove_all(LISTEN_ON);
        if let Err(error) = headers.insert_first(self.role.header_name(), &value) {
            *headers = before;
            return Err(error.into());
        }
        message.set_op_code(self.role.op_code());
        message.set_channel_number(ChannelNumber::UNASSIGNED);
        message.set_message_id(MessageId::UNASSIGNED);
        message.set_status(Status::SUCCESS);
        message.set_more(false);
        message.set_origin(Origin::Local);
        Ok(())
    }

    /// Reads the address of a Hello or a Welcome, request or response: the first header of the
    /// kind that belongs to its op code.
    ///
    /// # Errors
    ///
    /// [`AddressError::NotAnAddressOp`] for any other op code, [`AddressError::Missing`] and
    /// [`AddressError::WrongKind`] if that header is not there, [`AddressError::Invalid`] if it
    /// is malformed.
    pub fn parse(message: &Message) -> Result<Address, AddressError> {
        let role = AddressRole::of(message.op_code())?;
        let headers = message.text_headers();
        let Some(value) = headers.get(role.header_name()) else {
            let (expected, found) = (role.header_name(), role.other().header_name());
            return Err(match headers.get(found) {
                Some(_) => AddressError::WrongKind { expected, found },
                None => AddressError::Missing { expected },
            });
        };
        let address = Address {
            role,
            endpoint: Endpoint::from_bytes(value)?,
        };
        address
            .check()
            .map_err(|fault| AddressError::invalid(value, fault))?;
        Ok(address)
    }

    /// Checks the endpoint, and what only a listener may leave open.
    fn check(&self) -> Result<(), AddressFault> {
        self.endpoint.check()?;
        match (self.role, &self.endpoint) {
            (AddressRole::Connect, Endpoint::Tcp { host, .. }) if host.is_empty() => {
                Err(AddressFault::EmptyHost)
            }
            (AddressRole::Connect, Endpoint::Tcp { port: 0, .. }) => Err(AddressFault::PortZero),
            _ => Ok(()),
        }
    }
}

/// The value of the text header, with U+FFFD in place of what is not UTF-8.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint.fmt(f)
    }
}
