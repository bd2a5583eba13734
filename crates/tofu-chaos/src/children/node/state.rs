//! The receiving thread of a node: opens, answers and closes channels, and books what comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tofu::prelude::*;
use tofu_testkit::Random;

use super::Arguments;
use super::hearing::Hearing;
use super::plant::Planted;
use super::posting::{Posting, Talks};
use super::talk::{Spoken, Talk};

use crate::kit::books::{PostedBook, TakenBook};
use crate::kit::side::Side;

/// Posting threads.
const THREADS: usize = 2;

/// Messages that are received before commands and channels are looked at again.
const BATCH: usize = 256;

/// How long a turn waits for a message.
const WAIT: Duration = Duration::from_millis(5);

/// The time between two Hellos, and after one that failed.
const BETWEEN: Duration = Duration::from_millis(3);
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// How often it says how many channels it has.
const BEAT: Duration = Duration::from_secs(1);

/// The text header by which nodes know their kind.
const LIFE: &str = "life";

/// A node's state.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) side: Side,
    pub(super) posting: Posting,
    pub(super) threads: Vec<JoinHandle<()>>,
    pub(super) taken: TakenBook,
    pub(super) plant: Planted,
    pub(super) hearings: BTreeMap<ChannelNumber, Hearing>,
    pub(super) listeners: Vec<ChannelNumber>,
    /// The others, by their places in the fleet.
    pub(super) peers: BTreeMap<u32, [Endpoint; 2]>,
    pub(super) life: u32,
    pub(super) wanted: usize,
    pub(super) rate: u64,
    pub(super) random: Random,
    pub(super) next_hello: Instant,
    pub(super) next_beat: Instant,
    pub(super) deaf_until: Instant,
    pub(super) is_calm: bool,
    /// Farewells of peers that are not answered yet: their queues were full.
    pub(super) owed: Vec<(Arc<Talk>, MessageId)>,
}

fn options(is_small: bool) -> Options {
    // Memory is soon all that may be held, for reuse and in queues: whatever grows after that is a leak.
    // By the defaults the largest burst of an hour may come at its end, and the allocator keeps the
    // pages that it took: a heap profile is flat, what the process holds is not.
    let options = Options::default()
        .pool_bytes(4 * 1024 * 1024)
        .inbox_bytes(2 * 1024 * 1024)
        .send_queue_bytes(256 * 1024);
    if !is_small {
        return options;
    }
    options
        .pool_initial(8)
        .pool_maximum(64)
        .inbox_messages(32)
        .send_queue_messages(64)
        .send_queue_bytes(256 * 1024)
        .turn_messages(16)
}

impl Node {
    /// Starts the engine and its listeners, and says where they are.
    pub(super) fn start(arguments: &Arguments) -> Result<Node> {
        let taken = TakenBook::create(&arguments.books, arguments.life)?;
        let book = Arc::new(PostedBook::create(&arguments.books, arguments.life)?);
        let mut side = Side::start(options(arguments.small))?;
        let (tcp, at_tcp) = side.listen_at(&Address::tcp_server("127.0.0.1", 0))?;
        let (uds, at_uds) = side.listen_at(&Address::uds_server(&arguments.path))?;
        println!("ready {at_tcp} {at_uds}");
        let posting = Posting {
            engine: side.engine.clone(),
            poster: side.group.poster(),
            book,
            talks: Arc::new(Talks::default()),
            stop: Arc::new(AtomicBool::new(false)),
        };
        let now = Instant::now();
        Ok(Node {
            side,
            posting,
            threads: Vec::new(),
            taken,
            plant: Planted::new(arguments.plant),
            hearings: BTreeMap::new(),
            listeners: vec![tcp, uds],
            peers: BTreeMap::new(),
            life: arguments.life,
            wanted: arguments.channels,
            rate: arguments.rate,
            random: Random::new(arguments.seed),
            next_hello: now,
            next_beat: now,
            deaf_until: now,
            is_calm: false,
            owed: Vec::new(),
        })
    }

    /// Where another node listens.
    pub(super) fn know(&mut self, index: u32, places: [Endpoint; 2]) {
        self.peers.insert(index, places);
    }

    /// Begins to post and to open channels.
    pub(super) fn go(&mut self) -> Result<()> {
        ensure!(self.threads.is_empty(), "told `go` twice");
        self.threads = self.posting.start(THREADS, self.rate, &mut self.random);
        Ok(())
    }

    /// Receives nothing for a while.
    pub(super) fn pause(&mut self, time: Duration) {
        self.deaf_until = Instant::now() + time;
    }

    /// One turn: receives what is there, opens what is missing.
    pub(super) fn turn(&mut self) -> Result<()> {
        if Instant::now() < self.deaf_until {
            thread::sleep(WAIT);
        } else {
            let mut wait = WAIT;
            for _ in 0..BATCH {
                let Some(message) = self.side.group.wait_receive(wait)? else {
                    break;
                };
                wait = Duration::ZERO;
                self.receive(message)?;
            }
        }
        let is_running = !self.threads.is_empty() && !self.is_calm;
        if is_running && Instant::now() >= self.next_hello && self.own() < self.wanted {
            self.hello()?;
        }
        self.pay()?;
        if self.is_calm {
            self.say_goodbye()?;
        }
        if Instant::now() >= self.next_beat {
            self.next_beat = Instant::now() + BEAT;
            // What bursts have left for reuse creeps up to its bound for many minutes: no leak.
            let kept = self.side.engine.stats().kept_bytes;
            let in_use = crate::ALLOCATOR.allocated().saturating_sub(kept);
            println!("beat {} {} {in_use}", self.own(), self.hearings.len());
        }
        Ok(())
    }

