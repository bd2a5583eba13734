//! Row 1: the stream of bytes is cut at every place, where it is read and where it is written, and the
//! messages are the same.
//!
//! Exhaustively over streams in memory; by a raw peer on real sockets, which waits at each place
//! until the engine has read so far; and with send buffers as small as the kernel makes them.

mod memory;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tofu::prelude::*;

use self::memory::{Cut, Pair};
use super::{Extent, progress};
use crate::kit::LIMIT;
use crate::kit::collector::{Collector, Event};
use crate::kit::ledger::balance;
use crate::kit::namespace::enter_network;
use crate::kit::raw::{frame, hello_bytes};
use crate::kit::side::{BOTH, Side, Transport, connected_pair};
use crate::kit::streams::{endless, join};
use crate::outcome::{Facts, Outcome};

/// The conversation is longer than this, so every place up to here is cut.
const PLACES: usize = 300;

/// Frames from here on travel by pointer, so that both kinds are cut.
const LARGE: usize = 64;

/// How long the small buffers are written through.
const LENGTH: Duration = Duration::from_secs(3);

/// Where the kernel is told how large a send buffer is.
const BUFFERS: &str = "/proc/sys/net/ipv4/tcp_wmem";

pub(crate) fn run(extent: &Extent) -> Result<Outcome> {
    // First, for it moves this thread; the rest runs in that network as well.
    let network = enter_network();
    let mut facts = Facts::default();
    progress("in memory");
    let count = cut_in_memory()?;
    facts.note(format!("{count} conversations in memory, all the same"));
    for transport in BOTH {
        progress(&transport.to_string());
        let places = cut_by_peer(transport).with_context(|| transport.to_string())?;
        facts.check(
            places >= PLACES,
            format!("{transport}: cut at {places} places, all the same"),
        );
    }
    progress("small buffers");
    match network.and_then(|()| make_buffers_small()) {
        Ok(()) => write_through(extent, &mut facts)?,
        Err(why) => facts.note(format!("small buffers: not run, {why}")),
    }
    Ok(facts.outcome())
}

fn options() -> Options {
    Options::default().large_message(LARGE)
}

/// What is said: small and large ones, empty ones, with and without text headers.
fn messages() -> Result<Vec<Message>> {
    let mut messages = Vec::new();
    for (index, (op_code, len)) in [
        (OpCode::Request, 0),
        (OpCode::Signal, 3),
        (OpCode::Request, 100),
        (OpCode::Signal, 1),
        (OpCode::Request, 70),
    ]
    .into_iter()
    .enumerate()
    {
        let mut message = Message::new(op_code);
        message.set_message_id(MessageId::new(index as u64 + 10));
        if index % 2 == 0 {
            let headers = message.text_headers_mut();
            headers.append("index", index.to_string())?;
        }
        let body = (0..len).map(|byte: u8| byte.wrapping_mul(37));
        message.body_mut().append(&body.collect::<Vec<_>>())?;
        messages.push(message);
    }
    Ok(messages)
}

/// The received message is the sent one.
fn compare(sent: &Message, received: &Message, channel: ChannelNumber) -> Result<()> {
    ensure!(
        received.op_code() == sent.op_code()
            && received.origin() == Origin::Peer
            && received.message_id() == sent.message_id()
            && received.channel_number() == channel
            && received.text_headers().as_bytes() == sent.text_headers().as_bytes()
            && received.body().as_bytes() == sent.body().as_bytes(),
        "instead of {sent:?}: {received:?}"
    );
    Ok(())
}

/// Both directions, cut at every place in each way; how many conversations that were.
fn cut_in_memory() -> Result<usize> {
    let mut count = 0;
    for place in 1..=PLACES {
        for cut in [Cut::Behind(place), Cut::Every(place)] {
            for (reads, writes) in [(cut, Cut::Nowhere), (Cut::Nowhere, cut), (cut, cut)] {
                converse(reads, writes)
                    .with_context(|| format!("reads cut {reads:?}, writes cut {writes:?}"))?;
                count += 1;
            }
        }
    }
    Ok(count)
}

