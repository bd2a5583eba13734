//! A look at a channel from outside: for statistics and for the list of a group's channels.

use tofu_msg::ChannelNumber;

use super::{Outbox, Phase, Role};
use crate::core::transport::PeerInfo;
use crate::shared::group::GroupId;
use crate::shared::stats::Stats;

/// Where a channel stands, as its group may see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ChannelState {
    /// A listener.
    Listening,
    /// The connection is not made yet.
    Connecting,
    /// Messages may be posted.
    Open,
    /// Only what is queued is still being sent.
    Closing,
}

/// One channel of a group.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ChannelInfo {
    /// Its number.
    pub number: ChannelNumber,
    /// Where it stands.
    pub state: ChannelState,
    /// Who is at the other end, once connected.
    pub peer: Option<PeerInfo>,
    /// Messages posted and not wholly handed to the kernel, and those that room is reserved for.
    pub queued_messages: usize,
    /// Their bytes.
    pub queued_bytes: usize,
}

impl Outbox {
    /// Adds this channel to an engine's statistics.
    pub(crate) fn count_into(&self, stats: &mut Stats) {
        let counts = &mut stats.channels;
        match self.state() {
            None => return,
            Some(ChannelState::Listening) => counts.listening += 1,
            Some(ChannelState::Connecting) => counts.connecting += 1,
            Some(ChannelState::Open) => counts.open += 1,
            Some(ChannelState::Closing) => counts.closing += 1,
        }
        stats.queued_messages += self.queued_messages;
        stats.queued_bytes += self.queued_bytes;
    }

    fn state(&self) -> Option<ChannelState> {
        match (self.phase, self.role) {
            (Phase::Vacant | Phase::Closed, _) => None,
            (Phase::Open, Role::Listener) => Some(ChannelState::Listening),
            (Phase::Open, _) if !self.connected => Some(ChannelState::Connecting),
            (Phase::Open, _) => Some(ChannelState::Open),
            (Phase::Closing, _) => Some(ChannelState::Closing),
        }
    }

    /// This channel for the list of its group's channels.
    pub(crate) fn describe(&self, number: ChannelNumber, group: GroupId) -> Option<ChannelInfo> {
        let state = self.state().filter(|_| self.group == Some(group))?;
        Some(ChannelInfo {
            number,
            state,
            peer: self.peer.as_deref().cloned(),
            queued_messages: self.queued_messages,
            queued_bytes: self.queued_bytes,
        })
    }
}
