//! Endings of a channel and of a listener.
//!
//! The one place where last words are said: first what was not sent comes back, then
//! `channel_closed`, then the number rests. Under the outbox's lock the channel is closed first, so
//! nothing can be posted behind that.

use tofu_msg::{ChannelNumber, MessageId, Status};

use crate::close::{Cause, CloseInfo};
use crate::core::channel::{Channel, Ending, Manner};
use crate::core::deadlines::Timer;
use crate::core::desk::Desk;
use crate::core::engine::{Core, Socket};
use crate::core::lingering::Lingering;
use crate::core::outgoing::Outgoing;
use crate::core::time::Time;
use crate::core::transport::{Stream, Token, Transport};
use crate::msg::{Msg, Report};
use crate::shared::group::GroupId;
use crate::shared::outbox::Outbox;
use crate::trace::event;

impl<T: Transport> Core<T> {
    /// The application's ByeSignal.
    pub(crate) fn abort(&mut self, token: Token, signal: Msg, mut outgoing: Outgoing) {
        let cause = Cause::new(Status::CHANNEL_CLOSED, "closed by a ByeSignal");
        match self.table.get_mut(token) {
            Some(Socket::Listener(_)) => self.close_listener(token, cause, Some(signal)),
            Some(Socket::Channel(channel)) => {
                channel.outgoing.append(&mut outgoing);
                let ending = Ending {
                    cause,
                    manner: Manner::Abrupt,
                };
                self.close_channel(token, ending, Some(signal));
            }
            // A ByeSignal is taken out of an outbox only while its socket is there.
            _ => debug_assert!(false, "{signal:?} has no socket"),
        }
    }

    /// The application has taken all that the peer sent before it ended.
    pub(crate) fn read_to_end(&mut self, token: Token) {
        let Some(Socket::Channel(channel)) = self.table.get_mut(token) else {
            return;
        };
        let text = "the peer closed the connection";
        let cause = Cause::new(Status::PEER_DISCONNECTED, text);
        // No deadline of its own: the write stall bounds a peer that takes nothing.
        finish_channel(channel, &mut self.desk, cause, Time::NEVER);
        self.enqueue(token);
    }

