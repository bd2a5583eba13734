//! Row 15: a group is destroyed while the engine delivers into it and eight threads post through it.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::Random;

use super::{Extent, progress};
use crate::kit::collector::Collector;
use crate::kit::ledger::{Balance, balance};
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::streams::{join, join_all};
use crate::kit::traffic::{CHANNELS, Traffic};
use crate::kit::{LIMIT, milliseconds};
use crate::outcome::{Facts, Outcome};
use crate::rows::reset::check_sent;

/// How much longer than its grace a destruction may take.
const MARGIN: Duration = Duration::from_secs(1);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    let mut random = extent.random(15);
    let (here, there) = (
        Reactor::start(Options::default())?,
        Reactor::start(Options::default())?,
    );
    let (mut sum, mut slowest) = (Balance::default(), Duration::ZERO);
    let runs = extent.pick(100, 1000);
    for run in 0..runs {
        let transport = BOTH[run % 2];
        progress(&format!("run {run} on {transport}"));
        let (balance, late) = once(&here, &there, transport, &mut random)
            .with_context(|| format!("run {run} on {transport}"))?;
        sum += balance;
        slowest = slowest.max(late);
    }
    facts.note(format!("{runs} runs, {sum}"));
    facts.check(
        slowest <= MARGIN,
        format!("d + {} at most", milliseconds(slowest)),
    );
    for engine in [&here, &there] {
        let (channels, held) = (engine.channel_count(), engine.stats().pool_in_use);
        facts.check(
            channels == 0 && held == 0,
            format!("{channels} channels and {held} messages left"),
        );
    }
    Ok(facts.outcome())
}

fn once(
    here: &Reactor,
    there: &Reactor,
    transport: Transport,
    random: &mut Random,
) -> Result<(Balance, Duration)> {
    let side = |engine: &Reactor| -> Result<Side> {
        Ok(Side {
            engine: engine.clone(),
            group: engine.create()?,
        })
    };
    let traffic = Traffic::connect(side(here)?, side(there)?, transport)?;
    let stop = Arc::new(AtomicBool::new(false));
    let (from_here, from_there) = traffic.start(random, &stop);
    let mut group = traffic.here.group;
    let receiving = thread::spawn(move || -> Result<Collector> {
        let mut collector = Collector::default();
        let enough = CHANNELS as usize;
        let end = Instant::now() + LIMIT;
        collector.run(&mut group, |book| {
            book.closed.len() < enough && Instant::now() < end
        })?;
        ensure!(collector.closed.len() == enough, "a last word is missing");
        Ok(collector)
    });
    let mut doomed = Collector::default();
    let mut group = traffic.there.group;
    let end = Instant::now() + Duration::from_micros(random.below(10_000));
    while Instant::now() < end {
        if let Some(message) = group.wait_receive(Duration::from_millis(1))? {
            doomed.take(message)?;
        }
    }
    let late = destroy(group, &mut doomed, random)?;
    let book = join(receiving)?;
    // From here on nothing was lost: what was delivered and not received is counted.
    let accepted = join_all(from_here)?;
    let mut sum = balance(&accepted, &doomed.delivered, &book.returned)?;
    check_sent(&book, &sum, u64::from(CHANNELS))?;
    ensure!(
        sum.unknown >= late.unreceived,
        "{sum}, but {} were delivered and not received",
        late.unreceived
    );
    let accepted = join_all(from_there)?;
    let back = balance(&accepted, &book.delivered, &doomed.returned)?;
    ensure!(
        back.unknown == 0 || late.bytes_unconfirmed > 0,
        "{back}, and nothing unconfirmed"
    );
    sum += back;
    Ok((sum, late.beyond_grace))
}

/// What a destruction came to.
struct Destroyed {
    beyond_grace: Duration,
    unreceived: u64,
    bytes_unconfirmed: u64,
}

/// Destroys the group; nothing goes into it any more from then on.
fn destroy(group: ChannelGroup, book: &mut Collector, random: &mut Random) -> Result<Destroyed> {
    let poster = group.poster();
    let grace = Duration::from_millis(random.below(3) * random.below(20));
    let start = Instant::now();
    let report = group.destroy(grace);
    let took = start.elapsed();
    let late = poster.update_receiver(None);
    ensure!(
        late.is_err_and(|error| error.kind() == PostErrorKind::InvalidChannelGroup),
        "a destroyed group takes an update"
    );
    // The listener is one of them.
    let before = book.closed.len();
    ensure!(
        report.channels + before <= CHANNELS as usize + 1,
        "{} channels were open",
        report.channels
    );
    let (unreceived, bytes_unconfirmed) = (report.unreceived as u64, report.bytes_unconfirmed);
    for message in report.unsent {
        book.book(message).context("among the unsent")?;
    }
    Ok(Destroyed {
        beyond_grace: took.saturating_sub(grace),
        unreceived,
        bytes_unconfirmed,
    })
}
