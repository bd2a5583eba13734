//! `cargo xtask bench syscalls`.
use crate::report::Report;
pub(super) fn run() -> Report {
    Report::new()
}
