//! Row 28: hostile bytes beside an honest conversation: recorded ones, random ones, and good frames
//! with something changed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tofu::prelude::*;
use tofu_testkit::{End, Random, RawPeer};

use super::{Extent, progress};
use crate::kit::raw::{frame, hello_bytes};
use crate::kit::side::{BOTH, Side, Transport};
use crate::kit::streams::join;
use crate::kit::{LIMIT, milliseconds};
use crate::outcome::{Facts, Outcome};

/// What the original implementation was attacked with; tofu-msg keeps it.
const RECORDED: &str = include_str!("../../../tofu-msg/tests/data/malformed.json");

/// The longest that the honest neighbour may ever wait.
const LONGEST: Duration = Duration::from_millis(200);

/// When a hostile connection must have ended once its peer has.
const ENDED_BY: Duration = Duration::from_secs(5);

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    let recorded = Arc::new(recorded()?);
    let panics = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&panics);
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        counted.fetch_add(1, Ordering::Relaxed);
        print(panic);
    }));
    let mut facts = Facts::default();
    for transport in BOTH {
        progress(&transport.to_string());
        attack(transport, extent, &recorded, &mut facts).with_context(|| transport.to_string())?;
    }
    let panics = panics.load(Ordering::Relaxed);
    facts.check(panics == 0, format!("{panics} panics"));
    Ok(facts.outcome())
}

fn attack(
    transport: Transport,
    extent: &Extent,
    recorded: &Arc<Vec<Vec<u8>>>,
    facts: &mut Facts,
) -> Result<()> {
    let mut server = Side::start(Options::default())?;
    let endpoint = server.listen(transport)?;
    let mut honest = Side::start(Options::default())?;
    let stop = Arc::new(AtomicBool::new(false));
    let stopped = Arc::clone(&stop);
    let application = thread::spawn(move || serve(&mut server, &stopped));
    let channel = honest.connect(&endpoint.endpoint)?;
    let length = Duration::from_secs(extent.pick(5, 60));
    let mut random = extent.random(28 + transport as u64);
    let attackers: Vec<_> = (0..2)
        .map(|_| {
            let attacker = Attacker {
                endpoint: endpoint.endpoint.clone(),
                random: Random::new(random.next_u64()),
                recorded: Arc::clone(recorded),
            };
            thread::spawn(move || attacker.run(length))
        })
        .collect();
    let mut slowest = Duration::ZERO;
    let mut answered = 0_u64;
    while !attackers.iter().all(thread::JoinHandle::is_finished) {
        slowest = slowest.max(honest.round_trip(channel)?);
        answered += 1;
    }
    let mut inputs = 0;
    for attacker in attackers {
        inputs += join(attacker)?;
    }
    honest.round_trip(channel)?;
    stop.store(true, Ordering::Relaxed);
    join(application)?;
    facts.check(
        slowest <= LONGEST,
        format!(
            "{transport}: {inputs} inputs, {answered} honest answers, slowest {}",
            milliseconds(slowest)
        ),
    );
    Ok(())
}

/// The application: answers everybody who may be answered.
fn serve(side: &mut Side, stop: &AtomicBool) -> Result<()> {
    while !stop.load(Ordering::Relaxed) {
        let Some(mut message) = side.group.wait_receive(Duration::from_millis(20))? else {
            continue;
        };
        if message.origin() == Origin::Peer && message.make_reply().is_some() {
            // What a hostile peer made impossible is refused, and that is all.
            let _ = side.group.post(message);
        }
    }
    Ok(())
}

struct Attacker {
    endpoint: Endpoint,
    random: Random,
    recorded: Arc<Vec<Vec<u8>>>,
}

impl Attacker {
    /// Every recorded input once, then others until the time is over; how many.
    fn run(mut self, length: Duration) -> Result<u64> {
        let end = Instant::now() + length;
        let hello = hello_bytes(&self.endpoint)?;
        let mut inputs = 0;
        for recorded in Arc::clone(&self.recorded).iter() {
            for says_hello in [true, false] {
                let greeting = if says_hello { &hello[..] } else { &[] };
                self.send(&[greeting, recorded].concat())?;
                inputs += 1;
            }
        }
        while Instant::now() < end {
            let bytes = self.invent(&hello)?;
            self.send(&bytes)?;
            inputs += 1;
        }
        Ok(inputs)
    }

    /// Sends this, and sees the connection end: nobody waits for anything.
    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        let mut raw = RawPeer::connect(&self.endpoint)?;
        raw.set_send_deadline(ENDED_BY);
        // It may be closed before all is said.
        if raw.send(bytes).is_err() || raw.shutdown_write().is_err() {
            return Ok(());
        }
        if self.random.below(4) == 0 {
            return Ok(raw.reset()?);
        }
        let (_, end) = raw.receive_all(ENDED_BY);
        ensure!(
            end != End::Timeout,
            "still open {ENDED_BY:?} after its end: {bytes:02x?}"
        );
        Ok(())
    }

    /// A greeting and some frames with something changed, or nothing but noise.
    fn invent(&mut self, hello: &[u8]) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if self.random.below(8) > 0 {
            bytes.extend_from_slice(hello);
        }
        if self.random.below(4) == 0 {
            let noise = usize::try_from(self.random.below(3000))?;
            bytes.extend(self.random.bytes(noise));
            return Ok(bytes);
        }
        for _ in 0..self.random.below(6) {
            let op_codes = OpCode::ALL.len() as u64;
            let op_code = OpCode::ALL[usize::try_from(self.random.below(op_codes))?];
            let mut message = Message::new(op_code);
            message.set_message_id(MessageId::new(self.random.below(4)));
            message.set_more(self.random.below(8) == 0);
            let filler = usize::try_from(self.random.below(200))?;
            message.body_mut().append(&self.random.bytes(filler))?;
            bytes.extend(frame(&message));
        }
        self.change(&mut bytes)?;
        Ok(bytes)
    }

    /// Flips bits, and cuts something off.
    fn change(&mut self, bytes: &mut Vec<u8>) -> Result<()> {
        if bytes.is_empty() {
            return Ok(());
        }
        for _ in 0..self.random.below(4) {
            let place = usize::try_from(self.random.below(bytes.len() as u64))?;
            bytes[place] ^= 1 << self.random.below(8);
        }
        if self.random.below(3) == 0 {
            bytes.truncate(usize::try_from(self.random.below(bytes.len() as u64))?);
        }
        Ok(())
    }
}

/// The recorded inputs that stand in the file as they are.
fn recorded() -> Result<Vec<Vec<u8>>> {
    let entries: Vec<Value> = serde_json::from_str(RECORDED)?;
    let digits = entries.iter().filter_map(|entry| entry["raw_hex"].as_str());
    let inputs: Vec<Vec<u8>> = digits.map(unhex).collect::<Result<_>>()?;
    ensure!(inputs.len() > 20, "only {} recorded inputs", inputs.len());
    Ok(inputs)
}

fn unhex(digits: &str) -> Result<Vec<u8>> {
    let pairs = digits.as_bytes().chunks(2);
    pairs
        .map(|pair| Ok(u8::from_str_radix(std::str::from_utf8(pair)?, 16)?))
        .collect()
}

/// The longest wait for a connection that never comes must not pass for one that ended.
const _: () = assert!(ENDED_BY.as_secs() <= LIMIT.as_secs());
