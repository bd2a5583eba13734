//! What this process takes of the machine: processor time, memory, descriptors.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// More than the libraries take for the largest number of connections: three for each of them.
const DESCRIPTORS: u64 = 40_000;

/// Processor time of all threads so far.
pub(crate) fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).unwrap_or_default()
}

/// Bytes of memory of its own (not of files) that the process occupies now.
pub(crate) fn memory() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .context("no RssAnon in the status")?;
    let kibibytes = line.trim().trim_end_matches("kB").trim();
    Ok(kibibytes.parse::<u64>()? * 1024)
}

/// As many descriptors as thousands of connections take, or as this user may have.
pub(crate) fn raise_descriptor_limit() -> Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: Some(DESCRIPTORS),
        maximum: Some(DESCRIPTORS),
    };
    let possible = Rlimit {
        current: limit.maximum,
        ..limit
    };
    setrlimit(Resource::Nofile, wanted)
        .or_else(|_| setrlimit(Resource::Nofile, possible))
        .context("cannot raise the limit of descriptors")
}

/// Keeps this thread, and all threads and processes that it starts, on the last core that it may use.
pub(crate) fn stay_on_one_core() -> Result<()> {
    let may = sched_getaffinity(None).context("cannot read the set of cores")?;
    let last = (0..CpuSet::MAX_CPU).rev().find(|&core| may.is_set(core));
    let mut one = CpuSet::new();
    one.set(last.context("there is no core")?);
    sched_setaffinity(None, &one).context("cannot stay on one core")
}
