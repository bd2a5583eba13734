//! How much may still be delivered, and who waits for room.
//!
//! The core asks before it reads on; where there is no room, whoever gives a message back looks at the
//! counts and tells the worklist.

use crate::shared::pool::{Pool, ShareIndex, State, counts};
use crate::sync::Ordering;

impl Pool {
    /// Frames of a group have been put into its inbox.
    pub(crate) fn charge_frames(&self, share: ShareIndex, frames: usize) {
        let mut state = self.state.lock();
        state.counts.add(Some(share), count(frames));
        state.counts.add_frames(share, frames);
    }

    /// The receiver is done with frames of a group: a message was built of each.
    pub(crate) fn settle_frames(&self, share: ShareIndex, frames: usize) {
        self.refund_frames(share, frames, 0);
    }

    /// The receiver is done with frames of a group, and of so many no message was built.
    pub(crate) fn refund_frames(&self, share: ShareIndex, frames: usize, unused: usize) {
        let mut state = self.state.lock();
        state.counts.add(Some(share), -count(unused));
        state.counts.take_frames(share, frames);
        let resume = self.is_resume_due(&mut state, Some(share));
        drop(state);
        self.announce(resume);
    }

    /// How many more frames may be delivered to a group; where there is plenty of room, at least so
    /// many. Where that is none, the pool remembers to tell the worklist when there is room again.
    pub(crate) fn room(&self, share: ShareIndex) -> usize {
        let mut state = self.state.lock();
        let plenty = state.counts.room_at_least(self.maxima, share);
        if plenty > 0 {
            return plenty;
        }
        self.begin_to_watch(&state);
        let all = counts::room(self.maxima.0, state.counts.in_use());
        let part = counts::room(self.maxima.1, state.counts.in_use_of(share));
        state
            .counts
            .set_hungry(all == 0, (part == 0).then_some(share));
        self.rewatch(&state);
        all.min(part)
    }

    /// Comes before a look at the counts.
    pub(super) fn begin_to_watch(&self, state: &State) {
        let known = self.watched.swap(true, Ordering::Relaxed);
        if !known && !state.counts.pages().is_empty() {
            self.watches.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Changes when the core must look again.
    pub(crate) fn watches(&self) -> u64 {
        self.watches.load(Ordering::Relaxed)
    }

    /// Looks at the counts once more, when whatever was given back while watching began can be seen.
    /// Whether there is room for somebody who waits.
    pub(crate) fn look_again(&self) -> bool {
        let mut state = self.state.lock();
        let due = state.counts.take_all_resumes(self.maxima);
        self.rewatch(&state);
        due
    }

    /// Whether puts must look at the counts from here on.
    pub(super) fn rewatch(&self, state: &State) {
        let watched = state.counts.is_watched() || self.is_closed();
        self.watched.store(watched, Ordering::Relaxed);
    }

    /// Whether somebody who waits is to be told now that this share, if any, has changed.
    pub(super) fn is_resume_due(&self, state: &mut State, share: Option<ShareIndex>) -> bool {
        let due = state.counts.take_resume(self.maxima, share);
        self.rewatch(state);
        due
    }
}

/// A count of frames, which are in memory, as a difference.
fn count(frames: usize) -> i64 {
    i64::try_from(frames).unwrap_or(i64::MAX)
}
