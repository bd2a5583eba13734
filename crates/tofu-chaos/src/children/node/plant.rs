//! Mistakes that a node makes on purpose, to show that the ledger finds them.

use tofu::prelude::Message;

/// Which mistake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Plant {
    /// From some message of each stream on, messages vanish after they were received
    Lost,
    /// A message is delivered twice
    Doubled,
    /// A byte of a message changes on the way
    Altered,
    /// Messages that come back go unnoticed
    Forgotten,
}

/// Of each stream this message, or those from it on.
const STRUCK: u64 = 20;

/// The mistake that this node makes, if any.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Planted {
    plant: Option<Plant>,
    /// Messages of a peer that were looked at.
    seen: u64,
}

impl Planted {
    pub(super) fn new(plant: Option<Plant>) -> Planted {
        Planted { plant, seen: 0 }
    }

    /// Changes one byte of one message.
    pub(super) fn alter(&mut self, message: &mut Message) {
        self.seen += 1;
        if self.is(Plant::Altered) && self.seen == STRUCK {
            let bytes = message.body_mut().as_mut_bytes();
            bytes.iter_mut().rev().take(1).for_each(|byte| *byte ^= 1);
        }
    }

    pub(super) fn is(&self, plant: Plant) -> bool {
        self.plant == Some(plant)
    }

    /// Whether the mistake is made at this message of a stream.
    pub(super) fn strikes_at(&self, plant: Plant, number: u64) -> bool {
        let is_lost = plant == Plant::Lost && number > STRUCK;
        self.is(plant) && (is_lost || number == STRUCK)
    }
}
