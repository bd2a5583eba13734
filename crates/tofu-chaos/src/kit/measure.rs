//! What a process uses: processor time, memory, descriptors. Read from `/proc`.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::{SysconfVar, sysconf};

/// The processor time that a process has used so far, all of its threads together.
pub(crate) fn processor_time(pid: u32) -> Result<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The name in front may hold blanks; it ends with the last parenthesis.
    let (_, fields) = stat.rsplit_once(')').context("no name in /proc stat")?;
    let mut times = fields.split_whitespace().skip(11);
    let mut ticks = 0_u64;
    for name in ["user", "system"] {
        let field = times
            .next()
            .with_context(|| format!("no {name} time in /proc stat"))?;
        ticks += field.parse::<u64>()?;
    }
    let per_second = sysconf(SysconfVar::CLK_TCK)?.context("the clock has no ticks")?;
    let per_second = u64::try_from(per_second)?.max(1);
    Ok(Duration::from_millis(ticks * 1000 / per_second))
}

/// The part of one processor that a process uses while we wait, in percent.
pub(crate) fn processor_percent(pid: u32, window: Duration) -> Result<f64> {
    let (before, start) = (processor_time(pid)?, Instant::now());
    thread::sleep(window);
    let used = processor_time(pid)?.saturating_sub(before);
    Ok(100.0 * used.as_secs_f64() / start.elapsed().as_secs_f64())
}

/// The most memory that a process has had resident.
pub(crate) fn peak_bytes(pid: u32) -> Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    Ok(kibibytes.context("no VmHWM in /proc status")? * 1024)
}

/// Allows this process as many descriptors as the system lets it have; how many.
pub(crate) fn raise_descriptor_limit() -> Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}
