//! Row 5: a channel is closed in order while bytes from the peer lie unread on our side. A plain
//! `close` would answer them by a reset and so take from the peer what it has not read yet.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::{Random, RawPeer};

use super::Extent;
use crate::kit::LIMIT;
use crate::kit::ledger::{Delivered, stamp};
use crate::kit::raw::{dial, frame};
use crate::kit::side::{BOTH, Side, Transport};
use crate::outcome::{Facts, Outcome};

/// Messages to the peer, and filler bytes of each: more than any kernel buffer takes.
const MESSAGES: u64 = 150;
const FILLER: usize = 40_000;

/// Bytes that the peer sends and nobody reads, well below what a closing connection drains.
const UNREAD: usize = 300_000;

/// What ends the channel.
#[derive(Debug, Clone, Copy)]
enum Farewell {
    Destroy,
    Shutdown,
}

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    let mut random = extent.random(0);
    for transport in BOTH {
        let rounds = extent.pick(3, 40);
        let mut bytes = 0;
        for round in 0..rounds {
            for farewell in [Farewell::Destroy, Farewell::Shutdown] {
                bytes += once(transport, farewell, &mut random)
                    .with_context(|| format!("{transport}, {farewell:?}, round {round}"))?;
            }
        }
        facts.note(format!("{transport}: 0 of {bytes} bytes lost"));
    }
    Ok(facts.outcome())
}

/// The peer begins to read when the channel is being closed already; how much it got.
fn once(transport: Transport, farewell: Farewell, random: &mut Random) -> Result<usize> {
    let options = Options::default()
        .inbox_messages(2)
        .send_queue_bytes(16 << 20);
    let mut side = Side::start(options)?;
    let listening = side.listen(transport)?;
    let raw = dial(&listening.endpoint)?;
    let channel = side.take_hello()?.channel_number();
    let sender = raw.try_clone()?;
    let unread = unread_input()?;
    let sending = thread::spawn(move || sender.send(&unread));
    for number in 1..=MESSAGES {
        let mut message = side.message(OpCode::Signal, channel)?;
        stamp(&mut message, 1, number, FILLER)?;
        side.group.post(message)?;
    }
    let pause = Duration::from_millis(20 + random.below(100));
    let reading = thread::spawn(move || read_all(raw, pause));
    let start = Instant::now();
    let complete = match farewell {
        Farewell::Destroy => side.group.destroy(LIMIT).complete,
        Farewell::Shutdown => side.engine.shutdown(LIMIT).complete,
    };
    let took = start.elapsed();
    ensure!(complete, "{farewell:?} was not complete after {took:?}");
    let bytes = match reading.join() {
        Ok(outcome) => outcome?,
        Err(_) => anyhow::bail!("the reader panicked"),
    };
    // What could not be sent any more was for nobody.
    let _ = sending.join();
    Ok(bytes)
}

/// Frames that the engine takes off the socket only as far as its inbox allows.
fn unread_input() -> Result<Vec<u8>> {
    let mut message = Message::new(OpCode::Signal);
    message.body_mut().append(&[7; 3000])?;
    let frame = frame(&message);
    Ok(frame.repeat(UNREAD / frame.len()))
}

/// Reads to the end; an error if anything is missing.
fn read_all(mut raw: RawPeer, pause: Duration) -> Result<usize> {
    thread::sleep(pause);
    let (messages, end) = raw.receive_all(LIMIT);
    let mut delivered = Delivered::default();
    let mut bytes = 0;
    for message in &messages {
        delivered.take(message)?;
        bytes += message.frame_len();
    }
    ensure!(
        delivered.total() == MESSAGES,
        "{} of {MESSAGES} messages got there, then {end:?}",
        delivered.total()
    );
    Ok(bytes)
}
