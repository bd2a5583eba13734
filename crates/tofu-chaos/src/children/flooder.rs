//! A process that posts as fast as it can to peers that never read, and must not grow by it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use nix::sys::resource::{Resource, setrlimit};
use tofu::prelude::*;
use tofu_testkit::Random;

use crate::kit::collector::Collector;
use crate::kit::ledger::{Delivered, balance, read_stamp, stamp};
use crate::kit::measure;
use crate::kit::side::Side;
use crate::kit::streams::{Posted, join_all};

/// Threads that post to each channel.
const THREADS: u32 = 2;

/// Filler bytes of a message are drawn below this.
const LARGEST: u64 = 60_000;

/// A process that grows beyond all measure ends here instead of taking the machine with it.
const ADDRESS_SPACE: u64 = 4 << 30;

/// Whom it floods.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// The peers that never read
    #[arg(long)]
    to: Vec<Endpoint>,
    #[arg(long)]
    seconds: u64,
    #[arg(long)]
    seed: u64,
}

/// Floods, then shuts down and reconciles its own book.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setrlimit(Resource::RLIMIT_AS, ADDRESS_SPACE, ADDRESS_SPACE)?;
    let mut side = Side::start(Options::default().write_stall_timeout(Duration::MAX))?;
    let mut random = Random::new(arguments.seed);
    let stop = Arc::new(AtomicBool::new(false));
    let refused = Arc::new(AtomicU64::new(0));
    let mut threads = Vec::new();
    let mut streams = 0..;
    for endpoint in &arguments.to {
        let channel = side.hello(endpoint)?;
        for stream in streams.by_ref().take(THREADS as usize) {
            let flood = Flood {
                poster: side.group.poster(),
                engine: side.engine.clone(),
                channel,
                stream,
                random: Random::new(random.next_u64()),
                stop: Arc::clone(&stop),
                refused: Arc::clone(&refused),
            };
            threads.push(thread::spawn(move || flood.run()));
        }
    }
    println!("flooding");
    let mut collector = Collector::default();
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    while Instant::now() < end {
        if let Some(message) = side.group.wait_receive(Duration::from_millis(50))? {
            collector.take(message)?;
        }
    }
    ensure!(collector.closed.is_empty(), "a channel has closed");
    stop.store(true, Ordering::Relaxed);
    let accepted = join_all(threads)?;
    settle(side, collector, &accepted, arguments.to.len() as u64)?;
    println!("refused {}", refused.load(Ordering::Relaxed));
    println!("peak {}", measure::peak_bytes(std::process::id())?);
    Ok(())
}

/// All that is not in the kernel must come back now.
fn settle(
    mut side: Side,
    mut collector: Collector,
    accepted: &BTreeMap<u32, u64>,
    channels: u64,
) -> Result<()> {
    side.engine.shutdown(Duration::ZERO);
    collector.run(&mut side.group, |_| true)?;
    let sum = balance(accepted, &Delivered::default(), &collector.returned)?;
    ensure!(
        collector.messages_sent() == sum.unknown + channels,
        "{sum}, but {} were sent",
        collector.messages_sent()
    );
    println!("ledger {sum}");
    Ok(())
}

/// One posting thread. Unlike a stream it never waits: what is refused is posted again at once.
struct Flood {
    poster: Poster,
    engine: Reactor,
    channel: ChannelNumber,
    stream: u32,
    random: Random,
    stop: Arc<AtomicBool>,
    refused: Arc<AtomicU64>,
}

impl Flood {
    fn run(mut self) -> Result<Posted> {
        let mut accepted = 0;
        while !self.stop.load(Ordering::Relaxed) {
            let mut message = self.engine.message()?;
            message.set_op_code(OpCode::Signal);
            message.set_channel_number(self.channel);
            let filler = usize::try_from(self.random.below(LARGEST))?;
            stamp(&mut message, self.stream, accepted + 1, filler)?;
            if !self.insist(message, accepted + 1)? {
                break;
            }
            accepted += 1;
        }
        Ok(Posted {
            stream: self.stream,
            accepted,
            ended: None,
        })
    }

    /// Posts until the message is taken or the flood ends; whether it was taken.
    fn insist(&self, mut message: Msg, number: u64) -> Result<bool> {
        loop {
            let Err(error) = self.poster.post(message) else {
                return Ok(true);
            };
            let (kind, back) = error.into_parts();
            if kind != PostErrorKind::QueueFull {
                bail!("{}/{number} was refused: {kind}", self.stream);
            }
            let refused = self.refused.fetch_add(1, Ordering::Relaxed);
            ensure!(
                read_stamp(&back)? == (self.stream, number)
                    && back.channel_number() == self.channel,
                "the refused message {}/{number} is not what came back: {back:?}",
                self.stream
            );
            if self.stop.load(Ordering::Relaxed) {
                return Ok(false);
            }
            if refused % 64 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
            message = back;
        }
    }
}
