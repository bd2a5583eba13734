//! The same echo server twice, on a loop that waits in calls and as a task of tokio on the async face:
//! `cargo bench --bench async_face`.
//!
//! The server is a process of its own, started anew for each round, and the rounds of both alternate. The
//! client is the same for both: it keeps so many requests of 64 bytes on the way on every connection.
//! Further arguments: `-- --connections 1000 --window 16 --seconds 2 --rounds 5`.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_benches::{Failure, next};

const BODY: [u8; 64] = [7; 64];

/// The server's face, as its process is told.
const FACES: [&str; 3] = ["calls", "tokio", "tokio with one thread"];

/// Not counted.
const WARM_UP: Duration = Duration::from_millis(500);

struct Work {
    connections: usize,
    window: usize,
    seconds: u64,
    rounds: usize,
}

fn main() -> Result<(), Failure> {
    allow_descriptors()?;
    if let Some(face) = argument("--serve") {
        return serve(&face);
    }
    let work = Work {
        connections: number("--connections", 1000)?,
        window: number("--window", 16)?,
        seconds: number("--seconds", 2)?,
        rounds: number("--rounds", 5)?,
    };
    let mut rates = [const { Vec::new() }; FACES.len()];
    for _ in 0..work.rounds {
        for (face, rates) in FACES.iter().zip(&mut rates) {
            rates.push(round(face, &work)?);
        }
    }
    report(&work, rates);
    Ok(())
}

fn report(work: &Work, rates: [Vec<f64>; FACES.len()]) {
    let (connections, window) = (work.connections, work.window);
    println!("{connections} connections, {window} requests on the way on each; million echoes/s");
    let medians = FACES.iter().zip(rates).map(|(face, mut rates)| {
        rates.sort_by(f64::total_cmp);
        let (least, most) = (rates[0], rates[rates.len() - 1]);
        let median = rates[rates.len() / 2];
        println!("{face:<22} median {median:.3}, from {least:.3} to {most:.3}");
        median
    });
    let medians: Vec<f64> = medians.collect();
    let (first, others) = (medians[0], &medians[1..]);
    for (face, median) in FACES[1..].iter().zip(others) {
        println!("{face} over {}: {:.2}", FACES[0], median / first);
    }
}

/// What follows `name` among the arguments.
fn argument(name: &str) -> Option<String> {
    let mut arguments = std::env::args().skip_while(|argument| argument != name);
    arguments.nth(1)
}

fn number<T: std::str::FromStr>(name: &str, default: T) -> Result<T, Failure>
where
    Failure: From<T::Err>,
{
    Ok(argument(name).map_or(Ok(default), |text| text.parse())?)
}

/// As many open files as the system lets this process have.
fn allow_descriptors() -> Result<(), Failure> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit)?;
    Ok(())
}

/// Listens, says where, and answers until the client is gone and ends the process.
fn serve(face: &str) -> Result<(), Failure> {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let mut welcome = engine.message()?;
    Address::tcp_server("127.0.0.1", 0).format(&mut welcome)?;
    group.post(welcome)?;
    let ready = next(&mut group)?;
    println!("{}", Address::parse(&ready)?);
    if face == "calls" {
        return serve_by_calls(group);
    }
    let runtime = match face {
        "tokio" => tokio::runtime::Builder::new_multi_thread().build()?,
        _ => tokio::runtime::Builder::new_current_thread().build()?,
    };
    runtime.block_on(runtime.spawn(serve_by_awaiting(group)))?
}

fn serve_by_calls(mut group: ChannelGroup) -> Result<(), Failure> {
    while let Some(msg) = group.wait_receive(Duration::MAX)? {
        if let Some(answer) = answer(msg) {
            post(&group, answer)?;
        }
    }
    Ok(())
}

async fn serve_by_awaiting(mut group: ChannelGroup) -> Result<(), Failure> {
    loop {
        let msg = group.receive().await?;
        if let Some(answer) = answer(msg) {
            group.post_async(answer).await?;
        }
    }
}

/// What the server says to it.
fn answer(mut msg: Msg) -> Option<Msg> {
    let asks = msg.origin() == Origin::Peer && msg.make_reply().is_some();
    asks.then_some(msg)
}

/// Posts, and waits where there is no room.
fn post(group: &ChannelGroup, msg: Msg) -> Result<(), Failure> {
    match group.post(msg) {
        Err(error) if error.kind() == PostErrorKind::QueueFull => {
            group.post_timeout(error.into_message(), Duration::MAX)?;
        }
        posted => drop(posted?),
    }
    Ok(())
}

/// A server process; ends with this.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself, and then there is nothing to do.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Million echoes a second of one server.
fn round(face: &str, work: &Work) -> Result<f64, Failure> {
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["--serve", face]).stdout(Stdio::piped());
    let mut server = Server(command.spawn()?);
    let output = server.0.stdout.take().ok_or("the server has no output")?;
    let mut endpoint = String::new();
    BufReader::new(output).read_line(&mut endpoint)?;
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channels = connect(&engine, &mut group, &endpoint.trim().parse()?, work)?;
    for channel in channels.iter().cycle().take(channels.len() * work.window) {
        let mut request = engine.message()?;
        request.set_channel_number(*channel);
        request.body_mut().append(&BODY)?;
        post(&group, request)?;
    }
    echoes(&mut group, WARM_UP)?;
    let start = Instant::now();
    let count = echoes(&mut group, Duration::from_secs(work.seconds))?;
    Ok(count as f64 / start.elapsed().as_secs_f64() / 1e6)
}

/// Opens all connections.
fn connect(
    engine: &Reactor,
    group: &mut ChannelGroup,
    endpoint: &Endpoint,
    work: &Work,
) -> Result<Vec<ChannelNumber>, Failure> {
    let mut channels = Vec::new();
    for _ in 0..work.connections {
        let mut hello = engine.message()?;
        Address::connect_to(endpoint.clone()).format(&mut hello)?;
        channels.push(group.post(hello)?.channel_number);
        let answer = next(group)?;
        if answer.op_code() != OpCode::HelloResponse || !answer.status().is_success() {
            return Err(format!("no connection: {answer:?}").into());
        }
    }
    Ok(channels)
}

/// Answers each response by the next request, for so long; how many there were.
fn echoes(group: &mut ChannelGroup, time: Duration) -> Result<u64, Failure> {
    let deadline = Instant::now() + time;
    let mut count = 0_u64;
    while count % 256 != 0 || Instant::now() < deadline {
        let mut msg = next(group)?;
        match (msg.origin(), msg.op_code()) {
            (Origin::Peer, OpCode::Response) => {
                count += 1;
                msg.set_op_code(OpCode::Request);
                post(group, msg)?;
            }
            // Room in a send queue, or none in the pool: no news here.
            (Origin::Engine, OpCode::Signal) => {}
            _ => return Err(format!("an end in the middle of it: {msg:?}").into()),
        }
    }
    Ok(count)
}
