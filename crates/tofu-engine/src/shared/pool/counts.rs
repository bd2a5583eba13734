//! What a pool counts: messages in use, as a whole and per group, and who waits for room.
//!
//! Lies under the pool's lock. What threads with a page of their own have done since they last
//! settled stands on their pages; the sums here include it.

use crate::shared::pool::ShareIndex;
use crate::shared::pool::page::{Page, SETTLED_AT};
use crate::sync::Arc;

/// The counts of one pool.
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Messages out of the pool, and frames waiting in inboxes, less what stands on the pages.
    in_use: i64,
    /// The core found no room at all and waits to be told.
    hungry: bool,
    shares: Vec<Share>,
    /// Shares whose group is gone and whose messages have all returned.
    vacant: Vec<u32>,
    /// How many wait: for room, or to be vacant.
    watchers: usize,
    pages: Vec<Arc<Page>>,
}

/// One group's part.
#[derive(Debug, Default)]
struct Share {
    /// As for the whole.
    in_use: i64,
    /// Frames that the receiver has not done with. A message built of one may have come back before.
    frames: usize,
    /// The core found no room here and waits to be told.
    hungry: bool,
    /// The group is gone.
    abandoned: bool,
}

/// How many more there may be.
pub(super) fn room(maximum: usize, in_use: i64) -> usize {
    maximum.saturating_sub(usize::try_from(in_use).unwrap_or(0))
}

fn raise(flag: &mut bool, watchers: &mut usize) {
    *watchers += usize::from(!std::mem::replace(flag, true));
}

fn lower(flag: &mut bool, watchers: &mut usize) {
    *watchers -= usize::from(std::mem::take(flag));
}

impl Counts {
    /// Messages in use.
    pub(super) fn in_use(&self) -> i64 {
        self.in_use + self.pages.iter().map(|page| page.in_use()).sum::<i64>()
    }

    /// Messages of a group in use.
    pub(super) fn in_use_of(&self, share: ShareIndex) -> i64 {
        let pages = self.pages.iter().map(|page| page.in_use_of(share));
        self.shares[share.0 as usize].in_use + pages.sum::<i64>()
    }

    /// At least so much room is there for a group, told without a look at the pages.
    pub(super) fn room_at_least(&self, maxima: (usize, usize), share: ShareIndex) -> usize {
        let lag = SETTLED_AT * self.pages.len() as i64;
        let part = self.shares[share.0 as usize].in_use;
        room(maxima.0, self.in_use + lag).min(room(maxima.1, part + lag))
    }

    /// So many more are in use, or fewer.
    pub(super) fn add(&mut self, share: Option<ShareIndex>, count: i64) {
        self.in_use += count;
        if let Some(share) = share {
            self.share(share).in_use += count;
        }
    }

    /// So many frames have come into a group's inbox.
    pub(super) fn add_frames(&mut self, share: ShareIndex, count: usize) {
        self.share(share).frames += count;
    }

    /// So many frames of a group are done with.
    pub(super) fn take_frames(&mut self, share: ShareIndex, count: usize) {
        let share = self.share(share);
        debug_assert!(share.frames >= count, "{count} of {share:?}");
        share.frames = share.frames.saturating_sub(count);
    }

    pub(super) fn set_hungry(&mut self, all: bool, share: Option<ShareIndex>) {
        if all {
            raise(&mut self.hungry, &mut self.watchers);
        }
        if let Some(share) = share {
            raise(
                &mut self.shares[share.0 as usize].hungry,
                &mut self.watchers,
            );
        }
    }

    /// Whether whoever gives a message back must look at the counts behind it.
    pub(super) fn is_watched(&self) -> bool {
        self.watchers > 0
    }

    /// Whether somebody who waits is to be told now that this share, if any, has changed.
    pub(super) fn take_resume(
        &mut self,
        maxima: (usize, usize),
        share: Option<ShareIndex>,
    ) -> bool {
        // For the whole pool nothing is held back until a good part is free: what is in use may
        // belong to a group that never gives it back.
        let mut due = self.hungry && room(maxima.0, self.in_use()) > 0;
        if due {
            lower(&mut self.hungry, &mut self.watchers);
        }
        let Some(share) = share else { return due };
        if self.share(share).hungry {
            // There is reason to go on: a good part is free, or nothing more is queued, so that the
            // application would wait for us.
            let free = room(maxima.1, self.in_use_of(share));
            let share = &mut self.shares[share.0 as usize];
            if free > 0 && (share.frames == 0 || free >= maxima.1 / 4) {
                lower(&mut share.hungry, &mut self.watchers);
                due = true;
            }
        }
        self.vacate_if_empty(share);
        due
    }

    /// The same for whatever share may have changed.
    pub(super) fn take_all_resumes(&mut self, maxima: (usize, usize)) -> bool {
        let mut due = false;
        for index in 0..self.shares.len() {
            let share = ShareIndex(u32::try_from(index).unwrap_or(u32::MAX));
            due |= self.take_resume(maxima, Some(share));
        }
        due
    }

    /// Opens a share for a new group.
    pub(super) fn open_share(&mut self) -> ShareIndex {
        if let Some(index) = self.vacant.pop() {
            return ShareIndex(index);
        }
        self.shares.push(Share::default());
        // As many shares as groups alive: memory ends long before u32 does.
        ShareIndex(u32::try_from(self.shares.len() - 1).unwrap_or(u32::MAX))
    }

    /// Gives a share back; it is used again once all of its messages have returned.
    pub(super) fn close_share(&mut self, share: ShareIndex) {
        raise(
            &mut self.shares[share.0 as usize].abandoned,
            &mut self.watchers,
        );
        self.vacate_if_empty(share);
    }

    fn vacate_if_empty(&mut self, share: ShareIndex) {
        if self.share(share).abandoned && self.in_use_of(share) == 0 {
            // What stands on the pages stays there, so the share's own count stays as it is.
            let entry = &mut self.shares[share.0 as usize];
            lower(&mut entry.abandoned, &mut self.watchers);
            lower(&mut entry.hungry, &mut self.watchers);
            entry.frames = 0;
            self.vacant.push(share.0);
        }
    }

    pub(super) fn pages(&self) -> &[Arc<Page>] {
        &self.pages
    }

    pub(super) fn open_page(&mut self) -> Arc<Page> {
        let page = Arc::new(Page::default());
        self.pages.push(Arc::clone(&page));
        page
    }

    /// The page's thread has ended.
    pub(super) fn close_page(&mut self, page: &Arc<Page>) {
        self.settle(page);
        self.pages.retain(|open| !Arc::ptr_eq(open, page));
    }

    /// Takes over what stands on a page. Only the page's own thread may ask for it.
    pub(super) fn settle(&mut self, page: &Page) {
        let (in_use, of_share) = page.take();
        self.in_use += in_use;
        if let Some((share, count)) = of_share {
            self.share(share).in_use += count;
        }
    }

    /// Checks the counts against each other.
    pub(super) fn check(&self) -> Result<(), String> {
        let mut sum = 0;
        for index in 0..self.shares.len() {
            let share = ShareIndex(u32::try_from(index).unwrap_or(u32::MAX));
            let in_use = self.in_use_of(share);
            if in_use < 0 {
                return Err(format!("{in_use} messages of {share:?} are in use"));
            }
            sum += in_use;
        }
        if self.in_use() < sum {
            let all = self.in_use();
            return Err(format!("{all} messages are in use, {sum} of groups"));
        }
        Ok(())
    }

    fn share(&mut self, share: ShareIndex) -> &mut Share {
        &mut self.shares[share.0 as usize]
    }
}
