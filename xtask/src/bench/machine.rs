//! The machine: what it is, and whether anybody else works on it while something is measured.

use std::fs;
use std::thread;

use anyhow::{Context, Result};

/// In words.
pub(super) fn describe() -> String {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let processor = first_of("/proc/cpuinfo", "model name");
    let memory = first_of("/proc/meminfo", "MemTotal");
    let kibibytes: u64 = memory.trim_end_matches(" kB").parse().unwrap_or_default();
    let memory = kibibytes.div_ceil(1024 * 1024);
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    // Without what somebody has appended to the version.
    let version = release.trim().split('-').next().unwrap_or_default();
    let system = std::env::consts::OS;
    format!("{cores} cores of {processor}, {memory} GiB, {system} {version}")
}

/// The value of the first line of that name.
fn first_of(path: &str, name: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let value = line.and_then(|line| line.split_once(':'));
    value
        .map_or("unknown", |(_, value)| value.trim())
        .to_owned()
}

/// Processor time so far, in the kernel's ticks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    /// Of all processors, idle or not.
    all: f64,
    busy: f64,
    /// Of the processes that we have started and that have ended.
    own: f64,
}

impl Load {
    pub(super) fn now() -> Result<Load> {
        let all = fs::read_to_string("/proc/stat")?;
        let own = fs::read_to_string("/proc/self/stat")?;
        Load::parse(&all, &own).context("cannot read the processor time")
    }

    fn parse(all: &str, own: &str) -> Option<Load> {
        // user, nice, system, idle, waiting for disks, interrupts twice, stolen; guests are in user.
        let ticks = all.lines().next()?.split_whitespace().skip(1).take(8);
        let ticks: Vec<f64> = ticks.map(str::parse).collect::<Result<_, _>>().ok()?;
        // Interrupts do our work as well, on loopback most of all.
        let idle: f64 = ticks.get(3..7)?.iter().sum();
        let all: f64 = ticks.iter().sum();
        // The name, in brackets, may hold anything; the children's times are the 16th and 17th.
        let (_, own) = own.rsplit_once(')')?;
        let mut own = own.split_whitespace().skip(13);
        let children: [f64; 2] = [own.next()?.parse().ok()?, own.next()?.parse().ok()?];
        Some(Load {
            all,
            busy: all - idle,
            own: children[0] + children[1],
        })
    }

    /// The share of the machine that others have taken since then, from 0 to 1.
    pub(super) fn of_others_since(&self, then: &Load) -> f64 {
        let busy = self.busy - then.busy;
        let own = self.own - then.own;
        let all = (self.all - then.all).max(1.0);
        ((busy - own) / all).clamp(0.0, 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_has_cores() {
        assert!(!describe().starts_with('0'), "{}", describe());
    }

    #[test]
    fn what_others_took_is_what_is_neither_idle_nor_ours() {
        let at = |busy: u32, idle: u32, own: u32| {
            let all = format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\ncpu0 1 2 3\n");
            let own = format!("7 (a ) b) S 1 1 1 0 -1 0 0 0 0 0 3 4 {own} 0 20 0\n");
            Load::parse(&all, &own).unwrap()
        };
        let (before, after) = (at(100, 100, 10), at(160, 140, 60));
        assert_eq!(after.of_others_since(&before).to_string(), "0.1");
        assert_eq!(before.of_others_since(&before).to_string(), "0");
        assert!(Load::parse("cpu", "").is_none());
    }
}
