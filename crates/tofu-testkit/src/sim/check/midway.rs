//! What an application does in the middle of its engine's turn, as its other threads would: it posts, and
//! gives messages back.

use std::cell::RefCell;
use std::rc::Rc;

use tofu_engine::{Msg, PostError};
use tofu_msg::{BinaryHeader, ChannelNumber, OpCode};

use crate::sim::check::ledger::{Judged, Key};
use crate::sim::check::scenario::{Scenario, post_by_turns};

/// A post, as the books know it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posting {
    pub(crate) engine: usize,
    pub(crate) seat: usize,
    pub(crate) serial: usize,
    pub(crate) op_code: OpCode,
    /// The channel's number as it stood in the message.
    pub(crate) given: ChannelNumber,
}

/// What has come of posts that nobody has noted yet, in their order.
pub(crate) type Outcomes = Rc<RefCell<Vec<(Posting, Result<BinaryHeader, PostError>)>>>;

/// Reads and writes that a turn has behind it when something is done in it, at most.
const MOST_BEFORE: u64 = 4;

impl Scenario {
    /// Posts something new on a channel, in the middle of a turn if there is one soon.
    pub(crate) fn say_midway(&mut self, key: Key, op_code: OpCode, id: u64, msg: Msg) -> Judged {
        let Some(channel) = self.ledger.channels.get(&key) else {
            return Ok(());
        };
        let (engine, seat) = (key.0, channel.group);
        let Some(group) = &self.apps[engine].seats[seat].group else {
            return Ok(());
        };
        let sender = group.sender().clone();
        let (msg, serial) = self.draft(key, op_code, id, msg)?;
        let posting = Posting {
            engine,
            seat,
            serial,
            op_code,
            given: msg.channel_number(),
        };
        let outcomes = Rc::clone(&self.midway);
        self.do_midway(engine, move || {
            let result = post_by_turns(&sender, msg, serial);
            outcomes.borrow_mut().push((posting, result));
        });
        Ok(())
    }

    /// Gives messages back that were held, in the middle of a turn if there is one soon.
    pub(crate) fn release_midway(&mut self, engine: usize, kept: usize) {
        let released = self.apps[engine].held.split_off(kept);
        self.do_midway(engine, move || drop(released));
    }

    fn do_midway(&mut self, engine: usize, work: impl FnOnce() + 'static) {
        let after = self.sim.random(MOST_BEFORE);
        self.sim.do_midway(engine, after, Box::new(work));
    }

    /// Has that done for which there was no turn. Before the application does anything else: its actions
    /// have an order.
    pub(crate) fn do_the_rest(&mut self, engine: usize) -> Judged {
        self.sim.do_the_rest(engine);
        self.note_midway()
    }

    /// Notes what has come of posts in the middle of turns, before anything is received.
    pub(crate) fn note_midway(&mut self) -> Judged {
        let outcomes = std::mem::take(&mut *self.midway.borrow_mut());
        for (posting, result) in outcomes {
            self.note_post(posting, result)?;
        }
        Ok(())
    }
}
