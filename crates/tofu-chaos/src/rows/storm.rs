//! Row `cycles`, second part: four times eight threads make engines, groups, listeners and
//! connections, all at once, round after round. Nothing hangs and nothing is left.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;
use tofu_testkit::{descriptor_count, threads_named};

use super::bye_cycles::await_descriptors;
use super::raw_cycles::TOLERANCE;
use super::{Extent, progress};
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::streams::join;
use crate::kit::{LIMIT, milliseconds};
use crate::outcome::Facts;

const ENGINES: usize = 4;
const THREADS: usize = 8;

pub(super) fn run(extent: &Extent, facts: &mut Facts) -> Result<()> {
    let rounds = extent.pick(10, 50);
    let before = descriptor_count()?;
    let mut slowest = Duration::ZERO;
    for round in 0..rounds {
        progress(&format!("storm {round}"));
        let start = Instant::now();
        storm().with_context(|| format!("storm {round}"))?;
        slowest = slowest.max(start.elapsed());
        let left = threads_named("tofu-reactor")?;
        ensure!(left == 0, "{left} engine threads are left");
    }
    let after = await_descriptors(before)?;
    facts.note(format!(
        "{ENGINES}x{THREADS} threads, {rounds} rounds, slowest {}",
        milliseconds(slowest)
    ));
    facts.check(
        after.abs_diff(before) <= TOLERANCE,
        format!("0 threads and {} descriptors left", after.abs_diff(before)),
    );
    Ok(())
}

fn storm() -> Result<()> {
    let engines: Vec<_> = (0..ENGINES).map(|_| thread::spawn(one_engine)).collect();
    engines.into_iter().try_for_each(join)
}

/// An engine, and eight threads that use it.
fn one_engine() -> Result<()> {
    let engine = Reactor::start(Options::default())?;
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let engine = engine.clone();
            thread::spawn(move || converse(&engine, BOTH[thread % 2]))
        })
        .collect();
    let outcome = threads.into_iter().try_for_each(join);
    let report = engine.shutdown(LIMIT);
    outcome?;
    ensure!(report.complete, "{report:?}");
    Ok(())
}

/// Two groups, a listener and two connections; one says Bye, the other is destroyed.
fn converse(engine: &Reactor, transport: Transport) -> Result<()> {
    let side = || -> Result<Side> {
        Ok(Side {
            engine: engine.clone(),
            group: engine.create()?,
        })
    };
    let (mut server, mut client) = (side()?, side()?);
    let listening = server.listen(transport)?;
    for polite in [true, false] {
        let channel = client.hello(&listening.endpoint)?;
        let at_server = server.accept()?;
        client.next()?;
        let request = client.message(OpCode::Request, channel)?;
        client.group.post(request)?;
        let request = server.next()?;
        ensure!(request.op_code() == OpCode::Request, "{request:?}");
        if polite {
            client
                .group
                .post(client.message(OpCode::ByeRequest, channel)?)?;
            let mut bye = server.next()?;
            bye.make_reply();
            server.group.post(bye)?;
            client.next()?;
            client.closed(channel, LIMIT)?;
            server.closed(at_server, LIMIT)?;
        }
    }
    let report = client.group.destroy(LIMIT);
    ensure!(report.complete, "{report:?}");
    let report = server.group.destroy(LIMIT);
    ensure!(report.complete, "{report:?}");
    Ok(())
}
