//! Row 6: the peer's process is killed in the middle of a stream.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tofu::prelude::*;
use tofu_testkit::Random;

use super::{Extent, progress};
use crate::kit::collector::Collector;
use crate::kit::ledger::{Balance, balance};
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::sink::Sink;
use crate::kit::streams::{endless, join};
use crate::kit::{LIMIT, milliseconds};
use crate::outcome::{Facts, Outcome};
use crate::rows::reset::check_sent;

/// How soon the queued messages must be back.
const SOON: Duration = Duration::from_millis(100);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        let kills = extent.pick(8, 100);
        let mut random = extent.random(transport as u64);
        let (mut sum, mut slowest) = (Balance::default(), Duration::ZERO);
        for kill in 0..kills {
            progress(&format!("{transport} kill {kill}"));
            let (balance, took) =
                once(transport, &mut random).with_context(|| format!("{transport}, {kill}"))?;
            sum += balance;
            slowest = slowest.max(took);
        }
        facts.note(format!("{transport}: {kills} kills, {sum}"));
        facts.check(sum.returned > 0, format!("{} back", sum.returned));
        facts.check(slowest <= SOON, format!("in {}", milliseconds(slowest)));
    }
    Ok(facts.outcome())
}

fn once(transport: Transport, random: &mut Random) -> Result<(Balance, Duration)> {
    let mut sink = Sink::start(transport, &["--delay=300"])?;
    let mut side = Side::start(Options::default())?;
    let channel = side.connect(&sink.endpoint)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(&side, channel, 1, 20_000, Random::new(random.next_u64())).spawn(&stop);
    thread::sleep(Duration::from_millis(50 + random.below(150)));
    sink.child.signal(Signal::SIGKILL)?;
    let mut collector = Collector::default();
    collector.until_closed(&mut side.group, channel, LIMIT)?;
    let closed = Instant::now();
    let accepted = join(stream)?.accepted;
    sink.read_to_end()?;
    // The kernel closes the output of a dying process together with its sockets.
    let died = sink.child.ended_at().context("killed, and alive")?;
    let sum = balance(
        &[(1, accepted)].into(),
        &sink.delivered,
        &collector.returned,
    )?;
    check_sent(&collector, &sum, 1)?;
    Ok((sum, closed.saturating_duration_since(died)))
}
