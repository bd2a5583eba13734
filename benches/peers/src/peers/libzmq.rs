//! libzmq: DEALER against ROUTER, and PUSH against PULL for the stream; all options at their defaults.
//!
//! Each connection of the client is a socket, for a socket with several connections does not say
//! which one it uses.

use anyhow::{Context as _, Result, bail};
use zmq::{Context, DONTWAIT, Error, Message, POLLIN, SNDMORE, Socket, SocketType};

use crate::side::{self, Library, Side};
use crate::work::{Shape, Transport, Work};

pub(super) struct Libzmq;

/// As many sockets as one context has at its defaults, and some less.
const SOCKETS_PER_CONTEXT: usize = 1000;

impl Library for Libzmq {
    type Server = Server;
    type Client = Client;

    fn listen(work: &Work) -> Result<(Server, String)> {
        let context = Context::new();
        let is_router = work.shape != Shape::Throughput;
        let kind = match is_router {
            true => SocketType::ROUTER,
            false => SocketType::PULL,
        };
        let socket = context.socket(kind)?;
        // Connections that are made faster than they are taken would be refused.
        socket.set_backlog(4096)?;
        match work.transport {
            Transport::Tcp => socket.bind("tcp://127.0.0.1:*")?,
            Transport::Uds => socket.bind(&format!("ipc://{}", Work::socket_path().display()))?,
        }
        let Ok(address) = socket.get_last_endpoint()? else {
            bail!("the address is no text");
        };
        Ok((Server { socket, is_router }, address))
    }

    fn client(work: &Work, address: &str) -> Result<Client> {
        Ok(Client {
            address: address.to_owned(),
            kind: match work.shape {
                Shape::Throughput => SocketType::PUSH,
                _ => SocketType::DEALER,
            },
            contexts: Vec::new(),
            sockets: Vec::new(),
            is_lockstep: work.is_lockstep() || work.connections == 1,
            last: 0,
            ready: Vec::new(),
        })
    }
}

pub(super) struct Server {
    socket: Socket,
    is_router: bool,
}

pub(super) struct Client {
    address: String,
    kind: SocketType,
    contexts: Vec<Context>,
    sockets: Vec<Socket>,
    /// The answer comes by the socket that was sent by.
    is_lockstep: bool,
    last: usize,
    /// Sockets that may have something.
    ready: Vec<usize>,
}

impl Side for Server {
    /// Whom it is from, and the body.
    type Message = (Message, Message);

    fn receive(&mut self) -> Result<(Message, Message)> {
        let sender = match self.is_router {
            true => self.socket.recv_msg(0)?,
            false => Message::new(),
        };
        Ok((sender, self.socket.recv_msg(0)?))
    }

    fn body<'message>(&self, message: &'message (Message, Message)) -> &'message [u8] {
        &message.1
    }
}

impl side::Server for Server {
    fn reply(&mut self, (receiver, body): (Message, Message)) -> Result<()> {
        self.socket.send(receiver, SNDMORE)?;
        self.socket.send(body, 0)?;
        Ok(())
    }
}

impl Side for Client {
    /// The connection it came by, and the body.
    type Message = (usize, Message);

    fn receive(&mut self) -> Result<(usize, Message)> {
        if self.is_lockstep {
            return Ok((self.last, self.sockets[self.last].recv_msg(0)?));
        }
        loop {
            while let Some(&connection) = self.ready.last() {
                match self.sockets[connection].recv_msg(DONTWAIT) {
                    Ok(body) => return Ok((connection, body)),
                    Err(Error::EAGAIN) => self.ready.pop(),
                    Err(error) => return Err(error.into()),
                };
            }
            self.wait()?;
        }
    }

    fn body<'message>(&self, message: &'message (usize, Message)) -> &'message [u8] {
        &message.1
    }
}

impl Client {
    /// Waits until there is something on any of the sockets.
    fn wait(&mut self) -> Result<()> {
        let items = self
            .sockets
            .iter()
            .map(|socket| socket.as_poll_item(POLLIN));
        let mut items: Vec<_> = items.collect();
        zmq::poll(&mut items, -1)?;
        let ready = items
            .iter()
            .enumerate()
            .filter(|(_, item)| item.is_readable());
        self.ready.extend(ready.map(|(connection, _)| connection));
        Ok(())
    }
}

impl side::Client for Client {
    fn connect(&mut self) -> Result<()> {
        if self.sockets.len() % SOCKETS_PER_CONTEXT == 0 {
            self.contexts.push(Context::new());
        }
        let context = self.contexts.last().context("there is none")?;
        let socket = context.socket(self.kind)?;
        socket.set_linger(0)?;
        socket.connect(&self.address)?;
        self.sockets.push(socket);
        Ok(())
    }

    fn send(&mut self, connection: usize, body: &[u8]) -> Result<()> {
        self.last = connection;
        self.sockets[connection].send(body, 0)?;
        Ok(())
    }

    fn connection(&self, message: &(usize, Message)) -> usize {
        message.0
    }
}
