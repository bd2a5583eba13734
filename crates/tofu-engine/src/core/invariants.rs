//! What must hold between turns, as a function that tests and the simulator call.

use tofu_msg::ChannelNumber;

use crate::core::engine::{Core, Socket};
use crate::core::transport::{Token, Transport};

impl<T: Transport> Core<T> {
    /// Checks every invariant that ties several structures together.
    ///
    /// # Errors
    /// The first that does not hold.
    pub(crate) fn check_invariants(&mut self) -> Result<(), String> {
        let mut held = 0;
        let mut known = 0;
        for token in self.table.tokens() {
            if let Some(Socket::Channel(channel)) = self.table.get_mut(token) {
                held += channel.counted_held;
                if channel.undelivered && channel.inflow.held.is_empty() {
                    return Err(format!("{token:?} has nothing to deliver, yet says so"));
                }
                if channel.attempt.is_none() && channel.stream.is_none() {
                    return Err(format!("{token:?} is connected without a stream"));
                }
            }
            known += usize::from(self.check_socket(token)?);
        }
        self.check_shared(known)?;
        self.desk.check_held(held)
    }

    /// Whether the application knows the socket.
    fn check_socket(&mut self, token: Token) -> Result<bool, String> {
        let (group, number, queued) = match self.table.get_mut(token) {
            None | Some(Socket::Lingering(_)) => return Ok(false),
            Some(Socket::Listener(listener)) => (listener.group, listener.number, listener.queued),
            Some(Socket::Channel(channel)) => (channel.group, channel.number, channel.queued),
        };
        if queued != self.desk.ready.contains(&token) {
            return Err(format!(
                "{token:?}: the ready list and its note of it disagree"
            ));
        }
        let members = self
            .desk
            .groups
            .get_mut(group)
            .map(|group| group.members.contains(&token));
        if members != Some(true) {
            return Err(format!("{token:?} is no member of its group {group:?}"));
        }
        if number.is_assigned() {
            self.check_number(number, token)?;
        }
        Ok(number.is_assigned())
    }

    fn check_number(&self, number: ChannelNumber, token: Token) -> Result<(), String> {
        let found = self
            .desk
            .shared
            .registry
            .with(number, |outbox| outbox.token());
        if found != Some(Some(token)) {
            return Err(format!("channel {number} of {token:?} leads to {found:?}"));
        }
        Ok(())
    }

    /// What the threads share must agree with the sockets.
    fn check_shared(&self, known: usize) -> Result<(), String> {
        let shared = &self.desk.shared;
        let (mut drawn, mut greedy) = (0, None);
        shared.registry.for_each(|number, outbox| {
            drawn += outbox.drawn();
            if outbox.draws_too_far_ahead(&shared.send_budget) {
                greedy = Some(number);
            }
        });
        if let Some(number) = greedy {
            return Err(format!("channel {number} has drawn too much ahead"));
        }
        let alive = shared.registry.alive();
        // Channels that were posted and not yet taken up have no socket.
        if alive < known {
            return Err(format!(
                "{known} sockets have numbers, {alive} numbers are given out"
            ));
        }
        let queued = shared.send_budget.queued();
        if queued != drawn {
            return Err(format!(
                "the send budget says {queued} bytes, the queues {drawn}"
            ));
        }
        shared.pool.check_invariants()
    }
}
