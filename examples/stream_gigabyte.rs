//! A gigabyte through one small process: a stream that never is in memory as a whole.
//!
//! `Chunks` posts what it reads, as fast as the other side takes it. There a `Reassembler` gives out a
//! `StreamReader`, from which another thread reads the bytes as they come, and compares each with what
//! it should be. Both sides are in this process, so the most memory that it ever had is that of both;
//! the program fails if that is above its limit.
//!
//! ```text
//! $ cargo run --release --example stream_gigabyte
//! 1073741824 bytes sent in 32768 messages, 1073741824 received as they were sent
//! in 0.71 s: 1442 MiB/s
//! most memory of both sides together: 19.6 MiB, and 64 MiB are allowed
//! ```

use std::io::{self, Read};
use std::thread;
use std::time::Instant;

use tofu::helpers::{Chunks, Reassembler, Received, StreamLimits, StreamReader};
use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, any_port, close, connect, joined, listen, next, next_of_peer, unexpected,
};

const GIGABYTE: u64 = 1 << 30;

/// The most memory that this process may ever have resident, in KiB.
const ALLOWED: u32 = 64 * 1024;

fn main() -> Outcome {
    // What has come and waits is bounded by this, however slow the reader may be.
    let server = Reactor::start(Options::default().inbox_bytes(4 * 1024 * 1024))?;
    let mut group = server.create()?;
    let endpoint = listen(&server, &mut group, any_port())?;
    let service = thread::spawn(move || serve(group));

    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, endpoint)?;
    let mut first = engine.message()?;
    first.set_channel_number(channel);
    let started = Instant::now();
    let content = Content::new().take(GIGABYTE);
    let sent = Chunks::new(&engine, first, content).post_all(&group.poster(), PATIENCE)?;
    let answer = next_of_peer(&mut group)?;
    let time = started.elapsed().as_secs_f64();
    let received = u64::from_be_bytes(answer.body().as_ref().try_into()?);
    close(&engine, &mut group, channel)?;
    joined(service)?;

    println!(
        "{} bytes sent in {} messages, {received} received as they were sent",
        sent.bytes, sent.parts
    );
    println!("in {time:.2} s: {:.0} MiB/s", 1024.0 / time);
    match (sent.bytes, received) {
        (GIGABYTE, GIGABYTE) => check_memory(),
        _ => Err("some bytes are missing".into()),
    }
}

/// A block of bytes that look random, again and again. Its length is prime: a part that was lost,
/// doubled or out of its place would be seen.
struct Content {
    block: Vec<u8>,
    place: usize,
}

impl Content {
    fn new() -> Content {
        let mut state = 0x9e37_79b9_7f4a_7c15_u64;
        let byte = |_| {
            state = state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            state.to_be_bytes()[0]
        };
        Content {
            block: (0..65_521).map(byte).collect(),
            place: 0,
        }
    }

    /// As much of the next `len` bytes as the block has before it begins anew.
    fn next(&mut self, len: usize) -> &[u8] {
        let start = self.place;
        let end = self.block.len().min(start + len);
        self.place = end % self.block.len();
        &self.block[start..end]
    }
}

impl Read for Content {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let next = self.next(buffer.len());
        buffer[..next.len()].copy_from_slice(next);
        Ok(next.len())
    }
}

/// The receive loop: feeds the reassembler, and lets another thread read what comes out.
fn serve(mut group: ChannelGroup) -> Outcome {
    let mut streams =
        Reassembler::new(StreamLimits::default()).read_if(|head| head.op_code() == OpCode::Request);
    let mut comparing = None;
    loop {
        let message = next(&mut group)?;
        match streams.feed_timeout(message, Instant::now(), PATIENCE) {
            Received::Part => {}
            Received::Begun(reader) => {
                let poster = group.poster();
                comparing = Some(thread::spawn(move || compare(reader, &poster)));
            }
            Received::Other(message) => match Incoming::from(message) {
                // A HelloRequest or a ByeRequest.
                Incoming::Peer(mut message) => {
                    message.make_reply();
                    group.post(message)?;
                }
                other => return Err(unexpected(&other)),
            },
            // The client has left.
            Received::Closed(..) => return comparing.map_or(Ok(()), joined),
            other => return Err(format!("{other:?}").into()),
        }
    }
}

/// Compares what comes with what should come, and answers how many bytes that were.
fn compare(mut reader: StreamReader, poster: &Poster) -> Outcome {
    let mut expected = Content::new();
    let mut buffer = vec![0; 64 * 1024];
    let mut bytes = 0;
    loop {
        let len = reader.read(&mut buffer)?;
        let mut read = &buffer[..len];
        if read.is_empty() {
            break;
        }
        while !read.is_empty() {
            let expected = expected.next(read.len());
            let (compared, rest) = read.split_at(expected.len());
            if compared != expected {
                return Err(format!("something else came behind byte {bytes}").into());
            }
            read = rest;
        }
        bytes += len as u64;
    }
    let mut answer = reader.head().clone();
    answer.make_reply();
    answer.body_mut().append(&bytes.to_be_bytes())?;
    poster.post(Msg::from(answer))?;
    Ok(())
}

/// Looks how much memory this process ever had resident, where the system tells it (Linux does).
fn check_memory() -> Outcome {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let most = status.lines().find_map(|line| {
        let kibibytes = line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?;
        kibibytes.trim().parse::<u32>().ok()
    });
    let Some(most) = most else {
        println!("this system does not tell how much memory that took");
        return Ok(());
    };
    println!(
        "most memory of both sides together: {:.1} MiB, and {} MiB are allowed",
        f64::from(most) / 1024.0,
        ALLOWED / 1024
    );
    match most <= ALLOWED {
        true => Ok(()),
        false => Err("that is too much".into()),
    }
}