fn converse(reads: Cut, writes: Cut) -> Result<()> {
    let mut pair = Pair::new(&options(), reads, writes)?;
    let channels = pair.connect()?;
    let messages = messages()?;
    for (side, &channel) in channels.iter().enumerate() {
        for message in &messages {
            let mut message = message.clone();
            message.set_channel_number(channel);
            pair.post(side, message)?;
        }
    }
    for (side, &channel) in channels.iter().enumerate() {
        for message in &messages {
            let received = pair.receive(side)?;
            compare(message, &received, channel)?;
        }
    }
    Ok(())
}

/// One connection for each place of a conversation's bytes; how many those are.
fn cut_by_peer(transport: Transport) -> Result<usize> {
    let mut side = Side::start(options())?;
    let listening = side.listen(transport)?;
    let messages = messages()?;
    let mut bytes = hello_bytes(&listening.endpoint)?;
    bytes.extend(messages.iter().flat_map(frame));
    for place in 1..bytes.len() {
        let raw = tofu_testkit::RawPeer::connect(&listening.endpoint)?;
        let before = side.engine.stats().bytes_received;
        raw.send(&bytes[..place])?;
        let deadline = Instant::now() + LIMIT;
        while side.engine.stats().bytes_received < before + place as u64 {
            ensure!(Instant::now() < deadline, "{place} bytes are not read");
            thread::sleep(Duration::from_micros(50));
        }
        raw.send(&bytes[place..])?;
        let channel = side.take_hello()?.channel_number();
        for message in &messages {
            let received = side.next()?;
            compare(message, &received, channel).with_context(|| format!("cut at {place}"))?;
        }
        drop(raw);
        side.closed(channel, LIMIT)?;
    }
    Ok(bytes.len() - 1)
}

/// From now on every connection of this network has the smallest send buffer there is.
fn make_buffers_small() -> Result<(), String> {
    std::fs::write(BUFFERS, "1 1 1").map_err(|error| format!("{BUFFERS}: {error}"))
}

/// Streams that no write takes whole.
fn write_through(extent: &Extent, facts: &mut Facts) -> Result<()> {
    let (mut here, channel, mut there, _, _listening) =
        connected_pair(Transport::Tcp, Options::default())?;
    let stop = Arc::new(AtomicBool::new(false));
    let stream = endless(&here, channel, 1, 60_000, extent.random(1)).spawn(&stop);
    let mut stream = Some(stream);
    let mut books = [Collector::default(), Collector::default()];
    let start = Instant::now();
    let mut accepted = 0;
    while books.iter().any(|book| book.closed.is_empty()) {
        ensure!(start.elapsed() < LENGTH + LIMIT * 2, "it does not end");
        if let Some(stream) = stream.take_if(|_| start.elapsed() > LENGTH) {
            stop.store(true, Ordering::Relaxed);
            accepted = join(stream)?.accepted;
            let bye = here.message(OpCode::ByeRequest, channel)?;
            here.group.post_timeout(bye, LIMIT)?;
        }
        for (side, book) in [&mut here, &mut there].into_iter().zip(&mut books) {
            while let Some(message) = side.group.wait_receive(Duration::from_millis(1))? {
                if let Event::Other(mut message) = book.take(message)? {
                    if message.make_reply().is_some() {
                        side.group.post(message)?;
                    }
                }
            }
        }
    }
    let [sender, receiver] = books;
    let sum = balance(
        &[(1, accepted)].into(),
        &receiver.delivered,
        &sender.returned,
    )?;
    let lost = accepted - sum.delivered;
    facts.check(
        lost == 0 && accepted > 0,
        format!("send buffers of the least size: {lost} of {accepted} lost"),
    );
    Ok(())
}
