//! Row 10: system calls fail under two engines that talk to each other: `strace` makes them fail.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Extent, progress};
use crate::kit::child::Child;
use crate::kit::side::BOTH;
use crate::outcome::{Facts, Outcome};

/// Messages in each direction.
const MESSAGES: u64 = 1500;

/// When a conversation must be over.
const OVER_BY: Duration = Duration::from_secs(60);

/// What fails: which calls, how, and which of them in each thread.
struct Fault {
    calls: &'static str,
    error: &'static str,
    when: &'static str,
    /// The connection must survive it.
    harmless: bool,
}

const fn fault(
    calls: &'static str,
    error: &'static str,
    when: &'static str,
    harmless: bool,
) -> Fault {
    Fault {
        calls,
        error,
        when,
        harmless,
    }
}

/// Interrupted calls are repeated, what the kernel has no memory for is retried or reported.
const FAULTS: [Fault; 14] = [
    fault("sendmsg,sendto", "EINTR", "2+3", true),
    fault("recvfrom,recvmsg", "EINTR", "2+3", true),
    fault("epoll_wait,epoll_pwait", "EINTR", "2+5", true),
    fault("accept4", "EINTR", "1+2", true),
    fault("accept4", "ECONNABORTED", "1+2", true),
    fault("accept4", "EPROTO", "1+2", true),
    fault("accept4", "ENOBUFS", "1..3", true),
    fault("accept4", "ENOMEM", "1..3", true),
    fault("accept4", "EMFILE", "1..3", true),
    fault("sendmsg,sendto", "ENOBUFS", "30+100", false),
    fault("sendmsg,sendto", "ENOMEM", "30+100", false),
    fault("recvfrom,recvmsg", "ENOMEM", "30+100", false),
    fault("socket,connect", "ENOBUFS", "2+3", false),
    fault("setsockopt,epoll_ctl", "ENOMEM", "5+31", false),
];

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    if let Err(why) = has_strace() {
        return Ok(Outcome::not_run(why));
    }
    let mut facts = Facts::default();
    let mut random = extent.random(10);
    let (mut talks, mut injected) = (0, 0);
    for fault in &FAULTS {
        for transport in BOTH {
            let name = format!("{} {} on {transport}", fault.calls, fault.error);
            progress(&name);
            let seed = random.next_u64();
            match talk(fault, &transport.to_string(), seed) {
                Ok((ledger, count)) => {
                    talks += 1;
                    injected += count;
                    let survived = ledger.contains("; 0 connections lost, 0 not made");
                    if fault.harmless && !survived {
                        facts.check(false, format!("{name}: {ledger}"));
                    }
                    if !fault.harmless && !survived {
                        facts.note(format!("{name}: {}", losses(&ledger)));
                    }
                }
                Err(error) => facts.check(false, format!("{name}: {error:#}")),
            }
        }
    }
    facts.note(format!(
        "{talks} conversations, {injected} calls failed, ledgers clean"
    ));
    Ok(facts.outcome())
}

fn losses(ledger: &str) -> &str {
    ledger.rsplit("; ").next().unwrap_or(ledger)
}

fn has_strace() -> Result<(), String> {
    let status = Command::new("strace")
        .args(["-qq", "-o", "/dev/null", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("strace does not work here: {status}")),
        Err(error) => Err(format!("no strace: {error}")),
    }
}

/// One conversation with this fault; its ledger, and how many calls failed.
fn talk(fault: &Fault, transport: &str, seed: u64) -> Result<(String, usize)> {
    let log = tofu_testkit::TempUdsPath::new()?;
    let mut strace = Command::new("strace");
    strace.args(["-f", "-qq", "-e"]);
    strace.arg(format!("trace={}", fault.calls));
    strace.arg("-e").arg(format!(
        "inject={}:error={}:when={}",
        fault.calls, fault.error, fault.when
    ));
    strace.arg("-o").arg(log.as_path());
    strace.arg(std::env::current_exe()?);
    let arguments = [
        "conversation".to_owned(),
        format!("--transport={transport}"),
        format!("--messages={MESSAGES}"),
        format!("--seed={seed}"),
    ];
    let mut child = Child::start_by(strace, &arguments)?;
    let ledger = child.expect("ledger", OVER_BY)?;
    child.wait(OVER_BY).context("strace")?;
    let log = std::fs::read_to_string(log.as_path())?;
    Ok((ledger, log.matches("(INJECTED)").count()))
}
