//! Row 17: packets are lost, late, out of order, altered and repeated between two engines, by a relay
//! between networks of this row's own. Everything arrives, slower.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use tofu::prelude::*;
use tofu_testkit::Random;

use super::{Extent, progress};
use crate::kit::collector::{Collector, Event};
use crate::kit::ledger::{Balance, balance};
use crate::kit::mebibytes;
use crate::kit::relay::{self, Counts, FAR, NEAR, Weather, enter_device};
use crate::kit::side::Side;
use crate::kit::streams::{endless, join_all};
use crate::outcome::{Facts, Outcome};

/// The weathers, from one fault at a time to all of them.
const WEATHERS: [(&str, Weather); 3] = [
    ("late and out of order", weather(0, 0, 0, 20_000)),
    ("5 % lost", weather(50, 0, 0, 2000)),
    (
        "5 % lost, 1 % altered, 2 % twice, late",
        weather(50, 10, 20, 8000),
    ),
];

const fn weather(lost: u64, altered: u64, repeated: u64, delay: u64) -> Weather {
    Weather {
        lost,
        altered,
        repeated,
        delay,
    }
}

/// Channels between the two.
const CHANNELS: u32 = 4;

/// Filler bytes are drawn below this.
const LARGEST: u64 = 12_000;

/// How long the rest may take once nothing more is posted: a lost packet's repetition may be lost.
const REST: Duration = Duration::from_secs(60);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let mut facts = Facts::default();
    for (index, (name, weather)) in WEATHERS.into_iter().enumerate() {
        progress(name);
        let mut random = extent.random(index as u64);
        let length = Duration::from_secs(extent.pick(4, 20));
        // Each in networks of its own, and those belong to threads.
        let talk = thread::spawn(move || talk(weather, length, &mut random));
        let talk = talk.join().map_err(|_| anyhow!("a thread panicked"))?;
        match talk.with_context(|| name.to_owned())? {
            Err(why) => return Ok(Outcome::not_run(why)),
            Ok(talked) => talked.judge(name, &mut facts),
        }
    }
    Ok(facts.outcome())
}

/// What came of one conversation.
struct Talked {
    sum: Balance,
    bytes: u64,
    took: Duration,
    confirmed: bool,
    counts: Arc<Counts>,
}

impl Talked {
    fn judge(&self, name: &str, facts: &mut Facts) {
        let read = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let lost = self.sum.accepted - self.sum.delivered;
        facts.check(
            lost == 0 && self.confirmed,
            format!("{name}: {lost} of {} lost", self.sum.accepted),
        );
        let rate = self.bytes * 1000 / u64::try_from(self.took.as_millis().max(1)).unwrap_or(1);
        facts.note(format!("{}/s", mebibytes(rate)));
        facts.note(format!(
            "{} packets, {} lost, {} altered, {} twice, {} overtaken",
            read(&self.counts.packets),
            read(&self.counts.lost),
            read(&self.counts.altered),
            read(&self.counts.repeated),
            read(&self.counts.overtaken),
        ));
    }
}

/// Two engines talk in this weather. The inner error says why that cannot be tried here.
fn talk(weather: Weather, length: Duration, random: &mut Random) -> Result<Result<Talked, String>> {
    let near = match enter_device(NEAR, FAR) {
        Ok(near) => near,
        Err(why) => return Ok(Err(why)),
    };
    let far = thread::spawn(|| -> Result<_, String> {
        let device = enter_device(FAR, NEAR)?;
        let side = Side::start(Options::default());
        Ok((device, side.map_err(|error| format!("{error:#}"))?))
    });
    let far = far.join().map_err(|_| anyhow!("a thread panicked"))?;
    let (device, mut there) = match far {
        Ok(far) => far,
        Err(why) => return Ok(Err(why)),
    };
    let counts = relay::relay(near, device, weather, random);
    let mut here = Side::start(Options::default())?;
    let (_, endpoint) = there.listen_at(&Address::tcp_server(FAR, 0))?;
    let mut channels = [Vec::new(), Vec::new()];
    for _ in 0..CHANNELS {
        channels[0].push(here.hello(&endpoint)?);
        channels[1].push(there.accept()?);
        here.next()?;
    }
    let start = Instant::now();
    let sides = [here, there];
    let (sum, confirmed) = stream(sides, &channels, length, random)?;
    Ok(Ok(Talked {
        sum: sum.0,
        bytes: sum.1,
        took: start.elapsed(),
        confirmed,
        counts,
    }))
}

/// Streams both ways on all channels for a while, then takes what is under way and says goodbye;
/// the balance with the bytes, and whether every goodbye was answered.
fn stream(
    sides: [Side; 2],
    channels: &[Vec<ChannelNumber>; 2],
    length: Duration,
    random: &mut Random,
) -> Result<((Balance, u64), bool)> {
    let stop = Arc::new(AtomicBool::new(false));
    let mut threads = [Vec::new(), Vec::new()];
    let mut streams = 0..;
    for (side, (channels, threads)) in sides.iter().zip(channels.iter().zip(&mut threads)) {
        for (&channel, stream) in channels.iter().zip(&mut streams) {
            let random = Random::new(random.next_u64());
            threads.push(endless(side, channel, stream, LARGEST, random).spawn(&stop));
        }
    }
    let [here, there] = sides;
    let [here_channels, _] = channels.clone();
    let far_stop = Arc::clone(&stop);
    let far = thread::spawn(move || receive(there, &[], CHANNELS, &far_stop, length));
    let near = receive(here, &here_channels, CHANNELS, &stop, length)?;
    let far = far.join().map_err(|_| anyhow!("a thread panicked"))??;
    let [from_here, from_there] = threads;
    let mut sum = balance(&join_all(from_here)?, &far.0.delivered, &near.0.returned)?;
    sum += balance(&join_all(from_there)?, &near.0.delivered, &far.0.returned)?;
    let confirmed = near.0.closed.values().all(|info| info.confirmed);
    Ok(((sum, near.1 + far.1), confirmed))
}

/// One side's application until all of its channels have ended. Whoever has said Hello says goodbye
/// when the time is over. Returns the books and the bytes received.
fn receive(
    mut side: Side,
    own: &[ChannelNumber],
    count: u32,
    stop: &AtomicBool,
    length: Duration,
) -> Result<(Collector, u64)> {
    let mut collector = Collector::default();
    let end = Instant::now() + length;
    let mut has_said_goodbye = own.is_empty();
    while collector.closed.len() < usize::try_from(count)? {
        ensure!(Instant::now() < end + REST, "the rest does not arrive");
        if Instant::now() >= end {
            stop.store(true, Ordering::Relaxed);
        }
        if !has_said_goodbye && Instant::now() >= end + Duration::from_millis(100) {
            has_said_goodbye = true;
            for &channel in own {
                let bye = side.message(OpCode::ByeRequest, channel)?;
                side.group.post_timeout(bye, REST)?;
            }
        }
        let Some(message) = side.group.wait_receive(Duration::from_millis(20))? else {
            continue;
        };
        if let Event::Other(mut message) = collector.take(message)? {
            // A ByeRequest; a ByeResponse has no answer.
            if message.make_reply().is_some() {
                side.group.post(message)?;
            }
        }
    }
    let bytes = side.engine.stats().bytes_received;
    Ok((collector, bytes))
}
