//! What applications do while an engine is in the middle of a turn, as their threads may.

use std::collections::VecDeque;
use std::fmt;

/// Something that an application does.
pub(crate) type Work = Box<dyn FnOnce()>;

/// What is to be done, by engine, each behind so many further reads and writes of its streams.
#[derive(Default)]
pub(crate) struct Midway {
    waiting: VecDeque<(usize, u64, Work)>,
}

impl fmt::Debug for Midway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Midway")
            .field("waiting", &self.waiting.len())
            .finish()
    }
}

impl Midway {
    pub(crate) fn add(&mut self, engine: usize, after: u64, work: Work) {
        self.waiting.push_back((engine, after, work));
    }

    /// A stream of this engine has read or written: what is to be done now.
    pub(crate) fn take_due(&mut self, engine: usize) -> Option<Work> {
        let place = self.waiting.iter().position(|(of, ..)| *of == engine)?;
        let (_, after, _) = &mut self.waiting[place];
        if *after > 0 {
            *after -= 1;
            return None;
        }
        self.waiting.remove(place).map(|(_, _, work)| work)
    }

    /// What has found no turn of this engine to be done in.
    pub(crate) fn take_next(&mut self, engine: usize) -> Option<Work> {
        let place = self.waiting.iter().position(|(of, ..)| *of == engine)?;
        self.waiting.remove(place).map(|(_, _, work)| work)
    }
}
