//! How the core's socket tokens travel through the poller, which knows but one `usize` per socket.
//!
//! Used by the transport when it registers a socket and by the event loop when it reads an event.

use crate::core::transport::Token;

/// The waker's token. No socket gets it: that would take a table of as many sockets as a slot
/// number can count.
pub(crate) const WAKER: mio::Token = mio::Token(usize::MAX);

/// The token of the watch over socket files; no socket gets it either.
pub(crate) const SOCKET_FILES: mio::Token = mio::Token(usize::MAX - 1);

/// How many of the low bits hold the slot; the generation has the others.
const SLOT_BITS: u32 = if usize::BITS >= 64 { 32 } else { 20 };

const SLOT_MASK: usize = usize::MAX >> (usize::BITS - SLOT_BITS);

/// The bits of a generation that survive the poller: all of them where a `usize` has 64 bits. The
/// core's socket table lets its generations wrap at this, so that a token comes back as it went.
const GENERATION_MASK: u32 = u32::MAX >> (32 - (usize::BITS - SLOT_BITS));

/// The poller's token for a socket's.
pub(crate) fn pack(token: Token) -> mio::Token {
    let slot = token.slot as usize & SLOT_MASK;
    let generation = (token.generation & GENERATION_MASK) as usize;
    mio::Token(generation << SLOT_BITS | slot)
}

/// The socket's token for the poller's.
pub(crate) fn unpack(token: mio::Token) -> Token {
    Token {
        slot: low_bits(token.0 & SLOT_MASK),
        generation: low_bits(token.0 >> SLOT_BITS),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "both callers pass at most 32 bits"
)]
fn low_bits(value: usize) -> u32 {
    value as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_token_comes_back_as_it_went(slot in 0_u32..1 << 20, generation: u32) {
            let token = Token { slot, generation: generation & GENERATION_MASK };
            prop_assert_eq!(unpack(pack(token)), token);
            prop_assert_ne!(pack(token), WAKER);
            prop_assert_ne!(pack(token), SOCKET_FILES);
        }
    }

    #[test]
    fn lives_of_one_slot_differ() {
        let first = pack(Token {
            slot: 7,
            generation: 0,
        });
        let second = pack(Token {
            slot: 7,
            generation: 1,
        });
        let neighbour = pack(Token {
            slot: 8,
            generation: 0,
        });
        assert_ne!(first, second);
        assert_ne!(first, neighbour);
        assert_ne!(second, neighbour);
    }
}
