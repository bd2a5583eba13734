//! A node of the soak: it listens on TCP and on a Unix domain socket, keeps so many channels of its
//! own open to others of its kind, posts on all of its channels, and keeps its books.
//!
//! The soak tells it line by line where the others are and what to do; it says when a channel has
//! ended and how. What is wrong is an error, and the end of the node.

mod farewell;
mod hearing;
mod plant;
mod posting;
mod state;
mod talk;

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use anyhow::{Result, bail};

pub(crate) use self::plant::Plant;
use self::state::Node;
use crate::kit::lifeline;

/// What a node is.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Its number; no two processes of a run have the same
    #[arg(long)]
    life: u32,
    /// The folder of its books
    #[arg(long)]
    books: PathBuf,
    /// Its socket file
    #[arg(long)]
    path: PathBuf,
    /// Channels that it opens and keeps open
    #[arg(long)]
    channels: usize,
    /// Messages that it posts in a second
    #[arg(long)]
    rate: u64,
    /// Its engine has small limits
    #[arg(long)]
    small: bool,
    #[arg(long)]
    seed: u64,
    /// Seconds after which it ends by itself
    #[arg(long)]
    limit: u64,
    /// A mistake that it makes, to be found
    #[arg(long)]
    plant: Option<Plant>,
}

/// Runs until it is told `end`.
pub(crate) fn run(arguments: &Arguments, commands: &Receiver<String>) -> Result<()> {
    lifeline::end_after(Duration::from_secs(arguments.limit));
    let mut node = Node::start(arguments)?;
    loop {
        match commands.try_recv() {
            Ok(line) if line == "end" => return node.end(),
            Ok(line) => obey(&mut node, &line)?,
            Err(TryRecvError::Empty) => node.turn()?,
            Err(TryRecvError::Disconnected) => bail!("left alone"),
        }
    }
}

fn obey(node: &mut Node, line: &str) -> Result<()> {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["peer", index, tcp, uds] => {
            node.know(index.parse()?, [tcp.parse()?, uds.parse()?]);
            Ok(())
        }
        ["go"] => node.go(),
        ["reset", count] => node.reset(count.parse()?),
        ["bye", count] => node.bye(count.parse()?),
        ["pause", milliseconds] => {
            node.pause(Duration::from_millis(milliseconds.parse()?));
            Ok(())
        }
        ["calm"] => node.calm(),
        _ => bail!("a node is told: {line}"),
    }
}
