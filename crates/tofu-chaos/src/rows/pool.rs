//! Row 13: a pool of one to eight messages, and an application that keeps them.
//!
//! Reading stops, one notice says so, and goes on by itself when messages are put back.

use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tofu::prelude::*;

use super::{Extent, progress};
use crate::kit::collector::Collector;
use crate::kit::ledger::{Delivered, stamp};
use crate::kit::side::{BOTH, Side, Transport};
use crate::outcome::{Facts, Outcome};

/// Nothing within this time: the engine has stopped reading.
const STILL: Duration = Duration::from_millis(30);

/// Messages of the part in which the application keeps all it gets.
const KEPT: u64 = 40;

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        let (mut pauses, mut notices, mut received) = (0, 0, 0);
        for pool in 1..=8 {
            progress(&format!("{transport}, a pool of {pool}"));
            let starved = starve(transport, pool, extent)
                .with_context(|| format!("{transport}, a pool of {pool}"))?;
            pauses += starved.0;
            notices += starved.1;
            received += starved.2;
        }
        facts.check(
            pauses > 0,
            format!("{transport}: 0 of {received} lost, {pauses} pauses, {notices} notices"),
        );
    }
    Ok(facts.outcome())
}

/// Pauses, notices and messages of a pool of this size.
fn starve(transport: Transport, pool: usize, extent: &Extent) -> Result<(u64, u64, u64)> {
    let mut receiver = Side::start(Options::default().pool_initial(1).pool_maximum(pool))?;
    let listening = receiver.listen(transport)?;
    let mut sender = Side::start(Options::default())?;
    let channel = sender.hello(&listening.endpoint)?;
    receiver.accept()?;
    sender.next()?;
    let mut book = Delivered::default();
    post(&sender, channel, 1..=KEPT)?;
    let (pauses, mut notices) = keep_all(&mut receiver, &mut book)?;
    let many = extent.pick(5000, 100_000);
    post_all(&mut sender, channel, KEPT + 1, many)?;
    let mut collector = Collector {
        delivered: book,
        ..Collector::default()
    };
    while collector.delivered.total() < KEPT + many {
        collector.book(receiver.next()?)?;
    }
    notices += collector.notices.len() as u64;
    Ok((pauses, notices, KEPT + many))
}

/// Receives and keeps everything until nothing more comes, gives it back, and so on.
fn keep_all(receiver: &mut Side, book: &mut Delivered) -> Result<(u64, u64)> {
    let mut kept = Vec::new();
    let (mut pauses, mut notices) = (0, 0);
    let (mut told, mut told_since_pause) = (false, false);
    while book.total() < KEPT {
        match receiver.group.wait_receive(STILL)?.map(Incoming::from) {
            Some(Incoming::Peer(message)) => {
                book.take(&message)?;
                kept.push(message);
                told = false;
            }
            Some(Incoming::Engine(Notice::PoolEmpty, _)) => {
                ensure!(!told, "told twice, with no message between");
                (told, told_since_pause) = (true, true);
                notices += 1;
            }
            Some(other) => bail!("{other:?}"),
            None => {
                ensure!(told_since_pause, "reading has stopped without a notice");
                ensure!(!kept.is_empty(), "nothing comes, though nothing is kept");
                told_since_pause = false;
                pauses += 1;
                kept.clear();
            }
        }
    }
    Ok((pauses, notices))
}

fn post(
    sender: &Side,
    channel: ChannelNumber,
    numbers: impl IntoIterator<Item = u64>,
) -> Result<()> {
    for number in numbers {
        let mut message = sender.message(OpCode::Signal, channel)?;
        stamp(&mut message, 1, number, 100)?;
        sender.group.post(message)?;
    }
    Ok(())
}

/// Posts many from a thread of its own.
fn post_all(sender: &mut Side, channel: ChannelNumber, first: u64, count: u64) -> Result<()> {
    let (poster, engine) = (sender.group.poster(), sender.engine.clone());
    std::thread::spawn(move || -> Result<()> {
        for number in first..first + count {
            let mut message = engine.message()?;
            message.set_op_code(OpCode::Signal);
            message.set_channel_number(channel);
            stamp(&mut message, 1, number, 100)?;
            poster.post_timeout(message, crate::kit::LIMIT)?;
        }
        Ok(())
    });
    Ok(())
}
