//! The clients: whoever finds an engine by the directory and asks it, once or as fast as it goes.

use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_examples::{Outcome, close, connect, next_of_peer};

use crate::server::{SHARD, Work};

/// Bytes of a question.
pub(crate) const SIZE: usize = 64;

/// Questions in flight on each connection under load.
pub(crate) const WINDOW: usize = 32;

/// Asks the directory for an engine, and connects there.
fn connect_to_a_shard(
    engine: &Reactor,
    group: &mut ChannelGroup,
    directory: &Endpoint,
) -> Outcome<ChannelNumber> {
    let mut hello = engine.message()?;
    Address::connect_to(directory.clone()).format(&mut hello)?;
    let channel = group.post(hello)?.channel_number;
    let answer = next_of_peer(group)?;
    let shard = answer.text_headers().get_str(SHARD);
    let shard: Endpoint = shard.ok_or("the directory names no engine")??.parse()?;
    close(engine, group, channel)?;
    connect(engine, group, shard)
}

/// A client with questions, one after the other. Returns how many answers were right.
pub(crate) fn ask(directory: &Endpoint, questions: usize) -> Outcome<usize> {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect_to_a_shard(&engine, &mut group, directory)?;
    let mut right = 0;
    for number in 0..questions {
        let body = format!("question {number}");
        let mut question = engine.message()?;
        question.set_channel_number(channel);
        question.body_mut().append(body.as_bytes())?;
        group.post(question)?;
        let answer = next_of_peer(&mut group)?;
        let expected = Work::LITTLE.checksum(body.as_bytes());
        right += usize::from(answer.body().as_bytes() == expected);
    }
    close(&engine, &mut group, channel)?;
    Ok(right)
}

/// A client that keeps many connections busy: one engine and one thread for all of them.
pub(crate) struct Load {
    engine: Reactor,
    group: ChannelGroup,
    channels: Vec<ChannelNumber>,
}

impl Load {
    pub(crate) fn connect(directory: &Endpoint, connections: usize) -> Outcome<Load> {
        let engine = Reactor::start(Options::default())?;
        let mut group = engine.create()?;
        let channels = (0..connections)
            .map(|_| connect_to_a_shard(&engine, &mut group, directory))
            .collect::<Outcome<_>>()?;
        Ok(Load {
            engine,
            group,
            channels,
        })
    }

    /// Keeps the window of each connection full for that time. Returns the answers per second.
    pub(crate) fn run(mut self, time: Duration) -> Outcome<f64> {
        for index in 0..self.channels.len() {
            for _ in 0..WINDOW {
                let mut question = self.engine.message()?;
                question.set_channel_number(self.channels[index]);
                self.ask(question)?;
            }
        }
        let started = Instant::now();
        let mut answers = 0_u32;
        while started.elapsed() < time {
            let answer = next_of_peer(&mut self.group)?;
            self.ask(answer)?;
            answers += 1;
        }
        let rate = f64::from(answers) / started.elapsed().as_secs_f64();
        for _ in 0..self.channels.len() * WINDOW {
            next_of_peer(&mut self.group)?;
        }
        for &channel in &self.channels {
            close(&self.engine, &mut self.group, channel)?;
        }
        Ok(rate)
    }

    /// What was an answer goes out as the next question.
    fn ask(&self, mut question: Msg) -> Outcome {
        question.set_op_code(OpCode::Request);
        question.set_message_id(MessageId::UNASSIGNED);
        question.body_mut().replace(&[b'?'; SIZE])?;
        self.group.post(question)?;
        Ok(())
    }
}
