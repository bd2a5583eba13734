//! `cargo xtask boundaries`: the crates build and stand alone as promised.
//!
//! The engine's core without its driver, the message crate without std and without the workspace
//! around it, the helpers without anything private, and a crate graph whose arrows all point down.

mod alone;
mod graph;
mod helpers;
mod throwaway;

use std::fs;

use anyhow::{Context, Result, ensure};

use crate::deadline::Deadline;
use crate::report::Report;
use crate::{metadata, process, workspace};

pub(crate) fn run(deadline: Deadline) -> Report {
    let mut report = Report::new();
    match metadata::packages(deadline) {
        Ok(packages) => {
            report.add_findings("no arrow runs back up", &graph::upward_arrows(&packages));
            report.add_findings(
                "tofu-msg needs little",
                &graph::needs_of_the_codec(&packages),
            );
        }
        Err(error) => report.add("crate graph", Err(error)),
    }
    report.add(
        "tofu-engine without its driver",
        check("tofu-engine", &[], deadline),
    );
    report.add("tofu-msg without std", without_std(deadline));
    on_bare_target(&mut report, deadline);
    report.add("tofu-msg outside the workspace", alone::run(deadline));
    match helpers::private_paths() {
        Ok(findings) => report.add_findings("the helpers name what is public", &findings),
        Err(error) => report.add("the helpers name what is public", Err(error)),
    }
    report.add(
        "the helpers outside tofu-chnls",
        helpers::build_outside(deadline),
    );
    report
}

/// `cargo check` of one package without its default features.
fn check(package: &str, further: &[&str], deadline: Deadline) -> Result<()> {
    let mut command = workspace::cargo();
    command
        .args(["check", "--package", package, "--no-default-features"])
        .args(further);
    process::run(&mut command, deadline)
}

/// With the attribute in place, the compiler itself refuses what is not in core or alloc.
fn without_std(deadline: Deadline) -> Result<()> {
    let path = workspace::root().join("crates/tofu-msg/src/lib.rs");
    let text =
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    ensure!(
        is_no_std(&text),
        "crates/tofu-msg/src/lib.rs does not say no_std"
    );
    check("tofu-msg", &[], deadline)
}

fn is_no_std(crate_root: &str) -> bool {
    crate_root.lines().any(|line| {
        let line = line.trim();
        line == "#![no_std]" || line == "#![cfg_attr(not(feature = \"std\"), no_std)]"
    })
}

/// On a target that has no std at all, where one is installed.
fn on_bare_target(report: &mut Report, deadline: Deadline) {
    let part = "tofu-msg on a target without std";
    let mut list = std::process::Command::new("rustup");
    list.args(["target", "list", "--installed"])
        .current_dir(workspace::root());
    let installed = process::output(&mut list, deadline);
    match installed.as_deref().map(bare_target) {
        Ok(Some(target)) => {
            report.add(part, check("tofu-msg", &["--target", target], deadline));
        }
        Ok(None) => {
            report.add_not_run(
                part,
                "none is installed; `rustup target add x86_64-unknown-none`",
            );
        }
        Err(error) => report.add_not_run(part, &format!("rustup does not answer: {error:#}")),
    }
}

/// The first target whose system part is `none`.
fn bare_target(installed: &str) -> Option<&str> {
    installed
        .lines()
        .map(str::trim)
        .find(|target| target.split('-').any(|part| part == "none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_without_std_is_told_from_one_with() {
        assert_eq!(bare_target("x86_64-unknown-linux-gnu\n"), None);
        let installed = "x86_64-unknown-linux-gnu\nx86_64-unknown-none\n";
        assert_eq!(bare_target(installed), Some("x86_64-unknown-none"));
        assert_eq!(
            bare_target("thumbv7em-none-eabi"),
            Some("thumbv7em-none-eabi")
        );
    }

    #[test]
    fn the_attribute_must_be_there() {
        assert!(is_no_std(
            "//! Text\n#![cfg_attr(not(feature = \"std\"), no_std)]\n"
        ));
        assert!(is_no_std("#![no_std]\n"));
        assert!(!is_no_std("//! #![no_std] is only named here\n"));
    }
}
