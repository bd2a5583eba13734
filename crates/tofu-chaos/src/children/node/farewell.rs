//! How a node's channels end: a few at a time, in good order or not, and all of them at last.
//!
//! Called by the commands of the soak, and by the node's turns for what has to wait for room.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow, ensure};
use tofu::prelude::*;

use super::state::Node;
use super::talk::{Spoken, Talk};
use crate::kit::LIMIT;

impl Node {
    /// Some channels at random, of whatever kind.
    fn some(&mut self, count: usize) -> Vec<Arc<Talk>> {
        let mut talks: Vec<_> = self
            .hearings
            .values()
            .map(|heard| &heard.talk)
            .cloned()
            .collect();
        while talks.len() > count {
            let place = self.random.below(talks.len() as u64);
            talks.swap_remove(usize::try_from(place).unwrap_or_default());
        }
        talks
    }

    /// Ends channels as unkindly as an engine can: the peers see a reset.
    pub(super) fn reset(&mut self, count: usize) -> Result<()> {
        for talk in self.some(count) {
            let message = self.side.message(OpCode::ByeSignal, talk.channel)?;
            talk.say(&self.posting.poster, message)?;
        }
        Ok(())
    }

    /// Ends channels in good order.
    pub(super) fn bye(&mut self, count: usize) -> Result<()> {
        for talk in self.some(count) {
            self.say_bye(&talk)?;
        }
        Ok(())
    }

    /// Answers the farewells for whose answers there is room now.
    pub(super) fn pay(&mut self) -> Result<()> {
        let mut left = Vec::new();
        for (talk, id) in std::mem::take(&mut self.owed) {
            let mut answer = self.side.message(OpCode::ByeResponse, talk.channel)?;
            answer.set_message_id(id);
            if talk.say(&self.posting.poster, answer)? == Spoken::Full {
                left.push((talk, id));
            }
        }
        self.owed = left;
        Ok(())
    }

    /// Posts a ByeRequest, once, if there is room for it now.
    fn say_bye(&self, talk: &Talk) -> Result<()> {
        if talk.is_open() {
            let message = self.side.message(OpCode::ByeRequest, talk.channel)?;
            talk.say(&self.posting.poster, message)?;
        }
        Ok(())
    }

    /// Opens and posts nothing any more.
    pub(super) fn calm(&mut self) -> Result<()> {
        self.posting.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread
                .join()
                .map_err(|_| anyhow!("a posting thread panicked"))?;
        }
        self.is_calm = true;
        Ok(())
    }

    /// Ends its own channels, and says when none is left.
    pub(super) fn say_goodbye(&mut self) -> Result<()> {
        let own = self
            .hearings
            .values()
            .filter(|heard| heard.talk.is_initiator);
        for heard in own {
            self.say_bye(&heard.talk)?;
        }
        if self.hearings.is_empty() {
            println!("calm");
            self.is_calm = false;
        }
        Ok(())
    }

    /// Shuts the engine down; a node that was calm has nothing left to lose.
    pub(super) fn end(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.hearings.is_empty() {
            ensure!(Instant::now() < deadline, "open: {:?}", self.hearings);
            self.turn()?;
        }
        let report = self.side.engine.shutdown(Duration::from_secs(5));
        ensure!(report.complete, "the shutdown was not complete: {report:?}");
        println!("ended");
        Ok(())
    }
}
