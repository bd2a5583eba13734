//! tokio with an application's thread: one thread does the input and output, the other one works,
//! and messages cross between them in the runtime's channels.

use std::sync::mpsc::sync_channel;
use std::thread;

use ::tokio::runtime::Handle;
use ::tokio::sync::mpsc::{Receiver, Sender, channel};
use anyhow::{Context, Result, anyhow};
use bytes::{Bytes, BytesMut};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};

use super::tokio::stream::{Frames, Listener, Stream, connect, frames, runtime};
use crate::side::{self, Library, Side};
use crate::work::Work;

pub(super) struct TokioActor;

/// Messages that wait in one channel.
const QUEUE: usize = 1024;

/// What a connection gives to the application's thread.
type Inbox = Sender<Message>;

pub(super) struct Message {
    connection: usize,
    body: BytesMut,
    /// Where answers go.
    replies: Sender<Bytes>,
}

impl Library for TokioActor {
    type Server = Server;
    type Client = Client;

    fn listen(work: &Work) -> Result<(Server, String)> {
        let (inbox, messages) = channel(QUEUE);
        let (sender, address) = sync_channel(1);
        let work = work.clone();
        let handle = start_runtime()?;
        handle.spawn(async move {
            let (listener, address) = Listener::bind(&work).await?;
            sender.send(address)?;
            while let Ok(stream) = listener.accept().await {
                start(stream, 0, &work, &inbox);
            }
            Ok::<(), anyhow::Error>(())
        });
        Ok((Server { messages }, address.recv()?))
    }

    fn client(work: &Work, address: &str) -> Result<Client> {
        let (inbox, messages) = channel(QUEUE);
        Ok(Client {
            work: work.clone(),
            address: address.to_owned(),
            handle: start_runtime()?,
            inbox,
            messages,
            connections: Vec::new(),
        })
    }
}

/// A thread that does the input and output from now on.
fn start_runtime() -> Result<Handle> {
    let runtime = runtime()?;
    let handle = runtime.handle().clone();
    thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(handle)
}

/// Serves a connection. Returns where to put what shall be sent by it.
fn start(stream: Stream, connection: usize, work: &Work, inbox: &Inbox) -> Sender<Bytes> {
    let (sink, stream) = frames(stream, work).split();
    let (sender, bodies) = channel(QUEUE);
    ::tokio::spawn(write(sink, bodies));
    ::tokio::spawn(read(stream, connection, sender.clone(), inbox.clone()));
    sender
}

async fn write(mut sink: SplitSink<Frames, Bytes>, mut bodies: Receiver<Bytes>) -> Result<()> {
    while let Some(body) = bodies.recv().await {
        sink.feed(body).await?;
        while let Ok(body) = bodies.try_recv() {
            sink.feed(body).await?;
        }
        sink.flush().await?;
    }
    Ok(())
}

async fn read(
    mut stream: SplitStream<Frames>,
    connection: usize,
    replies: Sender<Bytes>,
    inbox: Inbox,
) -> Result<()> {
    while let Some(body) = stream.next().await {
        let message = Message {
            connection,
            body: body?,
            replies: replies.clone(),
        };
        inbox
            .send(message)
            .await
            .map_err(|_| anyhow!("nobody receives"))?;
    }
    Ok(())
}

pub(super) struct Server {
    messages: Receiver<Message>,
}

pub(super) struct Client {
    work: Work,
    address: String,
    handle: Handle,
    inbox: Inbox,
    messages: Receiver<Message>,
    connections: Vec<Sender<Bytes>>,
}

impl Side for Server {
    type Message = Message;

    fn receive(&mut self) -> Result<Message> {
        self.messages.blocking_recv().context("the inbox is closed")
    }

    fn body<'message>(&self, message: &'message Message) -> &'message [u8] {
        &message.body
    }
}

impl side::Server for Server {
    fn reply(&mut self, message: Message) -> Result<()> {
        // A client that has left does not matter to the others.
        let _ = message.replies.blocking_send(message.body.freeze());
        Ok(())
    }
}

impl Side for Client {
    type Message = Message;

    fn receive(&mut self) -> Result<Message> {
        self.messages.blocking_recv().context("the inbox is closed")
    }

    fn body<'message>(&self, message: &'message Message) -> &'message [u8] {
        &message.body
    }
}

impl side::Client for Client {
    fn connect(&mut self) -> Result<()> {
        let (work, address, inbox) = (self.work.clone(), self.address.clone(), self.inbox.clone());
        let number = self.connections.len();
        let (sender, connection) = sync_channel(1);
        self.handle.spawn(async move {
            let stream = connect(work.transport, &address).await;
            let opened = stream.map(|stream| start(stream, number, &work, &inbox));
            // Nobody waits any more when the whole has failed already.
            let _ = sender.send(opened);
        });
        self.connections.push(connection.recv()??);
        Ok(())
    }

    fn send(&mut self, connection: usize, body: &[u8]) -> Result<()> {
        let body = Bytes::copy_from_slice(body);
        Ok(self.connections[connection].blocking_send(body)?)
    }

    fn connection(&self, message: &Message) -> usize {
        message.connection
    }
}
