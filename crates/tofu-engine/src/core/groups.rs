//! The groups as the core sees them: what a turn has delivered to each, which of their channels
//! wait for room, and how a destruction proceeds.
//!
//! Deliveries are gathered here and go to the inbox in one batch, under one lock, when the turn (or
//! a good part of it) is done.

use std::collections::{BTreeMap, BTreeSet};

use crate::core::outgoing::CHUNK_LEN;
use crate::core::time::Time;
use crate::core::transport::Token;
use crate::msg::Msg;
use crate::options::Options;
use crate::shared::group::{DestroyReport, GroupId, GroupShared};
use crate::shared::inbox::{Delivery, Frames, Load};
use crate::shared::{Arc, Shared};

/// Deliveries of a turn go out early when they hold so many bytes, or half of what a channel may read in
/// a turn, so that the receiver starts while the core goes on reading.
const EARLY_FLUSH: usize = 128 * 1024;

/// Small runs are gathered in buffers of about so many bytes, or in what a buffer has. They grow no
/// further, for the same buffers then hold what channels have to send, and would keep their size.
const GATHERED: usize = 8 * 1024;

fn gathered(capacity: usize) -> usize {
    capacity.clamp(GATHERED, CHUNK_LEN)
}

/// Runs of at least half a buffer's bytes are handed over with their buffer; smaller ones are
/// copied together, so that a few frames never pin a large buffer.
pub(crate) fn is_worth_its_buffer(run: usize, buffer: usize) -> bool {
    run >= buffer / 2
}

/// A group with at least one channel in the core.
#[derive(Debug)]
pub(crate) struct Group {
    pub(crate) shared: Arc<GroupShared>,
    /// Its sockets that the application knows: listeners and channels.
    pub(crate) members: BTreeSet<Token>,
    /// Channels that are not read for want of room in the inbox or the pool.
    /// By ticket: a channel keeps its place until something of it has been delivered.
    pub(crate) parked: BTreeMap<u64, Token>,
    tickets: u64,
    /// A `pool_empty` has been said and no message has been delivered since.
    pub(crate) pool_empty_told: bool,
    /// Being destroyed: until when its channels may flush, and what came of it so far.
    pub(crate) destruction: Option<(Time, DestroyReport)>,
    staged: Vec<Delivery>,
    /// What is staged, as the inbox will count it.
    pub(crate) staged_load: Load,
    listed: bool,
}

impl Group {
    /// Puts a channel in the line of those that wait for room, at the place of its ticket; a new
    /// one gives the last place.
    pub(crate) fn park(&mut self, token: Token, ticket: Option<u64>) -> u64 {
        let ticket = ticket.unwrap_or_else(|| {
            self.tickets += 1;
            self.tickets
        });
        self.parked.insert(ticket, token);
        ticket
    }

    /// Whether somebody waits in the line in front of whoever has this ticket, or none. While the
    /// group is being destroyed nobody needs room.
    pub(crate) fn is_others_turn(&self, ticket: Option<u64>) -> bool {
        let first = self.parked.first_key_value().map(|(&first, _)| first);
        let waits_longer = |first| ticket.is_none_or(|own| first < own);
        self.destruction.is_none() && first.is_some_and(waits_longer)
    }
}

/// All groups with channels.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    known: BTreeMap<GroupId, Group>,
    /// Groups with something staged.
    touched: Vec<GroupId>,
    /// Groups of which only some of the parked channels were let go.
    partly_unparked: Vec<GroupId>,
    staged_bytes: usize,
}

impl Groups {
    /// The group, made known to the core if it was not.
    pub(crate) fn enter(&mut self, shared: &Arc<GroupShared>) -> &mut Group {
        self.known.entry(shared.id).or_insert_with(|| Group {
            shared: Arc::clone(shared),
            members: BTreeSet::new(),
            parked: BTreeMap::new(),
            tickets: 0,
            pool_empty_told: false,
            destruction: None,
            staged: Vec::new(),
            staged_load: Load::default(),
            listed: false,
        })
    }

    pub(crate) fn get_mut(&mut self, id: GroupId) -> Option<&mut Group> {
        self.known.get_mut(&id)
    }

    pub(crate) fn remove(&mut self, id: GroupId) -> Option<Group> {
        self.known.remove(&id)
    }

