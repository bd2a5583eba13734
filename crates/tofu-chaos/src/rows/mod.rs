//! The rows: each file provokes one fault, or a few that are alike.
//!
//! A row is a function from the extent of the run to an outcome; an error is a failure. It runs in
//! a process of its own, which the supervisor kills when it takes too long.

pub(crate) mod backlog;
mod bye_cycles;
pub(crate) mod clock;
pub(crate) mod consumer;
pub(crate) mod crowd;
pub(crate) mod cycles;
pub(crate) mod descriptors;
pub(crate) mod destroy;
pub(crate) mod flood;
pub(crate) mod half_close;
pub(crate) mod half_open;
pub(crate) mod hostile;
pub(crate) mod injected;
pub(crate) mod killed;
pub(crate) mod lookup;
pub(crate) mod panic;
pub(crate) mod partition;
pub(crate) mod places;
pub(crate) mod pool;
pub(crate) mod raw_cycles;
pub(crate) mod reset;
pub(crate) mod rough;
pub(crate) mod shutdown;
pub(crate) mod sigpipe;
pub(crate) mod split;
pub(crate) mod stopped;
mod storm;
pub(crate) mod unread_input;

use std::process::ExitCode;

use anyhow::{Context, Result};
use tofu_testkit::Random;

use crate::kit::lifeline;
use crate::outcome::Outcome;
use crate::table::ROWS;

/// Marks a line that says how far a row has come.
pub(crate) const PROGRESS: &str = "at ";

/// How much of each row is run.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Extent {
    /// Run every row at its full length
    #[arg(long)]
    pub(crate) all: bool,
    /// Length of the flood in row 11, in seconds
    #[arg(long, value_name = "SECONDS")]
    pub(crate) flood: Option<u64>,
    /// Repeat the run that printed this seed
    #[arg(long)]
    pub(crate) seed: Option<u64>,
}

impl Extent {
    /// The same as arguments of another process.
    pub(crate) fn arguments(&self) -> Vec<String> {
        let mut arguments = Vec::new();
        if self.all {
            arguments.push("--all".to_owned());
        }
        if let Some(seconds) = self.flood {
            arguments.push(format!("--flood={seconds}"));
        }
        if let Some(seed) = self.seed {
            arguments.push(format!("--seed={seed}"));
        }
        arguments
    }

    /// One figure for a short run, another for the full one.
    pub(crate) fn pick<T>(&self, short: T, full: T) -> T {
        if self.all { full } else { short }
    }

    /// The randomness of one row; `salt` tells its parts apart.
    pub(crate) fn random(&self, salt: u64) -> Random {
        let seed = self.seed.unwrap_or_default();
        Random::new(seed ^ salt.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

/// Says how far the row has come, for the case that it goes no further.
pub(crate) fn progress(text: &str) {
    println!("{PROGRESS}{text}");
}

/// A row as a process: runs it and prints its outcome.
pub(crate) fn run_alone(id: &str, extent: &Extent) -> Result<ExitCode> {
    let _commands = lifeline::follow_parent()?;
    let row = ROWS.iter().find(|row| row.id == id);
    let row = row.with_context(|| format!("there is no row {id}"))?;
    let outcome = (row.run)(extent).unwrap_or_else(|error| Outcome::failed(format!("{error:#}")));
    println!("{}", outcome.to_line());
    Ok(ExitCode::SUCCESS)
}
