//! nng: requests and replies on raw sockets, the form that lets any number be under way; push and
//! pull for the stream.
//!
//! Each connection of the client is a socket, for a socket with several connections chooses among
//! them itself. Where answers may come by any of them, callbacks hand them over.

use std::sync::mpsc::{Receiver, Sender, channel};

use ::nng::options::{LocalAddr, Options};
use ::nng::{Aio, AioResult, Listener, Message, Protocol, RawSocket, Socket, SocketAddr};
use anyhow::{Context, Result, bail};

use crate::side::{self, Library, Side};
use crate::work::{Shape, Transport, Work};

pub(super) struct Nng;

/// What marks the last part of a request's path; the rest of it is the request's number.
const REQUEST: u32 = 0x8000_0000;

impl Library for Nng {
    type Server = Server;
    type Client = Client;

    fn listen(work: &Work) -> Result<(Server, String)> {
        let socket = match work.shape {
            Shape::Throughput => Socket::new(Protocol::Pull0)?,
            _ => RawSocket::new(Protocol::Rep0)?.socket,
        };
        let address = match work.transport {
            Transport::Tcp => {
                let listener = Listener::new(&socket, "tcp://127.0.0.1:0")?;
                match listener.get_opt::<LocalAddr>()? {
                    // The crate leaves the port in the network's order of bytes.
                    SocketAddr::Inet(address) => {
                        format!("tcp://{}:{}", address.ip(), u16::from_be(address.port()))
                    }
                    other => bail!("listening on {other}"),
                }
            }
            Transport::Uds => {
                let address = format!("ipc://{}", Work::socket_path().display());
                socket.listen(&address)?;
                address
            }
        };
        Ok((Server { socket }, address))
    }

    fn client(work: &Work, address: &str) -> Result<Client> {
        let (sender, messages) = channel();
        Ok(Client {
            address: address.to_owned(),
            is_stream: work.shape == Shape::Throughput,
            is_lockstep: work.is_lockstep() || work.connections == 1,
            last: 0,
            sockets: Vec::new(),
            callbacks: Vec::new(),
            sender,
            messages,
        })
    }
}

pub(super) struct Server {
    socket: Socket,
}

pub(super) struct Client {
    address: String,
    is_stream: bool,
    /// The answer comes by the socket that was sent by.
    is_lockstep: bool,
    last: usize,
    sockets: Vec<Socket>,
    callbacks: Vec<Aio>,
    sender: Sender<(usize, Message)>,
    messages: Receiver<(usize, Message)>,
}

impl Side for Server {
    type Message = Message;

    fn receive(&mut self) -> Result<Message> {
        Ok(self.socket.recv()?)
    }

    fn body<'message>(&self, message: &'message Message) -> &'message [u8] {
        message.as_slice()
    }
}

impl side::Server for Server {
    /// The message's header says where it came from, and so where it goes.
    fn reply(&mut self, message: Message) -> Result<()> {
        self.socket.send(message).map_err(|(_, error)| error.into())
    }
}

impl Side for Client {
    type Message = (usize, Message);

    fn receive(&mut self) -> Result<(usize, Message)> {
        match self.is_lockstep {
            true => Ok((self.last, self.sockets[self.last].recv()?)),
            false => self.messages.recv().context("nobody calls back"),
        }
    }

    fn body<'message>(&self, message: &'message (usize, Message)) -> &'message [u8] {
        message.1.as_slice()
    }
}

impl Client {
    /// Lets a callback hand over what comes by this socket.
    fn call_back(&mut self, connection: usize, socket: &Socket) -> Result<()> {
        let (sender, socket) = (self.sender.clone(), socket.clone());
        let again = socket.clone();
        let callback = Aio::new(move |aio, result| {
            if let AioResult::Recv(Ok(message)) = result {
                // Both fail only when the process ends.
                let _ = sender.send((connection, message));
                let _ = again.recv_async(&aio);
            }
        })?;
        socket.recv_async(&callback)?;
        self.callbacks.push(callback);
        Ok(())
    }
}

impl side::Client for Client {
    fn connect(&mut self) -> Result<()> {
        let socket = match self.is_stream {
            true => Socket::new(Protocol::Push0)?,
            false => RawSocket::new(Protocol::Req0)?.socket,
        };
        socket.dial(&self.address)?;
        if !self.is_lockstep {
            self.call_back(self.sockets.len(), &socket)?;
        }
        self.sockets.push(socket);
        Ok(())
    }

    fn send(&mut self, connection: usize, body: &[u8]) -> Result<()> {
        self.last = connection;
        let mut message = Message::from(body);
        if !self.is_stream {
            message.as_mut_header().push_back(&REQUEST.to_be_bytes());
        }
        let sent = self.sockets[connection].send(message);
        sent.map_err(|(_, error)| error.into())
    }

    fn connection(&self, message: &(usize, Message)) -> usize {
        message.0
    }
}
