//! `cargo xtask bench`: how fast it is, alone and beside others.
//!
//! `peers` compares the same work by several libraries (`cases` says which, `targets` what tofu is
//! held to); `quick` is a look in passing, `micro` the benchmarks of single functions, `syscalls`
//! counts what is asked of the kernel. Run them on a machine that does nothing else.

mod cases;
mod machine;
mod peers;
mod plot;
mod record;
mod samples;
mod syscalls;
mod table;
mod targets;

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// Compare the same work by several libraries, and keep the tables in benches/results
    Peers(peers::Arguments),
    /// The comparison in short, in less than three minutes
    Quick,
    /// A few cases of tofu alone, once: whether the programs of the comparison run
    Smoke,
    /// The benchmarks of single functions
    Micro,
    /// Count tofu's system calls for each message, with strace
    Syscalls(syscalls::Arguments),
}

pub(crate) fn run(command: &Command, deadline: Deadline) -> Report {
    match command {
        Command::Peers(arguments) => peers::run(arguments),
        Command::Quick => peers::quick(),
        Command::Smoke => smoke(),
        Command::Micro => micro(deadline),
        Command::Syscalls(arguments) => syscalls::run(arguments),
    }
}

/// The programs of the comparison compile and run, tofu's alone. A step of `ci`.
pub(crate) fn smoke() -> Report {
    peers::smoke()
}

fn micro(deadline: Deadline) -> Report {
    let mut report = Report::new();
    for bench in ["codec", "engine"] {
        let mut command = workspace::cargo();
        command.args(["bench", "--package", "tofu-benches", "--bench", bench]);
        report.add(bench, process::run(&mut command, deadline));
    }
    report
}
