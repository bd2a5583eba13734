//! Publish and subscribe, built from the four calls: a broker in between, topics in text headers.
//!
//! A subscriber lists its topics in its Hello, each standing for all that begins with it. A publisher
//! says one in each Signal, and the broker passes the Signal on to whoever wants it. A subscriber that
//! reads too slowly delays nobody: from the moment when its send queue is full it misses messages, and
//! when there is room again it is told how many. Here one does not read at all until the publisher has
//! left.
//!
//! ```text
//! $ cargo run --release --example pub_sub
//! all weather: received 20000, missed 0
//! rome and news: received 20000, missed 0
//! reads late: received 8245, missed 21755
//! nothing was lost in silence
//! ```
//!
//! (How much the late one misses depends on the system's buffers.)

use std::collections::HashMap;
use std::thread;

use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, any_port, close, connect, connect_saying, joined, listen, message_to, next,
    unexpected,
};

const TOPICS: [&str; 3] = ["weather/paris", "weather/rome", "news"];

/// Messages that are published on each topic.
const COUNT: u64 = 10_000;

/// Text headers: of a Hello, what is wanted, and of a Signal, what it is about; of a Signal of the
/// broker, how many messages it could not pass on.
const TOPIC: &str = "Topic";
const MISSED: &str = "Missed";

fn main() -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let endpoint = listen(&engine, &mut group, any_port())?;
    let broker = Broker {
        engine,
        group,
        subscribers: HashMap::new(),
        is_over: false,
    };
    let broker = thread::spawn(|| broker.run());

    let subscribe = |name, topics: &[_]| Subscription::new(name, topics, endpoint.clone());
    let weather = subscribe("all weather", &["weather/"])?;
    let some = subscribe("rome and news", &["weather/rome", "news"])?;
    let late = subscribe("reads late", &["weather/", "news"])?;
    let at_once = [weather, some].map(|it| thread::spawn(|| it.receive_all()));
    publish(endpoint)?;
    late.receive_all()?;
    at_once.into_iter().try_for_each(joined)?;
    joined(broker)?;
    println!("nothing was lost in silence");
    Ok(())
}

fn publish(broker: Endpoint) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, broker)?;
    for _ in 0..COUNT {
        for topic in TOPICS {
            let mut message = message_to(&engine, channel, OpCode::Signal)?;
            message.text_headers_mut().append(TOPIC, topic)?;
            message.body_mut().append(&[0; 1024])?;
            group.post_timeout(message, PATIENCE)?;
        }
    }
    // Confirmed means that the broker has taken all of it.
    close(&engine, &mut group, channel)
}

/// A subscriber that has been let in.
struct Subscription {
    name: &'static str,
    wanted: u64,
    group: ChannelGroup,
    /// A group does not keep its engine running.
    _engine: Reactor,
}

impl Subscription {
    fn new(name: &'static str, topics: &[&str], broker: Endpoint) -> Outcome<Subscription> {
        // A small inbox: what is not read waits at the broker.
        let engine = Reactor::start(Options::default().inbox_messages(64))?;
        let mut group = engine.create()?;
        let headers = topics.iter().map(|&topic| (TOPIC, topic));
        connect_saying(&engine, &mut group, broker, headers)?;
        let is_wanted = |topic: &&str| topics.iter().any(|wanted| topic.starts_with(wanted));
        let wanted = TOPICS.iter().copied().filter(is_wanted).count() as u64;
        Ok(Subscription {
            name,
            wanted: wanted * COUNT,
            group,
            _engine: engine,
        })
    }

    /// Counts until the broker says that it is over.
    fn receive_all(mut self) -> Outcome {
        let (mut received, mut missed) = (0, 0);
        loop {
            match Incoming::from(next(&mut self.group)?) {
                Incoming::Peer(mut bye) if bye.op_code() == OpCode::ByeRequest => {
                    bye.make_reply();
                    self.group.post(bye)?;
                }
                Incoming::Peer(message) => match message.text_headers().get_str(MISSED) {
                    Some(count) => missed += count?.parse::<u64>()?,
                    None => received += 1,
                },
                Incoming::Engine(Notice::ChannelClosed(_), _) => break,
                other => return Err(unexpected(&other)),
            }
        }
        println!("{}: received {received}, missed {missed}", self.name);
        match received + missed == self.wanted {
            true => Ok(()),
            false => Err(format!("{}: {} were wanted", self.name, self.wanted).into()),
        }
    }
}

