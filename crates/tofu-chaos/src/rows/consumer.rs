//! Row 12: the application of the receiving side does not receive for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tofu::prelude::*;
use tofu_testkit::resident_bytes;

use super::{Extent, progress};
use crate::kit::ledger::{Returned, balance};
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::sink::Sink;
use crate::kit::streams::{endless, join};
use crate::kit::{measure, mebibytes};
use crate::outcome::{Facts, Outcome};

/// How much memory may still grow once everything is full.
const FLAT: u64 = 1 << 20;

/// The greatest share of a processor that waiting may cost, in percent.
const COST: f64 = 5.0;

/// How long catching up may take.
const CAUGHT_UP: Duration = Duration::from_secs(20);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        progress(&transport.to_string());
        hold(transport, extent, &mut facts).with_context(|| transport.to_string())?;
    }
    Ok(facts.outcome())
}

fn hold(transport: Transport, extent: &Extent, facts: &mut Facts) -> Result<()> {
    let mut sink = Sink::start(transport, &["--hold"])?;
    let mut side = Side::start(Options::default())?;
    let channel = side.connect(&sink.endpoint)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(&side, channel, 1, 3000, extent.random(12)).spawn(&stop);
    await_full(&side)?;
    let pid = sink.child.pid();
    let before = resident_bytes(pid)?;
    let watched = Duration::from_secs(extent.pick(3, 20));
    let percent = measure::processor_percent(pid, watched)?;
    let growth = resident_bytes(pid)?.saturating_sub(before);
    facts.check(
        growth <= FLAT,
        format!(
            "{transport}: {} resident, {} more in {} s",
            mebibytes(before),
            mebibytes(growth),
            watched.as_secs()
        ),
    );
    facts.check(percent <= COST, format!("{percent:.1} % of a processor"));
    sink.child.tell("go")?;
    thread::sleep(Duration::from_millis(200));
    stop.store(true, Ordering::Relaxed);
    let accepted = join(stream)?.accepted;
    sink.await_delivered(accepted, CAUGHT_UP)?;
    let sum = balance(
        &[(1, accepted)].into(),
        &sink.delivered,
        &Returned::default(),
    )?;
    let lost = accepted - sum.delivered;
    facts.check(lost == 0, format!("{lost} of {accepted} lost"));
    Ok(())
}

/// Waits until no byte moves any more: the receiver's inbox, both kernels and our queue are full.
fn await_full(side: &Side) -> Result<()> {
    let end = Instant::now() + CAUGHT_UP;
    let mut sent = 0;
    while Instant::now() < end {
        thread::sleep(Duration::from_millis(500));
        let now = side.engine.stats().bytes_sent;
        if now == sent && now > 0 {
            return Ok(());
        }
        sent = now;
    }
    anyhow::bail!("the receiver takes ever more: {sent} bytes so far")
}
