//! Row 24: thousands of connections that never say Hello, half of them a byte a second, and an
//! honest one that does.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use tofu::prelude::*;

use super::{Extent, progress};
use crate::kit::child::Child;
use crate::kit::raw::dial;
use crate::kit::side::{Side, Transport};
use crate::kit::{LIMIT, measure, milliseconds};
use crate::outcome::{Facts, Outcome};

/// Silent connections, and as many slow ones.
const EACH: usize = 2000;

/// Descriptors that both processes need, with room to spare.
const DESCRIPTORS: u64 = 4500;

/// When an honest Hello must be answered.
const ANSWERED_BY: Duration = Duration::from_millis(200);

/// How long connecting the crowd may take.
const GATHERED_BY: Duration = Duration::from_secs(20);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let allowed = measure::raise_descriptor_limit()?;
    if allowed < DESCRIPTORS {
        return Ok(Outcome::not_run(format!(
            "only {allowed} descriptors are allowed here"
        )));
    }
    let mut facts = Facts::default();
    let transports: &[Transport] = extent.pick(&[Transport::Tcp], &crate::kit::side::BOTH);
    for &transport in transports {
        progress(&transport.to_string());
        besiege(transport, extent, &mut facts).with_context(|| transport.to_string())?;
    }
    Ok(facts.outcome())
}

fn besiege(transport: Transport, extent: &Extent, facts: &mut Facts) -> Result<()> {
    let mut side = Side::start(Options::default())?;
    let listening = side.listen(transport)?;
    let crowd = Child::start(&[
        "crowd".to_owned(),
        format!("--to={}", listening.endpoint),
        format!("--silent={EACH}"),
        format!("--slow={EACH}"),
    ])?;
    crowd.expect("ready", GATHERED_BY)?;
    let watched = Duration::from_secs(extent.pick(13, 60));
    let endpoint = listening.endpoint.clone();
    let guest = thread::spawn(move || visit(&endpoint, watched));
    // The application: it answers each Hello.
    while !guest.is_finished() {
        let Some(mut message) = side.group.wait_receive(Duration::from_millis(20))? else {
            continue;
        };
        if message.op_code() == OpCode::HelloRequest {
            message.make_reply();
            side.group.post(message)?;
        }
    }
    let mut times = crate::kit::streams::join(guest)?;
    let turnover = crowd
        .lines_so_far()
        .iter()
        .filter_map(|line| line.strip_prefix("turnover ")?.parse::<u64>().ok())
        .next_back()
        .unwrap_or(0);
    times.sort_unstable();
    let slowest = times.last().copied().unwrap_or(LIMIT);
    facts.check(
        slowest <= ANSWERED_BY,
        format!(
            "{transport}: {} Hellos answered, median {}, slowest {}",
            times.len(),
            milliseconds(times[times.len() / 2]),
            milliseconds(slowest)
        ),
    );
    facts.check(
        turnover > 0,
        format!("{turnover} of {} shown out and back", EACH * 2),
    );
    Ok(())
}

/// Connects, says Hello and leaves, again and again; how long each answer took, from before the
/// connect.
fn visit(endpoint: &Endpoint, watched: Duration) -> Result<Vec<Duration>> {
    let end = Instant::now() + watched;
    let mut times = Vec::new();
    while Instant::now() < end {
        let start = Instant::now();
        let mut raw = dial(endpoint)?;
        let connected = start.elapsed();
        raw.receive_frame(LIMIT)?.context("shown out")?;
        let answered = start.elapsed();
        if answered > ANSWERED_BY {
            println!(
                "connected after {}, answered after {}",
                milliseconds(connected),
                milliseconds(answered)
            );
        }
        times.push(answered);
        thread::sleep(Duration::from_millis(20));
    }
    Ok(times)
}
