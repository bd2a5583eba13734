//! Row `cycles`, first part: connect, Hello, Bye, tens of thousands of times on one engine that is
//! both sides of it. Numbers rest before they are used again, and nothing grows.

use std::collections::{BTreeMap, VecDeque};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::prelude::*;
use tofu_testkit::{descriptor_count, resident_bytes};

use super::raw_cycles::TOLERANCE;
use super::{Extent, progress};
use crate::kit::LIMIT;
use crate::kit::mebibytes;
use crate::kit::side::{BOTH, Listening, Side};
use crate::outcome::Facts;

/// Connections at the same time.
const AT_ONCE: u64 = 32;

/// Openings between a number's end and its next use, at least. The engine promises 1024 numbers;
/// as many as are open at a time may have been given out before the end was told.
const REST: u64 = 1024 - 4 * AT_ONCE;

/// Memory that may come between the first tenth of the cycles and the last.
const FLAT: u64 = 4 << 20;

pub(super) fn run(extent: &Extent, facts: &mut Facts) -> Result<()> {
    let cycles = extent.pick(10_000, 100_000);
    let mut server = Side::start(Options::default())?;
    let places = [server.listen(BOTH[0])?, server.listen(BOTH[1])?];
    let mut client = server.sibling()?;
    let before = descriptor_count()?;
    let mut book = Numbers::default();
    let (mut begun, mut ended) = (0, 0);
    let mut warm = 0;
    let start = Instant::now();
    while ended < cycles {
        while begun < cycles && begun - ended < AT_ONCE {
            begin(&client, &places[usize::from(begun % 2 == 1)], &mut book)?;
            begun += 1;
        }
        ended += turn(&mut client, &mut book)?;
        turn(&mut server, &mut book)?;
        if ended % 1024 == 0 {
            progress(&format!("{ended} cycles"));
        }
        if warm == 0 && ended >= cycles / 10 {
            warm = resident_bytes(std::process::id())?;
        }
    }
    let took = start.elapsed();
    while server.engine.channel_count() > places.len() {
        ensure!(start.elapsed() < took + LIMIT, "channels are left");
        turn(&mut server, &mut book)?;
    }
    let grown = resident_bytes(std::process::id())?.saturating_sub(warm);
    facts.note(format!(
        "{cycles} cycles in {:.0} s, {} numbers, shortest rest {}",
        took.as_secs_f64(),
        book.lives.len(),
        book.shortest_rest.unwrap_or(0)
    ));
    facts.check(grown <= FLAT, format!("{} more memory", mebibytes(grown)));
    let after = await_descriptors(before)?;
    facts.check(
        after.abs_diff(before) <= TOLERANCE,
        format!("descriptors {before} before, {after} after"),
    );
    Ok(())
}

/// Closing connections linger a moment.
pub(super) fn await_descriptors(expected: usize) -> Result<usize> {
    let end = Instant::now() + LIMIT;
    loop {
        let count = descriptor_count()?;
        if count.abs_diff(expected) <= TOLERANCE || Instant::now() > end {
            return Ok(count);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Begins a cycle: Hello, a request and Bye go out at once.
fn begin(client: &Side, place: &Listening, book: &mut Numbers) -> Result<()> {
    let channel = client.hello(&place.endpoint)?;
    book.opened(channel)?;
    for op_code in [OpCode::Request, OpCode::ByeRequest] {
        client.group.post(client.message(op_code, channel)?)?;
    }
    Ok(())
}

/// Handles all that a side has received; how many channels have ended.
fn turn(side: &mut Side, book: &mut Numbers) -> Result<u64> {
    let mut ended = 0;
    while let Some(message) = side.group.wait_receive(Duration::from_micros(100))? {
        let channel = message.channel_number();
        match Incoming::from(message) {
            Incoming::Peer(mut message) => {
                if message.op_code() == OpCode::HelloRequest {
                    book.opened(channel)?;
                }
                book.spoke(channel)?;
                if message.make_reply().is_some() {
                    side.group.post(message)?;
                }
            }
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                book.closed(channel)?;
                ensure!(info.cause.status().is_success(), "{channel}: {info:?}");
                ended += 1;
            }
            other => bail!("{other:?}"),
        }
    }
    Ok(ended)
}

/// Which numbers live, and when each was last used.
#[derive(Debug, Default)]
struct Numbers {
    openings: u64,
    /// Of each number: whether it lives, and how many openings there were when it ended.
    lives: BTreeMap<ChannelNumber, (bool, u64)>,
    shortest_rest: Option<u64>,
    /// The last few that ended, to say more when something is wrong.
    recent: VecDeque<ChannelNumber>,
}

impl Numbers {
    fn opened(&mut self, number: ChannelNumber) -> Result<()> {
        self.openings += 1;
        if let Some((alive, ended_at)) = self.lives.insert(number, (true, 0)) {
            ensure!(!alive, "the number {number} was given out while it lived");
            let rest = self.openings - ended_at;
            ensure!(
                rest >= REST,
                "{number} rested for {rest} openings only; ended lately: {:?}",
                self.recent
            );
            self.shortest_rest = Some(self.shortest_rest.map_or(rest, |least| least.min(rest)));
        }
        Ok(())
    }

    fn spoke(&self, number: ChannelNumber) -> Result<()> {
        let life = self.lives.get(&number);
        ensure!(
            life.is_some_and(|(alive, _)| *alive),
            "a message on {number}, which does not live"
        );
        Ok(())
    }

    fn closed(&mut self, number: ChannelNumber) -> Result<()> {
        self.spoke(number)?;
        let life = self.lives.get_mut(&number).context("just seen")?;
        *life = (false, self.openings);
        self.recent.push_back(number);
        if self.recent.len() > 8 {
            self.recent.pop_front();
        }
        Ok(())
    }
}
