//! The fault matrix: which rows there are, what they demand, and how long they may take.

use anyhow::Result;

use crate::kit::latency;
use crate::outcome::Outcome;
use crate::rows::{
    Extent, backlog, clock, consumer, crowd, cycles, descriptors, destroy, flood, half_close,
    half_open, hostile, injected, killed, lookup, panic, partition, places, pool, raw_cycles,
    reset, rough, shutdown, sigpipe, split, stopped, unread_input,
};

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) id: &'static str,
    pub(crate) fault: &'static str,
    pub(crate) demanded: &'static str,
    /// Hard limits in seconds, for the short form and for the full one.
    pub(crate) limit: u64,
    pub(crate) limit_all: u64,
    pub(crate) run: fn(&Extent) -> Result<Outcome>,
}

const fn row(
    id: &'static str,
    fault: &'static str,
    demanded: &'static str,
    (limit, limit_all): (u64, u64),
    run: fn(&Extent) -> Result<Outcome>,
) -> Row {
    Row {
        id,
        fault,
        demanded,
        limit,
        limit_all,
        run,
    }
}

/// The rows in the order in which they run.
#[rustfmt::skip] // one line is one row
pub(crate) const ROWS: [Row; 29] = [
    row("1", "stream cut at every byte", "identical messages", (90, 180), split::run),
    row("2", "reset in mid-stream", "ledger clean, notice <= 100 ms", (60, 300), reset::run),
    row("3", "half-open peer", "closed <= configured + 2 s", (60, 60), half_open::run),
    row("4", "half-close with data", "200/200", (30, 120), half_close::run),
    row("5", "close with unread input", "0 bytes lost", (60, 300), unread_input::run),
    row("6", "kill -9 of the peer", "queued messages back <= 100 ms", (60, 300), killed::run),
    row("7", "peer stopped for 5 s", latency::STOPPED, (60, 60), stopped::survived),
    row("8", "peer stopped beyond the write stall", "closed after 3 to 4 s, queue returned", (60, 60), stopped::stalled),
    row("9", "out of descriptors", "<= 5 % of a processor, resumes <= 1.5 s", (60, 180), descriptors::run),
    row("10", "ENOBUFS, ENOMEM, EINTR and others", "ledger clean", (240, 300), injected::run),
    row("11", "peer that never reads", "<= 96 MiB with 4 MiB a channel", (60, 120), flood::run),
    row("12", "slow local consumer", "memory flat, <= 5 % of a processor, 0 lost", (90, 150), consumer::run),
    row("13", "pool of 1 to 8", "0 lost, one notice per pause", (90, 300), pool::run),
    row("14", "shutdown under traffic, 16 threads", "<= d + 1 s, ledger clean", (120, 600), shutdown::run),
    row("15", "group destroyed in mid-delivery", "<= d + 1 s, ledger clean", (120, 600), destroy::run),
    row("16", "clock jumps", "timeouts only, no panic", (60, 180), clock::run),
    row("17", "packets lost, late, altered, repeated", "0 lost, ledger clean", (120, 300), rough::run),
    row("18", "partition", "closed <= configured + 2 s, ledger clean", (120, 400), partition::run),
    row("19", "port in use", "address_in_use, always", (30, 120), places::in_use),
    row("20", "UDS stale, live, file, symlink", "4/4, nothing deleted", (30, 30), places::occupied),
    row("21", "UDS path removed", "owner told <= 6 s, once", (60, 60), places::lost),
    row("22", "UDS backlog full", "connects, or connect_timeout", (60, 180), backlog::run),
    row("23", "name lookups hang", latency::DEMANDED, (90, 90), lookup::run),
    row("24", "4000 connections without Hello", "Hello answered <= 200 ms", (90, 240), crowd::run),
    row("25", "host in which SIGPIPE kills", "alive", (60, 180), sigpipe::run),
    row("26", "connections come and go", "0 crossed, descriptors +-2", (90, 400), raw_cycles::run),
    row("27", "planted reactor panic", "every wait over <= 100 ms", (30, 120), panic::run),
    row("28", "hostile bytes", "neighbour waits <= 200 ms, no panic", (60, 200), hostile::run),
    row("cycles", "engines and channels come and go", "memory flat, descriptors +-2, 0 threads left", (120, 600), cycles::run),
];
