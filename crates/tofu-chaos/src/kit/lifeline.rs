//! A started process never outlives the one that started it.
//!
//! Called first thing by every process but the supervisor. The kernel kills it when its parent
//! dies, which reaches a stopped process too; and it ends itself when its input closes, which holds
//! where another program stands between the two.

use std::io::stdin;
use std::process::exit;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};
use nix::sys::prctl::set_pdeathsig;
use nix::sys::signal::Signal;

/// The exit code of a process that was left alone or has taken far too long.
const ABANDONED: i32 = 3;

/// Ties this process to its parent; returns what the parent says, line by line.
pub(crate) fn follow_parent() -> Result<Receiver<String>> {
    set_pdeathsig(Signal::SIGKILL).context("cannot be tied to the parent process")?;
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in stdin().lines().map_while(Result::ok) {
            // Where nobody wants to hear more, the end is still to be heard.
            let _ = sender.send(line);
        }
        exit(ABANDONED);
    });
    Ok(receiver)
}

/// Ends this process after `limit`, whatever it is doing then.
pub(crate) fn end_after(limit: Duration) {
    thread::spawn(move || {
        thread::sleep(limit);
        eprintln!("tofu-chaos: a process took longer than {limit:?}");
        exit(ABANDONED);
    });
}
