//! Room in a send queue that is set aside for a message to come.
//!
//! It counts as a queued message until it is given back, by whoever has it or by the channel's end. What
//! is then posted counts by itself.

use tofu_msg::{ChannelNumber, OpCode};

use super::{Outbox, Phase, WhenFull};
use crate::error::PostErrorKind;
use crate::options::Options;
use crate::shared::group::GroupId;
use crate::shared::send_budget::SendBudget;

/// Room set aside for one message, in one life of a channel's number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reservation {
    life: u64,
    pub(crate) frame_len: usize,
}

impl Outbox {
    /// Whether room for so long a frame has been set aside.
    #[inline]
    pub(super) fn has_reserved(
        &self,
        frame_len: usize,
        when_full: WhenFull,
    ) -> Result<bool, PostErrorKind> {
        match when_full {
            WhenFull::Reserved(room) if room.life != self.life => Err(PostErrorKind::ChannelClosed),
            WhenFull::Reserved(room) => Ok(frame_len <= room.frame_len),
            WhenFull::Refuse | WhenFull::Wait => Ok(false),
        }
    }

    /// Sets room aside as if a message of that length were queued.
    pub(crate) fn reserve(
        &mut self,
        number: ChannelNumber,
        frame_len: usize,
        group: GroupId,
        limits: (&Options, &SendBudget),
    ) -> Result<Reservation, PostErrorKind> {
        let frame = (number, OpCode::Signal, frame_len);
        self.admit_frame(frame, group, limits, WhenFull::Wait)?;
        self.draw(frame_len, limits.1);
        Ok(Reservation {
            life: self.life,
            frame_len,
        })
    }

    /// Gives back what was set aside; `None` where the channel's end has done so. Whether somebody
    /// waits for room here.
    pub(crate) fn give_room_back(
        &mut self,
        room: Reservation,
        budget: &SendBudget,
    ) -> Option<bool> {
        if self.life != room.life || !matches!(self.phase, Phase::Open | Phase::Closing) {
            return None;
        }
        self.queued_messages = self.queued_messages.saturating_sub(1);
        self.queued_bytes = self.queued_bytes.saturating_sub(room.frame_len);
        self.give_back_to(budget, room.frame_len);
        Some(self.refused || self.waited_for)
    }
}
