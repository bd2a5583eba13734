//! The soak: `cargo xtask soak`. Processes with engines talk with each other over many channels for
//! a long time, while some are killed, stopped, starved or robbed of their connections; at the end
//! the books of all of them are reconciled, and one page says what came of it.
//!
//! The processes are nodes (`children::node`), all in a network of the soak's own where the system
//! allows that, otherwise on loopback addresses. Two of them live from the beginning to the end:
//! their memory, descriptors and threads are judged. The others are killed again and again.

mod faults;
mod fleet;
mod member;
mod memory;
mod page;
mod reconcile;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use tofu_testkit::{Random, TempUdsPath};

use self::faults::Faults;
use self::fleet::Fleet;
use self::page::Page;
use crate::children::node::Plant;
use crate::kit::lifeline;
use crate::kit::namespace::enter_network;

/// How long the end may take: farewells, books, the last shutdown.
const ENDING: Duration = Duration::from_secs(120);

/// How often the processes are looked at.
const TICK: Duration = Duration::from_millis(20);

/// The channels shall stand before the first fault.
const WARM_UP: Duration = Duration::from_secs(2);

/// What is run, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// How long, in minutes
    #[arg(long, default_value_t = 10)]
    minutes: u64,
    /// The same in seconds, for a short one
    #[arg(long, conflicts_with = "minutes")]
    seconds: Option<u64>,
    /// Channels that are kept open
    #[arg(long, default_value_t = 200)]
    channels: usize,
    /// Messages posted in a second, all processes together
    #[arg(long, default_value_t = 30_000)]
    rate: u64,
    /// Draw the same faults as the run that printed this seed
    #[arg(long)]
    seed: Option<u64>,
    /// Let one process make a mistake; then the soak must fail
    #[arg(long)]
    plant: Option<Plant>,
}

impl Arguments {
    fn length(&self) -> Duration {
        let seconds = self.seconds.unwrap_or(self.minutes.saturating_mul(60));
        Duration::from_secs(seconds)
    }
}

/// Runs the soak; fails on any finding.
pub(crate) fn run(arguments: &Arguments) -> Result<ExitCode> {
    let length = arguments.length();
    ensure!(!length.is_zero(), "no time to run in");
    lifeline::end_after(length + WARM_UP + ENDING);
    let seed = arguments.seed.unwrap_or_else(tofu_testkit::seed);
    println!("seed {seed} (repeat its faults with --seed {seed})");
    // Before any thread or process is started that would be outside.
    let network = enter_network();
    let folder = TempUdsPath::new()?;
    let mut random = Random::new(seed);
    let limit = length + WARM_UP + ENDING;
    let mut fleet = Fleet::start(arguments, limit, &folder, &mut random)?;
    fleet.go()?;
    let mut faults = Faults::new(length, random);
    let start = Instant::now();
    while start.elapsed() < WARM_UP + length {
        fleet.look()?;
        if start.elapsed() > WARM_UP {
            faults.turn(&mut fleet)?;
        }
        std::thread::sleep(TICK);
    }
    faults.end(&mut fleet)?;
    fleet.calm()?;
    let page = Page {
        seed,
        took: start.elapsed(),
        network: network.err(),
        faults: &faults,
        fleet: &fleet,
        balance: reconcile::reconcile(fleet.books()?),
    };
    print!("{page}");
    Ok(if page.is_good() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
