//! The receiving application of a row: sorts what comes, keeps the books, and sees to it that a
//! channel's last word is said once and is the last.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::chnls::CloseInfo;
use tofu::prelude::*;

use super::ledger::{Delivered, Returned};

/// What a group has received.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    pub(crate) delivered: Delivered,
    pub(crate) returned: Returned,
    /// The channels that have ended, and how.
    pub(crate) closed: BTreeMap<ChannelNumber, CloseInfo>,
    /// Notices that tell of room, of an empty pool...
    pub(crate) notices: Vec<Status>,
}

/// What a message was, as far as the row may have to act on it.
#[derive(Debug)]
pub(crate) enum Event {
    /// Noted.
    Booked,
    /// The last word on a channel, noted.
    Closed(ChannelNumber),
    /// Something that belongs in no book: a greeting, a request, a farewell.
    Other(Msg),
}

impl Collector {
    /// Books one message.
    pub(crate) fn take(&mut self, message: Msg) -> Result<Event> {
        let channel = message.channel_number();
        // A number may begin a new life; before that nothing more is said on it.
        let is_greeting = message.op_code() == OpCode::HelloRequest;
        if is_greeting && message.origin() == Origin::Peer {
            self.closed.remove(&channel);
        }
        ensure!(
            !self.closed.contains_key(&channel),
            "behind the last word on channel {channel}: {message:?}"
        );
        match Incoming::from(message) {
            Incoming::Peer(message) if is_stamped(&message) => {
                self.delivered.take(&message)?;
                Ok(Event::Booked)
            }
            Incoming::Engine(Notice::ChannelClosed(info), message) => {
                self.closed.insert(message.channel_number(), info);
                Ok(Event::Closed(channel))
            }
            Incoming::Engine(Notice::Returned, message) if is_stamped(&message) => {
                self.returned.take(&message)?;
                Ok(Event::Booked)
            }
            Incoming::Engine(Notice::SendQueueReady | Notice::PoolEmpty, message) => {
                self.notices.push(message.status());
                Ok(Event::Booked)
            }
            Incoming::Peer(message) | Incoming::Engine(_, message) | Incoming::Update(message) => {
                Ok(Event::Other(message))
            }
        }
    }

    /// Books one message that must be of the streams or a notice.
    pub(crate) fn book(&mut self, message: Msg) -> Result<()> {
        match self.take(message)? {
            Event::Booked => Ok(()),
            Event::Closed(channel) => bail!("channel {channel} has closed: {:?}", self.closed),
            Event::Other(message) => bail!("{message:?}"),
        }
    }

    /// Receives until the channel's last word; an error when that does not come in time.
    pub(crate) fn until_closed(
        &mut self,
        group: &mut ChannelGroup,
        channel: ChannelNumber,
        limit: Duration,
    ) -> Result<CloseInfo> {
        let deadline = Instant::now() + limit;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(message) = group.wait_receive(left)? else {
                bail!("no last word on channel {channel} within {limit:?}");
            };
            if matches!(self.take(message)?, Event::Closed(number) if number == channel) {
                let info = self.closed.get(&channel);
                return info.cloned().context("a last word that was not noted");
            }
        }
    }

    /// Receives until the engine has ended, or as long as `go_on` says so when nothing comes.
    pub(crate) fn run(
        &mut self,
        group: &mut ChannelGroup,
        mut go_on: impl FnMut(&Collector) -> bool,
    ) -> Result<()> {
        loop {
            match group.wait_receive(Duration::from_millis(5)) {
                Ok(Some(message)) => drop(self.take(message)?),
                Ok(None) if go_on(self) => {}
                Ok(None) | Err(EngineError::ShutdownStarted) => return Ok(()),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Messages that the closed channels have handed to the kernel, of whatever kind.
    pub(crate) fn messages_sent(&self) -> u64 {
        self.closed.values().map(|info| info.messages_sent).sum()
    }
}

/// Stamped messages travel as Signals; everything else is part of the row itself.
fn is_stamped(message: &Message) -> bool {
    message.op_code() == OpCode::Signal && !message.body().is_empty()
}
