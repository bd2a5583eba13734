//! `cargo xtask book`: the guide as a book: makes its pictures, checks its links, and builds it.
//!
//! The chapters are the umbrella's `docs`, which rustdoc shows as well. Pictures are checked in, so that
//! neither needs this command; `tidy` holds them, the links and the table of limits to what they stand
//! for.

mod limits;
mod links;
mod message;
mod pictures;
mod states;
mod svg;
mod walk;

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result};

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{process, workspace};

/// How to get the program that builds the book.
const MISSING: &str =
    "mdbook is not installed; `cargo install mdbook --locked --version 0.5.4` builds it";

/// Makes the pictures, then checks and builds.
pub(crate) fn run(deadline: Deadline) -> Report {
    let mut report = Report::new();
    report.add("pictures", pictures::write());
    check(&mut report);
    build(&mut report, deadline);
    report
}

/// Builds what is checked in: the step of `ci`.
pub(crate) fn only_build(deadline: Deadline) -> Report {
    let mut report = Report::new();
    build(&mut report, deadline);
    report
}

/// What `tidy` asks of the book.
pub(crate) fn check(report: &mut Report) {
    let parts: [(&str, Result<Vec<String>>); 3] = [
        ("the book's pictures", pictures::outdated()),
        ("the book's links", links::dead()),
        ("the book has every option", limits::missing()),
    ];
    for (part, findings) in parts {
        match findings {
            Ok(findings) => report.add_findings(part, &findings),
            Err(error) => report.add(part, Err(error)),
        }
    }
}

fn build(report: &mut Report, deadline: Deadline) {
    let mut version = Command::new("mdbook");
    version.arg("--version").stderr(Stdio::null());
    if process::output(&mut version, deadline).is_err() {
        return report.add_not_run("mdbook", MISSING);
    }
    let target = workspace::target_directory().join("book");
    let mut build = Command::new("mdbook");
    build
        .arg("build")
        .arg(docs())
        .arg("--dest-dir")
        .arg(&target)
        .current_dir(workspace::root());
    report.add("mdbook", process::run(&mut build, deadline));
    println!("the book: {}", target.join("index.html").display());
}

/// The folder of the chapters.
fn docs() -> PathBuf {
    workspace::root().join("crates/tofu/docs")
}

/// A file of the workspace.
fn read(path: &str) -> Result<String> {
    let whole = workspace::root().join(path);
    fs::read_to_string(whole).with_context(|| format!("cannot read {path}"))
}
