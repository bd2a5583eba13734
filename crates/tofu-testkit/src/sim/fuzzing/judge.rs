//! What the application of the target `channel_machine` makes of what it receives, and what must
//! hold when everything has come to rest.

use std::time::Duration;

use tofu_engine::{CloseInfo, Msg, Report};
use tofu_msg::{Origin, Status};

use crate::sim::connection::Phase;
use crate::sim::fuzzing::book::{Channel, Role};
use crate::sim::fuzzing::machine::Machine;
use crate::sim::fuzzing::story::{self, Outcome, Said, Story};
use crate::sim::transport::end_of;

impl Machine {
    /// Receives at most so many messages of one group.
    pub(super) fn receive(&mut self, seat: usize, most: usize) {
        let (mut of_peers, mut left_over, mut ended) = (0, true, false);
        for _ in 0..most {
            let place = self.seats.get_mut(seat);
            let Some(group) = place.and_then(|place| place.group.as_mut()) else {
                return;
            };
            match group.receive(Duration::ZERO) {
                Ok(Some(msg)) => {
                    of_peers += usize::from(msg.origin() == Origin::Peer);
                    // A channel that ends delivers all that it holds.
                    ended |= msg.report() == Some(Report::ChannelClosed);
                    self.take(seat, msg);
                }
                Ok(None) => {
                    left_over = false;
                    break;
                }
                Err(_) => {
                    assert!(self.stopping, "the engine has ended by itself");
                    self.seats[seat].ended = true;
                    break;
                }
            }
        }
        let was_left = std::mem::replace(&mut self.seats[seat].left_over, left_over);
        let whole = !was_left && !left_over;
        let limit = self.options.inbox_messages;
        assert!(
            !whole || ended || of_peers <= limit,
            "{of_peers} messages waited in an inbox for {limit}"
        );
    }

    fn take(&mut self, seat: usize, msg: Msg) {
        let number = msg.channel_number().value();
        let said = Said::of(&msg);
        match msg.origin() {
            Origin::Local => {
                let updates = self.seats[seat].updates.checked_sub(1);
                assert!(updates.is_some(), "an update that nobody posted");
                self.seats[seat].updates = updates.unwrap_or(0);
            }
            Origin::Peer => {
                self.seats[seat].pool_told = false;
                if said.op == story::HELLO_REQUEST {
                    let channel = Channel::new(Role::Acceptor, seat);
                    let known = self.channels.insert(number, channel);
                    assert!(known.is_none(), "{number} is given out again");
                }
                let channel = self.known(number, seat);
                assert!(channel.is_open(), "{said:?} behind the end of {channel:?}");
                channel.received.push(said);
                self.last = Some((seat, msg));
            }
            Origin::Engine => self.take_report(seat, number, said, &msg),
        }
    }

    /// A channel that the application knows, of this group.
    fn known(&mut self, number: u16, seat: usize) -> &mut Channel {
        let channel = self.channels.entry(number);
        assert!(
            matches!(channel, std::collections::btree_map::Entry::Occupied(_)),
            "nobody knows channel {number}"
        );
        let channel = channel.or_insert_with(|| Channel::new(Role::Listener, seat));
        assert_eq!(channel.seat, seat, "channel {number} is another group's");
        channel
    }

    fn take_report(&mut self, seat: usize, number: u16, said: Said, msg: &Msg) {
        match msg.report() {
            Some(Report::PoolEmpty) => {
                let told = std::mem::replace(&mut self.seats[seat].pool_told, true);
                assert!(!told, "two pool_empty with nothing between them");
            }
            Some(Report::ChannelClosed) => {
                let info = msg.close_info();
                assert!(info.is_some(), "a last word without a reason");
                if let Some(info) = info {
                    self.take_last_word(seat, number, info);
                }
            }
            Some(Report::SendQueueReady) => {
                let channel = self.known(number, seat);
                let left = channel.refusals.checked_sub(1);
                assert!(left.is_some(), "room where nothing was refused");
                channel.refusals = left.unwrap_or(0);
                channel.awaits_room = false;
            }
            Some(Report::ListenerReady) => {
                assert_eq!(said.op, story::WELCOME_RESPONSE);
                self.known(number, seat).came_back(said);
            }
            Some(Report::ListenFailed | Report::ConnectFailed | Report::Returned) => {
                assert_eq!(msg.cause().map(|it| it.status().value()), Some(said.status));
                self.known(number, seat).came_back(said);
            }
            other => assert_eq!(other, Some(Report::AcceptFailed)),
        }
    }

