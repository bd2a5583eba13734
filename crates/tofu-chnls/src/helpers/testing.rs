//! What the helpers' unit tests need: a stand-in to post to, messages as a peer sends them, and
//! messages of a real engine, relabelled. No test here waits.

use std::cell::RefCell;
use std::time::Duration;

use tofu_addr::Address;
use tofu_msg::{BinaryHeader, ChannelNumber, Message, MessageId, OpCode, Origin};

use super::{Post, close_at_once};
use crate::{Ampe, ChannelGroup, Incoming, Msg, Notice, Options, PostError, Reactor};

/// Takes every message, and gives Hellos the channels 1, 2, 3...
#[derive(Debug, Default)]
pub(super) struct Desk {
    posted: RefCell<Vec<Msg>>,
    hellos: RefCell<u16>,
}

impl Desk {
    /// What was posted since the last look.
    pub(super) fn take(&self) -> Vec<Msg> {
        self.posted.take()
    }
}

impl Post for Desk {
    fn post(&self, mut message: Msg) -> Result<BinaryHeader, PostError> {
        if message.op_code() == OpCode::HelloRequest {
            *self.hellos.borrow_mut() += 1;
            message.set_channel_number(ChannelNumber::new(*self.hellos.borrow()));
        }
        let header = message.header();
        self.posted.borrow_mut().push(message);
        Ok(header)
    }
}

/// A message of the peer's program.
pub(super) fn from_peer(op_code: OpCode, channel: ChannelNumber, id: MessageId) -> Msg {
    let mut message = Message::new(op_code);
    message.set_channel_number(channel);
    message.set_message_id(id);
    message.set_origin(Origin::Peer);
    message.into()
}

/// The last word of an engine on a channel that was never connected.
pub(super) fn closed(channel: ChannelNumber) -> Msg {
    let nowhere = Address::uds_client("/no/such/folder/socket");
    let (_engine, mut group, _) = engine_with(&nowhere);
    let mut message = receive(&mut group, |notice| {
        matches!(notice, Notice::ChannelClosed(_))
    });
    message.set_channel_number(channel);
    message
}

/// A Request that an engine gives back unsent.
pub(super) fn returned(channel: ChannelNumber, id: MessageId) -> Msg {
    // A ByeSignal always comes back, and so can be relabelled.
    let anywhere = Address::tcp_server("127.0.0.1", 0);
    let (_engine, mut group, listener) = engine_with(&anywhere);
    close_at_once(&group, listener).unwrap();
    let mut message = receive(&mut group, |notice| *notice == Notice::Returned);
    message.set_op_code(OpCode::Request);
    message.set_channel_number(channel);
    message.set_message_id(id);
    message
}

/// A post that an engine refuses, for it has ended.
pub(super) struct Ended(ChannelGroup);

impl Ended {
    pub(super) fn new() -> Ended {
        let engine = Reactor::start(Options::default()).unwrap();
        let group = engine.create().unwrap();
        engine.shutdown(Duration::ZERO);
        Ended(group)
    }
}

impl Post for Ended {
    fn post(&self, message: Msg) -> Result<BinaryHeader, PostError> {
        self.0.post(message)
    }
}

/// An engine, a group of it, and the channel that was posted to this address.
fn engine_with(address: &Address) -> (Reactor, ChannelGroup, ChannelNumber) {
    let engine = Reactor::start(Options::default()).unwrap();
    let group = engine.create().unwrap();
    let mut opening = engine.message().unwrap();
    address.format(&mut opening).unwrap();
    let channel = group.post(opening).unwrap().channel_number;
    (engine, group, channel)
}

/// The wanted one of what an engine says.
fn receive(group: &mut ChannelGroup, wanted: impl Fn(&Notice) -> bool) -> Msg {
    loop {
        let message = group.wait_receive(Duration::from_secs(10)).unwrap();
        if let Incoming::Engine(notice, message) = Incoming::from(message.unwrap()) {
            if wanted(&notice) {
                return message;
            }
        }
    }
}
