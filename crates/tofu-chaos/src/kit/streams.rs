//! Posting threads: each feeds one stream of stamped messages into one channel until it is told to
//! stop or the channel ends, and says how many were accepted.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Result, anyhow, bail, ensure};
use tofu::prelude::*;
use tofu_testkit::Random;

use super::ledger::{read_stamp, stamp};

/// How long a post waits for room at a time.
const PATIENCE: Duration = Duration::from_millis(5);

/// What one thread posts.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    pub(crate) poster: Poster,
    pub(crate) channel: ChannelNumber,
    /// Tells the streams of a row apart.
    pub(crate) stream: u32,
    /// Filler bytes are drawn below this.
    pub(crate) largest: u64,
    pub(crate) random: Random,
    /// At most so many are posted.
    pub(crate) count: u64,
}

/// What a posting thread reports.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Posted {
    pub(crate) stream: u32,
    pub(crate) accepted: u64,
    /// Why it ended, if it was not told to.
    pub(crate) ended: Option<PostErrorKind>,
}

impl Stream {
    /// Posts in this thread.
    pub(crate) fn run(mut self, stop: &AtomicBool) -> Result<Posted> {
        let mut posted = Posted {
            stream: self.stream,
            accepted: 0,
            ended: None,
        };
        while posted.accepted < self.count && !stop.load(Ordering::Relaxed) {
            let number = posted.accepted + 1;
            let mut message = Msg::from(Message::new(OpCode::Signal));
            let filler = usize::try_from(self.random.below(self.largest))?;
            stamp(&mut message, self.stream, number, filler)?;
            message.set_channel_number(self.channel);
            match self.post(message, number, stop)? {
                None => posted.accepted = number,
                ended => {
                    posted.ended = ended.filter(|kind| *kind != PostErrorKind::QueueFull);
                    break;
                }
            }
        }
        Ok(posted)
    }

    /// Posts one message, waiting for room; why not, if it was refused for good.
    fn post(
        &self,
        mut message: Msg,
        number: u64,
        stop: &AtomicBool,
    ) -> Result<Option<PostErrorKind>> {
        loop {
            let Err(error) = self.poster.post_timeout(message, PATIENCE) else {
                return Ok(None);
            };
            let (kind, refused) = error.into_parts();
            let stamp = read_stamp(&refused)?;
            ensure!(
                stamp == (self.stream, number),
                "the message {}/{number} was refused, {stamp:?} came back",
                self.stream
            );
            match kind {
                PostErrorKind::QueueFull if !stop.load(Ordering::Relaxed) => message = refused,
                PostErrorKind::QueueFull
                | PostErrorKind::ChannelClosed
                | PostErrorKind::InvalidChannelGroup
                | PostErrorKind::ShutdownStarted => return Ok(Some(kind)),
                _ => bail!("{}/{number} was refused: {kind}", self.stream),
            }
        }
    }

    /// Posts in a thread of its own.
    pub(crate) fn spawn(self, stop: &Arc<AtomicBool>) -> JoinHandle<Result<Posted>> {
        let stop = Arc::clone(stop);
        std::thread::spawn(move || self.run(&stop))
    }
}

/// A stream without end of messages up to `largest` bytes.
pub(crate) fn endless(
    side: &super::side::Side,
    channel: ChannelNumber,
    stream: u32,
    largest: u64,
    random: Random,
) -> Stream {
    Stream {
        poster: side.group.poster(),
        channel,
        stream,
        largest,
        random,
        count: u64::MAX,
    }
}

/// Waits for a thread and passes its error on; a panic is one.
pub(crate) fn join<T>(thread: JoinHandle<Result<T>>) -> Result<T> {
    thread.join().map_err(|_| anyhow!("a thread panicked"))?
}

/// What the posting threads have had accepted, by stream.
pub(crate) fn join_all(
    threads: impl IntoIterator<Item = JoinHandle<Result<Posted>>>,
) -> Result<BTreeMap<u32, u64>> {
    threads
        .into_iter()
        .map(|thread| join(thread).map(|posted| (posted.stream, posted.accepted)))
        .collect()
}
