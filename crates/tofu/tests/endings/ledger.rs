//! The books: what each thread posted on each channel, what came back, and what the peer received.
//! A message's id says who posted it and as which; a channel's messages keep the order of each
//! thread that posts to it.

use std::collections::{HashMap, HashSet};

use tofu::prelude::*;

/// Who posted, and the how manieth of it.
pub(crate) fn id(thread: u64, number: u64) -> MessageId {
    MessageId::new((thread + 1) << 32 | (number + 1))
}

fn thread_of(id: MessageId) -> u64 {
    id.value() >> 32
}

/// Ids in the order of their arrival, by channel (as the sender calls it).
pub(crate) type Arrivals = HashMap<ChannelNumber, Vec<MessageId>>;

/// One run's books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Taken by `post`, and on which channel.
    pub(crate) posted: HashMap<MessageId, ChannelNumber>,
    /// Given back to the application.
    pub(crate) returned: Arrivals,
    /// Received by the peer.
    pub(crate) delivered: Arrivals,
}

impl Ledger {
    /// Each posted message was either given back or delivered, once, in order; and what came back
    /// on a channel was posted behind what was delivered there, thread by thread.
    #[track_caller]
    pub(crate) fn assert_clean(&self) {
        let outcomes = self.assert_consistent();
        let lost = self.posted.keys().filter(|id| !outcomes.contains(id));
        let lost: Vec<_> = lost.collect();
        assert!(lost.is_empty(), "no outcome: {lost:?}");
    }

    /// The same where the connection may have been cut with messages in the kernel: no message
    /// has two outcomes, and all keep their order. Returns those that have one.
    #[track_caller]
    pub(crate) fn assert_consistent(&self) -> HashSet<MessageId> {
        let mut outcomes = HashSet::new();
        for arrivals in [&self.returned, &self.delivered] {
            for (channel, ids) in arrivals {
                assert_in_order(ids);
                for id in ids {
                    assert_eq!(
                        self.posted.get(id),
                        Some(channel),
                        "{id}: on another channel"
                    );
                    assert!(outcomes.insert(*id), "{id} has two outcomes");
                }
            }
        }
        for (channel, returned) in &self.returned {
            let delivered = self.delivered.get(channel).map_or(&[][..], Vec::as_slice);
            assert_in_order(&[delivered, returned].concat());
        }
        outcomes
    }
}

/// The numbers of each thread ascend.
#[track_caller]
fn assert_in_order(ids: &[MessageId]) {
    let mut last = HashMap::new();
    for &id in ids {
        let before = last.insert(thread_of(id), id);
        assert!(
            before.is_none_or(|before| before < id),
            "{id} behind {before:?}"
        );
    }
}

/// Adds an arrival.
pub(crate) fn note(arrivals: &mut Arrivals, channel: ChannelNumber, id: MessageId) {
    arrivals.entry(channel).or_default().push(id);
}

/// How many arrived on all channels.
pub(crate) fn count(arrivals: &Arrivals) -> usize {
    arrivals.values().map(Vec::len).sum()
}
