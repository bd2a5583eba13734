//! The command line: its commands, and the arguments that several of them share.
//!
//! Each command keeps its own arguments and examples in its module. The texts here and there are
//! the manual: `--help`, the man pages and the completions are made of them.

use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use tofu::addr::Endpoint;

use crate::commands::{decode, documents, listen, perf, ping, send};
use crate::failure::EXIT_STATUSES;
use crate::output::Color;
use crate::values;

/// Listen, send, ping, measure and decode messages of tofu
#[derive(Debug, Parser)]
#[command(name = "tofu", version, propagate_version = true, after_help = EXIT_STATUSES)]
#[command(
    subcommand_value_name = "COMMAND",
    subcommand_help_heading = "Commands"
)]
#[command(
    long_about = "Listen, send, ping, measure and decode messages of tofu\n\n\
    Addresses are written 'tcp|HOST|PORT', 'uds|PATH', or 'uds|@NAME' for one of Linux's abstract\n\
    names. They need the quotes: | is the shell's pipe."
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to colour; auto is on a terminal, unless NO_COLOR is set
    #[arg(long, global = true, value_enum, value_name = "WHEN", default_value_t)]
    pub(crate) color: Color,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Listen(listen::Arguments),
    Send(send::Arguments),
    Ping(ping::Arguments),
    Perf(perf::Arguments),
    Decode(decode::Arguments),
    Completions(documents::Completions),
    Man(documents::Man),
}

/// Where to connect, and how long to wait.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connect {
    /// Where to connect: 'tcp|HOST|PORT', 'uds|PATH' or 'uds|@NAME'
    #[arg(value_name = "ADDRESS", value_parser = values::to_connect())]
    pub(crate) address: Endpoint,
    /// How long to wait for the connection, and for each answer
    #[arg(long, value_name = "DURATION", default_value = "5s")]
    #[arg(value_parser = values::nonzero_duration)]
    pub(crate) timeout: Duration,
    /// Keep trying for so long while nobody listens there
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = values::duration)]
    pub(crate) wait: Duration,
}