    fn take_last_word(&mut self, seat: usize, number: u16, info: &CloseInfo) {
        let lines = self.options.header_lines;
        self.known(number, seat).last_word(info);
        let Some(channel) = self.channels.get(&number) else {
            return;
        };
        let stops = info.cause.status() == Status::SHUTDOWN_STARTED;
        assert!(!stops || self.stopping, "{info:?} without a shutdown");
        let end = info.peer.as_ref().and_then(|peer| end_of(&peer.endpoint));
        let wire = end.and_then(|end| {
            let mut wires = self.wires.iter();
            wires.find(|wire| wire.end.connection == end.connection)
        });
        if let Some(wire) = wire {
            let story = Story::read(&wire.sent, wire.was_accepted(), lines);
            channel.agrees(wire, &story);
            channel.justifies(info, wire, &story);
        }
    }

    /// A destroyed group's report: what is in it has come back.
    pub(super) fn poll_destructions(&mut self) {
        for seat in &mut self.seats {
            let report = seat.destruction.as_mut();
            let report = report.and_then(tofu_engine::Destruction::poll);
            let Some(report) = report else { continue };
            seat.destruction = None;
            for msg in &report.unsent {
                let number = msg.channel_number().value();
                if let Some(channel) = self.channels.get_mut(&number) {
                    channel.came_back(Said::of(msg));
                }
            }
        }
    }

    /// What is queued for a channel keeps to its limits.
    pub(super) fn queue_is_bounded(&self, seat: usize, number: u16) {
        let Some(group) = &self.seats[seat].group else {
            return;
        };
        let options = &self.options;
        for info in group.sender().channels() {
            if info.number.value() == number && info.queued_messages > 1 {
                let messages = info.queued_messages <= options.send_queue_messages;
                let bytes = info.queued_bytes <= options.send_queue_bytes;
                assert!(messages && bytes, "{info:?}");
            }
        }
    }

    /// With everything at rest, nothing may be left that somebody could go on with.
    pub(super) fn at_rest(&self) {
        let network = self.sim.network();
        for (address, listening) in &network.listeners {
            let waits = listening.backlog.len();
            assert!(
                listening.owner.is_none() || waits == 0,
                "{waits} wait at {address}"
            );
        }
        for wire in self.wires.iter().filter(|wire| !wire.over) {
            let other = wire.end.other();
            let connection = &network.connections[other.connection];
            let half = &connection.halves[other.side];
            if connection.phase != Phase::Established || half.owner.is_none() {
                continue;
            }
            assert!(half.arrived.is_empty(), "bytes wait unread: {half:?}");
            assert!(!half.end_arrived || half.write_ended, "unseen: {half:?}");
        }
        drop(network);
        for seat in &self.seats {
            let Some(group) = &seat.group else { continue };
            for info in group.sender().channels() {
                let end = info.peer.as_ref().and_then(|peer| end_of(&peer.endpoint));
                let Some(end) = end else { continue };
                let mut wires = self.wires.iter();
                let wire = wires.find(|it| it.end.connection == end.connection && !it.over);
                let channel = self.channels.get(&info.number.value());
                if let (Some(wire), Some(channel)) = (wire, channel) {
                    self.conversation_at_rest(channel, wire);
                }
            }
        }
    }

    /// Both sides have all that the other has said.
    fn conversation_at_rest(&self, channel: &Channel, wire: &crate::sim::fuzzing::wire::Wire) {
        let lines = self.options.header_lines;
        let story = Story::read(&wire.sent, wire.was_accepted(), lines);
        channel.agrees(wire, &story);
        if channel.has_posted(story::BYE_RESPONSE) {
            return;
        }
        assert!(matches!(story.outcome, Outcome::Open(_) | Outcome::Ended));
        let (received, said) = (channel.received.len(), story.said.len());
        assert_eq!(received, said, "received of {wire:?}");
        let (read, posted) = (story::written(&wire.received).len(), channel.posted.len());
        assert_eq!(read, posted, "sent on {channel:?}");
        let told = !channel.awaits_room || channel.signalled;
        assert!(told, "nobody tells of room: {channel:?}");
    }

    /// Every channel has had its last word, and nothing of it is left.
    pub(super) fn nothing_left(&self) {
        for channel in self.channels.values() {
            assert!(!channel.is_open(), "this never ends: {channel:?}");
            let _sent = channel.sent();
        }
        let stats = self.handle.stats();
        let left = (stats.pool_in_use, stats.queued_messages, stats.queued_bytes);
        assert_eq!(left, (0, 0, 0), "in use, queued, bytes");
        assert_eq!(self.handle.channel_count(), 0);
    }

    pub(super) fn all_ended(&self) {
        assert!(self.sim.shutdown_report(0).is_some(), "it does not end");
        for seat in &self.seats {
            assert!(seat.destruction.is_none(), "a destruction does not end");
            assert!(seat.group.is_none() || seat.ended, "a group does not end");
            assert!(seat.group.is_none() || seat.updates == 0, "a lost update");
        }
    }
}
