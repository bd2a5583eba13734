//! A network of this process's own: nothing but a loopback interface, which can be cut.
//!
//! Called by the rows that make a network fail, from the main thread and before anything else has
//! started: threads and children made later live in it, the machine's own network is untouched.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};

/// Moves this thread into a new network with its loopback interface up. The error says why that
/// cannot be done here.
pub(crate) fn enter_network() -> Result<(), String> {
    unshare(CloneFlags::CLONE_NEWNET)
        .map_err(|error| format!("no network namespace of its own: {error}"))?;
    set_loopback("up").map_err(|error| format!("{error:#}"))
}

/// Switches the loopback interface `up` or `down`; down, every packet is lost without a word.
pub(crate) fn set_loopback(state: &str) -> Result<()> {
    let status = Command::new("ip")
        .args(["link", "set", "lo", state])
        .stdin(Stdio::null())
        .status()
        .context("cannot run `ip`")?;
    ensure!(status.success(), "`ip link set lo {state}` failed");
    Ok(())
}

/// Gives this thread a file system view of its own, in which `source` lies over `target`.
pub(crate) fn overlay(files: &[(&Path, &Path)]) -> Result<(), String> {
    let private = || -> nix::Result<()> {
        unshare(CloneFlags::CLONE_NEWNS)?;
        let none: Option<&str> = None;
        mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)?;
        for (source, target) in files {
            mount(Some(*source), *target, none, MsFlags::MS_BIND, none)?;
        }
        Ok(())
    };
    private().map_err(|error| format!("no file system view of its own: {error}"))
}
