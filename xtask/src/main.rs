//! The project's own checks and long runs, as `cargo xtask COMMAND`.
//!
//! Called by people, and by `.ci/run` for everything behind the tests. One command stands in one
//! module; this file only reads the command line. It depends on no crate of the workspace, so it
//! still runs, and says what is broken, when one of them does not compile.

mod bench;
mod book;
mod boundaries;
mod chaos;
mod ci;
mod coverage;
mod deadline;
mod deny;
mod examples;
mod fuzz;
mod logged;
mod metadata;
mod models;
mod msrv;
mod names;
mod process;
mod report;
mod sanitizers;
mod sim;
mod soak;
mod source;
mod tidy;
mod workspace;

use std::process::ExitCode;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::deadline::Deadline;
use crate::report::Report;

/// The limit of a command that is run by itself; `ci` gives each step a closer one.
const ALONE: Duration = Duration::from_secs(30 * 60);

/// The project's own checks and long runs.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run every check, each under a time limit, and close with a table
    Ci(ci::Arguments),
    /// Check what no compiler checks: file lengths, headers, layers, words, the top level
    Tidy,
    /// Check that the crates build and stand alone as promised, and that no arrow runs back up
    Boundaries,
    /// Make the pictures of the guide, check its links, and build it as a book with mdbook
    Book,
    /// Build the examples in release and run each against what it must print
    Examples,
    /// Check licences, bans and sources of all dependencies with cargo-deny
    Deny,
    /// Run the fuzz targets for a bounded time
    Fuzz(fuzz::Arguments),
    /// Run seeds of the simulated network, or look for every planted bug
    Sim(sim::Arguments),
    /// Run the fault matrix on real sockets
    Chaos(chaos::Arguments),
    /// Let processes talk for a long time under faults, and reconcile their books
    Soak(soak::Arguments),
    /// Run the models of what threads share under many schedules
    Models(models::Arguments),
    /// Count the lines that the tests reach, and hold the lowest layers to their share
    Coverage(coverage::Arguments),
    /// Measure speed, alone and beside other libraries
    #[command(subcommand)]
    Bench(bench::Command),
    /// Run the tests under sanitizers and valgrind
    San(sanitizers::Arguments),
}

fn main() -> ExitCode {
    if let Err(error) = process::stop_children_on_signal() {
        eprintln!("xtask: {error:#}");
        return ExitCode::FAILURE;
    }
    let deadline = Deadline::after(ALONE);
    match CommandLine::parse().command {
        Command::Ci(arguments) => ci::run(&arguments),
        Command::Tidy => conclude("tidy", &tidy::run()),
        Command::Boundaries => conclude("boundaries", &boundaries::run(deadline)),
        Command::Book => conclude("book", &book::run(deadline)),
        Command::Examples => conclude("examples", &examples::run(deadline)),
        Command::Deny => conclude("deny", &deny::run(deadline)),
        Command::Fuzz(arguments) => conclude("fuzz", &fuzz::run(&arguments)),
        Command::Sim(arguments) => conclude("sim", &sim::run(&arguments)),
        Command::Chaos(arguments) => conclude("chaos", &chaos::run(&arguments)),
        Command::Soak(arguments) => conclude("soak", &soak::run(&arguments)),
        Command::Models(arguments) => conclude("models", &models::run(&arguments, deadline)),
        Command::Coverage(arguments) => conclude("coverage", &coverage::run(&arguments, deadline)),
        Command::Bench(command) => conclude("bench", &bench::run(&command, deadline)),
        Command::San(arguments) => conclude("san", &sanitizers::run(&arguments)),
    }
}

/// Prints the report of a command that was run by itself.
fn conclude(name: &str, report: &Report) -> ExitCode {
    print!("{}", report.describe(name));
    report.exit_code()
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
