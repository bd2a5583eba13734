//! Two engines in one process that stream to each other while system calls fail under them: whatever
//! the engine makes of an error, every message has one outcome.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::prelude::*;
use tofu_testkit::Random;

use crate::kit::collector::{Collector, Event};
use crate::kit::ledger::{Balance, balance};
use crate::kit::lifeline;
use crate::kit::side::{Side, Transport, free_place};
use crate::kit::streams::{Stream, join_all};

/// How often a conversation is begun anew, or a listener tried.
const ATTEMPTS: u32 = 200;

/// The longest that a conversation lasts.
const LONGEST: Duration = Duration::from_secs(45);

/// What is said.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[arg(long)]
    transport: Transport,
    /// Messages in each direction
    #[arg(long)]
    messages: u64,
    #[arg(long)]
    seed: u64,
}

/// Talks until all is said, connecting again where a connection is lost.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    lifeline::end_after(LONGEST);
    let mut talk = Talk::begin(arguments)?;
    let mut sum = Balance::default();
    let (mut lost, mut refused) = (0, 0);
    let mut left = arguments.messages;
    for _ in 0..ATTEMPTS {
        match talk.connect()? {
            None => refused += 1,
            Some(channels) => {
                let (said, ended) = talk.exchange(channels, left)?;
                left = left.saturating_sub(said.delivered / 2);
                sum += said;
                lost += u32::from(ended);
                if left == 0 {
                    println!("ledger {sum}; {lost} connections lost, {refused} not made");
                    return Ok(());
                }
            }
        }
    }
    bail!(
        "{left} messages are left after {ATTEMPTS} attempts: {sum}, {lost} lost, {refused} refused"
    )
}

struct Talk {
    here: Side,
    there: Side,
    endpoint: Endpoint,
    random: Random,
    stream: u32,
    /// Keeps the socket file.
    _path: Option<tofu_testkit::TempUdsPath>,
}

impl Talk {
    fn begin(arguments: &Arguments) -> Result<Talk> {
        let here = Side::start(Options::default())?;
        let mut there = Side::start(Options::default())?;
        let (address, path) = free_place(arguments.transport)?;
        let mut endpoint = None;
        for _ in 0..ATTEMPTS {
            let (channel, answer) = there.welcome(&address)?;
            if answer.status().is_success() {
                endpoint = Some(Address::parse(&answer)?.into_endpoint());
                break;
            }
            let last_word = there.next()?;
            ensure!(
                last_word.close_info().is_some() && last_word.channel_number() == channel,
                "instead of the last word on a listener: {last_word:?}"
            );
        }
        Ok(Talk {
            here,
            there,
            endpoint: endpoint.context("no listener could be made")?,
            random: Random::new(arguments.seed),
            stream: 0,
            _path: path,
        })
    }

    /// Connects; `None` when the engine reports that it could not.
    fn connect(&mut self) -> Result<Option<(ChannelNumber, ChannelNumber)>> {
        let here = self.here.hello(&self.endpoint)?;
        let deadline = Instant::now() + crate::kit::LIMIT;
        let mut there = None;
        while Instant::now() < deadline {
            if let Some(message) = self.here.group.wait_receive(Duration::from_millis(1))? {
                if message.op_code() == OpCode::HelloResponse && message.origin() == Origin::Peer {
                    let there = there.context("an answer that nobody has given")?;
                    return Ok(Some((here, there)));
                }
                if message.close_info().is_some() {
                    return Ok(None);
                }
            }
            let Some(mut message) = self.there.group.wait_receive(Duration::from_millis(1))? else {
                continue;
            };
            if message.op_code() == OpCode::HelloRequest {
                there = Some(message.channel_number());
                message.make_reply();
                // Where the connection is gone already, the last word says so.
                let _ = self.there.group.post(message);
            }
        }
        bail!("neither connected nor refused")
    }

    /// Streams in both directions; the balance, and whether the connection was lost.
    fn exchange(
        &mut self,
        (here, there): (ChannelNumber, ChannelNumber),
        count: u64,
    ) -> Result<(Balance, bool)> {
        let stop = Arc::new(AtomicBool::new(false));
        let streams = [(&self.here, here), (&self.there, there)];
        let numbers = [self.stream, self.stream + 1];
        self.stream += 2;
        let mut threads = Vec::new();
        for ((side, channel), stream) in streams.into_iter().zip(numbers) {
            let stream = Stream {
                poster: side.group.poster(),
                channel,
                stream,
                largest: 12_000,
                random: Random::new(self.random.next_u64()),
                count,
            };
            threads.push(stream.spawn(&stop));
        }
        let (books, ended) = self.receive(here, there, count)?;
        let accepted = join_all(threads)?;
        let mut sum = Balance::default();
        for (stream, from, to) in [(numbers[0], 0, 1), (numbers[1], 1, 0)] {
            let accepted = accepted.get(&stream).copied().unwrap_or_default();
            let accepted = [(stream, accepted)].into();
            sum += balance(&accepted, &books[to].delivered, &books[from].returned)?;
        }
        ensure!(ended || sum.unknown == 0, "lost without an end: {sum}");
        Ok((sum, ended))
    }

    /// Receives on both sides until both have everything or both have been told the end.
    fn receive(
        &mut self,
        here: ChannelNumber,
        there: ChannelNumber,
        count: u64,
    ) -> Result<([Collector; 2], bool)> {
        let mut books = [Collector::default(), Collector::default()];
        let deadline = Instant::now() + LONGEST;
        let mut closed = [false; 2];
        while Instant::now() < deadline {
            if closed == [true; 2] {
                return Ok((books, true));
            }
            if books.iter().all(|book| book.delivered.total() == count) && closed == [false; 2] {
                return Ok((books, false));
            }
            let mut idle = true;
            for (index, (side, channel)) in [(&mut self.here, here), (&mut self.there, there)]
                .into_iter()
                .enumerate()
            {
                while let Some(message) = side.group.wait_receive(Duration::ZERO)? {
                    idle = false;
                    if matches!(books[index].take(message)?, Event::Closed(at) if at == channel) {
                        closed[index] = true;
                    }
                }
            }
            if idle {
                thread::sleep(Duration::from_micros(200));
            }
        }
        bail!("neither finished nor ended: closed {closed:?}")
    }
}
