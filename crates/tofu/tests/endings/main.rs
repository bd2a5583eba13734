//! An engine is shut down, and a group destroyed, while many threads post: every message that was
//! taken has exactly one outcome, and every call an answer.

#![cfg(test)]

mod crossfire;
mod destroy;
mod ledger;
mod shutdown;
mod traffic;
