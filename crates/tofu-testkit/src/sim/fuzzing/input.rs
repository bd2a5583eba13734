//! A fuzzer's bytes, taken one after the other as choices.
//!
//! Whatever is missing at the end is 0, so that every input is a whole story.

/// What is left of an input.
#[derive(Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Input<'a> {
        Input { rest: bytes }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> u8 {
        match self.rest.split_first() {
            Some((&first, rest)) => {
                self.rest = rest;
                first
            }
            None => 0,
        }
    }

    /// A number below `count`, which is at most 256; 0 if `count` is 0.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()).checked_rem(count).unwrap_or(0)
    }

    /// One of `choices`.
    pub(super) fn one_of<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// A length: mostly short, now and then some thousands.
    pub(super) fn len(&mut self) -> usize {
        let byte = usize::from(self.byte());
        match byte {
            0..200 => byte,
            _ => (byte - 199) * 300,
        }
    }

    /// As many of the next bytes as there are, at most `count`.
    pub(super) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }
}
