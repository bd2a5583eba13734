//! Two engines in one process: everything that one sends comes back from the other, equal.
//!
//! Over TCP and over a Unix domain socket: bodies and text headers of every class of size up to the
//! longest, compared byte by byte; then two streams with a bounded number of messages in flight,
//! for the rate; then a goodbye that the other side confirms. Ends with failure unless all of it
//! went well.
//!
//! ```text
//! $ cargo run --release --example echo
//! over   checked   equal   64 B echoed   per second   32 KiB echoed   MiB/s   closed
//! tcp       1081    1081        300000      1213387           10000    1012   confirmed
//! uds       1081    1081        300000      1309198           10000    2049   confirmed
//! every message came back equal over both transports
//! ```
//!
//! (The rates depend on the machine; MiB/s counts one direction.)

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_examples::{Outcome, close, connect, listen, message_to, next, next_of_peer, unexpected};

/// The longest body, and the longest block of text headers, in bytes.
const LONGEST: usize = 65_535;

/// The text header that is made long. A line has three bytes beside its name and its value.
const FILLER: &str = "Filler";
const LONGEST_VALUE: usize = LONGEST - FILLER.len() - 3;

/// Messages in flight while streaming.
const WINDOW: u64 = 64;

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("echo: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Outcome {
    let socket = std::env::temp_dir().join(format!("tofu-echo-{}.sock", std::process::id()));
    let tcp = Address::tcp_server("127.0.0.1", 0).into_endpoint();
    let uds = Address::uds_server(socket).into_endpoint();

    println!("over   checked   equal   64 B echoed   per second   32 KiB echoed   MiB/s   closed");
    for (name, endpoint) in [("tcp", tcp), ("uds", uds)] {
        let seen = talk_over(endpoint)?;
        seen.print(name);
        if seen.equal != seen.checked {
            return Err("a message came back changed".into());
        }
    }
    println!("every message came back equal over both transports");
    Ok(())
}

/// What was seen over one transport.
struct Seen {
    checked: usize,
    equal: usize,
    small: Stream,
    large: Stream,
}

/// How many messages went there and back, and how long that took.
struct Stream {
    count: u64,
    time: Duration,
}

impl Seen {
    fn print(&self, name: &str) {
        let Seen {
            checked,
            equal,
            small,
            large,
        } = self;
        println!(
            "{name:<6} {checked:>7} {equal:>7} {:>13} {:>12.0} {:>15} {:>7.0}   confirmed",
            small.count,
            small.count as f64 / small.time.as_secs_f64(),
            large.count,
            large.count as f64 / large.time.as_secs_f64() / 32.0,
        );
    }
}

/// Starts a server, talks to it, and ends both.
fn talk_over(endpoint: Endpoint) -> Outcome<Seen> {
    let server = Reactor::start(Options::default())?;
    let mut group = server.create()?;
    let endpoint = listen(&server, &mut group, endpoint)?;
    let service = thread::spawn(move || serve(group));

    let seen = talk_to(endpoint);
    if seen.is_err() {
        // Nothing else would end the service.
        server.shutdown(Duration::from_secs(1));
    }
    let served = service.join().map_err(|_| "the service panicked")?;
    let seen = seen?;
    served.map(|()| seen)
}

/// The service: sends every message back, until the client has left in good order.
fn serve(mut group: ChannelGroup) -> Outcome {
    loop {
        match Incoming::from(next(&mut group)?) {
            Incoming::Peer(mut message) => {
                message.make_reply();
                group.post(message)?;
            }
            Incoming::Engine(Notice::ChannelClosed(info), _)
                if info.cause.status().is_success() =>
            {
                return Ok(());
            }
            other => return Err(unexpected(&other)),
        }
    }
}

fn talk_to(endpoint: Endpoint) -> Outcome<Seen> {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, endpoint)?;
    let mut client = Client {
        engine,
        group,
        channel,
    };

    let cases = cases();
    let mut equal = 0;
    for &(value_len, body_len) in &cases {
        equal += usize::from(client.comes_back_equal(value_len, body_len)?);
    }
    let small = client.stream(300_000, 64)?;
    let large = client.stream(10_000, 32 * 1024)?;
    close(&client.engine, &mut client.group, channel)?;
    Ok(Seen {
        checked: cases.len(),
        equal,
        small,
        large,
    })
}

/// Lengths of the text header's value and of the body: each from nothing to the longest while the
/// other is short, and both at their longest.
fn cases() -> Vec<(usize, usize)> {
    let bodies = lengths(LONGEST).into_iter().map(|len| (5, len));
    let values = lengths(LONGEST_VALUE).into_iter().map(|len| (len, 3));
    bodies
        .chain(values)
        .chain([(LONGEST_VALUE, LONGEST)])
        .collect()
}

/// Every length up to 256, every power of two with its neighbours, the longest, and enough between.
fn lengths(longest: usize) -> Vec<usize> {
    let powers = (0..16).map(|bit| 1_usize << bit);
    let mut lengths: Vec<usize> = powers
        .flat_map(|power| [power - 1, power, power + 1])
        .collect();
    lengths.extend(0..=256);
    lengths.extend((256..longest).step_by(251));
    lengths.push(longest);
    lengths.sort_unstable();
    lengths.dedup();
    lengths
}

struct Client {
    engine: Reactor,
    group: ChannelGroup,
    channel: ChannelNumber,
}

impl Client {
    /// Sends one message and compares what comes back.
    fn comes_back_equal(&mut self, value_len: usize, body_len: usize) -> Outcome<bool> {
        let mut request = message_to(&self.engine, self.channel, OpCode::Request)?;
        let value: Vec<u8> = (b'a'..=b'z').cycle().take(value_len).collect();
        request.text_headers_mut().append(FILLER, value)?;
        let body: Vec<u8> = (0..=u8::MAX)
            .cycle()
            .skip(body_len % 256)
            .take(body_len)
            .collect();
        request.body_mut().append(&body)?;

        let sent = Message::clone(&request);
        let id = self.group.post(request)?.message_id;
        let answer = next_of_peer(&mut self.group)?;
        Ok(answer.op_code() == OpCode::Response
            && answer.message_id() == id
            && answer.text_headers() == sent.text_headers()
            && answer.body() == sent.body())
    }

    /// Keeps a window of messages in flight until `count` have come back, in order.
    fn stream(&mut self, count: u64, body_len: usize) -> Outcome<Stream> {
        let started = Instant::now();
        for id in 1..=WINDOW {
            let mut request = message_to(&self.engine, self.channel, OpCode::Request)?;
            request.body_mut().append(&vec![0; body_len])?;
            self.post_as(id, request)?;
        }
        for id in 1..=count {
            let answer = next_of_peer(&mut self.group)?;
            if answer.message_id().value() != id || answer.body().len() != body_len {
                return Err(format!("answer {id} of the stream is not the one expected").into());
            }
            // What was an answer goes out as the next request.
            if id + WINDOW <= count {
                self.post_as(id + WINDOW, answer)?;
            }
        }
        Ok(Stream {
            count,
            time: started.elapsed(),
        })
    }

    fn post_as(&self, id: u64, mut request: Msg) -> Outcome {
        request.set_op_code(OpCode::Request);
        request.set_message_id(MessageId::new(id));
        self.group.post(request)?;
        Ok(())
    }
}
