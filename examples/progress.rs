//! Two long jobs at once over one channel, with progress told by Signals before each Response.
//!
//! The client asks how many primes there are up to two numbers, and shows how far each count is. A Signal or a Response belongs to the
//! Request whose message id it has, so any number of jobs may run side by side. The server works on
//! each in a thread of its own; whatever thread posts, the order of one thread's messages is kept, so
//! a job's Response is the last that is heard of it.
//!
//! ```text
//! $ cargo run --release --example progress
//! short:  25 %
//! long:   10 %
//! short:  50 %
//! ...
//! short: 9592 primes
//! long:   90 %
//! long: 25997 primes
//! both jobs told 12 times how far they were
//! ```

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use tofu::prelude::*;
use tofu_examples::{
    Outcome, any_port, close, connect, joined, listen, message_to, next, next_of_peer, number_in,
    unexpected,
};

/// Text headers of a Request: what to call the job, and how often it is to tell how far it is.
const JOB: &str = "Job";
const STEPS: &str = "Steps";

fn main() -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let endpoint = listen(&engine, &mut group, any_port())?;
    let service_engine = engine.clone();
    let service = thread::spawn(move || serve(&service_engine, group));

    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, endpoint)?;
    let mut jobs = BTreeMap::new();
    for (name, steps, numbers) in [("short", 4, 100_000_u64), ("long", 10, 300_000)] {
        let mut request = message_to(&engine, channel, OpCode::Request)?;
        let headers = request.text_headers_mut();
        headers.append(JOB, name)?;
        headers.append(STEPS, steps.to_string())?;
        request.body_mut().append(&numbers.to_be_bytes())?;
        jobs.insert(group.post(request)?.message_id, name);
    }
    let told = watch(&mut group, jobs)?;
    println!("both jobs told {told} times how far they were");
    close(&engine, &mut group, channel)?;
    joined(service)?;
    engine.shutdown(Duration::from_secs(1));
    Ok(())
}

/// Shows what is heard of the jobs until all are done. Returns how many Signals came.
fn watch(group: &mut ChannelGroup, mut jobs: BTreeMap<MessageId, &str>) -> Outcome<u32> {
    let mut told = 0;
    while !jobs.is_empty() {
        let message = next_of_peer(group)?;
        let id = message.message_id();
        let name = *jobs
            .get(&id)
            .ok_or("news of a job that was not asked for")?;
        let number = number_in(&message)?;
        if message.op_code() == OpCode::Signal {
            println!("{name}: {number:>3} %");
            told += 1;
        } else {
            println!("{name}: {number} primes");
            jobs.remove(&id);
        }
    }
    Ok(told)
}

/// Greets, starts a thread for each Request, and ends with the client.
fn serve(engine: &Reactor, mut group: ChannelGroup) -> Outcome {
    loop {
        match Incoming::from(next(&mut group)?) {
            Incoming::Peer(message) if message.op_code() == OpCode::Request => {
                let (engine, poster) = (engine.clone(), group.poster());
                thread::spawn(move || count_primes(&engine, &poster, message));
            }
            Incoming::Peer(mut message) => {
                message.make_reply();
                group.post(message)?;
            }
            Incoming::Engine(Notice::ChannelClosed(_), _) => return Ok(()),
            other => return Err(unexpected(&other)),
        }
    }
}

/// One job: counts the primes below the number in the Request.
fn count_primes(engine: &Reactor, poster: &Poster, mut request: Msg) -> Outcome {
    let end = number_in(&request)?;
    let steps = request.text_headers().get_str(STEPS).ok_or("no steps")??;
    let steps: u64 = steps.parse()?;
    let mut count: u64 = 0;
    for step in 0..steps {
        let numbers = step * end / steps..(step + 1) * end / steps;
        count += numbers.filter(is_prime).count() as u64;
        if step + 1 < steps {
            let mut signal = message_to(engine, request.channel_number(), OpCode::Signal)?;
            signal.set_message_id(request.message_id());
            let percent = (step + 1) * 100 / steps;
            signal.body_mut().append(&percent.to_be_bytes())?;
            poster.post(signal)?;
        }
    }
    request.make_reply();
    request.body_mut().replace(&count.to_be_bytes())?;
    poster.post(request)?;
    Ok(())
}

/// Slow on purpose.
fn is_prime(number: &u64) -> bool {
    let mut divisors = (2..).take_while(|divisor| divisor * divisor <= *number);
    *number > 1 && divisors.all(|divisor| number % divisor != 0)
}
