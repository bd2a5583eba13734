//! Row 18: a partition. In a network of this row's own a packet filter drops what one engine sends to
//! the other, in one direction or in both, for a while or for good.

use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::chnls::CloseInfo;
use tofu::prelude::*;

use super::{Extent, progress};
use crate::kit::LIMIT;
use crate::kit::collector::{Collector, Event};
use crate::kit::ledger::balance;
use crate::kit::namespace::enter_network;
use crate::kit::side::{Side, Transport, connected_pair};
use crate::kit::streams::{endless, join};
use crate::kit::traffic::Traffic;
use crate::outcome::{Facts, Outcome};
use crate::rows::reset::settle;

/// All timeouts of the engines that meet the partition.
const TIMEOUT: Duration = Duration::from_secs(2);

/// How much later than configured it may be.
const GRACE: Duration = Duration::from_secs(2);

/// A partition that is shorter than any timeout.
const SHORT: Duration = Duration::from_millis(1500);

/// The filter, and its two directions.
const TABLE: &str = "tofu";
const TO_SERVER: &str = "dport";
const TO_CLIENT: &str = "sport";

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    if let Err(why) = enter_network().and_then(|()| set_up()) {
        return Ok(Outcome::not_run(why));
    }
    let mut facts = Facts::default();
    for round in 0..extent.pick(1, 5) {
        for (name, directions) in [
            ("both ways", &[TO_SERVER, TO_CLIENT][..]),
            ("to the server", &[TO_SERVER]),
            ("to the client", &[TO_CLIENT]),
        ] {
            progress(&format!("{name}, round {round}"));
            cut(name, directions, extent, round, &mut facts).with_context(|| name.to_owned())?;
        }
        progress(&format!("healed, round {round}"));
        heal_in_time(extent, round, &mut facts).context("a short partition")?;
        progress(&format!("connecting, round {round}"));
        connect_into(&mut facts).context("a connect")?;
        progress(&format!("farewell, round {round}"));
        say_goodbye_into(&mut facts).context("a farewell")?;
    }
    Ok(facts.outcome())
}

fn options() -> Options {
    Options::default()
        .connect_timeout(TIMEOUT)
        .bye_timeout(TIMEOUT)
        .linger_timeout(TIMEOUT)
        .write_stall_timeout(TIMEOUT)
}

/// Drops packets between two engines in mid-stream, for good.
fn cut(
    name: &str,
    directions: &[&str],
    extent: &Extent,
    round: u64,
    facts: &mut Facts,
) -> Result<()> {
    let (here, there) = (Side::start(options())?, Side::start(options())?);
    let traffic = Traffic::connect(here, there, Transport::Tcp)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (from_here, from_there) = traffic.start(&mut extent.random(round), &stop);
    let count = traffic.here_channels.len();
    let here = thread::spawn(move || receive(traffic.here, count));
    let there = thread::spawn(move || receive(traffic.there, count));
    thread::sleep(Duration::from_millis(200));
    for direction in directions {
        drop_packets(&traffic.listening.endpoint, direction)?;
    }
    let start = Instant::now();
    let (_here, here, here_closed) = join(here)?;
    let (_there, there, there_closed) = join(there)?;
    heal()?;
    let took = here_closed.max(there_closed) - start;
    let sum = settle([from_here, from_there], [&here, &there])?;
    facts.check(
        took <= TIMEOUT + GRACE,
        format!("{name}: closed after {:.1} s of 2 s", took.as_secs_f64()),
    );
    facts.check(sum.returned > 0, sum.to_string());
    Ok(())
}

/// One side's application until all channels have ended; when that was.
fn receive(mut side: Side, count: usize) -> Result<(Side, Collector, Instant)> {
    let mut collector = Collector::default();
    let end = Instant::now() + LIMIT * 3;
    while collector.closed.len() < count {
        ensure!(Instant::now() < end, "not all channels have closed");
        if let Some(message) = side.group.wait_receive(Duration::from_millis(10))? {
            collector.take(message)?;
        }
    }
    Ok((side, collector, Instant::now()))
}

