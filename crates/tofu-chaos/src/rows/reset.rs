//! Row 2: the connection is reset in the middle of a stream.
//!
//! By a raw peer that has read some frames and closes unkindly; and by the system, which takes a
//! connection of two engines away from both (`ss -K`).

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::prelude::*;
use tofu_testkit::{Random, RawPeer};

use super::{Extent, progress};
use crate::kit::collector::Collector;
use crate::kit::ledger::{Balance, Delivered, balance};
use crate::kit::raw::RawPlace;
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::streams::{endless, join, join_all};
use crate::kit::traffic::{CHANNELS, Threads, Traffic};
use crate::kit::{LIMIT, milliseconds};
use crate::outcome::{Facts, Outcome};

/// How soon the application must know.
const SOON: Duration = Duration::from_millis(100);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        let count = extent.pick(25, 250);
        let mut random = extent.random(transport as u64);
        let mut side = Side::start(Options::default())?;
        let place = RawPlace::new(transport)?;
        let (mut sum, mut slowest) = (Balance::default(), Duration::ZERO);
        for index in 0..count {
            progress(&format!("{transport} cut {index}"));
            let (balance, took) = cut(&mut side, &place, &mut random)
                .with_context(|| format!("{transport}, cut {index}"))?;
            sum += balance;
            slowest = slowest.max(took);
        }
        facts.note(format!("{transport}: {count} cuts, {sum}"));
        facts.check(slowest <= SOON, format!("notice {}", milliseconds(slowest)));
    }
    kill_sockets(extent, &mut facts)?;
    Ok(facts.outcome())
}

/// One connection that the raw peer resets; the ledger, and how soon the last word came.
fn cut(side: &mut Side, place: &RawPlace, random: &mut Random) -> Result<(Balance, Duration)> {
    let channel = side.hello(place.endpoint())?;
    let raw = place.greet()?;
    if random.below(2) == 0 {
        raw.send_frame(&Message::new(OpCode::HelloResponse))?;
    }
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(side, channel, 1, 20_000, Random::new(random.next_u64())).spawn(&stop);
    let frames = random.below(300);
    let reader = thread::spawn(move || read_and_reset(raw, frames));
    let mut collector = Collector::default();
    collector
        .until_closed(&mut side.group, channel, LIMIT)
        .context("after the reset")?;
    let closed = Instant::now();
    let (delivered, reset) = join(reader)?;
    let accepted = join(stream)?.accepted;
    let sum = balance(&[(1, accepted)].into(), &delivered, &collector.returned)?;
    check_sent(&collector, &sum, 1)?;
    Ok((sum, closed.saturating_duration_since(reset)))
}

/// What was handed to the kernel is what did not come back; `further` messages beside the streams.
pub(crate) fn check_sent(collector: &Collector, sum: &Balance, further: u64) -> Result<()> {
    let sent = collector.messages_sent();
    ensure!(
        sum.accepted + further == sent + sum.returned,
        "{sum}, but the close information counts {sent} sent"
    );
    Ok(())
}

fn read_and_reset(mut raw: RawPeer, frames: u64) -> Result<(Delivered, Instant)> {
    let mut delivered = Delivered::default();
    for _ in 0..frames {
        let frame = raw.receive_frame(LIMIT)?.context("closed before the cut")?;
        delivered.take(&frame)?;
    }
    let now = Instant::now();
    raw.reset()?;
    Ok((delivered, now))
}

/// The system takes connections of two engines away.
fn kill_sockets(extent: &Extent, facts: &mut Facts) -> Result<()> {
    let count = extent.pick(5, 50);
    let mut random = extent.random(9);
    let (mut sum, mut slowest) = (Balance::default(), Duration::ZERO);
    for index in 0..count {
        progress(&format!("ss -K {index}"));
        match kill_one(&mut random).with_context(|| format!("ss -K, run {index}"))? {
            None => {
                facts.note("ss -K: not run, it closes nothing here");
                return Ok(());
            }
            Some((balance, took)) => {
                sum += balance;
                slowest = slowest.max(took);
            }
        }
    }
    facts.note(format!("ss -K: {count} connections, {sum}"));
    facts.check(slowest <= SOON, format!("notice {}", milliseconds(slowest)));
    Ok(())
}

/// One engine of a pair loses all of its connections; both know soon.
fn kill_one(random: &mut Random) -> Result<Option<(Balance, Duration)>> {
    let here = Side::start(Options::default())?;
    let there = Side::start(Options::default())?;
    let traffic = Traffic::connect(here, there, Transport::Tcp)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (from_here, from_there) = traffic.start(random, &stop);
    let receive = |mut side: Side, channels: Vec<ChannelNumber>| {
        thread::spawn(move || -> Result<(Side, Collector, Instant)> {
            let mut collector = Collector::default();
            let end = Instant::now() + LIMIT;
            while collector.closed.len() < channels.len() {
                ensure!(Instant::now() < end, "not all channels have closed");
                if let Some(message) = side.group.wait_receive(Duration::from_millis(10))? {
                    collector.take(message)?;
                }
            }
            Ok((side, collector, Instant::now()))
        })
    };
    let endpoint = traffic.listening.endpoint.clone();
    let here = receive(traffic.here, traffic.here_channels);
    let there = receive(traffic.there, traffic.there_channels);
    thread::sleep(Duration::from_millis(random.below(30)));
    if !ss_kill(&endpoint)? {
        return Ok(None);
    }
    let killed = Instant::now();
    let (_here, here, here_closed) = join(here)?;
    let (_there, there, there_closed) = join(there)?;
    let sum = settle([from_here, from_there], [&here, &there])?;
    let closed = here_closed.max(there_closed);
    Ok(Some((sum, closed.saturating_duration_since(killed))))
}

/// The ledgers of both directions.
pub(crate) fn settle(threads: [Threads; 2], books: [&Collector; 2]) -> Result<Balance> {
    let mut sum = Balance::default();
    let [here, there] = books;
    for (threads, from, to) in threads
        .into_iter()
        .zip([(here, there), (there, here)])
        .map(|(threads, (from, to))| (threads, from, to))
    {
        let accepted = join_all(threads)?;
        let part = balance(&accepted, &to.delivered, &from.returned)?;
        // One HelloRequest or HelloResponse went ahead on each channel.
        check_sent(from, &part, u64::from(CHANNELS))?;
        sum += part;
    }
    Ok(sum)
}

/// Closes every connection to the endpoint; whether there was any that the system would close.
fn ss_kill(endpoint: &Endpoint) -> Result<bool> {
    let Endpoint::Tcp { port, .. } = endpoint else {
        bail!("only TCP connections can be closed so");
    };
    let filter = format!("dst 127.0.0.1 and dport = :{port}");
    let output = Command::new("ss")
        .args(["-K", "-t", "-n", "-H"])
        .arg(filter)
        .stdin(Stdio::null())
        .output();
    let Ok(output) = output else {
        return Ok(false);
    };
    let closed = String::from_utf8_lossy(&output.stdout);
    Ok(closed.contains(&format!(":{port}")))
}