    /// Channels that it has opened itself.
    fn own(&self) -> usize {
        let own = self
            .hearings
            .values()
            .filter(|heard| heard.talk.is_initiator);
        own.count()
    }

    fn begin(&mut self, talk: Talk) -> Result<Arc<Talk>> {
        let talk = Arc::new(talk);
        let heard = Hearing::new(Arc::clone(&talk));
        let before = self.hearings.insert(talk.channel, heard);
        ensure!(before.is_none(), "channel {} began twice", talk.channel);
        if !talk.is_stranger {
            self.posting.talks.add(Arc::clone(&talk));
        }
        Ok(talk)
    }

    /// Opens a channel to somebody. Half of them post at once, the others wait for the answer.
    fn hello(&mut self) -> Result<()> {
        self.next_hello = Instant::now() + BETWEEN;
        let count = self.peers.len() as u64;
        let place = usize::try_from(self.random.below(count))?;
        let Some(places) = self.peers.values().nth(place) else {
            return Ok(());
        };
        let kind = usize::try_from(self.random.below(2))?;
        let mut hello = self.side.engine.message()?;
        Address::connect_to(places[kind].clone()).format(&mut hello)?;
        let life = self.life.to_string();
        hello.text_headers_mut().append(LIFE, life)?;
        let channel = self.side.group.post(hello)?.channel_number();
        let talk = self.begin(Talk::new(channel, self.posting.book.stream()?, true))?;
        talk.count_hello();
        if self.random.below(2) == 0 {
            talk.open();
        }
        Ok(())
    }

    fn receive(&mut self, message: Msg) -> Result<()> {
        let channel = message.channel_number();
        match Incoming::from(message) {
            Incoming::Peer(message) => self.receive_from_peer(channel, message),
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                if self.listeners.contains(&channel) {
                    bail!("listener {channel} has closed: {info:?}");
                }
                let heard = self.hearings.remove(&channel);
                let heard = heard.with_context(|| format!("a last word on {channel}: {info:?}"))?;
                self.posting.talks.remove(channel);
                if let Some(line) = heard.close(&info, &mut self.taken)? {
                    println!("{line}");
                }
                Ok(())
            }
            Incoming::Engine(Notice::ConnectFailed, message) => {
                self.next_hello = Instant::now() + AFTER_FAILURE;
                self.heard(channel)?
                    .take_back(&message, &Planted::new(None))
            }
            Incoming::Engine(Notice::Returned, message) => {
                let plant = self.plant;
                self.heard(channel)?.take_back(&message, &plant)
            }
            Incoming::Engine(Notice::AcceptFailed, _) => {
                println!("starved");
                Ok(())
            }
            Incoming::Engine(Notice::PoolEmpty | Notice::SendQueueReady, _) => Ok(()),
            Incoming::Engine(_, message) | Incoming::Update(message) => bail!("{message:?}"),
        }
    }

    fn heard(&mut self, channel: ChannelNumber) -> Result<&mut Hearing> {
        let heard = self.hearings.get_mut(&channel);
        heard.with_context(|| format!("a message on channel {channel}, which has ended"))
    }

    fn receive_from_peer(&mut self, channel: ChannelNumber, message: Msg) -> Result<()> {
        match message.op_code() {
            OpCode::HelloRequest => self.welcome(channel, message),
            OpCode::HelloResponse => {
                let heard = self.heard(channel)?;
                heard.count();
                heard.talk.open();
                Ok(())
            }
            OpCode::ByeRequest => {
                let heard = self.heard(channel)?;
                heard.count();
                let talk = Arc::clone(&heard.talk);
                self.owed.push((talk, message.message_id()));
                self.pay()
            }
            OpCode::ByeResponse => {
                self.heard(channel)?.count();
                Ok(())
            }
            _ => self.take(channel, message),
        }
    }

    /// Somebody has connected. Whoever is no node gets no answer.
    fn welcome(&mut self, channel: ChannelNumber, mut message: Msg) -> Result<()> {
        let stream = self.posting.book.stream()?;
        if message.text_headers().get(LIFE).is_none() {
            self.begin(Talk::stranger(channel, stream))?;
            return Ok(());
        }
        let talk = self.begin(Talk::new(channel, stream, false))?;
        self.heard(channel)?.count();
        message.make_reply();
        if talk.say(&self.posting.poster, message)? == Spoken::Accepted {
            talk.open();
        }
        Ok(())
    }

    /// A message of a stream; a Request is answered if there is room.
    fn take(&mut self, channel: ChannelNumber, mut message: Msg) -> Result<()> {
        let heard = self.hearings.get_mut(&channel);
        let heard = heard.with_context(|| format!("{message:?} behind the last word"))?;
        if heard.talk.is_stranger {
            return Ok(());
        }
        let number = heard.take(&mut message, &mut self.taken, &mut self.plant)?;
        if message.op_code() == OpCode::Request {
            let talk = Arc::clone(&heard.talk);
            message.make_reply();
            let filler = usize::try_from(self.random.below(200))?;
            talk.speak(
                &self.posting.poster,
                &self.posting.book,
                message,
                filler,
                Some(number),
            )?;
        }
        Ok(())
    }
}
