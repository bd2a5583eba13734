//! How a pool stands: for statistics and checks.

use crate::shared::pool::Pool;

impl Pool {
    /// Messages in use, and messages free.
    pub(crate) fn levels(&self) -> (usize, usize) {
        let state = self.state.lock();
        let pages = state.counts.pages().iter();
        let free = state.free.len() + pages.map(|page| page.free()).sum::<usize>();
        let in_use = usize::try_from(state.counts.in_use()).unwrap_or(0);
        (in_use, free)
    }

    /// The capacity of what the free messages hold for reuse.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.state.lock().free.bytes()
    }

    /// Checks the counts against each other.
    pub(crate) fn check_invariants(&self) -> Result<(), String> {
        self.state.lock().counts.check()
    }
}
