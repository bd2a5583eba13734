//! Two groups with several channels between them and sixteen threads that post in both directions:
//! what rows end in the middle of.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::JoinHandle;

use anyhow::Result;
use tofu::prelude::ChannelNumber;
use tofu_testkit::Random;

use super::side::{Listening, Side, Transport};
use super::streams::{Posted, endless};

/// Channels between the two groups.
pub(crate) const CHANNELS: u32 = 4;

/// Posting threads on each side.
pub(crate) const THREADS: u32 = 8;

/// Filler bytes of a message: small ones, and some that travel by pointer.
const LARGEST: u64 = 12_000;

/// Two connected groups.
#[derive(Debug)]
pub(crate) struct Traffic {
    pub(crate) here: Side,
    pub(crate) there: Side,
    pub(crate) here_channels: Vec<ChannelNumber>,
    pub(crate) there_channels: Vec<ChannelNumber>,
    /// Keeps the socket file.
    pub(crate) listening: Listening,
}

impl Traffic {
    /// Connects `here` to a listener of `there`.
    pub(crate) fn connect(mut here: Side, mut there: Side, transport: Transport) -> Result<Self> {
        let listening = there.listen(transport)?;
        let (mut here_channels, mut there_channels) = (Vec::new(), Vec::new());
        for _ in 0..CHANNELS {
            here_channels.push(here.hello(&listening.endpoint)?);
            there_channels.push(there.accept()?);
            here.next()?;
        }
        Ok(Traffic {
            here,
            there,
            here_channels,
            there_channels,
            listening,
        })
    }

    /// Starts all threads; `(those here, those there)`. No two streams have the same number.
    pub(crate) fn start(&self, random: &mut Random, stop: &Arc<AtomicBool>) -> (Threads, Threads) {
        let mut start = |side: &Side, channels: &[ChannelNumber], first: u32| {
            (first..first + THREADS)
                .zip(channels.iter().cycle())
                .map(|(stream, &channel)| {
                    let random = Random::new(random.next_u64());
                    endless(side, channel, stream, LARGEST, random).spawn(stop)
                })
                .collect()
        };
        let here = start(&self.here, &self.here_channels, 0);
        let there = start(&self.there, &self.there_channels, THREADS);
        (here, there)
    }
}

/// Posting threads.
pub(crate) type Threads = Vec<JoinHandle<Result<Posted>>>;
