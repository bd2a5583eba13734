//! tofu's own test over the simulated network: one seed draws engines, limits, applications and
//! faults; then faults stop and everything must drain.
//!
//! What must hold: one outcome for each message that was accepted, in order, nothing both returned
//! and delivered; one last word per channel whose close information agrees with the books; without
//! faults everything arrives; nothing is left in pools and queues; no engine turns in vain.

mod act;
mod expected;
mod finish;
mod ledger;
mod marks;
mod midway;
mod misbehaviour;
mod plan;
mod raw;
mod receive;
mod scenario;

use std::panic::{self, AssertUnwindSafe};

use tofu_engine::Options;

pub use marks::Marks;

use crate::sim::check::scenario::Scenario;
use crate::sim::trace::Tracing;

/// What a run that found nothing wrong has seen.
#[derive(Debug, Clone)]
pub struct Passed {
    /// Which paths were taken.
    pub marks: Marks,
    /// A hash of everything that happened: the same seed gives the same.
    pub hash: u64,
    /// How many events that was.
    pub events: u64,
}

/// Something did not hold.
#[derive(Debug, Clone, thiserror::Error)]
#[error("seed {seed}: {what}")]
pub struct Failed {
    /// The seed that repeats it.
    pub seed: u64,
    /// What did not hold.
    pub what: String,
    /// The last events, where they were kept.
    pub last_events: Vec<String>,
}

/// Runs one seed.
///
/// # Errors
/// What did not hold.
pub fn check(seed: u64, tracing: Tracing) -> Result<Passed, Failed> {
    check_with(seed, tracing, &|_| {})
}

/// Runs one seed with options changed by `adjust` after they were drawn.
///
/// # Errors
/// What did not hold.
pub fn check_with(
    seed: u64,
    tracing: Tracing,
    adjust: &dyn Fn(&mut Options),
) -> Result<Passed, Failed> {
    let mut events = Vec::new();
    let run = AssertUnwindSafe(|| play(seed, tracing, adjust, &mut events));
    let outcome = panic::catch_unwind(run).unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().map(String::as_str);
        let text = text.or(panic.downcast_ref::<&str>().copied());
        Err(format!("a panic: {}", text.unwrap_or("without a text")))
    });
    outcome.map_err(|what| Failed {
        seed,
        what,
        last_events: events,
    })
}

fn play(
    seed: u64,
    tracing: Tracing,
    adjust: &dyn Fn(&mut Options),
    events: &mut Vec<String>,
) -> Result<Passed, String> {
    let mut scenario = Scenario::new(seed, tracing, adjust)?;
    let outcome = scenario.play();
    *events = scenario.sim.last_events();
    outcome?;
    let (hash, events) = scenario.sim.history();
    Ok(Passed {
        marks: scenario.marks,
        hash,
        events,
    })
}