/// A partition that ends before any timeout does not end a channel and loses nothing.
fn heal_in_time(extent: &Extent, round: u64, facts: &mut Facts) -> Result<()> {
    let long = options().write_stall_timeout(LIMIT);
    let (mut here, channel, mut there, _, listening) = connected_pair(Transport::Tcp, long)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(&here, channel, 1, 20_000, extent.random(round)).spawn(&stop);
    let receiver = thread::spawn(move || -> Result<(Side, Collector)> {
        let mut collector = Collector::default();
        let end = Instant::now() + LIMIT * 3;
        while collector.closed.is_empty() {
            ensure!(Instant::now() < end, "the channel has not ended");
            if let Some(message) = there.group.wait_receive(Duration::from_millis(10))? {
                answer(&there, &mut collector, message)?;
            }
        }
        Ok((there, collector))
    });
    thread::sleep(Duration::from_millis(200));
    drop_packets(&listening.endpoint, TO_SERVER)?;
    drop_packets(&listening.endpoint, TO_CLIENT)?;
    thread::sleep(SHORT);
    heal()?;
    thread::sleep(Duration::from_millis(200));
    stop.store(true, Ordering::Relaxed);
    let accepted = join(stream)?.accepted;
    let bye = here.message(OpCode::ByeRequest, channel)?;
    here.group.post_timeout(bye, LIMIT)?;
    let mut collector = Collector::default();
    let info = collector.until_closed(&mut here.group, channel, LIMIT * 2)?;
    let (_there, delivered) = join(receiver)?;
    let sum = balance(
        &[(1, accepted)].into(),
        &delivered.delivered,
        &collector.returned,
    )?;
    let lost = sum.accepted - sum.delivered;
    facts.check(
        lost == 0 && info.confirmed,
        format!("1.5 s: {lost} of {accepted} lost"),
    );
    Ok(())
}

/// Books a message; a ByeRequest is answered.
fn answer(side: &Side, collector: &mut Collector, message: Msg) -> Result<()> {
    if let Event::Other(mut message) = collector.take(message)? {
        if message.make_reply().is_some() {
            side.group.post(message)?;
        }
    }
    Ok(())
}

/// Nobody answers a connection attempt.
fn connect_into(facts: &mut Facts) -> Result<()> {
    let mut there = Side::start(options())?;
    let listening = there.listen(Transport::Tcp)?;
    drop_packets(&listening.endpoint, TO_SERVER)?;
    let mut here = Side::start(options())?;
    let start = Instant::now();
    let channel = here.hello(&listening.endpoint)?;
    let answer = here.next()?;
    let took = start.elapsed();
    ensure!(
        answer.op_code() == OpCode::HelloResponse && answer.origin() == Origin::Engine,
        "instead of a failed connect: {answer:?}"
    );
    here.closed(channel, LIMIT)?;
    heal()?;
    facts.check(
        answer.status() == Status::CONNECT_TIMEOUT && took <= TIMEOUT + GRACE,
        format!("{} after {:.1} s", answer.status(), took.as_secs_f64()),
    );
    Ok(())
}

/// Nobody answers a farewell.
fn say_goodbye_into(facts: &mut Facts) -> Result<()> {
    let (mut here, channel, _there, _, listening) = connected_pair(Transport::Tcp, options())?;
    drop_packets(&listening.endpoint, TO_CLIENT)?;
    drop_packets(&listening.endpoint, TO_SERVER)?;
    let start = Instant::now();
    here.group
        .post(here.message(OpCode::ByeRequest, channel)?)?;
    let CloseInfo {
        cause, confirmed, ..
    } = here.closed(channel, LIMIT)?;
    let took = start.elapsed();
    heal()?;
    facts.check(
        cause.status() == Status::BYE_TIMEOUT && !confirmed && took <= TIMEOUT + GRACE,
        format!("{} after {:.1} s", cause.status(), took.as_secs_f64()),
    );
    Ok(())
}

/// A filter that lets everything pass. The error says why there is none here.
fn set_up() -> Result<(), String> {
    let chain = "{ type filter hook input priority 0 ; }";
    nft(&["add", "table", "inet", TABLE])
        .and_then(|()| nft(&["add", "chain", "inet", TABLE, "input", chain]))
        .map_err(|error| format!("no packet filter: {error:#}"))
}

/// From now on packets from or to the listener are lost without a word.
fn drop_packets(listener: &Endpoint, direction: &str) -> Result<()> {
    let Endpoint::Tcp { port, .. } = listener else {
        bail!("only TCP can be filtered");
    };
    let port = port.to_string();
    let rule = ["add", "rule", "inet", TABLE, "input", "tcp", direction];
    nft(&[&rule[..], &[&port, "drop"]].concat())
}

fn heal() -> Result<()> {
    nft(&["flush", "chain", "inet", TABLE, "input"])
}

fn nft(arguments: &[&str]) -> Result<()> {
    let output = Command::new("nft")
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .context("cannot run `nft`")?;
    ensure!(
        output.status.success(),
        "`nft {}`: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(())
}
