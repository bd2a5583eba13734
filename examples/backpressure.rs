//! A fast sender and a receiver that does not receive: what is posted is bounded, and nothing is lost.
//!
//! First nobody receives, and the sender posts until no room is left: its send queue, the buffers of
//! the two kernels and the receiver's inbox are full, and nothing else holds messages. Then the
//! receiver begins, and the sender goes on, in each of the two ways: refused, it waits for the
//! engine's notice that there is room again, beside whatever else it has to wait for; or it lets
//! `post_timeout` wait, where it has nothing else to do.
//!
//! ```text
//! $ cargo run --release --example backpressure
//! nobody receives: 2597 messages of 1 KiB were taken, the next was refused: queue_full
//! with the notice: 20000 messages arrived in order, the sender waited 613 times for room
//! with post_timeout: 20000 messages arrived in order, posting them took 0.04 s
//! ```
//!
//! (How many fit depends on the system's buffers.)

use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, any_port, close, connect, joined, listen, message_to, next, next_of_peer,
    unexpected,
};

/// Messages that are sent in each way.
const COUNT: u64 = 20_000;

/// No room for so long: then nobody takes anything.
const A_WHILE: Duration = Duration::from_millis(100);

fn main() -> Outcome {
    // Small limits, so that they are soon reached.
    let receiving = Reactor::start(Options::default().inbox_messages(64))?;
    let sending = Reactor::start(Options::default().send_queue_bytes(64 * 1024))?;
    let mut group = receiving.create()?;
    let endpoint = listen(&receiving, &mut group, any_port())?;
    let (begin, may_begin) = channel();
    let receiver = thread::spawn(move || receive(group, &may_begin));

    let mut group = sending.create()?;
    let channel = connect(&sending, &mut group, endpoint)?;
    let mut sender = Sender {
        engine: sending,
        group,
        channel,
        posted: 0,
    };
    let refused = sender.post_while_there_is_room(u64::MAX, A_WHILE)?.1;
    println!(
        "nobody receives: {} messages of 1 KiB were taken, the next was refused: {}",
        sender.posted,
        refused.map_or(Status::SUCCESS, |kind| kind.status()),
    );
    begin.send(())?;
    sender.send_with_the_notice()?;
    sender.send_with_post_timeout()?;
    close(&sender.engine, &mut sender.group, channel)?;
    joined(receiver)
}

/// Greets, waits until it may begin, and then counts; what comes must be in order.
fn receive(mut group: ChannelGroup, may_begin: &Receiver<()>) -> Outcome {
    let mut received: u64 = 0;
    loop {
        match Incoming::from(next(&mut group)?) {
            Incoming::Peer(message) if message.op_code() == OpCode::Signal => {
                received += 1;
                if message.message_id().value() != received {
                    return Err(format!("message {received} is missing").into());
                }
            }
            // The Hello, the Bye, and Requests that ask how far we are.
            Incoming::Peer(mut message) => {
                let is_hello = message.op_code() == OpCode::HelloRequest;
                message.make_reply();
                message.body_mut().replace(&received.to_be_bytes())?;
                group.post(message)?;
                if is_hello {
                    may_begin.recv_timeout(PATIENCE)?;
                }
            }
            Incoming::Engine(Notice::ChannelClosed(_), _) => return Ok(()),
            other => return Err(unexpected(&other)),
        }
    }
}

struct Sender {
    engine: Reactor,
    group: ChannelGroup,
    channel: ChannelNumber,
    /// The messages are counted from 1, in their ids.
    posted: u64,
}

impl Sender {
    fn send_with_the_notice(&mut self) -> Outcome {
        let (waits, refused) = self.post_while_there_is_room(self.posted + COUNT, PATIENCE)?;
        if refused.is_some() {
            return Err("the receiver takes nothing".into());
        }
        self.check_that_all_arrived()?;
        println!(
            "with the notice: {COUNT} messages arrived in order, \
             the sender waited {waits} times for room"
        );
        Ok(())
    }

    fn send_with_post_timeout(&mut self) -> Outcome {
        let started = Instant::now();
        for _ in 0..COUNT {
            self.group.post_timeout(self.next_message()?, PATIENCE)?;
            self.posted += 1;
        }
        let seconds = started.elapsed().as_secs_f64();
        self.check_that_all_arrived()?;
        println!(
            "with post_timeout: {COUNT} messages arrived in order, \
             posting them took {seconds:.2} s"
        );
        Ok(())
    }

    /// Posts up to message `last`. Returns how often it waited for room, and how a post was refused
    /// when none came within `patience`.
    fn post_while_there_is_room(
        &mut self,
        last: u64,
        patience: Duration,
    ) -> Outcome<(u32, Option<PostErrorKind>)> {
        let mut waits = 0;
        while self.posted < last {
            match self.group.post(self.next_message()?) {
                Ok(_) => self.posted += 1,
                Err(refused) if refused.kind() == PostErrorKind::QueueFull => {
                    // The message is in `refused`, unchanged; this one is easily made anew.
                    if !self.room_comes(patience)? {
                        return Ok((waits, Some(refused.kind())));
                    }
                    waits += 1;
                }
                Err(refused) => return Err(refused.into()),
            }
        }
        Ok((waits, None))
    }

    /// Waits for the notice that follows a refusal.
    fn room_comes(&mut self, patience: Duration) -> Outcome<bool> {
        match self.group.wait_receive(patience)?.map(Incoming::from) {
            None => Ok(false),
            Some(Incoming::Engine(Notice::SendQueueReady, _)) => Ok(true),
            Some(other) => Err(unexpected(&other)),
        }
    }

    fn next_message(&self) -> Outcome<Msg> {
        let mut message = message_to(&self.engine, self.channel, OpCode::Signal)?;
        message.set_message_id(MessageId::new(self.posted + 1));
        message.body_mut().append(&[7; 1024])?;
        Ok(message)
    }

    /// Asks the receiver, which answers when it has taken everything before the question.
    fn check_that_all_arrived(&mut self) -> Outcome {
        let question = message_to(&self.engine, self.channel, OpCode::Request)?;
        self.group.post_timeout(question, PATIENCE)?;
        let answer = next_of_peer(&mut self.group)?;
        match answer.body().as_bytes() == self.posted.to_be_bytes() {
            true => Ok(()),
            false => Err("messages were lost".into()),
        }
    }
}
