//! The sending side: reads the file part by part and posts each, as fast as the receiver takes
//! them.
//!
//! All parts are Requests of one id, and all but the last say `more`. When the channel's send queue
//! is full, `post` gives the message back with `QueueFull`, and the engine says `SendQueueReady` as
//! soon as half of it is free again: to wait for that, instead of reading on, is all there is to
//! back-pressure.

use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use sha2::{Digest, Sha256};
use tofu::prelude::*;
use tofu_examples::{Outcome, close, connect, next, unexpected};

use crate::{CHECKSUM, PEAK_MEMORY};

/// Bytes of the file in one message; a body holds at most 65535.
const PART: u64 = 60 * 1024;

/// What came of it.
pub(crate) struct Sent {
    pub(crate) bytes: u64,
    /// From the first part to the receiver's Response.
    pub(crate) time: Duration,
    pub(crate) checksum_here: String,
    pub(crate) checksum_there: String,
    pub(crate) peak_memory_there: String,
}

/// Sends the file to the receiver that listens on `endpoint`.
pub(crate) fn send(mut file: File, endpoint: Endpoint) -> Outcome<Sent> {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, endpoint)?;
    let template = "{bar:40} {bytes} of {total_bytes}, {binary_bytes_per_sec}, {eta} left";
    let bar = ProgressBar::new(file.metadata()?.len());
    bar.set_style(ProgressStyle::with_template(template)?);
    let mut sender = Sender {
        engine,
        group,
        channel,
        id: MessageId::UNASSIGNED,
        bar,
    };

    let started = Instant::now();
    let (bytes, checksum_here) = sender.send_all(&mut file)?;
    let answer = sender.wait_for_answer()?;
    let time = started.elapsed();
    sender.bar.finish_and_clear();
    close(&sender.engine, &mut sender.group, channel)?;

    let text = |name| match answer.text_headers().get_str(name) {
        Some(Ok(value)) => Ok(value.to_owned()),
        _ => Err(format!("the answer has no {name}")),
    };
    Ok(Sent {
        bytes,
        time,
        checksum_here,
        checksum_there: text(CHECKSUM)?,
        peak_memory_there: text(PEAK_MEMORY)?,
    })
}

struct Sender {
    engine: Reactor,
    group: ChannelGroup,
    channel: ChannelNumber,
    /// The operation's id: the first part is posted without one and is given it.
    id: MessageId,
    bar: ProgressBar,
}

/// What to wait for.
enum Event {
    Room,
    Answer(Msg),
}

impl Sender {
    /// Posts the whole file; returns its length and its checksum.
    fn send_all(&mut self, file: &mut File) -> Outcome<(u64, String)> {
        let mut checksum = Sha256::new();
        let mut bytes = 0;
        loop {
            let mut part = self.engine.message()?;
            let len = io::copy(&mut file.take(PART), part.body_mut())?;
            checksum.update(part.body().as_bytes());
            bytes += len;
            part.set_more(len == PART);
            self.post(part)?;
            if len < PART {
                return Ok((bytes, format!("{:x}", checksum.finalize())));
            }
        }
    }

    /// Posts one part, as soon as there is room for it.
    fn post(&mut self, mut part: Msg) -> Outcome {
        part.set_channel_number(self.channel);
        part.set_message_id(self.id);
        loop {
            let refused = match self.group.post(part) {
                Ok(header) => {
                    self.id = header.message_id;
                    return Ok(());
                }
                Err(refused) => refused,
            };
            match refused.kind() {
                // Closed behind our back: its last word, with the cause, waits to be received.
                PostErrorKind::QueueFull | PostErrorKind::ChannelClosed => {}
                _ => return Err(refused.into()),
            }
            part = refused.into_message();
            if let Event::Answer(_) = self.wait()? {
                return Err("the receiver answered before it had the whole file".into());
            }
        }
    }

    fn wait_for_answer(&mut self) -> Outcome<Msg> {
        loop {
            if let Event::Answer(answer) = self.wait()? {
                return Ok(answer);
            }
        }
    }

    /// Waits for room or for the answer; what the receiver says meanwhile moves the bar.
    fn wait(&mut self) -> Outcome<Event> {
        loop {
            match Incoming::from(next(&mut self.group)?) {
                Incoming::Peer(message) if message.op_code() == OpCode::Signal => {
                    let bytes = message
                        .body()
                        .first_chunk()
                        .ok_or("a Signal without a number")?;
                    self.bar.set_position(u64::from_be_bytes(*bytes));
                }
                Incoming::Peer(message) if message.op_code() == OpCode::Response => {
                    return Ok(Event::Answer(message));
                }
                Incoming::Engine(Notice::SendQueueReady, _) => return Ok(Event::Room),
                // A part that was not sent. The channel's last word, with the cause, follows.
                Incoming::Engine(Notice::Returned, _) => {}
                other => return Err(unexpected(&other)),
            }
        }
    }
}
