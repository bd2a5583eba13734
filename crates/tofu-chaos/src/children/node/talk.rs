//! One channel as its node speaks on it: a stream of stamped messages, and the few others.
//!
//! Used by the posting threads and by the receiving one. Whoever speaks holds the lock, so the order
//! of the numbers is the order of the posts, and nothing is said behind the last word.

use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Result, bail, ensure};
use tofu::prelude::*;

use crate::kit::books::PostedBook;
use crate::kit::ledger::{read_stamp, stamp};

/// The text header in which an answer says which number of the peer's stream it answers.
pub(super) const ANSWERS: &str = "answers";

/// A channel, from its Hello to its last word.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) channel: ChannelNumber,
    /// The stream that is posted to it.
    pub(super) stream: u32,
    /// This node has said Hello.
    pub(super) is_initiator: bool,
    /// The peer is no node of the soak: nothing is said to it, and whatever it says is left unread.
    pub(super) is_stranger: bool,
    said: Mutex<Said>,
}

/// What has been accepted so far.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Said {
    /// Messages of the stream.
    pub(super) accepted: u64,
    /// Greetings and farewells.
    pub(super) further: u64,
    /// Whether the stream may go on.
    pub(super) is_open: bool,
    /// Whether it has ended.
    pub(super) is_over: bool,
}

impl Said {
    fn end(&mut self) {
        self.is_open = false;
        self.is_over = true;
    }
}

/// What became of an attempt to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Spoken {
    Accepted,
    /// The queue is full: not now.
    Full,
    /// Nothing more can be said here.
    Over,
}

impl Talk {
    pub(super) fn new(channel: ChannelNumber, stream: u32, is_initiator: bool) -> Talk {
        Talk {
            channel,
            stream,
            is_initiator,
            is_stranger: false,
            said: Mutex::default(),
        }
    }

    /// A peer that does not belong to the soak.
    pub(super) fn stranger(channel: ChannelNumber, stream: u32) -> Talk {
        let talk = Talk::new(channel, stream, false);
        Talk {
            is_stranger: true,
            ..talk
        }
    }

    /// A greeting of this node was accepted when the channel was made.
    pub(super) fn count_hello(&self) {
        self.lock().further += 1;
    }

    /// The stream may begin, unless it has ended already.
    pub(super) fn open(&self) {
        let mut said = self.lock();
        said.is_open = !self.is_stranger && !said.is_over;
    }

    /// Ends the stream; what was said up to here.
    pub(super) fn close(&self) -> Said {
        let mut said = self.lock();
        said.end();
        *said
    }

    /// How many messages of the stream were accepted so far.
    pub(super) fn accepted(&self) -> u64 {
        self.lock().accepted
    }

    /// Whether the stream goes on.
    pub(super) fn is_open(&self) -> bool {
        self.lock().is_open
    }

    fn lock(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Posts the next message of the stream: `message` is filled, `answers` names what it answers.
    pub(super) fn speak(
        &self,
        poster: &Poster,
        book: &PostedBook,
        mut message: Msg,
        filler: usize,
        answers: Option<u64>,
    ) -> Result<Spoken> {
        let mut said = self.lock();
        if !said.is_open {
            return Ok(Spoken::Over);
        }
        let number = said.accepted + 1;
        stamp(&mut message, self.stream, number, filler)?;
        if let Some(answers) = answers {
            let headers = message.text_headers_mut();
            headers.append(ANSWERS, answers.to_string())?;
        }
        message.set_channel_number(self.channel);
        book.intend(self.stream, number)?;
        let Err(error) = poster.post(message) else {
            said.accepted = number;
            return Ok(Spoken::Accepted);
        };
        let (kind, back) = error.into_parts();
        ensure!(
            read_stamp(&back)? == (self.stream, number),
            "{}/{number} was refused, and is not what came back: {back:?}",
            self.stream
        );
        match kind {
            PostErrorKind::QueueFull => Ok(Spoken::Full),
            PostErrorKind::ChannelClosed | PostErrorKind::ShutdownStarted => {
                said.end();
                Ok(Spoken::Over)
            }
            kind => bail!("{}/{number} was refused: {kind}", self.stream),
        }
    }

    /// Posts a HelloResponse or a farewell, which ends the stream. The connection may be gone.
    pub(super) fn say(&self, poster: &Poster, mut message: Msg) -> Result<Spoken> {
        let mut said = self.lock();
        let op_code = message.op_code();
        message.set_channel_number(self.channel);
        match poster.post(message) {
            Ok(_) => {
                // A ByeSignal travels on no connection.
                said.further += u64::from(op_code != OpCode::ByeSignal);
                if op_code != OpCode::HelloResponse {
                    said.end();
                }
                Ok(Spoken::Accepted)
            }
            Err(error) => match error.kind() {
                PostErrorKind::QueueFull => Ok(Spoken::Full),
                PostErrorKind::ChannelClosed | PostErrorKind::ShutdownStarted => Ok(Spoken::Over),
                kind => bail!(
                    "{op_code:?} on channel {} was refused: {kind}",
                    self.channel
                ),
            },
        }
    }
}
