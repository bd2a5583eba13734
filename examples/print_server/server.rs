//! The server: knows the jobs and the workers, and brings them together.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use tofu::chnls::Cause;
use tofu::prelude::*;
use tofu_examples::{Outcome, message_to, unexpected};

use crate::{JOBS, PDL};

/// What is to be printed.
struct Job {
    number: u64,
    title: &'static str,
    pdl: &'static str,
    pages: u32,
}

const fn job(number: u64, title: &'static str, pdl: &'static str, pages: u32) -> Job {
    Job {
        number,
        title,
        pdl,
        pages,
    }
}

struct Worker {
    pdl: String,
    /// So many more jobs it will take; with none left it says Bye.
    jobs: u32,
    job: Option<Job>,
}

impl Worker {
    fn introduced_by(hello: &Message) -> Outcome<Worker> {
        let header = |name| hello.text_headers().get_str(name);
        Ok(Worker {
            pdl: header(PDL).ok_or("no PDL")??.to_owned(),
            jobs: header(JOBS).ok_or("no number of jobs")??.parse()?,
            job: None,
        })
    }
}

struct Server {
    engine: Reactor,
    group: ChannelGroup,
    /// Jobs that no worker has.
    waiting: Vec<Job>,
    workers: BTreeMap<ChannelNumber, Worker>,
    jobs_done: u32,
}

/// Serves until all jobs are done and all workers have left.
pub(crate) fn serve(address: &str) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut server = Server {
        group: engine.create()?,
        engine,
        waiting: vec![
            job(1, "Invoice", "PostScript", 3),
            job(2, "Letter", "PCL", 2),
            job(3, "Report", "PostScript", 5),
            job(4, "Label", "PCL", 1),
        ],
        workers: BTreeMap::new(),
        jobs_done: 0,
    };
    let mut welcome = server.engine.message()?;
    Address::listen_on(address.parse()?).format(&mut welcome)?;
    server.group.post(welcome)?;
    server.run()?;
    println!("all {} jobs are done", server.jobs_done);
    server.engine.shutdown(Duration::from_secs(1));
    Ok(())
}

impl Server {
    fn run(&mut self) -> Outcome {
        while let Some(message) = self.group.wait_receive(Duration::MAX)? {
            let channel = message.channel_number();
            match Incoming::from(message) {
                Incoming::Peer(message) => self.hear(channel, message)?,
                Incoming::Engine(Notice::ListenerReady, message) => {
                    println!("serving on {}", Address::parse(&message)?);
                }
                Incoming::Engine(Notice::ChannelClosed(info), _) => self.lose(channel, &info.cause),
                failed @ Incoming::Engine(Notice::ListenFailed, _) => {
                    return Err(unexpected(&failed));
                }
                // A page that was not sent, and the last word on the channel follows; or a pause.
                Incoming::Engine(..) | Incoming::Update(_) => {}
            }
            self.hand_out()?;
            if self.is_done() {
                self.say_bye()?;
                if self.workers.is_empty() {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn hear(&mut self, channel: ChannelNumber, mut message: Msg) -> Outcome {
        let job = message.message_id();
        match message.op_code() {
            OpCode::HelloRequest => match Worker::introduced_by(&message) {
                Ok(worker) => {
                    println!("channel {channel}: a worker for {}", worker.pdl);
                    self.workers.insert(channel, worker);
                }
                Err(error) => {
                    println!("channel {channel}: turned away: {error}");
                    message.set_op_code(OpCode::ByeSignal);
                    return post(&self.group, message);
                }
            },
            OpCode::Signal => {
                let page = number_in(&message);
                println!("channel {channel}: job {job}, page {page} is printed");
            }
            OpCode::Response => {
                let pages = number_in(&message);
                println!("channel {channel}: job {job} is done: {pages} pages");
                if let Some(worker) = self.workers.get_mut(&channel) {
                    worker.job = None;
                    self.jobs_done += 1;
                }
            }
            _ => {}
        }
        match message.op_code() {
            OpCode::HelloRequest | OpCode::ByeRequest => {
                message.make_reply();
                post(&self.group, message)
            }
            _ => Ok(()),
        }
    }

    /// A worker is gone. What it had not finished is there for the next.
    fn lose(&mut self, channel: ChannelNumber, cause: &Cause) {
        let Some(worker) = self.workers.remove(&channel) else {
            return;
        };
        match cause.status().is_success() {
            true => println!("channel {channel}: the worker has left in good order"),
            false => println!("channel {channel}: the worker is lost: {cause}"),
        }
        self.waiting.extend(worker.job);
    }

    /// Gives each idle worker a job that it understands, if there is one.
    fn hand_out(&mut self) -> Outcome {
        for (&channel, worker) in &mut self.workers {
            if worker.job.is_some() || worker.jobs == 0 {
                continue;
            }
            let fits = |job: &Job| job.pdl == worker.pdl;
            let Some(place) = self.waiting.iter().position(fits) else {
                continue;
            };
            let job = self.waiting.remove(place);
            println!(
                "channel {channel}: job {} \"{}\" for it",
                job.number, job.title
            );
            send(&self.engine, &self.group, channel, &job)?;
            worker.job = Some(job);
            worker.jobs -= 1;
        }
        Ok(())
    }

    fn is_done(&self) -> bool {
        self.waiting.is_empty() && self.workers.values().all(|worker| worker.job.is_none())
    }

    /// To those who wait for more jobs, once; the others say it themselves.
    fn say_bye(&mut self) -> Outcome {
        for (&channel, worker) in self
            .workers
            .iter_mut()
            .filter(|(_, worker)| worker.jobs > 0)
        {
            worker.jobs = 0;
            post(
                &self.group,
                message_to(&self.engine, channel, OpCode::ByeRequest)?,
            )?;
        }
        Ok(())
    }
}

/// One Request of many messages, a page in each.
fn send(engine: &Reactor, group: &ChannelGroup, channel: ChannelNumber, job: &Job) -> Outcome {
    for number in 1..=job.pages {
        let mut page = message_to(engine, channel, OpCode::Request)?;
        page.set_message_id(MessageId::new(job.number));
        page.set_more(number < job.pages);
        write!(
            page.body_mut(),
            "{} page {number} of {}, in {}",
            job.title,
            job.pages,
            job.pdl
        )?;
        post(group, page)?;
    }
    Ok(())
}

/// Posts to a worker that may be gone by now: then the last word on its channel comes.
fn post(group: &ChannelGroup, message: Msg) -> Outcome {
    match group.post(message) {
        Err(refused) if refused.kind() != PostErrorKind::ChannelClosed => Err(refused.into()),
        _ => Ok(()),
    }
}

/// The number in a worker's message; 0 if it has sent none.
fn number_in(message: &Message) -> u32 {
    let bytes = message.body().first_chunk();
    bytes.map_or(0, |bytes| u32::from_be_bytes(*bytes))
}
