//! Other threads talk to the receiving thread, through the same call in which it waits for peers.
//!
//! A service counts primes. Its receiving thread hands each Request to one of three workers; a worker
//! tells the receiving thread what it has done, by `update_receiver` with a message, and posts the
//! answer itself, for any thread may post. In the end the main thread wakes the receiving thread
//! without a message, which here means "stop". So one `wait_receive` is all that the service waits
//! in: no second queue, no flag to poll.
//!
//! ```text
//! $ cargo run --release --example update_receiver
//! primes below 10000: 1229
//! primes below 20000: 2262
//! ...
//! primes below 80000: 7837
//! the workers reported 8 answers, then the service was woken to end
//! ```
//!
//! (The answers come in any order; their ids tell which is which.)

use std::collections::BTreeMap;
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use tofu::prelude::*;
use tofu_examples::{
    Outcome, any_port, close, connect, joined, listen, message_to, next, next_of_peer, number_in,
    unexpected,
};

const WORKERS: usize = 3;
const QUESTIONS: u64 = 8;

fn main() -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let endpoint = listen(&engine, &mut group, any_port())?;
    let waker = group.poster();
    let service = thread::spawn(move || serve(group));

    for (limit, count) in ask_all(&engine, endpoint)? {
        println!("primes below {limit}: {count}");
    }
    waker.update_receiver(None)?;
    let answered = joined(service)?;
    println!("the workers reported {answered} answers, then the service was woken to end");
    engine.shutdown(Duration::from_secs(1));
    Ok(())
}

/// The receiving thread. Returns how many answers the workers have reported.
fn serve(mut group: ChannelGroup) -> Outcome<u32> {
    let (questions, queue) = channel();
    let queue = Arc::new(Mutex::new(queue));
    for _ in 0..WORKERS {
        let (queue, poster) = (Arc::clone(&queue), group.poster());
        thread::spawn(move || work(&queue, &poster));
    }
    let mut answered = 0;
    loop {
        match Incoming::from(next(&mut group)?) {
            Incoming::Peer(message) if message.op_code() == OpCode::Request => {
                questions.send(message)?;
            }
            // A HelloRequest or a ByeRequest.
            Incoming::Peer(mut message) => {
                message.make_reply();
                group.post(message)?;
            }
            // Nothing in it: somebody just wants us to wake up.
            Incoming::Update(message) if message.body().is_empty() => return Ok(answered),
            Incoming::Update(_) => answered += 1,
            Incoming::Engine(Notice::ChannelClosed(_), _) => {}
            other => return Err(unexpected(&other)),
        }
    }
}

/// Answers questions until there are no more, and tells the receiving thread of each.
fn work(queue: &Mutex<Receiver<Msg>>, poster: &Poster) -> Outcome {
    loop {
        let received = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok(mut message) = received else {
            return Ok(());
        };
        let count = primes_below(number_in(&message)?);
        let mut report = Message::new(OpCode::Signal);
        report.body_mut().append(b"answered one")?;
        poster.update_receiver(Some(report.into()))?;

        message.make_reply();
        message.body_mut().replace(&count.to_be_bytes())?;
        poster.post(message)?;
    }
}

/// Asks everything at once, then takes the answers as they come.
fn ask_all(engine: &Reactor, endpoint: Endpoint) -> Outcome<BTreeMap<u64, u64>> {
    let mut group = engine.create()?;
    let channel = connect(engine, &mut group, endpoint)?;
    let mut asked = BTreeMap::new();
    for limit in (1..=QUESTIONS).map(|number| number * 10_000) {
        let mut request = message_to(engine, channel, OpCode::Request)?;
        request.body_mut().append(&limit.to_be_bytes())?;
        asked.insert(group.post(request)?.message_id, limit);
    }
    let mut answers = BTreeMap::new();
    while !asked.is_empty() {
        let answer = next_of_peer(&mut group)?;
        let limit = asked.remove(&answer.message_id());
        answers.insert(limit.ok_or("an answer to nothing")?, number_in(&answer)?);
    }
    close(engine, &mut group, channel)?;
    Ok(answers)
}

/// Slow on purpose.
fn primes_below(limit: u64) -> u64 {
    let is_prime = |number: &u64| {
        let mut divisors = (2..).take_while(|divisor| divisor * divisor <= *number);
        divisors.all(|divisor| number % divisor != 0)
    };
    (2..limit).filter(is_prime).map(|_| 1).sum()
}
