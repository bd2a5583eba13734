//! Row `cycles`, beyond the matrix: what row 26 does to a listener, done to whole engines.

use anyhow::{Context, Result};

use super::{Extent, bye_cycles, storm};
use crate::outcome::{Facts, Outcome};

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    bye_cycles::run(extent, &mut facts).context("connect, Hello, Bye")?;
    storm::run(extent, &mut facts).context("engines and groups at once")?;
    Ok(facts.outcome())
}
