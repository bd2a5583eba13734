//! What the benchmarks share: a pair of engines that talk over a real socket.

use std::error::Error;
use std::time::Duration;

use tofu::prelude::*;

/// Everything here is waited for at most so long.
pub const LIMIT: Duration = Duration::from_secs(20);

/// Whatever can go wrong while a benchmark is set up.
pub type Failure = Box<dyn Error + Send + Sync>;

/// Two engines with one connection between them.
#[derive(Debug)]
pub struct Pair {
    /// The engine that listens.
    pub server: Reactor,
    /// The engine that connects.
    pub client: Reactor,
    /// The listening group.
    pub server_group: ChannelGroup,
    /// The connecting group.
    pub client_group: ChannelGroup,
    /// Where the server listens.
    pub endpoint: Endpoint,
}

impl Pair {
    /// Starts two engines; the first listens on `address`.
    ///
    /// # Errors
    /// When an engine does not start or the address cannot be listened on.
    pub fn listen(address: &Address) -> Result<Pair, Failure> {
        let server = Reactor::start(Options::default())?;
        let client = Reactor::start(Options::default())?;
        let mut server_group = server.create()?;
        let client_group = client.create()?;
        let mut welcome = server.message()?;
        address.format(&mut welcome)?;
        server_group.post(welcome)?;
        let ready = next(&mut server_group)?;
        let endpoint = Address::parse(&ready)?.into_endpoint();
        Ok(Pair {
            server,
            client,
            server_group,
            client_group,
            endpoint,
        })
    }

    /// Opens one more connection; its number at the client and at the server.
    ///
    /// # Errors
    /// When it is not made in time.
    pub fn connect(&mut self) -> Result<(ChannelNumber, ChannelNumber), Failure> {
        let mut hello = self.client.message()?;
        Address::connect_to(self.endpoint.clone()).format(&mut hello)?;
        let near = self.client_group.post(hello)?.channel_number();
        let mut hello = next(&mut self.server_group)?;
        let far = hello.channel_number();
        hello.make_reply();
        self.server_group.post(hello)?;
        let answer = next(&mut self.client_group)?;
        match answer.op_code() {
            OpCode::HelloResponse => Ok((near, far)),
            other => Err(format!("{other} instead of a HelloResponse").into()),
        }
    }
}

/// The next message of a group.
///
/// # Errors
/// When none comes in time.
pub fn next(group: &mut ChannelGroup) -> Result<Msg, Failure> {
    group
        .wait_receive(LIMIT)?
        .ok_or_else(|| "no message in time".into())
}

/// Both transports: a name and an address to listen on.
#[must_use]
pub fn transports() -> [(&'static str, Address); 2] {
    let path = std::env::temp_dir().join(format!("tofu-bench-{}.sock", std::process::id()));
    [
        ("tcp", Address::tcp_server("127.0.0.1", 0)),
        ("uds", Address::uds_server(path)),
    ]
}
