//! "floor4": the least program with tofu's structure, as a measure of what the structure costs.
//!
//! An application's thread and a thread for input and output on either side. A post encodes into
//! the connection's buffer (`outbox`); the other thread (`driver`) writes whole buffers, reads many
//! frames at once and hands them over as they are (`inbox`); the receiver makes messages of them.
//! No validation, no limits beyond the bytes in flight, no errors that are handled, no features.

mod driver;
mod frame;
mod inbox;
mod outbox;
mod sleep;
mod socket;

use std::sync::Arc;
use std::thread;

use anyhow::Result;

use self::driver::{Driver, Shared};
use self::inbox::Receiver;
use self::outbox::Outbox;
use self::socket::{Listener, Socket};
use crate::side::{self, Library, Side};
use crate::work::{Spin, Transport, Work};

pub(super) struct Floor;

impl Library for Floor {
    type Server = Node;
    type Client = Node;

    fn listen(work: &Work) -> Result<(Node, String)> {
        let (listener, address) = Listener::bind(work.transport)?;
        Ok((Node::start(work, Some(listener), String::new())?, address))
    }

    fn client(work: &Work, address: &str) -> Result<Node> {
        Node::start(work, None, address.to_owned())
    }
}

/// Either side, as the application's thread has it.
pub(super) struct Node {
    shared: Arc<Shared>,
    receiver: Receiver,
    transport: Transport,
    address: String,
    /// By connection, as far as this thread has seen them.
    outboxes: Vec<Arc<Outbox>>,
    /// Messages to be used again.
    pool: Vec<Vec<u8>>,
}

pub(super) struct Message {
    connection: usize,
    body: Vec<u8>,
}

impl Node {
    fn start(work: &Work, listener: Option<Listener>, address: String) -> Result<Node> {
        let spins = work.spin == Spin::Default;
        let (driver, shared) = Driver::new(listener, spins)?;
        thread::spawn(move || driver.run());
        Ok(Node {
            receiver: Receiver::new(Arc::clone(&shared), spins),
            shared,
            transport: work.transport,
            address,
            outboxes: Vec::new(),
            pool: Vec::new(),
        })
    }

    fn post(&mut self, connection: usize, body: &[u8]) {
        if self.outboxes.len() <= connection {
            self.outboxes = self.shared.outboxes();
        }
        let outbox = &self.outboxes[connection];
        if outbox.append(body) {
            self.shared.mark_dirty(connection);
        }
        self.receiver.sent();
    }
}

impl Side for Node {
    type Message = Message;

    fn receive(&mut self) -> Result<Message> {
        let mut body = self.pool.pop().unwrap_or_default();
        let connection = self.receiver.next(&mut body);
        Ok(Message { connection, body })
    }

    fn body<'message>(&self, message: &'message Message) -> &'message [u8] {
        &message.body
    }
}

impl side::Server for Node {
    fn reply(&mut self, message: Message) -> Result<()> {
        self.post(message.connection, &message.body);
        self.pool.push(message.body);
        Ok(())
    }
}

impl side::Client for Node {
    fn connect(&mut self) -> Result<()> {
        let socket = Socket::connect(self.transport, &self.address)?;
        self.shared.add(socket);
        Ok(())
    }

    fn send(&mut self, connection: usize, body: &[u8]) -> Result<()> {
        self.post(connection, body);
        Ok(())
    }

    fn connection(&self, message: &Message) -> usize {
        message.connection
    }

    fn done(&mut self, message: Message) {
        self.pool.push(message.body);
    }
}
