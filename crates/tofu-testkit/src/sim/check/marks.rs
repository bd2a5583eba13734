//! Which paths a run has taken: counts by name, summed over runs.

use std::collections::BTreeMap;
use std::fmt;

use tofu_engine::Stats;

use crate::sim::check::expected::EXPECTED;

/// Counts by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Marks {
    counts: BTreeMap<String, u64>,
}

impl Marks {
    /// Counts one occurrence.
    pub(crate) fn hit(&mut self, name: impl Into<String>) {
        *self.counts.entry(name.into()).or_default() += 1;
    }

    /// Adds another run's.
    pub fn add(&mut self, other: &Marks) {
        for (name, count) in &other.counts {
            *self.counts.entry(name.clone()).or_default() += count;
        }
    }

    /// How often something of this name occurred.
    #[must_use]
    pub fn count(&self, name: &str) -> u64 {
        self.counts.get(name).copied().unwrap_or(0)
    }

    /// Adds the paths that an engine has taken.
    pub(crate) fn add_paths(&mut self, paths: &[(&str, u64)]) {
        for (name, count) in paths {
            *self.counts.entry(format!("path: {name}")).or_default() += count;
        }
    }

    /// All names that twenty thousand runs hit, one with another.
    #[must_use]
    pub fn expected() -> &'static [&'static str] {
        EXPECTED
    }

    /// What so many runs should have seen and these have not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let expected = EXPECTED.iter().copied();
        expected.filter(|name| self.count(name) == 0).collect()
    }

    /// What these have seen although nobody expects it.
    #[must_use]
    pub fn unlisted(&self) -> Vec<&str> {
        let names = self.counts.keys().map(String::as_str);
        names.filter(|name| !EXPECTED.contains(name)).collect()
    }

    /// Counts the counters of an engine that are not 0.
    pub(crate) fn add_stats(&mut self, stats: &Stats) {
        macro_rules! counters {
            ($($name:ident)*) => {
                $(if stats.$name > 0 {
                    self.hit(concat!("counter: ", stringify!($name)));
                })*
            };
        }
        counters!(wakes messages_sent messages_received messages_returned posts_refused
            posts_refused_queue_full connections_accepted connections_made connects_failed
            connections_refused handshakes_failed handshakes_evicted accepts_failed
            connections_shed protocol_violations timeouts pauses_pool_empty pauses_inbox_full
            pauses_budget);
    }
}

impl fmt::Display for Marks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, count) in &self.counts {
            writeln!(f, "{count:>10}  {name}")?;
        }
        Ok(())
    }
}
