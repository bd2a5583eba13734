//! The step `msrv` of `cargo xtask ci`: the oldest Rust that is promised still builds everything.
//!
//! `clippy::incompatible_msrv` sees newer functions of the standard library, but no newer syntax:
//! only the old compiler itself does. Where it is not installed the step says "not run".

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{metadata, process, workspace};

pub(crate) fn run(deadline: Deadline) -> Report {
    let mut report = Report::new();
    let packages = match metadata::packages(deadline) {
        Ok(packages) => packages,
        Err(error) => {
            report.add("declared version", Err(error));
            return report;
        }
    };
    let mut versions: Vec<_> = packages
        .into_iter()
        .filter_map(|item| item.rust_version)
        .collect();
    versions.sort();
    versions.dedup();
    let [version] = versions.as_slice() else {
        report.add_findings(
            "declared version",
            &[format!("not one for all: {versions:?}")],
        );
        return report;
    };
    check(&mut report, version, deadline);
    report
}

/// In a build folder of its own, or the two compilers would throw away each other's work.
fn check(report: &mut Report, version: &str, deadline: Deadline) {
    let part = format!("Rust {version}");
    if !workspace::has(version, &["--version"]) {
        let why = format!("not installed; `rustup toolchain install {version} --profile minimal`");
        report.add_not_run(&part, &why);
        return;
    }
    let mut command = workspace::cargo_of(version);
    command.args(["check", "--workspace", "--all-targets"]);
    command.env(
        "CARGO_TARGET_DIR",
        workspace::target_directory().join("msrv"),
    );
    report.add(&part, process::run(&mut command, deadline));
}