    /// Ends a channel: its unsent messages, its last word, its number, its socket.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "an ending is used up by the end it brings"
    )]
    pub(crate) fn close_channel(&mut self, token: Token, ending: Ending, signal: Option<Msg>) {
        let Some(Socket::Channel(mut channel)) = self.table.take_out(token) else {
            return;
        };
        self.desk.timers.disarm(token, &mut channel.deadlines.armed);
        if let Some((listener, place)) = channel.listener.take() {
            self.leave_line(listener, place);
        }
        if let (Some(ticket), Some(group)) =
            (channel.ticket, self.desk.groups.get_mut(channel.group))
        {
            group.parked.remove(&ticket);
        }
        if let Some(admission) = channel.admission.take() {
            self.census.leave(&admission);
        }
        channel.deliver_held(&mut self.desk);
        self.desk.forget_held(&mut channel);
        self.count_ending(&channel, ending.cause.status());
        if channel.number.is_assigned() {
            self.last_words(&mut channel, &ending.cause, signal);
        }
        let (group, stream) = (channel.group, channel.stream.take());
        // A peer that never said Hello has nothing of ours to lose.
        let known = channel.number.is_assigned();
        let manner = if known { ending.manner } else { Manner::Gone };
        drop(channel);
        self.dispose(token, stream, manner);
        self.leave_group(group, token);
    }

    fn count_ending(&self, channel: &Channel<T>, status: Status) {
        let counters = &self.desk.shared.counters;
        if channel.attempt.is_some() {
            counters.connects_failed.add(1);
        } else if !channel.number.is_assigned() {
            counters.handshakes_failed.add(1);
            mark_handshake(&self.desk, status);
        }
        match status {
            Status::HANDSHAKE_EVICTED => counters.handshakes_evicted.add(1),
            Status::PROTOCOL_VIOLATION => counters.protocol_violations.add(1),
            status if Timer::is_timeout(status) => counters.timeouts.add(1),
            _ => {}
        }
    }

    fn last_words(&mut self, channel: &mut Channel<T>, cause: &Cause, signal: Option<Msg>) {
        let number = channel.number;
        let registry = &self.desk.shared.registry;
        let (taken, unsent_bytes) = registry.with(number, Outbox::close).unwrap_or_default();
        if !planted!(self.desk.options(), BudgetLeak) {
            self.desk.shared.send_budget.release(unsent_bytes);
        }
        let mut posted_since = taken.outgoing;
        channel.outgoing.append(&mut posted_since);
        let info = channel.close_info(cause.clone());
        if taken.abort.is_some() {
            mark!(self.desk, "the end came before the ByeSignal");
        }
        if let Some(signal) = signal.or(taken.abort) {
            self.give_back(channel.group, number, signal, cause);
        }
        let mut unsent = Vec::with_capacity(channel.outgoing.messages());
        channel.outgoing.drain_unsent(|msg| unsent.push(msg));
        if planted!(self.desk.options(), LastWordTooEarly) {
            self.say_closed(channel.group, number, channel.id, info.clone());
        }
        for msg in unsent {
            if planted!(self.desk.options(), ReturnedTwice) {
                let again = Msg::from((*msg).clone());
                self.give_back(channel.group, number, again, cause);
            }
            self.give_back(channel.group, number, msg, cause);
        }
        if !planted!(self.desk.options(), LastWordTooEarly) {
            self.say_closed(channel.group, number, channel.id, info);
        }
        if let Some(group) = self.desk.groups.get_mut(channel.group) {
            group.shared.make_room(Some(number));
        }
        self.desk.shared.registry.release(number);
    }

    /// Ends a listener. A WelcomeRequest that has not been answered is answered with the cause.
    pub(crate) fn close_listener(&mut self, token: Token, cause: Cause, signal: Option<Msg>) {
        let Some(Socket::Listener(mut listener)) = self.table.remove(token) else {
            return;
        };
        self.desk.timers.disarm(token, &mut listener.armed);
        let (group, number, id) = (listener.group, listener.number, listener.id);
        let registry = &self.desk.shared.registry;
        let (taken, _) = registry.with(number, Outbox::close).unwrap_or_default();
        for msg in [signal.or(taken.abort), listener.welcome.take()]
            .into_iter()
            .flatten()
        {
            self.give_back(group, number, msg, &cause);
        }
        self.say_closed(group, number, id, CloseInfo::new(cause));
        self.desk.shared.registry.release(number);
        drop(listener);
        self.leave_group(group, token);
    }

    /// Gives a message back to the application: to the inbox, or to the report of a group that is
    /// being destroyed.
    fn give_back(&mut self, group: GroupId, number: ChannelNumber, mut msg: Msg, cause: &Cause) {
        msg.mark_unsent(number, cause);
        self.desk.shared.counters.messages_returned.add(1);
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.report.unsent += 1;
        }
        match self
            .desk
            .groups
            .get_mut(group)
            .and_then(|group| group.destruction.as_mut())
        {
            Some((_, report)) => report.unsent.push(msg),
            None => self.desk.groups.stage_message(group, msg),
        }
    }

    fn say_closed(
        &mut self,
        group: GroupId,
        number: ChannelNumber,
        id: MessageId,
        info: CloseInfo,
    ) {
        if let Some((_, report)) = self
            .desk
            .groups
            .get_mut(group)
            .and_then(|group| group.destruction.as_mut())
        {
            report.bytes_unconfirmed += info.bytes_unconfirmed;
            return;
        }
        event!(channel = number.value(), cause = %info.cause, confirmed = info.confirmed, "closed");
        let closed = Msg::notice(Report::ChannelClosed, number, id, Status::CHANNEL_CLOSED);
        let closed = closed.with_close_info(info);
        self.desk.groups.stage_message(group, closed);
    }

    /// Closes a socket in its manner; a lingering one keeps its token.
    fn dispose(&mut self, token: Token, stream: Option<T::Stream>, manner: Manner) {
        let manner = match manner {
            Manner::Linger if planted!(self.desk.options(), NoLinger) => Manner::Gone,
            manner => manner,
        };
        let linger = self.desk.options().linger_timeout;
        let drain = self.desk.options().linger_drain;
        let mut deadline = self.desk.now.after(linger);
        if let Some(shutdown) = &self.shutdown {
            deadline = deadline.min(shutdown.deadline);
        }
        let lingering = stream.and_then(|mut stream| match manner {
            Manner::Gone => None,
            Manner::Abrupt => {
                stream.reset_on_close();
                None
            }
            Manner::Linger if deadline <= self.desk.now => {
                mark!(self.desk, "linger: there is no time");
                // No time to wait: the end of stream is told all the same.
                let _told = stream.shutdown_write();
                None
            }
            Manner::Linger => Lingering::<T>::begin(stream, deadline, drain),
        });
        match lingering {
            None => self.table.vacate(token),
            Some(mut lingering) => {
                let at = Some(lingering.deadline);
                self.desk.timers.arm(token, &mut lingering.armed, at);
                self.table
                    .put_back(token, Socket::Lingering(Box::new(lingering)));
                self.enqueue(token);
            }
        }
    }

    pub(crate) fn drop_lingering(&mut self, token: Token) {
        if let Some(Socket::Lingering(lingering)) = self.table.get_mut(token) {
            self.desk.timers.disarm(token, &mut lingering.armed);
            self.table.remove(token);
        }
    }

    fn leave_group(&mut self, id: GroupId, token: Token) {
        if let Some(group) = self.desk.groups.get_mut(id) {
            group.members.remove(&token);
        }
        self.finish_destroy_if_done(id);
    }
}

