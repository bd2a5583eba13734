//! Which paths a run has taken: counts by name, summed over runs.

use std::collections::BTreeMap;
use std::fmt;

use tofu_engine::Stats;

/// What ten thousand runs must have seen, one with another.
const EXPECTED: &[&str] = &[
    "closed: address_in_use",
    "closed: bye_timeout",
    "closed: channel_closed",
    "closed: connect_failed",
    "closed: connect_timeout",
    "closed: frame_timeout",
    "closed: hello_response_timeout",
    "closed: idle_timeout",
    "closed: linger_timeout",
    "closed: peer_disconnected",
    "closed: protocol_violation",
    "closed: shutdown_started",
    "closed: success",
    "closed: uds_path_not_found",
    "closed: write_stall_timeout",
    "counter: accepts_failed",
    "counter: connections_refused",
    "counter: connections_shed",
    "counter: handshakes_evicted",
    "counter: handshakes_failed",
    "counter: pauses_budget",
    "counter: pauses_inbox_full",
    "counter: pauses_pool_empty",
    "engine shut down",
    "group destroyed",
    "notice: accept_failed",
    "notice: pool_empty",
    "notice: send_queue_ready",
    "notice: uds_path_gone",
    "raw peer: closed",
    "raw peer: cut off",
    "raw peer: garbage",
    "raw peer: half a close",
    "refused: channel_closed",
    "refused: channels_exhausted",
    "refused: not_allowed",
    "refused: queue_full",
    "refused: shutdown_started",
    "returned: channel_closed",
    "returned: connect_timeout",
    "returned: peer_disconnected",
    "returned: write_stall_timeout",
];

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

    /// What ten thousand runs should have seen and these have not.
    #[must_use]
    pub fn missing(&self) -> Vec<&'static str> {
        let expected = EXPECTED.iter().copied();
        expected.filter(|name| self.count(name) == 0).collect()
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
