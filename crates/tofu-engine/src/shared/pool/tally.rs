//! Where a message counts while it is in use.

/// Which group's share of the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ShareIndex(pub(super) u32);

/// Where a message is counted as in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Tally {
    #[default]
    Nowhere,
    /// In the pool as a whole: the application asked for it.
    Whole,
    /// There and in a group's share: it was received.
    Share(ShareIndex),
}

impl Tally {
    #[inline]
    pub(super) fn share(self) -> Option<ShareIndex> {
        match self {
            Tally::Share(share) => Some(share),
            Tally::Nowhere | Tally::Whole => None,
        }
    }
}
