//! One side of a conversation: an engine with a group, and the first steps of every row.
//!
//! Nothing waits without a limit, and what is not expected is an error that says what came instead.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::chnls::CloseInfo;
use tofu::prelude::*;
use tofu_testkit::TempUdsPath;

use super::LIMIT;

/// Which kind of socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Transport {
    Tcp,
    Uds,
}

/// Both, in the order of the table.
pub(crate) const BOTH: [Transport; 2] = [Transport::Tcp, Transport::Uds];

impl fmt::Display for Transport {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Transport::Tcp => "tcp",
            Transport::Uds => "uds",
        })
    }
}

/// An engine with one group.
#[derive(Debug)]
pub(crate) struct Side {
    pub(crate) engine: Reactor,
    pub(crate) group: ChannelGroup,
}

/// A listener that is ready.
#[derive(Debug)]
pub(crate) struct Listening {
    pub(crate) endpoint: Endpoint,
    pub(crate) channel: ChannelNumber,
    /// The folder of a socket file, removed with this.
    pub(crate) path: Option<TempUdsPath>,
}

/// Where nobody listens yet.
pub(crate) fn free_place(transport: Transport) -> Result<(Address, Option<TempUdsPath>)> {
    Ok(match transport {
        Transport::Tcp => (Address::tcp_server("127.0.0.1", 0), None),
        Transport::Uds => {
            let path = TempUdsPath::new()?;
            (Address::uds_server(&path), Some(path))
        }
    })
}

impl Side {
    pub(crate) fn start(options: Options) -> Result<Side> {
        let engine = Reactor::start(options)?;
        let group = engine.create()?;
        Ok(Side { engine, group })
    }

    /// Another group of the same engine.
    pub(crate) fn sibling(&self) -> Result<Side> {
        Ok(Side {
            engine: self.engine.clone(),
            group: self.engine.create()?,
        })
    }

    /// A fresh message for a channel.
    pub(crate) fn message(&self, op_code: OpCode, channel: ChannelNumber) -> Result<Msg> {
        let mut message = self.engine.message()?;
        message.set_op_code(op_code);
        message.set_channel_number(channel);
        Ok(message)
    }

    /// The next message within the usual limit.
    pub(crate) fn next(&mut self) -> Result<Msg> {
        self.next_within(LIMIT)
    }

    pub(crate) fn next_within(&mut self, limit: Duration) -> Result<Msg> {
        let message = self.group.wait_receive(limit)?;
        message.with_context(|| format!("no message came within {limit:?}"))
    }

    /// Asks for a listener; returns its channel and the answer.
    pub(crate) fn welcome(&mut self, address: &Address) -> Result<(ChannelNumber, Msg)> {
        let mut welcome = self.engine.message()?;
        address.format(&mut welcome)?;
        let channel = self.group.post(welcome)?.channel_number();
        let answer = self.next()?;
        ensure!(
            answer.op_code() == OpCode::WelcomeResponse,
            "instead of a WelcomeResponse: {answer:?}"
        );
        Ok((channel, answer))
    }

    /// Listens at a given address.
    pub(crate) fn listen_at(&mut self, address: &Address) -> Result<(ChannelNumber, Endpoint)> {
        let (channel, answer) = self.welcome(address)?;
        ensure!(
            answer.status().is_success(),
            "cannot listen at {address}: {answer:?}"
        );
        Ok((channel, Address::parse(&answer)?.into_endpoint()))
    }

    /// Listens at a place of its own.
    pub(crate) fn listen(&mut self, transport: Transport) -> Result<Listening> {
        let (address, path) = free_place(transport)?;
        let (channel, endpoint) = self.listen_at(&address)?;
        Ok(Listening {
            endpoint,
            channel,
            path,
        })
    }

    /// Posts a HelloRequest and waits for nothing.
    pub(crate) fn hello(&self, endpoint: &Endpoint) -> Result<ChannelNumber> {
        let mut hello = self.engine.message()?;
        Address::connect_to(endpoint.clone()).format(&mut hello)?;
        Ok(self.group.post(hello)?.channel_number())
    }

    /// Connects, and waits for the peer's HelloResponse.
    pub(crate) fn connect(&mut self, endpoint: &Endpoint) -> Result<ChannelNumber> {
        let channel = self.hello(endpoint)?;
        let answer = self.next()?;
        ensure!(
            answer.op_code() == OpCode::HelloResponse
                && answer.origin() == Origin::Peer
                && answer.channel_number() == channel,
            "instead of a HelloResponse: {answer:?}"
        );
        Ok(channel)
    }

    /// Receives a HelloRequest; returns it.
    pub(crate) fn take_hello(&mut self) -> Result<Msg> {
        let hello = self.next()?;
        ensure!(
            hello.op_code() == OpCode::HelloRequest,
            "instead of a HelloRequest: {hello:?}"
        );
        Ok(hello)
    }

    /// Receives a HelloRequest and answers it.
    pub(crate) fn accept(&mut self) -> Result<ChannelNumber> {
        let mut hello = self.take_hello()?;
        let channel = hello.channel_number();
        hello.make_reply();
        self.group.post(hello)?;
        Ok(channel)
    }

    /// Waits for the last word on a channel; anything else that comes is an error.
    pub(crate) fn closed(&mut self, channel: ChannelNumber, limit: Duration) -> Result<CloseInfo> {
        let message = self.next_within(limit)?;
        match message.close_info() {
            Some(info) if message.channel_number() == channel => Ok(info.clone()),
            _ => bail!("instead of the last word on channel {channel}: {message:?}"),
        }
    }

    /// Asks and waits for the answer; how long it took.
    pub(crate) fn round_trip(&mut self, channel: ChannelNumber) -> Result<Duration> {
        let start = Instant::now();
        let mut request = self.message(OpCode::Request, channel)?;
        request.body_mut().append(b"echo")?;
        let id = self.group.post(request)?.message_id;
        let answer = self.next()?;
        ensure!(
            answer.op_code() == OpCode::Response && answer.message_id() == id,
            "instead of the answer {id} on channel {channel}: {answer:?}"
        );
        Ok(start.elapsed())
    }
}

/// Two connected sides: `(here, channel here, there, channel there)`.
pub(crate) fn connected_pair(
    transport: Transport,
    options: Options,
) -> Result<(Side, ChannelNumber, Side, ChannelNumber, Listening)> {
    let mut there = Side::start(options.clone())?;
    let listening = there.listen(transport)?;
    let mut here = Side::start(options)?;
    let channel = here.hello(&listening.endpoint)?;
    let at_there = there.accept()?;
    let answer = here.next()?;
    ensure!(
        answer.op_code() == OpCode::HelloResponse,
        "instead of a HelloResponse: {answer:?}"
    );
    Ok((here, channel, there, at_there, listening))
}
