//! tofu, through what its users see and nothing else.

mod post;

use anyhow::{Context, Result, bail};
use tofu::prelude::*;

use crate::measures::Measures;
use crate::server_process::ServerProcess;
use crate::side::{self, Library, Side};
use crate::work::{Shape, Spin, Transport, Work};
use crate::{client, server};

pub(super) fn serve(work: &Work) -> Result<()> {
    server::serve::<Tofu>(work)
}

pub(super) fn drive(work: &Work, server: &mut ServerProcess) -> Result<Measures> {
    match work.shape {
        Shape::Post => post::drive(work, server),
        _ => client::drive::<Tofu>(work, server),
    }
}

struct Tofu;

/// The defaults, but for what the work asks for.
fn options(work: &Work) -> Options {
    match work.spin {
        Spin::Default => Options::default(),
        Spin::Off => Options::default().idle(IdleStrategy::Off),
    }
}

impl Library for Tofu {
    type Server = Server;
    type Client = Client;

    fn listen(work: &Work) -> Result<(Server, String)> {
        let engine = Reactor::start(options(work))?;
        let mut group = engine.create()?;
        let mut welcome = engine.message()?;
        let address = match work.transport {
            Transport::Tcp => Address::tcp_server("127.0.0.1", 0),
            Transport::Uds => Address::uds_server(Work::socket_path()),
        };
        address.format(&mut welcome)?;
        group.post(welcome)?;
        let ready = next(&mut group)?;
        let address = Address::parse(&ready)?.to_string();
        Ok((Server { engine, group }, address))
    }

    fn client(work: &Work, address: &str) -> Result<Client> {
        let engine = Reactor::start(options(work))?;
        let group = engine.create()?;
        Ok(Client {
            op_code: match work.shape {
                Shape::Throughput => OpCode::Signal,
                _ => OpCode::Request,
            },
            engine,
            group,
            endpoint: address.parse()?,
            channels: Vec::new(),
            connections: Vec::new(),
        })
    }
}

struct Server {
    #[expect(dead_code, reason = "keeps the engine alive")]
    engine: Reactor,
    group: ChannelGroup,
}

struct Client {
    engine: Reactor,
    group: ChannelGroup,
    endpoint: Endpoint,
    op_code: OpCode,
    /// By connection.
    channels: Vec<ChannelNumber>,
    /// By channel number.
    connections: Vec<usize>,
}

/// The next message, whoever it is from.
fn next(group: &mut ChannelGroup) -> Result<Msg> {
    let message = group.wait_receive(std::time::Duration::MAX)?;
    message.context("an endless wait has ended")
}

/// The next message of a peer; the news of a queue that has room again are no news here.
fn next_of_peer(group: &mut ChannelGroup) -> Result<Msg> {
    loop {
        match Incoming::from(next(group)?) {
            Incoming::Peer(message) => return Ok(message),
            Incoming::Engine(Notice::SendQueueReady | Notice::PoolEmpty, _) => {}
            other => bail!("{other:?}"),
        }
    }
}

/// Posts, and waits where there is no room.
fn post(group: &ChannelGroup, message: Msg) -> Result<()> {
    match group.post(message) {
        Err(refused) if refused.kind() == PostErrorKind::QueueFull => {
            group.post_timeout(refused.into_message(), std::time::Duration::MAX)?;
        }
        posted => {
            posted?;
        }
    }
    Ok(())
}

impl Side for Server {
    type Message = Msg;

    fn receive(&mut self) -> Result<Msg> {
        loop {
            match Incoming::from(next(&mut self.group)?) {
                Incoming::Peer(mut hello) if hello.op_code() == OpCode::HelloRequest => {
                    hello.make_reply();
                    self.group.post(hello)?;
                }
                Incoming::Peer(message) => return Ok(message),
                Incoming::Engine(..) | Incoming::Update(_) => {}
            }
        }
    }

    fn body<'message>(&self, message: &'message Msg) -> &'message [u8] {
        message.body().as_bytes()
    }
}

impl side::Server for Server {
    fn reply(&mut self, mut message: Msg) -> Result<()> {
        message.make_reply();
        post(&self.group, message)
    }
}

impl Side for Client {
    type Message = Msg;

    fn receive(&mut self) -> Result<Msg> {
        next_of_peer(&mut self.group)
    }

    fn body<'message>(&self, message: &'message Msg) -> &'message [u8] {
        message.body().as_bytes()
    }
}

impl side::Client for Client {
    fn connect(&mut self) -> Result<()> {
        let mut hello = self.engine.message()?;
        Address::connect_to(self.endpoint.clone()).format(&mut hello)?;
        let channel = self.group.post(hello)?.channel_number;
        let answer = next_of_peer(&mut self.group)?;
        if answer.op_code() != OpCode::HelloResponse {
            bail!("{} instead of a HelloResponse", answer.op_code());
        }
        let number = usize::from(channel.value());
        let len = self.connections.len().max(number + 1);
        self.connections.resize(len, usize::MAX);
        self.connections[number] = self.channels.len();
        self.channels.push(channel);
        Ok(())
    }

    fn send(&mut self, connection: usize, body: &[u8]) -> Result<()> {
        let mut message = self.engine.message()?;
        message.set_op_code(self.op_code);
        message.set_channel_number(self.channels[connection]);
        message.body_mut().append(body)?;
        post(&self.group, message)
    }

    fn connection(&self, message: &Msg) -> usize {
        self.connections[usize::from(message.channel_number().value())]
    }
}