    /// Takes the longest waiting channels of a group, at most `most` of them.
    pub(crate) fn unpark(&mut self, id: GroupId, most: usize) -> Vec<Token> {
        let Some(group) = self.known.get_mut(&id) else {
            return Vec::new();
        };
        let mut released = Vec::new();
        while released.len() < most {
            let Some((_, token)) = group.parked.pop_first() else {
                return released;
            };
            released.push(token);
        }
        if !group.parked.is_empty() {
            self.partly_unparked.push(id);
        }
        released
    }

    /// Puts a channel in its group's line although there is room: that is for those in front of it,
    /// who are let go behind this turn. Returns its ticket.
    pub(crate) fn stand_in_line(
        &mut self,
        id: GroupId,
        token: Token,
        ticket: Option<u64>,
    ) -> Option<u64> {
        let group = self.known.get_mut(&id)?;
        self.partly_unparked.push(id);
        Some(group.park(token, ticket))
    }

    /// The groups whose parked channels are to be looked at again.
    pub(crate) fn take_partly_unparked(&mut self) -> Vec<GroupId> {
        std::mem::take(&mut self.partly_unparked)
    }

    pub(crate) fn ids(&self) -> Vec<GroupId> {
        self.known.keys().copied().collect()
    }

    /// Stages a message, unless the group is being destroyed.
    pub(crate) fn stage_message(&mut self, id: GroupId, msg: Msg) {
        self.stage(id, Delivery::Message(msg));
    }

    /// Stages any delivery, unless the group is being destroyed.
    pub(crate) fn stage(&mut self, id: GroupId, delivery: Delivery) {
        self.staged_bytes += delivery.load().bytes;
        if let Some(group) = self.touch(id) {
            group.staged_load.add(delivery.load());
            group.pool_empty_told &= delivery.load().messages == 0;
            group.staged.push(delivery);
        }
    }

    /// Whether what comes for this group goes nowhere: then `frames` are counted in its report.
    pub(crate) fn count_unreceived(&mut self, id: GroupId, frames: usize) -> bool {
        let group = self.known.get_mut(&id);
        let Some((_, report)) = group.and_then(|group| group.destruction.as_mut()) else {
            return false;
        };
        report.unreceived += frames;
        true
    }

    /// Stages a run of frames by copying it behind the frames staged before.
    pub(crate) fn stage_copy(&mut self, id: GroupId, run: &[u8], count: usize, shared: &Shared) {
        self.staged_bytes += run.len();
        let Some(group) = self.touch(id) else { return };
        let capacity = match group.staged.last() {
            Some(Delivery::Frames(last)) if last.end == last.bytes.len() => {
                gathered(last.bytes.capacity()).saturating_sub(last.end)
            }
            _ => 0,
        };
        if capacity < run.len() {
            let bytes = shared.chunks.take_empty();
            group.staged.push(Delivery::Frames(Frames {
                bytes,
                start: 0,
                end: 0,
                count: 0,
            }));
        }
        if let Some(Delivery::Frames(frames)) = group.staged.last_mut() {
            frames.bytes.extend_from_slice(run);
            frames.end = frames.bytes.len();
            frames.count += count;
            group.staged_load.add(Load {
                messages: count,
                bytes: run.len(),
            });
        }
    }

    /// Stages a run of frames together with the buffer that holds it.
    pub(crate) fn stage_buffer(&mut self, id: GroupId, frames: Frames) {
        self.staged_bytes += frames.bytes.len();
        let Some(group) = self.touch(id) else { return };
        let delivery = Delivery::Frames(frames);
        group.staged_load.add(delivery.load());
        group.staged.push(delivery);
    }

    fn touch(&mut self, id: GroupId) -> Option<&mut Group> {
        let group = self.known.get_mut(&id)?;
        if group.destruction.is_some() {
            return None;
        }
        if !std::mem::replace(&mut group.listed, true) {
            self.touched.push(id);
        }
        Some(group)
    }

    /// Whether enough is staged to hand it over in the middle of a turn.
    pub(crate) fn is_flush_due(&self, options: &Options) -> bool {
        let enough = EARLY_FLUSH.min(options.turn_bytes / 2);
        self.staged_bytes > 0 && self.staged_bytes >= enough
    }

    /// Hands everything staged to the inboxes.
    pub(crate) fn flush(&mut self, shared: &Shared) {
        self.staged_bytes = 0;
        for id in self.touched.drain(..) {
            if let Some(group) = self.known.get_mut(&id) {
                group.listed = false;
                group.staged_load = Load::default();
                group
                    .shared
                    .inbox
                    .deliver(&mut group.staged, &shared.chunks);
            }
        }
    }
}
