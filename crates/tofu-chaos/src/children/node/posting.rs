//! The threads that post: each goes round its share of the channels, a few messages at a time, no
//! faster than it was told.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::Result;
use tofu::prelude::*;
use tofu_testkit::Random;

use super::talk::{Spoken, Talk};
use crate::kit::books::PostedBook;

/// A thread that has fallen behind by so much catches up no more.
const BEHIND: Duration = Duration::from_millis(100);

/// How long there may be nobody to post to.
const IDLE: Duration = Duration::from_millis(5);

/// The channels of a node that may be posted to.
#[derive(Debug, Default)]
pub(super) struct Talks(Mutex<Vec<Arc<Talk>>>);

impl Talks {
    pub(super) fn add(&self, talk: Arc<Talk>) {
        self.lock().push(talk);
    }

    pub(super) fn remove(&self, channel: ChannelNumber) {
        self.lock().retain(|talk| talk.channel != channel);
    }

    /// Every `step`th from `first` on.
    fn share(&self, first: usize, step: usize) -> Vec<Arc<Talk>> {
        self.lock()
            .iter()
            .skip(first)
            .step_by(step)
            .cloned()
            .collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Talk>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What posting threads share.
#[derive(Debug, Clone)]
pub(super) struct Posting {
    pub(super) engine: Reactor,
    pub(super) poster: Poster,
    pub(super) book: Arc<PostedBook>,
    pub(super) talks: Arc<Talks>,
    pub(super) stop: Arc<AtomicBool>,
}

impl Posting {
    /// Starts `count` threads that together post `rate` messages a second.
    pub(super) fn start(
        &self,
        count: usize,
        rate: u64,
        random: &mut Random,
    ) -> Vec<JoinHandle<()>> {
        let pace = Duration::from_secs(1) * u32::try_from(count).unwrap_or(u32::MAX)
            / u32::try_from(rate.max(1)).unwrap_or(u32::MAX);
        let threads = (0..count).map(|first| {
            let (posting, random) = (self.clone(), Random::new(random.next_u64()));
            thread::spawn(move || {
                if let Err(error) = posting.run(first, count, pace, random) {
                    println!("error {error:#}");
                }
            })
        });
        threads.collect()
    }

    fn run(&self, first: usize, step: usize, pace: Duration, mut random: Random) -> Result<()> {
        let mut due = Instant::now();
        while !self.stop.load(Ordering::Relaxed) {
            let talks = self.talks.share(first, step);
            if talks.is_empty() {
                thread::sleep(IDLE);
            }
            for talk in talks {
                let most = burst(&mut random);
                for _ in 0..=random.below(most) {
                    due = due.max(Instant::now() - BEHIND) + pace;
                    if self.speak(&talk, &mut random)? != Spoken::Accepted {
                        break;
                    }
                }
                let early = due.saturating_duration_since(Instant::now());
                if early > Duration::from_millis(1) {
                    thread::sleep(early);
                }
            }
        }
        Ok(())
    }

    fn speak(&self, talk: &Talk, random: &mut Random) -> Result<Spoken> {
        let op_code = match random.below(10) {
            0..4 => OpCode::Request,
            _ => OpCode::Signal,
        };
        let Ok(mut message) = self.engine.message() else {
            return Ok(Spoken::Over);
        };
        message.set_op_code(op_code);
        let filler = usize::try_from(filler(random))?;
        talk.speak(&self.poster, &self.book, message, filler, None)
    }
}

/// A few messages mostly, now and then more than a socket takes at once.
fn burst(random: &mut Random) -> u64 {
    match random.below(24) {
        0 => 200,
        _ => 8,
    }
}

/// Small ones mostly, some that travel by pointer, and now and then one as large as can be.
fn filler(random: &mut Random) -> u64 {
    let largest = match random.below(1000) {
        0..700 => 500,
        700..960 => 4000,
        960..998 => 16_000,
        _ => 65_000,
    };
    random.below(largest)
}
