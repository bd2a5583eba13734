//! The registry: from a channel number to the channel's outbox, without a lock on the way.
//!
//! Slots lie in pages that are allocated on demand and never moved, so a slot found stays valid; a
//! slot's own lock guards its outbox. Numbers are given out under one lock, in which openings are
//! also entered into the worklist: whoever closes the registry knows that nothing opens later.

use std::collections::VecDeque;

use tofu_msg::ChannelNumber;

use crate::error::PostErrorKind;
use crate::shared::outbox::{Outbox, index};
use crate::sync::{BriefMutex, Mutex, OnceLock};

const PAGE_SLOTS: usize = 256;
const PAGES: usize = 65_536 / PAGE_SLOTS;
/// A number rests behind so many others after use.
const RESTING: usize = 1024;

type Slot = BriefMutex<Outbox>;
type Page = [Slot; PAGE_SLOTS];

/// All channels of one engine.
pub(crate) struct Registry {
    pages: Box<[OnceLock<Box<Page>>; PAGES]>,
    numbers: Mutex<Numbers>,
}

impl std::fmt::Debug for Registry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Registry")
            .field("numbers", &*self.numbers.lock())
            .finish_non_exhaustive()
    }
}

/// Which numbers are free.
///
/// Invariant: every number in `1..=highest` is alive or stands in `resting`, once.
#[derive(Debug)]
struct Numbers {
    resting: VecDeque<ChannelNumber>,
    /// How many rest before the first of them is given out again.
    resting_place: usize,
    highest: u16,
    alive: usize,
    limit: usize,
    closed: bool,
}

impl Registry {
    pub(crate) fn new(limit: usize) -> Registry {
        let numbers = Numbers {
            resting: VecDeque::new(),
            resting_place: RESTING,
            highest: 0,
            alive: 0,
            limit,
            closed: false,
        };
        Registry {
            pages: Box::new([const { OnceLock::new() }; PAGES]),
            numbers: Mutex::new(numbers),
        }
    }

    /// The same registry; if told so, one whose numbers do not rest: a defect built in on purpose.
    pub(crate) fn reusing_at_once(self, at_once: bool) -> Registry {
        if at_once {
            self.numbers.lock().resting_place = 0;
        }
        self
    }

    /// The slot of a number that has been given out at some time.
    #[inline]
    pub(crate) fn slot(&self, number: ChannelNumber) -> Option<&Slot> {
        let index = index(number);
        let page = self.pages[index / PAGE_SLOTS].get()?;
        Some(&page[index % PAGE_SLOTS])
    }

    /// Runs `work` on the outbox of a number that has been given out at some time.
    pub(crate) fn with<R>(
        &self,
        number: ChannelNumber,
        work: impl FnOnce(&mut Outbox) -> R,
    ) -> Option<R> {
        self.slot(number).map(|slot| work(&mut slot.lock()))
    }

    /// Runs `work` on the outbox of every number that has been given out at some time.
    pub(crate) fn for_each(&self, mut work: impl FnMut(ChannelNumber, &mut Outbox)) {
        let highest = self.numbers.lock().highest;
        for number in (1..=highest).map(ChannelNumber::new) {
            self.with(number, |outbox| work(number, outbox));
        }
    }

    fn slot_or_page(&self, number: ChannelNumber) -> &Slot {
        let index = index(number);
        let page = self.pages[index / PAGE_SLOTS].get_or_init(new_page);
        &page[index % PAGE_SLOTS]
    }

    /// Gives out a number and prepares its outbox by `fill`, all under the numbers' lock.
    ///
    /// # Errors
    /// `ChannelsExhausted` when as many channels live as may; `ShutdownStarted` after
    /// [`close`](Registry::close).
    pub(crate) fn open(
        &self,
        fill: impl FnOnce(ChannelNumber, &mut Outbox) -> Result<(), PostErrorKind>,
    ) -> Result<ChannelNumber, PostErrorKind> {
        let mut numbers = self.numbers.lock();
        if numbers.closed {
            return Err(PostErrorKind::ShutdownStarted);
        }
        let number = numbers.allocate().ok_or(PostErrorKind::ChannelsExhausted)?;
        if let Err(kind) = fill(number, &mut self.slot_or_page(number).lock()) {
            numbers.release(number);
            return Err(kind);
        }
        Ok(number)
    }

    /// A channel has ended: its number rests.
    pub(crate) fn release(&self, number: ChannelNumber) {
        self.numbers.lock().release(number);
    }

    /// No channel opens after this.
    pub(crate) fn close(&self) {
        self.numbers.lock().closed = true;
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.numbers.lock().closed
    }

    /// Runs `mark` while nobody is opening a channel, so that whoever opens one later sees it.
    pub(crate) fn between_openings<R>(&self, mark: impl FnOnce() -> R) -> R {
        let _numbers = self.numbers.lock();
        mark()
    }

    /// Channels alive now.
    pub(crate) fn alive(&self) -> usize {
        self.numbers.lock().alive
    }
}

/// Built where it stays: it is large for a thread's stack.
fn new_page() -> Box<Page> {
    let slots: Box<[Slot]> = (0..PAGE_SLOTS).map(|_| Slot::default()).collect();
    match slots.try_into() {
        Ok(page) => page,
        Err(_) => unreachable!("there are as many as a page has"),
    }
}

impl Numbers {
    fn allocate(&mut self) -> Option<ChannelNumber> {
        if self.alive >= self.limit {
            return None;
        }
        let number = if self.resting.len() > self.resting_place {
            self.resting.pop_front()?
        } else if self.highest < ChannelNumber::MAX.value() {
            self.highest += 1;
            ChannelNumber::new(self.highest)
        } else {
            return None;
        };
        self.alive += 1;
        Some(number)
    }

    fn release(&mut self, number: ChannelNumber) {
        debug_assert!(!self.resting.contains(&number), "{number} released twice");
        self.alive -= 1;
        self.resting.push_back(number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn open(registry: &Registry) -> Result<ChannelNumber, PostErrorKind> {
        registry.open(|_, _| Ok(()))
    }

    #[test]
    fn a_number_rests_behind_1024_others() {
        let registry = Registry::new(64_510);
        let first = open(&registry).unwrap();
        assert_eq!(first.value(), 1);
        registry.release(first);
        for _ in 0..RESTING {
            let number = open(&registry).unwrap();
            assert_ne!(number, first);
            registry.release(number);
        }
        assert_eq!(open(&registry).unwrap(), first);
        assert_eq!(registry.alive(), 1);
    }

    #[test]
    fn every_channel_that_may_live_gets_a_number_and_one_more_none() {
        let registry = Registry::new(64_510);
        let all: Vec<ChannelNumber> = (0..64_510).map(|_| open(&registry).unwrap()).collect();
        assert!(matches!(
            open(&registry),
            Err(PostErrorKind::ChannelsExhausted)
        ));
        registry.release(all[7]);
        let next = open(&registry).unwrap();
        assert!(next.is_assigned() && next <= ChannelNumber::MAX);
    }

    #[test]
    fn a_refused_opening_gives_its_number_back_and_a_closed_registry_opens_nothing() {
        let registry = Registry::new(1);
        let refused = registry.open(|_, _| Err(PostErrorKind::InvalidChannelGroup));
        assert!(matches!(refused, Err(PostErrorKind::InvalidChannelGroup)));
        assert_eq!(registry.alive(), 0);
        registry.close();
        assert!(matches!(
            open(&registry),
            Err(PostErrorKind::ShutdownStarted)
        ));
        assert!(registry.slot(ChannelNumber::new(60_000)).is_none());
    }
}
