//! Row 3: the peer is there and nothing gets through, in a network of this row's own.
//!
//! Three channels of one engine: an idle one, which the keepalive gives up when a question asked
//! behind the user timeout stays unanswered (on Linux that timeout takes the place of the number of
//! questions); one with bytes
//! under way, which the kernel gives up; and one with a full queue, which is the write stall's.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tofu::prelude::*;

use super::{Extent, progress};
use crate::kit::collector::Collector;
use crate::kit::ledger::{Delivered, balance};
use crate::kit::namespace::{enter_network, set_loopback};
use crate::kit::raw::RawPlace;
use crate::kit::side::{Side, Transport};
use crate::kit::streams::{endless, join};
use crate::outcome::{Facts, Outcome};
use crate::rows::reset::check_sent;

const IDLE: Duration = Duration::from_secs(1);
const INTERVAL: Duration = Duration::from_secs(1);
const PROBES: u32 = 2;
const STALL: Duration = Duration::from_secs(2);
/// The least that the engine gives the kernel with that write stall.
const USER_TIMEOUT: Duration = Duration::from_secs(17);
/// How much later than configured it may be.
const GRACE: Duration = Duration::from_secs(2);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    if let Err(why) = enter_network() {
        return Ok(Outcome::not_run(why));
    }
    let options = Options::default()
        .keepalive_idle(IDLE)
        .keepalive_interval(INTERVAL)
        .keepalive_probes(PROBES)
        .write_stall_timeout(STALL)
        .tcp_user_timeout(USER_TIMEOUT);
    let place = RawPlace::new(Transport::Tcp)?;
    let mut side = Side::start(options)?;
    let mut channels = Vec::new();
    let mut raws = Vec::new();
    for _ in 0..3 {
        channels.push(side.hello(place.endpoint())?);
        raws.push(place.greet()?);
    }
    let [idle, underway, flooded] = channels[..] else {
        return Ok(Outcome::failed("three channels were asked for"));
    };
    set_loopback("down")?;
    let cut = Instant::now();
    side.group.post(side.message(OpCode::Request, underway)?)?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(&side, flooded, 1, 30_000, extent.random(0)).spawn(&stop);
    let mut facts = Facts::default();
    let mut collector = Collector::default();
    for (name, channel, configured) in [
        ("full queue", flooded, STALL),
        ("idle", idle, USER_TIMEOUT + INTERVAL),
        ("bytes under way", underway, USER_TIMEOUT),
    ] {
        progress(name);
        let info = collector
            .until_closed(&mut side.group, channel, USER_TIMEOUT + GRACE * 2)
            .with_context(|| format!("the {name} channel"))?;
        let took = cut.elapsed();
        let text = format!(
            "{name}: {} after {:.1} s of {:.0} s",
            info.cause,
            took.as_secs_f64(),
            configured.as_secs_f64()
        );
        facts.check(took <= configured + GRACE, text);
    }
    stop.store(true, Ordering::Relaxed);
    let accepted = join(stream)?.accepted;
    let none = Delivered::default();
    let sum = balance(&[(1, accepted)].into(), &none, &collector.returned)?;
    // Three HelloRequests, and the Request that was under way.
    check_sent(&collector, &sum, 4)?;
    facts.note(sum.to_string());
    drop(raws);
    Ok(facts.outcome())
}
