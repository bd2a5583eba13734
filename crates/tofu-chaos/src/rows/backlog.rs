//! Row 22: the backlog of a listener on a Unix domain socket is full. The kernel tells nobody when
//! there is room again; the engine must try by itself, up to the connect timeout.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::RawPeer;

use super::{Extent, progress};
use crate::kit::raw::RawPlace;
use crate::kit::side::{Side, Transport};
use crate::kit::{LIMIT, measure, milliseconds};
use crate::outcome::{Facts, Outcome};

/// Connections at once that find the backlog full.
const CROWD: usize = 20;

const TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    let mut slowest = Duration::ZERO;
    for round in 0..extent.pick(3, 50) {
        progress(&format!("round {round}"));
        slowest = slowest.max(let_in()?);
    }
    facts.check(
        slowest <= Duration::from_secs(1),
        format!("{CROWD} connect within {} of room", milliseconds(slowest)),
    );
    progress("no room ever");
    let (took, percent) = give_up()?;
    facts.check(
        took >= TIMEOUT && took <= TIMEOUT + Duration::from_millis(500),
        format!("no room: connect_timeout after {}", milliseconds(took)),
    );
    facts.check(percent <= 5.0, format!("{percent:.1} % of a processor"));
    Ok(facts.outcome())
}

/// A listener that lets nobody in: its backlog of one is full.
fn full_place() -> Result<(RawPlace, Vec<RawPeer>)> {
    let place = RawPlace::new(Transport::Uds)?;
    place.listener.set_backlog(1)?;
    let mut fillers = Vec::new();
    let moment = Duration::from_millis(20);
    while let Ok(filler) = RawPeer::connect_within(place.endpoint(), moment) {
        fillers.push(filler);
        ensure!(fillers.len() < 16, "the backlog has no end");
    }
    Ok((place, fillers))
}

/// How long the last of them takes once there is room.
fn let_in() -> Result<Duration> {
    let (place, fillers) = full_place()?;
    let side = Side::start(Options::default())?;
    for _ in 0..CROWD {
        side.hello(place.endpoint())?;
    }
    thread::sleep(Duration::from_millis(200));
    ensure!(
        side.engine.stats().connections_made == 0,
        "connected through a full backlog"
    );
    let room = Instant::now();
    for _ in &fillers {
        drop(place.listener.accept(LIMIT)?);
    }
    for guest in 0..CROWD {
        place.greet().with_context(|| format!("guest {guest}"))?;
    }
    Ok(room.elapsed())
}

/// How long an attempt without hope lasts, and what waiting costs.
fn give_up() -> Result<(Duration, f64)> {
    let (place, _fillers) = full_place()?;
    let mut side = Side::start(Options::default().connect_timeout(TIMEOUT))?;
    let start = Instant::now();
    let channel = side.hello(place.endpoint())?;
    let percent = measure::processor_percent(std::process::id(), Duration::from_secs(1))?;
    let answer = side.next()?;
    let took = start.elapsed();
    ensure!(
        answer.op_code() == OpCode::HelloResponse && answer.status() == Status::CONNECT_TIMEOUT,
        "instead of connect_timeout: {answer:?}"
    );
    side.closed(channel, LIMIT)?;
    Ok((took, percent))
}
