//! Row 9: a server runs out of descriptors. Those it has are served, those who wait cost nothing,
//! and it goes on by itself as soon as one is free.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::{End, RawPeer};

use super::{Extent, progress};
use crate::kit::raw::dial;
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::sink::Sink;
use crate::kit::{LIMIT, measure, milliseconds};
use crate::outcome::{Facts, Outcome};

/// A handshake timeout, and a shortage that lasts 4 s longer.
const HANDSHAKE: &str = "--timeouts=2000";
const LONG: Duration = Duration::from_secs(6);

/// Connections that want in: more than there are descriptors.
const GUESTS: usize = 100;

/// How long the shortage is watched.
const WATCHED: Duration = Duration::from_secs(3);

/// The greatest share of a processor that it may cost, in percent.
const COST: f64 = 5.0;

/// When one who waits must be served after a descriptor is free.
const RESUMED_BY: Duration = Duration::from_millis(1500);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        for round in 0..extent.pick(1, 5) {
            progress(&format!("{transport} round {round}"));
            starve(transport, &mut facts).with_context(|| transport.to_string())?;
        }
        if extent.all {
            progress(&format!("{transport}, for long"));
            shed(transport, &mut facts).with_context(|| transport.to_string())?;
        }
    }
    Ok(facts.outcome())
}

fn starve(transport: Transport, facts: &mut Facts) -> Result<()> {
    let mut sink = Sink::start(transport, &["--descriptors=64"])?;
    let mut honest = Side::start(Options::default())?;
    let channel = honest.connect(&sink.endpoint)?;
    let guests: Vec<RawPeer> = (0..GUESTS)
        .map(|_| dial(&sink.endpoint))
        .collect::<Result<_>>()?;
    sink.await_that(LIMIT, |sink| !sink.notices.is_empty())?;
    let notices = sink.notices.len();
    let percent = measure::processor_percent(sink.child.pid(), WATCHED)?;
    sink.read()?;
    let notices = sink.notices.len() - notices;
    facts.check(
        percent <= COST,
        format!("{transport}: {percent:.1} % of a processor"),
    );
    let most = usize::try_from(WATCHED.as_secs())? + 1;
    facts.check(notices <= most, format!("{notices} notices in 3 s"));
    let mut slowest = Duration::ZERO;
    for _ in 0..50 {
        slowest = slowest.max(honest.round_trip(channel)?);
    }
    facts.check(
        slowest <= Duration::from_millis(100),
        format!("others answered in {}", milliseconds(slowest)),
    );
    let (mut inside, mut waiting) = divide(guests)?;
    ensure!(
        !inside.is_empty() && !waiting.is_empty(),
        "{} inside, {} waiting",
        inside.len(),
        waiting.len()
    );
    inside.truncate(inside.len() - 1);
    let freed = Instant::now();
    let next = waiting.first_mut().context("nobody waits")?;
    next.receive_frame(LIMIT)?.context("shown out")?;
    let took = freed.elapsed();
    facts.check(
        took <= RESUMED_BY,
        format!("resumed after {}", milliseconds(took)),
    );
    drop((inside, waiting));
    honest.round_trip(channel)?;
    let mut newcomer = honest.sibling()?;
    newcomer.connect(&sink.endpoint)?;
    Ok(())
}

/// When the shortage lasts longer than the handshake timeout, those who wait are shown out: one a
/// second, so that they learn it and the backlog does not stay full of the hopeless.
fn shed(transport: Transport, facts: &mut Facts) -> Result<()> {
    let sink = Sink::start(transport, &["--descriptors=64", HANDSHAKE])?;
    let mut honest = Side::start(Options::default())?;
    let channel = honest.connect(&sink.endpoint)?;
    let guests: Vec<RawPeer> = (0..GUESTS)
        .map(|_| dial(&sink.endpoint))
        .collect::<Result<_>>()?;
    std::thread::sleep(LONG);
    let mut shown_out = 0;
    for mut guest in guests {
        // First the answer of those who are inside.
        while let Ok(Some(_)) = guest.receive_frame(Duration::from_millis(2)) {}
        let (_, end) = guest.receive_all(Duration::from_millis(2));
        shown_out += usize::from(end != End::Timeout);
    }
    honest.round_trip(channel)?;
    facts.check(
        (2..=6).contains(&shown_out),
        format!("{shown_out} shown out in 6 s"),
    );
    Ok(())
}

/// Those whose Hello was answered, and those who wait, in the order in which they came.
fn divide(guests: Vec<RawPeer>) -> Result<(Vec<RawPeer>, Vec<RawPeer>)> {
    let (mut inside, mut waiting) = (Vec::new(), Vec::new());
    for mut guest in guests {
        match guest.receive_frame(Duration::from_millis(2)) {
            Ok(Some(_)) => inside.push(guest),
            Err(error) if error.kind() == std::io::ErrorKind::TimedOut => waiting.push(guest),
            other => anyhow::bail!("a guest was shown out: {other:?}"),
        }
    }
    Ok((inside, waiting))
}
