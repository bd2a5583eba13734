//! Rows 7 and 8: the peer's process is stopped, for a while that its connection must survive, and
//! for longer than the write stall allows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use tofu::prelude::*;

use super::{Extent, progress};
use crate::kit::collector::Collector;
use crate::kit::ledger::balance;
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::sink::Sink;
use crate::kit::streams::{endless, join};
use crate::kit::{LIMIT, latency};
use crate::outcome::{Facts, Outcome};
use crate::rows::reset::check_sent;

/// How long a peer may be stopped without harm.
const PAUSE: Duration = Duration::from_secs(5);

/// We look at the count of sent bytes only now and then.
const SEEN_LATE: Duration = Duration::from_millis(100);

/// The write stall of row 8, and when the channel must be closed at the latest.
const STALL: Duration = Duration::from_secs(3);
const CLOSED_BY: Duration = Duration::from_secs(4);

pub(crate) fn survived(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        progress(&transport.to_string());
        survive(transport, extent, &mut facts).with_context(|| transport.to_string())?;
    }
    Ok(facts.outcome())
}

fn survive(transport: Transport, extent: &Extent, facts: &mut Facts) -> Result<()> {
    let mut stopped = Sink::start(transport, &[])?;
    let lively = Sink::start(transport, &[])?;
    let mut side = Side::start(Options::default())?;
    let mut other = side.sibling()?;
    let channel = side.connect(&stopped.endpoint)?;
    let other_channel = other.connect(&lively.endpoint)?;
    let before = latency::measure(&mut other, other_channel, PAUSE / 2)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(&side, channel, 1, 5000, extent.random(7)).spawn(&stop);
    thread::sleep(Duration::from_millis(50));
    stopped.child.stop()?;
    let during = latency::measure(&mut other, other_channel, PAUSE)?;
    stopped.child.signal(Signal::SIGCONT)?;
    stop.store(true, Ordering::Relaxed);
    let accepted = join(stream)?.accepted;
    stopped.await_delivered(accepted, LIMIT)?;
    let mut collector = Collector::default();
    while let Some(message) = side.group.wait_receive(Duration::ZERO)? {
        collector.book(message)?;
    }
    let sum = balance(
        &[(1, accepted)].into(),
        &stopped.delivered,
        &collector.returned,
    )?;
    let lost = sum.unknown + sum.returned;
    facts.check(lost == 0, format!("{transport}: {lost} of {accepted} lost"));
    let (good, text) = latency::compare(before, during);
    facts.check(good, format!("others' {text}"));
    Ok(())
}

pub(crate) fn stalled(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        progress(&transport.to_string());
        stall(transport, extent, &mut facts).with_context(|| transport.to_string())?;
    }
    Ok(facts.outcome())
}

fn stall(transport: Transport, extent: &Extent, facts: &mut Facts) -> Result<()> {
    let mut sink = Sink::start(transport, &[])?;
    let mut side = Side::start(Options::default().write_stall_timeout(STALL))?;
    let channel = side.connect(&sink.endpoint)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(&side, channel, 1, 50_000, extent.random(8)).spawn(&stop);
    thread::sleep(Duration::from_millis(50));
    let stopped = Instant::now();
    sink.child.stop()?;
    let mut collector = Collector::default();
    let (mut sent, mut last_byte) = (0, stopped);
    while collector.closed.is_empty() {
        ensure!(stopped.elapsed() < LIMIT, "not closed");
        if let Some(message) = side.group.wait_receive(Duration::from_millis(5))? {
            collector.take(message)?;
        }
        // The peer's kernel may find room for some bytes long after the peer was stopped.
        let now = side.engine.stats().bytes_sent;
        if now != sent {
            (sent, last_byte) = (now, Instant::now());
        }
    }
    let took = last_byte.elapsed();
    let info = collector.closed.get(&channel).context("another channel")?;
    let accepted = join(stream)?.accepted;
    // What the kernel still holds for it, it may have now.
    sink.child.signal(Signal::SIGCONT)?;
    sink.await_that(LIMIT, |sink| !sink.closed.is_empty())?;
    let sum = balance(
        &[(1, accepted)].into(),
        &sink.delivered,
        &collector.returned,
    )?;
    check_sent(&collector, &sum, 1)?;
    facts.check(
        took + SEEN_LATE >= STALL && took <= CLOSED_BY,
        format!(
            "{transport}: {} {:.2} s after the last byte it took",
            info.cause.status(),
            took.as_secs_f64()
        ),
    );
    facts.check(
        info.cause.status() == Status::WRITE_STALL_TIMEOUT && sum.returned > 0,
        sum.to_string(),
    );
    Ok(())
}
