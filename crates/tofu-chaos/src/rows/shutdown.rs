//! Row 14: an engine is shut down while sixteen threads post through it and to it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::{Random, threads_named};

use super::{Extent, progress};
use crate::kit::collector::Collector;
use crate::kit::ledger::Balance;
use crate::kit::milliseconds;
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::streams::join;
use crate::kit::traffic::{CHANNELS, Traffic};
use crate::outcome::{Facts, Outcome};
use crate::rows::reset::settle;

/// How much longer than its grace a shutdown may take.
const MARGIN: Duration = Duration::from_secs(1);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    let mut random = extent.random(14);
    let (mut sum, mut slowest) = (Balance::default(), Duration::ZERO);
    let runs = extent.pick(100, 1000);
    for run in 0..runs {
        let transport = BOTH[run % 2];
        progress(&format!("run {run} on {transport}"));
        let (balance, late) =
            once(transport, &mut random).with_context(|| format!("run {run} on {transport}"))?;
        sum += balance;
        slowest = slowest.max(late);
    }
    facts.note(format!("{runs} runs, {sum}"));
    facts.check(
        slowest <= MARGIN,
        format!("d + {} at most", milliseconds(slowest)),
    );
    let left = threads_named("tofu-reactor")?;
    facts.check(left == 0, format!("{left} engine threads left"));
    Ok(facts.outcome())
}

/// One shutdown; the ledger, and how much longer than its grace it took.
fn once(transport: Transport, random: &mut Random) -> Result<(Balance, Duration)> {
    let here = Side::start(Options::default())?;
    let there = Side::start(Options::default())?;
    let traffic = Traffic::connect(here, there, transport)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (from_here, from_there) = traffic.start(random, &stop);
    let (engine, mut group) = (traffic.here.engine, traffic.here.group);
    let here = thread::spawn(move || -> Result<Collector> {
        let mut collector = Collector::default();
        collector.run(&mut group, |_| true)?;
        Ok(collector)
    });
    let mut there = traffic.there;
    let there = thread::spawn(move || -> Result<(Side, Collector)> {
        let mut collector = Collector::default();
        let enough = CHANNELS as usize;
        collector.run(&mut there.group, |book| book.closed.len() < enough)?;
        Ok((there, collector))
    });
    thread::sleep(Duration::from_micros(random.below(20_000)));
    let grace = Duration::from_millis(random.below(3) * random.below(40));
    let start = Instant::now();
    let report = engine.shutdown(grace);
    let took = start.elapsed();
    let here = join(here)?;
    let (there_side, there) = join(there)?;
    ensure!(
        here.closed.len() == CHANNELS as usize && report.channels == here.closed.len(),
        "{} last words, {report:?}",
        here.closed.len()
    );
    ensure!(
        report.unsent as u64 == here.returned.total(),
        "{report:?}, but {} came back",
        here.returned.total()
    );
    let sum = settle([from_here, from_there], [&here, &there])?;
    drop(there_side);
    Ok((sum, took.saturating_sub(grace)))
}
