//! What the rows are made of: sides of a conversation, ledgers, processes, measurements.
//!
//! Called by the rows and by the processes that they start. Nothing here judges.

pub(crate) mod books;
pub(crate) mod child;
pub(crate) mod collector;
pub(crate) mod latency;
pub(crate) mod ledger;
pub(crate) mod lifeline;
pub(crate) mod lines;
pub(crate) mod measure;
pub(crate) mod namespace;
pub(crate) mod raw;
pub(crate) mod relay;
pub(crate) mod side;
pub(crate) mod sink;
pub(crate) mod streams;
pub(crate) mod traffic;

use std::time::Duration;

/// No single wait takes longer, unless a row says otherwise.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);

/// A duration as the table shows it.
pub(crate) fn milliseconds(duration: Duration) -> String {
    let milliseconds = duration.as_secs_f64() * 1e3;
    if milliseconds < 10.0 {
        format!("{milliseconds:.2} ms")
    } else {
        format!("{milliseconds:.0} ms")
    }
}

/// Bytes as the table shows them.
pub(crate) fn mebibytes(bytes: u64) -> String {
    const TENTHS: u64 = 1024 * 1024 / 10;
    let tenths = bytes / TENTHS;
    format!("{}.{} MiB", tenths / 10, tenths % 10)
}
