//! Row 16: time jumps. A stopped process sees just that when it goes on: all of a sudden it is
//! seconds later, with everything that arrived meanwhile still unread.
//!
//! Only those may be closed whose time has really passed without what they were waiting for.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tofu::prelude::*;
use tofu_testkit::{End, RawPeer};

use super::{Extent, progress};
use crate::kit::LIMIT;
use crate::kit::ledger::stamp;
use crate::kit::raw::{dial, frame, hello_bytes};
use crate::kit::side::{BOTH, Side};
use crate::kit::sink::Sink;
use crate::outcome::{Facts, Outcome};

/// All timeouts of the engine that is stopped, in its own words.
const TIMEOUTS: &str = "--timeouts=700";

/// How far time jumps: beyond all of them.
const JUMP: Duration = Duration::from_secs(2);

/// Messages that arrive meanwhile.
const MEANWHILE: u64 = 100;

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        let jumps = extent.pick(2, 20);
        let mut sink = Sink::start(transport, &[TIMEOUTS])?;
        let mut side = Side::start(Options::default())?;
        let channel = side.connect(&sink.endpoint)?;
        for jump in 0..jumps {
            progress(&format!("{transport}, jump {jump}"));
            leap(&mut sink, &mut side, channel, jump)
                .with_context(|| format!("{transport}, jump {jump}"))?;
        }
        facts.note(format!(
            "{transport}: {jumps} jumps of 2 s, {} delivered, closed: {}",
            sink.delivered.total(),
            sink.closed.join(" ")
        ));
        side.round_trip(channel)?;
        sink.child.tell("end")?;
        let status = sink.child.wait(LIMIT)?;
        facts.check(status.success(), format!("ended with {status}"));
    }
    Ok(facts.outcome())
}

fn leap(sink: &mut Sink, side: &mut Side, channel: ChannelNumber, jump: u64) -> Result<()> {
    let before = sink.closed.len();
    // Streams of their own: 0 is the honest channel's.
    let stream = u32::try_from(jump)? * 2 + 1;
    let finished = half_a_frame(sink, stream)?;
    let unfinished = half_a_frame(sink, stream + 1)?;
    let mut late = RawPeer::connect(&sink.endpoint)?;
    let mut silent = RawPeer::connect(&sink.endpoint)?;
    side.round_trip(channel)?;
    sink.child.stop()?;
    finished.0.send(&finished.1)?;
    late.send(&hello_bytes(&sink.endpoint)?)?;
    for number in jump * MEANWHILE + 1..=(jump + 1) * MEANWHILE {
        let mut message = side.message(OpCode::Signal, channel)?;
        stamp(&mut message, 0, number, 1000)?;
        side.group.post(message)?;
    }
    thread::sleep(JUMP);
    sink.child.signal(Signal::SIGCONT)?;
    let total = (jump + 1) * (MEANWHILE + 1);
    sink.await_delivered(total, LIMIT)?;
    late.receive_frame(LIMIT)
        .context("a Hello that had arrived in time")?
        .context("a Hello that had arrived in time was shown out")?;
    ensure!(
        silent.receive_all(LIMIT).1 == End::Eof,
        "a silent connection lives on"
    );
    // The silent connection and this one had no more time; the application knew only this one.
    sink.await_that(LIMIT, |sink| sink.closed.len() > before)?;
    ensure!(
        sink.closed[before..] == [Status::FRAME_TIMEOUT.to_string()],
        "{:?}",
        &sink.closed[before..]
    );
    drop((finished, unfinished, late));
    sink.await_that(LIMIT, |sink| sink.closed.len() == before + 3)?;
    side.round_trip(channel)?;
    Ok(())
}

/// A peer in the middle of a frame, and the rest of it.
fn half_a_frame(sink: &Sink, stream: u32) -> Result<(RawPeer, Vec<u8>)> {
    let mut raw = dial(&sink.endpoint)?;
    raw.receive_frame(LIMIT)?.context("shown out")?;
    let mut message = Message::new(OpCode::Signal);
    stamp(&mut message, stream, 1, 1000)?;
    let bytes = frame(&message);
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    raw.send(first)?;
    Ok((raw, rest.to_vec()))
}