struct Broker {
    engine: Reactor,
    group: ChannelGroup,
    subscribers: HashMap<ChannelNumber, Subscriber>,
    /// The publisher has left.
    is_over: bool,
}

struct Subscriber {
    topics: Vec<Vec<u8>>,
    /// Messages since there was no more room.
    missed: u64,
    was_told_bye: bool,
}

impl Broker {
    fn run(mut self) -> Outcome {
        while !(self.is_over && self.subscribers.is_empty()) {
            let message = next(&mut self.group)?;
            let channel = message.channel_number();
            match Incoming::from(message) {
                Incoming::Peer(message) if message.op_code() == OpCode::Signal => {
                    self.pass_on(&message)?;
                }
                Incoming::Peer(message) => self.greet_or_part(message)?,
                Incoming::Engine(Notice::SendQueueReady, _) => self.catch_up(channel)?,
                Incoming::Engine(Notice::ChannelClosed(_), _) => {
                    self.subscribers.remove(&channel);
                }
                // What somebody who is gone will not read.
                Incoming::Engine(Notice::Returned, _) => {}
                other => return Err(unexpected(&other)),
            }
        }
        Ok(())
    }

    fn greet_or_part(&mut self, mut message: Msg) -> Outcome {
        let channel = message.channel_number();
        let topics = message.text_headers().get_all(TOPIC);
        let topics: Vec<_> = topics.map(<[u8]>::to_vec).collect();
        if !topics.is_empty() {
            let subscriber = Subscriber {
                topics,
                missed: 0,
                was_told_bye: false,
            };
            self.subscribers.insert(channel, subscriber);
        }
        let is_bye = message.op_code() == OpCode::ByeRequest;
        if message.make_reply().is_some() {
            self.group.post(message)?;
        }
        if is_bye {
            self.is_over = true;
            let channels: Vec<_> = self.subscribers.keys().copied().collect();
            channels.into_iter().try_for_each(|it| self.catch_up(it))?;
        }
        Ok(())
    }

    /// To everybody who wants it and has room for it.
    fn pass_on(&mut self, message: &Message) -> Outcome {
        let topic = message.text_headers().get(TOPIC).unwrap_or_default();
        for (&channel, subscriber) in &mut self.subscribers {
            if !subscriber.topics.iter().any(|it| topic.starts_with(it)) {
                continue;
            }
            if subscriber.missed == 0 {
                let mut copy = self.engine.message()?;
                copy.clone_from(message);
                copy.set_channel_number(channel);
                if post(&self.group, copy)? {
                    continue;
                }
            }
            subscriber.missed += 1;
        }
        Ok(())
    }

    /// There is room: tells what was missed and, when it is over, says Bye. Where there is none after
    /// all, the engine will tell of it again.
    fn catch_up(&mut self, channel: ChannelNumber) -> Outcome {
        let Some(subscriber) = self.subscribers.get_mut(&channel) else {
            return Ok(());
        };
        if subscriber.missed > 0 {
            let mut report = message_to(&self.engine, channel, OpCode::Signal)?;
            let missed = subscriber.missed.to_string();
            report.text_headers_mut().append(MISSED, missed)?;
            if !post(&self.group, report)? {
                return Ok(());
            }
            subscriber.missed = 0;
        }
        if self.is_over && !subscriber.was_told_bye {
            let bye = message_to(&self.engine, channel, OpCode::ByeRequest)?;
            subscriber.was_told_bye = post(&self.group, bye)?;
        }
        Ok(())
    }
}

/// Whether there was room. Who is gone needs none: the last word on the channel comes.
fn post(group: &ChannelGroup, message: Msg) -> Outcome<bool> {
    match group.post(message).map_err(|refused| refused.kind()) {
        Ok(_) | Err(PostErrorKind::ChannelClosed) => Ok(true),
        Err(PostErrorKind::QueueFull) => Ok(false),
        Err(kind) => Err(kind.into()),
    }
}
