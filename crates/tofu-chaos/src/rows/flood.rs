//! Row 11: a process floods peers that never read, with no write stall to end it. It must be
//! refused, get every refused message back, and stay small.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tofu_testkit::resident_bytes;

use super::{Extent, progress};
use crate::kit::child::Child;
use crate::kit::raw::RawPlace;
use crate::kit::side::BOTH;
use crate::kit::{LIMIT, mebibytes};
use crate::outcome::{Facts, Outcome};

/// What the flooding process may have resident.
const LIMIT_BYTES: u64 = 96 << 20;

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let seconds = extent.flood.unwrap_or(extent.pick(5, 60));
    let seed = extent.random(11).next_u64();
    let mut arguments = vec![
        "flooder".to_owned(),
        format!("--seconds={seconds}"),
        format!("--seed={seed}"),
    ];
    let mut places = Vec::new();
    for transport in BOTH {
        let place = RawPlace::new(transport)?;
        arguments.push(format!("--to={}", place.endpoint()));
        places.push(place);
    }
    let mut child = Child::start(&arguments)?;
    // They are greeted, and then never read again.
    let deaf: Vec<_> = places.iter().map(RawPlace::greet).collect::<Result<_>>()?;
    child.expect("flooding", LIMIT)?;
    let mut largest = 0;
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        progress(&format!("{} resident", mebibytes(largest)));
        largest = largest.max(resident_bytes(child.pid())?);
        std::thread::sleep(Duration::from_millis(50));
    }
    let ledger = child.expect("ledger", LIMIT)?;
    let refused: u64 = child.expect("refused", LIMIT)?.parse()?;
    // Told by the child itself: once it has ended nobody can look any more.
    let peak: u64 = child.expect("peak", LIMIT)?.parse()?;
    let status = child.wait(LIMIT).context("the flooder")?;
    let mut facts = Facts::default();
    facts.check(
        peak <= LIMIT_BYTES,
        format!("{} at most in {seconds} s on tcp and uds", mebibytes(peak)),
    );
    facts.check(
        refused > 0 && status.success(),
        format!("{refused} posts refused, each with its message"),
    );
    facts.note(ledger);
    drop(deaf);
    Ok(facts.outcome())
}
