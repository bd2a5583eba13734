//! Raw sockets at the other end: places to listen at, and frames in the two forms that rows need.

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::{RawListener, RawPeer, TempUdsPath};

use super::LIMIT;
use super::side::Transport;

/// A raw listener at a place of its own.
#[derive(Debug)]
pub(crate) struct RawPlace {
    pub(crate) listener: RawListener,
    _path: Option<TempUdsPath>,
}

impl RawPlace {
    pub(crate) fn new(transport: Transport) -> Result<RawPlace> {
        let path = match transport {
            Transport::Tcp => None,
            Transport::Uds => Some(TempUdsPath::new()?),
        };
        let listener = match &path {
            None => RawListener::bind_tcp()?,
            Some(path) => RawListener::bind_uds(path)?,
        };
        Ok(RawPlace {
            listener,
            _path: path,
        })
    }

    pub(crate) fn endpoint(&self) -> &Endpoint {
        self.listener.endpoint()
    }

    /// Accepts a connection and receives its HelloRequest.
    pub(crate) fn greet(&self) -> Result<RawPeer> {
        let mut raw = self.listener.accept(LIMIT)?;
        let hello = raw.receive_frame(LIMIT)?.context("closed without Hello")?;
        ensure!(
            hello.op_code() == OpCode::HelloRequest,
            "instead of a HelloRequest: {hello:?}"
        );
        Ok(raw)
    }
}

/// A raw peer that has said Hello.
pub(crate) fn dial(endpoint: &Endpoint) -> Result<RawPeer> {
    let raw = RawPeer::connect(endpoint)?;
    raw.hello(endpoint)?;
    Ok(raw)
}

/// The bytes of a HelloRequest.
pub(crate) fn hello_bytes(endpoint: &Endpoint) -> Result<Vec<u8>> {
    let mut hello = Message::default();
    Address::connect_to(endpoint.clone()).format(&mut hello)?;
    hello.set_channel_number(ChannelNumber::new(1));
    hello.set_message_id(MessageId::new(1));
    Ok(frame(&hello))
}

/// The bytes of a frame.
pub(crate) fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(message.frame_len());
    message.encode_into(&mut bytes);
    bytes
}