/// Why a connection ended that the application never knew.
fn mark_handshake(desk: &Desk, status: Status) {
    match status {
        Status::HANDSHAKE_TIMEOUT => mark!(desk, "handshake: handshake_timeout"),
        Status::FRAME_TIMEOUT => mark!(desk, "handshake: frame_timeout"),
        Status::HANDSHAKE_EVICTED => mark!(desk, "handshake: handshake_evicted"),
        Status::PROTOCOL_VIOLATION => mark!(desk, "handshake: protocol_violation"),
        Status::TOO_MANY_HEADER_LINES => mark!(desk, "handshake: too_many_header_lines"),
        Status::PEER_DISCONNECTED => mark!(desk, "handshake: peer_disconnected"),
        Status::RECV_FAILED => mark!(desk, "handshake: recv_failed"),
        Status::ACCEPT_FAILED => mark!(desk, "handshake: accept_failed"),
        Status::CHANNELS_EXHAUSTED => mark!(desk, "handshake: channels_exhausted"),
        Status::SHUTDOWN_STARTED => mark!(desk, "handshake: shutdown_started"),
        Status::CHANNEL_CLOSED => mark!(desk, "handshake: the group was destroyed"),
        _ => debug_assert!(false, "a handshake has ended by {status}"),
    }
}

/// Takes what has been posted so far and closes the outbox; the channel ends when that is sent.
pub(crate) fn finish_channel<T: Transport>(
    channel: &mut Channel<T>,
    desk: &mut Desk,
    cause: Cause,
    deadline: Time,
) {
    let shared = &desk.shared;
    if let Some(mut taken) = shared.registry.with(channel.number, Outbox::begin_closing) {
        channel.outgoing.append(&mut taken.outgoing);
        if let Some(signal) = taken.abort {
            // It stands on the urgent list and is taken from there: it goes back where it was.
            shared
                .registry
                .with(channel.number, |outbox| outbox.set_abort(signal));
        }
    }
    channel.finish(cause, deadline);
    if let Some(group) = desk.groups.get_mut(channel.group) {
        // Whoever waits for room waits in vain from here on.
        group.shared.make_room(Some(channel.number));
    }
}
