//! A worker: says what it understands, prints what it is sent, leaves when it has done its share.

use std::time::Duration;

use tofu::prelude::*;
use tofu_examples::{Outcome, message_to, unexpected};

use crate::{JOBS, PDL};

/// Prints `jobs` jobs, or fewer if the server says Bye before.
pub(crate) fn work(pdl: &str, address: &str, jobs: u32) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut worker = Worker {
        group: engine.create()?,
        engine,
        jobs,
        pages: 0,
    };
    let mut hello = worker.engine.message()?;
    Address::connect_to(address.parse()?).format(&mut hello)?;
    hello.text_headers_mut().append(PDL, pdl)?;
    hello.text_headers_mut().append(JOBS, jobs.to_string())?;
    worker.group.post(hello)?;
    worker.serve()
}

struct Worker {
    engine: Reactor,
    group: ChannelGroup,
    /// Still to be printed.
    jobs: u32,
    /// Of the job at hand, printed.
    pages: u32,
}

impl Worker {
    fn serve(&mut self) -> Outcome {
        // There may be nothing to print for hours.
        while let Some(message) = self.group.wait_receive(Duration::MAX)? {
            match Incoming::from(message) {
                Incoming::Peer(message) => self.obey(message)?,
                Incoming::Engine(Notice::ChannelClosed(info), _)
                    if info.cause.status().is_success() =>
                {
                    println!("left in good order");
                    return Ok(());
                }
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }

    fn obey(&mut self, mut message: Msg) -> Outcome {
        match message.op_code() {
            OpCode::HelloResponse => println!("connected to {}", Address::parse(&message)?),
            OpCode::Request => self.print(message)?,
            // No more jobs. If our own Bye has just gone, too, both are answered.
            OpCode::ByeRequest => {
                message.make_reply();
                self.group.post(message)?;
            }
            _ => {}
        }
        Ok(())
    }

    /// Prints a page and tells of it; the last page of a job is answered, too.
    fn print(&mut self, mut page: Msg) -> Outcome {
        let (channel, job) = (page.channel_number(), page.message_id());
        self.pages += 1;
        println!("job {job}: {}", page.body().escape_ascii());

        let mut signal = message_to(&self.engine, channel, OpCode::Signal)?;
        signal.set_message_id(job);
        signal.body_mut().append(&self.pages.to_be_bytes())?;
        self.group.post(signal)?;
        if page.more() {
            return Ok(());
        }

        page.make_reply();
        page.body_mut().replace(&self.pages.to_be_bytes())?;
        self.group.post(page)?;
        println!("job {job} is printed");
        self.pages = 0;
        self.jobs -= 1;
        if self.jobs == 0 {
            let bye = message_to(&self.engine, channel, OpCode::ByeRequest)?;
            self.group.post(bye)?;
        }
        Ok(())
    }
}
