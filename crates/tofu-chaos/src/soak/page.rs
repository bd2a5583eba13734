//! The page at the end: what was run, what happened, the figures, and the findings.

use std::fmt;
use std::time::Duration;

use super::faults::{Faults, KINDS};
use super::fleet::Fleet;
use super::member::Node;
use super::reconcile::Balance;

/// A run from which on the memory's slope is judged: in a shorter one it is only noise.
const JUDGED_FROM: Duration = Duration::from_secs(10 * 60);

/// MiB in ten minutes.
const SLOPE: f64 = 1.0;

/// All that is known at the end.
pub(super) struct Page<'a> {
    pub(super) seed: u64,
    pub(super) took: Duration,
    /// Why the network is not its own.
    pub(super) network: Option<String>,
    pub(super) faults: &'a Faults,
    pub(super) fleet: &'a Fleet,
    pub(super) balance: Balance,
}

impl Page<'_> {
    pub(super) fn is_good(&self) -> bool {
        self.findings().is_empty()
    }

    fn findings(&self) -> Vec<String> {
        let mut findings = self.fleet.findings.clone();
        findings.extend(self.balance.findings.iter().take(20).cloned());
        if self.balance.delivered == 0 || self.balance.confirmed == 0 {
            findings.push("nothing was delivered or confirmed".to_owned());
        }
        for (place, node) in self.residents() {
            let slope = node.heap.slope();
            if self.took >= JUDGED_FROM && slope > SLOPE {
                findings.push(format!(
                    "node {place} uses {slope:.2} MiB more every 10 min"
                ));
            }
        }
        findings
    }

    fn residents(&self) -> impl Iterator<Item = (usize, &Node)> {
        let nodes = self.fleet.nodes.iter().enumerate();
        nodes.filter(|(_, node)| node.is_resident())
    }

    fn write_faults(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts: Vec<_> = KINDS
            .iter()
            .zip(self.faults.counts)
            .map(|((_, name), count)| format!("{count} {name}"))
            .collect();
        writeln!(f, "faults      {}", counts.join(", "))?;
        if let Some(why) = &self.faults.no_system {
            writeln!(f, "            ss -K not run: {why}")?;
        }
        writeln!(
            f,
            "            {} connections closed by ss -K, {} notices of EMFILE",
            self.faults.system_closed, self.fleet.starved
        )?;
        let causes: Vec<_> = self
            .fleet
            .causes
            .iter()
            .map(|(cause, count)| format!("{count} {cause}"))
            .collect();
        writeln!(f, "ends        {}", causes.join(", "))
    }

    fn write_holdings(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, node) in self.residents() {
            for (what, memory) in [("in use, not kept", &node.heap), ("held", &node.resident)] {
                let (first, last, most) = memory.figures();
                writeln!(
                    f,
                    "node {place}      {what}: {first:.1} MiB at first, {last:.1} at last, {most:.1} at most, slope {:+.2} MiB in 10 min",
                    memory.slope(),
                )?;
            }
            let leasts = node.heap.describe_leasts();
            writeln!(f, "node {place}      least in use of each while: {leasts}")?;
            writeln!(
                f,
                "node {place}      descriptors {} -> {}, threads {} -> {}",
                node.before.descriptors,
                node.after.descriptors,
                node.before.threads,
                node.after.threads,
            )?;
        }
        Ok(())
    }
}

impl fmt::Display for Page<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut beats = self.fleet.beats.clone();
        beats.sort_unstable();
        writeln!(
            f,
            "\nsoak        seed {}, {:.0} s",
            self.seed,
            self.took.as_secs_f64()
        )?;
        if let Some(why) = &self.network {
            writeln!(f, "network     the machine's loopback: {why}")?;
        }
        writeln!(
            f,
            "fleet       {} processes, {} lives, {} channels in the median second, {} at most",
            self.fleet.nodes.len(),
            self.fleet.lives(),
            beats.get(beats.len() / 2).copied().unwrap_or_default(),
            beats.last().copied().unwrap_or_default(),
        )?;
        self.balance.fmt(f)?;
        self.write_faults(f)?;
        self.write_holdings(f)?;
        let findings = self.findings();
        for finding in &findings {
            writeln!(f, "FINDING     {finding}")?;
        }
        match findings.len() {
            0 => writeln!(f, "ledger clean, no findings"),
            count => writeln!(f, "{count} findings"),
        }
    }
}
