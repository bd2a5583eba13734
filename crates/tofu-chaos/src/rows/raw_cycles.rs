//! Row 26: connections that come and go by the ten thousand, and channel numbers that come round
//! again: nobody may ever get what was meant for another.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::{Random, RawPeer, descriptor_count, resident_bytes};

use super::{Extent, progress};
use crate::kit::raw::frame;
use crate::kit::side::{BOTH, Side};
use crate::kit::streams::join;
use crate::kit::{LIMIT, mebibytes};
use crate::outcome::{Facts, Outcome};

/// Threads that connect at the same time, half on each transport.
const THREADS: u64 = 4;

/// How many descriptors more or less there may be afterwards.
pub(crate) const TOLERANCE: usize = 2;

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let cycles: u64 = extent.pick(10_000, 100_000);
    let mut random = extent.random(26);
    let mut side = Side::start(Options::default())?;
    let places = [side.listen(BOTH[0])?, side.listen(BOTH[1])?];
    let before = descriptor_count()?;
    let done = Arc::new(AtomicU64::new(0));
    let guests: Vec<_> = (0..THREADS)
        .map(|thread| {
            let endpoint = places[usize::from(thread % 2 == 1)].endpoint.clone();
            let (done, random) = (Arc::clone(&done), Random::new(random.next_u64()));
            thread::spawn(move || come_and_go(&endpoint, cycles / THREADS, random, &done))
        })
        .collect();
    let start = Instant::now();
    let mut warm = None;
    while !guests.iter().all(thread::JoinHandle::is_finished) {
        serve(&mut side)?;
        let count = done.load(Ordering::Relaxed);
        if count % 512 == 0 {
            progress(&format!("{count} cycles"));
        }
        if count > cycles / 4 && warm.is_none() {
            warm = Some(resident_bytes(std::process::id())?);
        }
    }
    let took = start.elapsed();
    for guest in guests {
        join(guest)?;
    }
    while side.engine.channel_count() > places.len() {
        ensure!(
            start.elapsed() < took + LIMIT,
            "channels are left: {:?}",
            side.group.channels()
        );
        serve(&mut side)?;
    }
    let after = descriptor_count()?;
    let grown = resident_bytes(std::process::id())?.saturating_sub(warm.unwrap_or(0));
    let mut facts = Facts::default();
    facts.note(format!(
        "{cycles} cycles in {:.0} s, 0 crossed",
        took.as_secs_f64()
    ));
    facts.check(
        after.abs_diff(before) <= TOLERANCE,
        format!("descriptors {before} before, {after} after"),
    );
    facts.note(format!("{} more memory", mebibytes(grown)));
    Ok(facts.outcome())
}

/// The application: answers what comes, in whatever order, on whatever number it came.
fn serve(side: &mut Side) -> Result<()> {
    let Some(mut message) = side.group.wait_receive(Duration::from_millis(5))? else {
        return Ok(());
    };
    if message.origin() != Origin::Peer || message.make_reply().is_none() {
        return Ok(());
    }
    match side.group.post(message) {
        Ok(_) => Ok(()),
        // The guest has left without its answer.
        Err(error) if error.kind() == PostErrorKind::ChannelClosed => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Connects, asks for something nobody else asks for, and leaves, politely or not.
fn come_and_go(
    endpoint: &Endpoint,
    cycles: u64,
    mut random: Random,
    done: &AtomicU64,
) -> Result<()> {
    for cycle in 0..cycles {
        let token = random.next_u64();
        visit(endpoint, token, random.below(4)).with_context(|| format!("cycle {cycle}"))?;
        done.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}

fn visit(endpoint: &Endpoint, token: u64, manner: u64) -> Result<()> {
    let mut raw = RawPeer::connect(endpoint)?;
    let mut hello = Message::default();
    Address::connect_to(endpoint.clone()).format(&mut hello)?;
    let mut request = Message::new(OpCode::Request);
    for message in [&mut hello, &mut request] {
        message.set_message_id(MessageId::new(token | 1));
        message.body_mut().append(&token.to_be_bytes())?;
    }
    raw.send(&[frame(&hello), frame(&request)].concat())?;
    // Some leave at once; their answers must find nobody, least of all somebody else.
    if manner == 0 {
        return Ok(raw.reset()?);
    }
    for expected in [OpCode::HelloResponse, OpCode::Response] {
        let answer = raw.receive_frame(LIMIT)?.context("closed too early")?;
        ensure!(
            answer.op_code() == expected && answer.body().as_bytes() == token.to_be_bytes(),
            "instead of the {expected} with {token:x}: {answer:?}"
        );
    }
    if manner == 1 {
        raw.reset()?;
    }
    Ok(())
}
