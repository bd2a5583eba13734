//! The socket table: slots that are reused, each with a generation, so that a stale token finds
//! nothing.

use crate::core::transport::Token;

/// Generations wrap so early that a poller on a 32-bit platform can carry slot and generation.
const GENERATIONS: u32 = if usize::BITS >= 64 { u32::MAX } else { 0xFFF };

/// Sockets by token.
#[derive(Debug)]
pub(crate) struct Table<S> {
    slots: Vec<Slot<S>>,
    vacant: Vec<u32>,
    len: usize,
    /// A defect built in on purpose; always off but in its test.
    blind: bool,
}

#[derive(Debug)]
struct Slot<S> {
    generation: u32,
    socket: Option<S>,
}

impl<S> Default for Table<S> {
    fn default() -> Table<S> {
        Table {
            slots: Vec::new(),
            vacant: Vec::new(),
            len: 0,
            blind: false,
        }
    }
}

impl<S> Table<S> {
    /// Puts a socket in; `make` is told its token.
    pub(crate) fn insert(&mut self, make: impl FnOnce(Token) -> S) -> Token {
        self.len += 1;
        let slot = self.vacant.pop().unwrap_or_else(|| {
            self.slots.push(Slot {
                generation: 0,
                socket: None,
            });
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.slots[slot as usize];
        let token = Token {
            slot,
            generation: entry.generation,
        };
        entry.socket = Some(make(token));
        token
    }

    /// The same table; if told so, one that takes every token of a slot for its present one.
    pub(crate) fn blind(mut self, blind: bool) -> Table<S> {
        self.blind = blind;
        self
    }

    /// The socket of this token, unless it is gone.
    pub(crate) fn get_mut(&mut self, token: Token) -> Option<&mut S> {
        let slot = self.slots.get_mut(token.slot as usize)?;
        if slot.generation != token.generation && !self.blind {
            return None;
        }
        slot.socket.as_mut()
    }

    /// Takes the socket out and keeps its place: the token stays valid for what is put back.
    pub(crate) fn take_out(&mut self, token: Token) -> Option<S> {
        let slot = self.slots.get_mut(token.slot as usize)?;
        if slot.generation != token.generation {
            return None;
        }
        slot.socket.take()
    }

    /// Puts a socket into a place that was kept.
    pub(crate) fn put_back(&mut self, token: Token, socket: S) {
        if let Some(slot) = self.slots.get_mut(token.slot as usize) {
            debug_assert!(slot.generation == token.generation && slot.socket.is_none());
            slot.socket = Some(socket);
        }
    }

    /// Gives up a place that was kept: its token is stale from now on.
    pub(crate) fn vacate(&mut self, token: Token) {
        if let Some(slot) = self.slots.get_mut(token.slot as usize) {
            debug_assert!(slot.generation == token.generation && slot.socket.is_none());
            slot.generation = slot.generation.wrapping_add(1) & GENERATIONS;
            self.vacant.push(token.slot);
            self.len -= 1;
        }
    }

    /// Takes the socket out for good.
    pub(crate) fn remove(&mut self, token: Token) -> Option<S> {
        let socket = self.take_out(token)?;
        self.vacate(token);
        Some(socket)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// All tokens alive.
    pub(crate) fn tokens(&self) -> Vec<Token> {
        let alive = self
            .slots
            .iter()
            .enumerate()
            .filter(|(_, slot)| slot.socket.is_some());
        alive
            .map(|(index, slot)| Token {
                slot: u32::try_from(index).unwrap_or(u32::MAX),
                generation: slot.generation,
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_token_finds_nothing_in_the_slots_next_life() {
        let mut table = Table::default();
        let first = table.insert(|_| 'a');
        assert_eq!(table.remove(first), Some('a'));
        let second = table.insert(|_| 'b');
        assert_eq!(second.slot, first.slot);
        assert_eq!(table.get_mut(first), None);
        assert_eq!(table.remove(first), None);
        assert_eq!(table.get_mut(second), Some(&mut 'b'));
        assert_eq!(table.tokens(), [second]);
    }
}
