//! Row 23: name lookups hang, for the name server never answers. In a network and with a resolver
//! configuration of this row's own; no byte leaves the process's loopback interface.

use std::fs;
use std::net::UdpSocket;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::TempUdsPath;

use super::{Extent, progress};
use crate::kit::namespace::{enter_network, overlay};
use crate::kit::side::{BOTH, Side};
use crate::kit::sink::Sink;
use crate::kit::{LIMIT, latency, milliseconds};
use crate::outcome::{Facts, Outcome};

/// Names that are looked up at the same time, more than there are resolver threads.
const NAMES: usize = 64;

/// How long a connect may take; the lookups take longer.
const TIMEOUT: Duration = Duration::from_secs(4);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let folder = TempUdsPath::new()?;
    let folder = folder.parent().context("a path without folder")?;
    if let Err(why) = enter_network().and_then(|()| configure(folder)) {
        return Ok(Outcome::not_run(why));
    }
    // It takes the questions and never answers.
    let server = UdpSocket::bind("127.0.0.1:53").context("the silent name server")?;
    server.set_nonblocking(true)?;
    let mut facts = Facts::default();
    for transport in BOTH {
        progress(&transport.to_string());
        let sink = Sink::start(transport, &[])?;
        let mut side = Side::start(Options::default().connect_timeout(TIMEOUT))?;
        let channel = side.connect(&sink.endpoint)?;
        let before = latency::measure(&mut side, channel, Duration::from_secs(3))?;
        let mut lost = side.sibling()?;
        let start = Instant::now();
        ask(&lost)?;
        let during = latency::measure(&mut side, channel, Duration::from_secs(extent.pick(3, 3)))?;
        let (good, text) = latency::compare(before, during);
        facts.check(good, format!("{transport}: {text}"));
        let mut newcomer = side.sibling()?;
        let connecting = Instant::now();
        newcomer.connect(&sink.endpoint)?;
        let connected = connecting.elapsed();
        facts.check(
            start.elapsed() < TIMEOUT && connected < Duration::from_millis(200),
            format!("a numeric connect {}", milliseconds(connected)),
        );
        let took = await_timeouts(&mut lost, start)?;
        facts.check(
            took >= TIMEOUT && took < TIMEOUT + Duration::from_millis(500),
            format!("{NAMES} names given up after {}", milliseconds(took)),
        );
        end(&side, &lost, &mut facts)?;
    }
    let mut questions = 0;
    while server.recv(&mut [0; 512]).is_ok() {
        questions += 1;
    }
    facts.check(questions > 0, format!("{questions} questions unanswered"));
    Ok(facts.outcome())
}

/// The resolver of this process asks the silent server, and nobody else.
fn configure(folder: &Path) -> Result<(), String> {
    let resolver = folder.join("resolv.conf");
    let switch = folder.join("nsswitch.conf");
    let targets = ["/etc/resolv.conf", "/etc/nsswitch.conf"].map(Path::new);
    if let Some(missing) = targets.iter().find(|target| !target.exists()) {
        return Err(format!("there is no {}", missing.display()));
    }
    fs::write(&resolver, "nameserver 127.0.0.1\n")
        .and_then(|()| fs::write(&switch, "hosts: files dns\n"))
        .map_err(|error| error.to_string())?;
    overlay(&[(&resolver, targets[0]), (&switch, targets[1])])
}

/// Connects to names that nobody knows.
fn ask(side: &Side) -> Result<()> {
    for index in 0..NAMES {
        side.hello(&Endpoint::Tcp {
            host: format!("host{index}.example"),
            port: 7099,
        })?;
    }
    Ok(())
}

/// All of them are told in time; how long after `start` the last one was.
fn await_timeouts(side: &mut Side, start: Instant) -> Result<Duration> {
    for _ in 0..NAMES {
        let answer = side.next()?;
        ensure!(
            answer.op_code() == OpCode::HelloResponse && answer.status() == Status::CONNECT_TIMEOUT,
            "instead of connect_timeout: {answer:?}"
        );
        side.closed(answer.channel_number(), LIMIT)?;
    }
    Ok(start.elapsed())
}

/// A shutdown waits for no lookup.
fn end(side: &Side, lost: &Side, facts: &mut Facts) -> Result<()> {
    ask(lost)?;
    let start = Instant::now();
    side.engine.shutdown(Duration::ZERO);
    let took = start.elapsed();
    facts.check(
        took < Duration::from_millis(500),
        format!("shutdown {}", milliseconds(took)),
    );
    Ok(())
}
