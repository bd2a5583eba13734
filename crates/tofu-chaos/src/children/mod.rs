//! The processes that rows start: peers that can be killed, stopped, starved or flooded.
//!
//! Each is a hidden command of this program. It is tied to its parent, and ends by itself after a
//! time that no row needs.

mod conversation;
mod crowd;
mod flooder;
pub(crate) mod node;
mod pipe;
mod sink;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;

use crate::kit::lifeline;

/// No row takes longer. A soak may, and limits its processes itself.
const LONGEST: Duration = Duration::from_secs(20 * 60);

/// Which process.
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ChildCommand {
    /// Listens, answers requests, and says what it receives
    Sink(sink::Arguments),
    /// Posts to peers that never read
    Flooder(flooder::Arguments),
    /// Two engines that talk with each other, under injected errors
    Conversation(conversation::Arguments),
    /// Loses its peer again and again while SIGPIPE is deadly
    Pipe(pipe::Arguments),
    /// Thousands of connections that never say Hello
    Crowd(crowd::Arguments),
    /// One of the soak's: keeps channels to others of its kind, and books
    Node(node::Arguments),
}

/// A child's life.
pub(crate) fn run(command: ChildCommand) -> Result<ExitCode> {
    let commands = lifeline::follow_parent()?;
    if !matches!(command, ChildCommand::Node(_)) {
        lifeline::end_after(LONGEST);
    }
    let result = match command {
        ChildCommand::Sink(arguments) => sink::run(&arguments, &commands),
        ChildCommand::Flooder(arguments) => flooder::run(&arguments),
        ChildCommand::Conversation(arguments) => conversation::run(&arguments),
        ChildCommand::Pipe(arguments) => pipe::run(&arguments),
        ChildCommand::Crowd(arguments) => crowd::run(&arguments),
        ChildCommand::Node(arguments) => node::run(&arguments, &commands),
    };
    Ok(match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error {error:#}");
            ExitCode::FAILURE
        }
    })
}
