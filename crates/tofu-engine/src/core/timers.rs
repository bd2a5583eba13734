//! Deadlines of sockets, earliest first.
//!
//! A socket stands here at most once, with a moment not later than its earliest deadline: pushing a
//! deadline back costs nothing, for when the moment comes the socket is asked again.

use std::collections::BTreeSet;

use crate::core::time::Time;
use crate::core::transport::Token;

/// The moments at which sockets want to be looked at.
#[derive(Debug, Default)]
pub(crate) struct Timers {
    queue: BTreeSet<(Time, Token)>,
}

impl Timers {
    /// Makes sure that the socket is looked at when `deadline` comes. `armed` is the socket's note
    /// of where it stands here.
    pub(crate) fn arm(&mut self, token: Token, armed: &mut Option<Time>, deadline: Option<Time>) {
        let Some(deadline) = deadline else { return };
        if deadline == Time::NEVER || armed.is_some_and(|at| at <= deadline) {
            return;
        }
        self.disarm(token, armed);
        self.queue.insert((deadline, token));
        *armed = Some(deadline);
    }

    /// Takes the socket out.
    pub(crate) fn disarm(&mut self, token: Token, armed: &mut Option<Time>) {
        if let Some(at) = armed.take() {
            self.queue.remove(&(at, token));
        }
    }

    /// Takes out one socket whose moment has come. Its note must be cleared by the caller.
    pub(crate) fn pop_due(&mut self, now: Time) -> Option<Token> {
        let &(at, token) = self.queue.first()?;
        if at > now {
            return None;
        }
        self.queue.pop_first();
        Some(token)
    }

    /// The next moment.
    pub(crate) fn next(&self) -> Option<Time> {
        self.queue.first().map(|&(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn at(seconds: u64) -> Time {
        Time::from_start(Duration::from_secs(seconds))
    }

    fn token(slot: u32) -> Token {
        Token {
            slot,
            generation: 0,
        }
    }

    #[test]
    fn the_earliest_comes_first_and_a_later_deadline_costs_nothing() {
        let mut timers = Timers::default();
        let (mut first, mut second) = (None, None);
        timers.arm(token(1), &mut first, Some(at(5)));
        timers.arm(token(2), &mut second, Some(at(3)));
        timers.arm(token(2), &mut second, Some(at(9)));
        assert_eq!(timers.next(), Some(at(3)));
        timers.arm(token(1), &mut first, Some(at(2)));
        assert_eq!(timers.next(), Some(at(2)));
        assert_eq!(timers.pop_due(at(1)), None);
        assert_eq!(timers.pop_due(at(2)), Some(token(1)));
        timers.disarm(token(2), &mut second);
        assert_eq!((timers.next(), second), (None, None));
    }

    #[test]
    fn never_is_never_armed() {
        let mut timers = Timers::default();
        let mut armed = None;
        timers.arm(token(1), &mut armed, Some(Time::NEVER));
        timers.arm(token(1), &mut armed, None);
        assert_eq!((timers.next(), armed), (None, None));
    }
}
