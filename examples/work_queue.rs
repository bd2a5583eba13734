//! A work queue, built from the four calls: jobs go to whichever worker is idle, answers go back.
//!
//! A producer posts its jobs as Requests and need not know who does them. A worker says in its Hello
//! that it is one, and is given the next job when it has answered the last. The queue keeps a job until
//! it is answered: a worker that is lost in the middle of one, as the second is here, costs nothing but
//! time, for the next worker gets the same job. (So a job may be done twice; here it is known which.)
//!
//! ```text
//! $ cargo run --release --example work_queue
//! worker 2 goes away in the middle of its first job
//! 100 jobs answered, each once
//! worker 1 did 54
//! worker 2 did 0
//! worker 3 did 46
//! 1 job was given out twice
//! ```

use std::collections::{HashMap, HashSet, VecDeque};
use std::thread;

use tofu::prelude::*;
use tofu_examples::{
    Outcome, any_port, close, connect, connect_saying, joined, listen, message_to, next,
    next_of_peer, unexpected,
};

const JOBS: u64 = 100;
const WORKERS: usize = 3;

/// Text header of a worker's Hello.
const WORKER: &str = "Worker";

fn main() -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let endpoint = listen(&engine, &mut group, any_port())?;
    let queue = Queue {
        engine,
        group,
        workers: HashMap::new(),
        waiting: VecDeque::new(),
        given_out: 0,
        is_over: false,
    };
    let queue = thread::spawn(|| queue.run());

    let mut workers = Vec::new();
    for number in 1..=WORKERS {
        let worker = Worker::new(number, endpoint.clone())?;
        workers.push(thread::spawn(|| worker.work()));
    }
    produce(endpoint)?;
    for (index, worker) in workers.into_iter().enumerate() {
        println!("worker {} did {}", index + 1, joined(worker)?);
    }
    println!("{} job was given out twice", joined(queue)? - JOBS);
    Ok(())
}

/// Posts all jobs at once, and takes the answers in whatever order they come.
fn produce(queue: Endpoint) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, queue)?;
    let mut open = HashSet::new();
    for number in 1..=JOBS {
        let mut job = message_to(&engine, channel, OpCode::Request)?;
        job.body_mut().append(&number.to_be_bytes())?;
        open.insert(group.post(job)?.message_id);
    }
    while !open.is_empty() {
        let answer = next_of_peer(&mut group)?;
        if !open.remove(&answer.message_id()) {
            return Err("a job was answered twice".into());
        }
    }
    println!("{JOBS} jobs answered, each once");
    close(&engine, &mut group, channel)
}

struct Worker {
    number: usize,
    engine: Reactor,
    group: ChannelGroup,
}

impl Worker {
    fn new(number: usize, queue: Endpoint) -> Outcome<Worker> {
        let engine = Reactor::start(Options::default())?;
        let mut group = engine.create()?;
        connect_saying(&engine, &mut group, queue, [(WORKER, &*number.to_string())])?;
        Ok(Worker {
            number,
            engine,
            group,
        })
    }

    /// Works until the queue says Bye. Returns how many jobs it did.
    fn work(mut self) -> Outcome<u32> {
        let mut done = 0;
        loop {
            match Incoming::from(next(&mut self.group)?) {
                Incoming::Peer(job) if job.op_code() == OpCode::Request && self.number == 2 => {
                    println!("worker 2 goes away in the middle of its first job");
                    drop((job, self.engine));
                    return Ok(done);
                }
                Incoming::Peer(mut message) => {
                    // What a real worker would do with a job, it would do here.
                    done += u32::from(message.op_code() == OpCode::Request);
                    message.make_reply();
                    self.group.post(message)?;
                }
                Incoming::Engine(Notice::ChannelClosed(_), _) => return Ok(done),
                other => return Err(unexpected(&other)),
            }
        }
    }
}

struct Queue {
    engine: Reactor,
    group: ChannelGroup,
    /// With the job that each does.
    workers: HashMap<ChannelNumber, Option<Msg>>,
    /// Jobs as they came, with their producers' channels and ids.
    waiting: VecDeque<Msg>,
    given_out: u64,
    /// The producer has left.
    is_over: bool,
}

impl Queue {
    /// Returns how often a job was given to a worker.
    fn run(mut self) -> Outcome<u64> {
        while !(self.is_over && self.workers.is_empty()) {
            let message = next(&mut self.group)?;
            let channel = message.channel_number();
            match Incoming::from(message) {
                Incoming::Peer(message) => self.take(channel, message)?,
                Incoming::Engine(Notice::ChannelClosed(_), _) => {
                    // Its job is the next to be given out.
                    let job = self.workers.remove(&channel).flatten();
                    job.into_iter().for_each(|job| self.waiting.push_front(job));
                }
                // A job that a lost worker did not get: it is kept anyway.
                Incoming::Engine(Notice::Returned, _) => {}
                other => return Err(unexpected(&other)),
            }
            self.give_out()?;
        }
        Ok(self.given_out)
    }

    fn take(&mut self, channel: ChannelNumber, mut message: Msg) -> Outcome {
        match message.op_code() {
            OpCode::Request => {
                self.waiting.push_back(message);
                return Ok(());
            }
            // Of a worker: goes to the producer whose job it was.
            OpCode::Response => {
                let job = self.workers.get_mut(&channel).and_then(Option::take);
                let job = job.ok_or("an answer to nothing")?;
                message.set_channel_number(job.channel_number());
                message.set_message_id(job.message_id());
                self.group.post(message)?;
                return Ok(());
            }
            OpCode::HelloRequest if message.text_headers().get(WORKER).is_some() => {
                self.workers.insert(channel, None);
            }
            OpCode::ByeRequest => self.is_over = true,
            _ => {}
        }
        if message.make_reply().is_some() {
            self.group.post(message)?;
        }
        if self.is_over {
            return self.say_bye();
        }
        Ok(())
    }

    fn give_out(&mut self) -> Outcome {
        let idle = self.workers.iter_mut().filter(|(_, job)| job.is_none());
        for (&channel, place) in idle {
            let Some(job) = self.waiting.pop_front() else {
                break;
            };
            let mut copy = self.engine.message()?;
            copy.clone_from(&job);
            copy.set_channel_number(channel);
            self.given_out += 1;
            copy.set_message_id(MessageId::new(self.given_out));
            // Refused means that the worker is gone: then its last word comes.
            let _gone = self.group.post(copy);
            *place = Some(job);
        }
        Ok(())
    }

    fn say_bye(&self) -> Outcome {
        for &channel in self.workers.keys() {
            let bye = message_to(&self.engine, channel, OpCode::ByeRequest)?;
            let _gone = self.group.post(bye);
        }
        Ok(())
    }
}
