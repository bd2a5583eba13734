//! The ids that calls give to Requests: consecutive, from a random start. Who asks for one passes
//! over those that are pending; behind the last number comes the first again.
//!
//! They lie far above where engines begin to count, so that they meet no id that an engine gave, and
//! below 2^53, so that tools which keep numbers as floating point keep them exactly.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};

use tofu_msg::MessageId;

#[derive(Debug)]
pub(super) struct Ids {
    first: u64,
    next: u64,
}

impl Ids {
    /// From a random start: what two programs, or two parts of one, give seldom meets.
    pub(super) fn random() -> Ids {
        let random = RandomState::new().build_hasher().finish();
        Ids::from(MessageId::new((1 << 52) | (random >> 13)))
    }

    pub(super) fn from(first: MessageId) -> Ids {
        let first = first.value().max(1);
        Ids { first, next: first }
    }

    pub(super) fn give(&mut self) -> MessageId {
        let id = MessageId::new(self.next);
        // No id is 0.
        self.next = self.next.checked_add(1).unwrap_or(1);
        id
    }

    /// Whether this id was given out here.
    pub(super) fn gave(&self, id: MessageId) -> bool {
        let behind_first = |id: u64| id.wrapping_sub(self.first);
        id.is_assigned() && behind_first(id.value()) < behind_first(self.next)
    }
}
