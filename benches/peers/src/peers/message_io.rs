//! message-io: framed TCP. Its thread calls back, and what comes is handed over to the
//! application's thread. It does not know Unix domain sockets.

use std::collections::HashMap;
use std::net::ToSocketAddrs;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use ::message_io::network::{Endpoint, NetEvent, SendStatus, Transport};
use ::message_io::node::{NodeHandler, split};
use anyhow::{Context, Result, ensure};

use crate::side::{self, Library, Side};
use crate::work::Work;

pub(super) struct MessageIo;

impl Library for MessageIo {
    type Server = Node;
    type Client = Node;

    fn listen(_: &Work) -> Result<(Node, String)> {
        let node = Node::start(String::new());
        let listening = node
            .handler
            .network()
            .listen(Transport::FramedTcp, "127.0.0.1:0");
        Ok((node, listening?.1.to_string()))
    }

    fn client(_: &Work, address: &str) -> Result<Node> {
        Ok(Node::start(address.to_owned()))
    }
}

pub(super) struct Node {
    handler: NodeHandler<()>,
    messages: Receiver<(Endpoint, Vec<u8>)>,
    address: String,
    /// By connection, and the other way round.
    endpoints: Vec<Endpoint>,
    connections: HashMap<Endpoint, usize>,
}

impl Node {
    fn start(address: String) -> Node {
        let (handler, listener) = split();
        let (sender, messages) = channel();
        thread::spawn(move || {
            listener.for_each(move |event| hand_over(&event.network(), &sender));
        });
        Node {
            handler,
            messages,
            address,
            endpoints: Vec::new(),
            connections: HashMap::new(),
        }
    }

    fn send_to(&self, endpoint: Endpoint, body: &[u8]) -> Result<()> {
        let status = self.handler.network().send(endpoint, body);
        ensure!(status == SendStatus::Sent, "{status:?}");
        Ok(())
    }
}

fn hand_over(event: &NetEvent<'_>, sender: &Sender<(Endpoint, Vec<u8>)>) {
    if let NetEvent::Message(endpoint, body) = event {
        // Nobody receives any more when the process ends.
        let _ = sender.send((*endpoint, body.to_vec()));
    }
}

impl Side for Node {
    type Message = (Endpoint, Vec<u8>);

    fn receive(&mut self) -> Result<(Endpoint, Vec<u8>)> {
        self.messages.recv().context("its thread has ended")
    }

    fn body<'message>(&self, message: &'message (Endpoint, Vec<u8>)) -> &'message [u8] {
        &message.1
    }
}

impl side::Server for Node {
    fn reply(&mut self, (endpoint, body): (Endpoint, Vec<u8>)) -> Result<()> {
        self.send_to(endpoint, &body)
    }
}

impl side::Client for Node {
    fn connect(&mut self) -> Result<()> {
        let address = self
            .address
            .to_socket_addrs()?
            .next()
            .context("no address")?;
        let network = self.handler.network();
        let (endpoint, _) = network.connect_sync(Transport::FramedTcp, address)?;
        self.connections.insert(endpoint, self.endpoints.len());
        self.endpoints.push(endpoint);
        Ok(())
    }

    fn send(&mut self, connection: usize, body: &[u8]) -> Result<()> {
        self.send_to(self.endpoints[connection], body)
    }

    fn connection(&self, message: &(Endpoint, Vec<u8>)) -> usize {
        self.connections[&message.0]
    }
}
