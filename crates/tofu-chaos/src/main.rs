//! The fault matrix on real sockets: `cargo xtask chaos`.
//!
//! Every row provokes one fault, keeps a ledger of what was posted, delivered and returned, and
//! prints one line: what was observed, what was demanded, and the verdict. Each row runs in a
//! process of its own under a hard time limit; the peers that are killed, stopped or starved are
//! further processes of this same program. All traffic stays on loopback addresses and on socket
//! files in temporary folders.

mod children;
mod kit;
mod outcome;
mod rows;
mod soak;
mod supervisor;
mod table;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::children::ChildCommand;
use crate::rows::Extent;

/// Counts what is in use: what a process holds follows the largest burst so far, as its allocator keeps
/// the pages, but a leak shows here however small it is.
#[global_allocator]
static ALLOCATOR: cap::Cap<std::alloc::System> = cap::Cap::new(std::alloc::System, usize::MAX);

/// The fault matrix on real sockets.
#[derive(Debug, Parser)]
#[command(name = "tofu-chaos")]
struct CommandLine {
    #[command(flatten)]
    choice: supervisor::Choice,
    #[command(flatten)]
    extent: Extent,
    #[command(subcommand)]
    part: Option<Part>,
}

/// What is run instead of the matrix.
#[derive(Debug, Subcommand)]
enum Part {
    /// Processes that talk with each other for a long time while faults go on
    Soak(soak::Arguments),
    /// One row, in a process of its own
    #[command(hide = true)]
    Row {
        id: String,
        #[command(flatten)]
        extent: Extent,
    },
    /// The other side of a row: somebody who is killed, stopped, starved or hostile
    #[command(hide = true)]
    Child {
        #[command(subcommand)]
        command: ChildCommand,
    },
}

fn main() -> ExitCode {
    let CommandLine {
        choice,
        extent,
        part,
    } = CommandLine::parse();
    let result = match part {
        None => supervisor::run(&choice, &extent),
        Some(Part::Soak(arguments)) => soak::run(&arguments),
        Some(Part::Row { id, extent }) => rows::run_alone(&id, &extent),
        Some(Part::Child { command }) => children::run(command),
    };
    result.unwrap_or_else(|error| {
        eprintln!("tofu-chaos: {error:#}");
        ExitCode::FAILURE
    })
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::CommandLine;

    #[test]
    fn the_command_line_is_consistent() {
        CommandLine::command().debug_assert();
    }
}
