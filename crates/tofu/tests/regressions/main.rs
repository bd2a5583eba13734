//! One test for each defect that was found in the engine and repaired, so that it does not return.
//!
//! Every test begins by saying what would go wrong without its repair. What the tests of
//! conformance, endings and limits show already is not repeated here. The modules: an engine over
//! real sockets, and one over sockets in memory that the test itself drives, with a clock that
//! passes only when the test says so; then the defects by what they concern.

#![cfg(test)]

mod deadlines;
mod endings;
mod failure;
mod fairness;
mod handshake;
mod harness;
mod inbox;
mod memory;
mod pool;
mod stopped;
