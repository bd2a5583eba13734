//! Row 25: a host in which SIGPIPE kills, whose peers go away while it writes.

use std::os::unix::process::ExitStatusExt;

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;

use super::{Extent, progress};
use crate::kit::LIMIT;
use crate::kit::child::Child;
use crate::kit::raw::RawPlace;
use crate::kit::side::{BOTH, Transport};
use crate::outcome::{Facts, Outcome};

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for transport in BOTH {
        progress(&transport.to_string());
        let rounds = extent.pick(50, 1000);
        dies(transport).with_context(|| format!("{transport}, by plain sockets"))?;
        lives(transport, rounds, extent).with_context(|| transport.to_string())?;
        facts.note(format!(
            "{transport}: alive after {rounds} broken pipes, plain sockets killed by the first"
        ));
    }
    Ok(facts.outcome())
}

fn start(place: &RawPlace, rounds: u64, further: &[String]) -> Result<Child> {
    let mut arguments = vec![
        "pipe".to_owned(),
        format!("--to={}", place.endpoint()),
        format!("--rounds={rounds}"),
    ];
    arguments.extend_from_slice(further);
    let child = Child::start(&arguments)?;
    child.expect("ready", LIMIT)?;
    Ok(child)
}

/// Without the engine the signal kills; otherwise the row would prove nothing.
fn dies(transport: Transport) -> Result<()> {
    let place = RawPlace::new(transport)?;
    let further = ["--plain".to_owned(), "--seed=0".to_owned()];
    let mut child = start(&place, 1, &further)?;
    drop(place.listener.accept(LIMIT)?);
    let status = child.wait(LIMIT)?;
    ensure!(
        status.signal() == Some(Signal::SIGPIPE as i32),
        "not killed by SIGPIPE: {status}"
    );
    Ok(())
}

/// With it, nothing happens.
fn lives(transport: Transport, rounds: u64, extent: &Extent) -> Result<()> {
    let place = RawPlace::new(transport)?;
    let mut random = extent.random(25);
    let seed = format!("--seed={}", random.next_u64());
    let mut child = start(&place, rounds, &[seed])?;
    for round in 0..rounds {
        let mut raw = place.greet().with_context(|| format!("round {round}"))?;
        for _ in 0..random.below(20) {
            raw.receive_frame(LIMIT)?.context("closed too early")?;
        }
        if random.below(2) == 0 {
            raw.reset()?;
        }
    }
    child.expect("alive", LIMIT)?;
    let status = child.wait(LIMIT)?;
    ensure!(status.success(), "{status}");
    Ok(())
}
