//! `cargo xtask deny`: licences, bans and sources of all dependencies, by cargo-deny and deny.toml.
//!
//! Not part of `ci`: its answer changes with the registry, not with our code.

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

pub(crate) fn run(deadline: Deadline) -> Report {
    let mut report = Report::new();
    let mut version = workspace::cargo();
    version
        .args(["deny", "--version"])
        .stderr(std::process::Stdio::null());
    if process::output(&mut version, deadline).is_err() {
        report.add_not_run(
            "cargo-deny",
            "not installed; `cargo install cargo-deny --locked`",
        );
        return report;
    }
    let mut check = workspace::cargo();
    check.args(["deny", "check", "bans", "licenses", "sources"]);
    report.add(
        "bans, licenses, sources",
        process::run(&mut check, deadline),
    );
    report
}
