//! The receiving thread of a node: opens, answers and closes channels, and books what comes.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use tofu::prelude::*;
use tofu_testkit::Random;

use super::Arguments;
use super::hearing::Hearing;
use super::plant::Planted;
use super::posting::{Posting, Talks};
use super::talk::{Spoken, Talk};
use crate::kit::LIMIT;
use crate::kit::books::{PostedBook, TakenBook};
use crate::kit::side::Side;

/// Posting threads.
const THREADS: usize = 2;

/// Messages that are received before commands and channels are looked at again.
const BATCH: usize = 256;

/// How long a turn waits for a message.
const WAIT: Duration = Duration::from_millis(5);

/// The time between two Hellos, and after one that did not come through.
const BETWEEN: Duration = Duration::from_millis(3);
const AFTER_FAILURE: Duration = Duration::from_millis(50);

/// How often it says how many channels it has.
const BEAT: Duration = Duration::from_secs(1);

/// The text header by which nodes know their kind.
const LIFE: &str = "life";

/// A node's state.
#[derive(Debug)]
pub(super) struct Node {
    side: Side,
    posting: Posting,
    threads: Vec<JoinHandle<()>>,
    taken: TakenBook,
    plant: Planted,
    hearings: BTreeMap<ChannelNumber, Hearing>,
    listeners: Vec<ChannelNumber>,
    /// The others, by their places in the fleet.
    peers: BTreeMap<u32, [Endpoint; 2]>,
    life: u32,
    wanted: usize,
    rate: u64,
    random: Random,
    next_hello: Instant,
    next_beat: Instant,
    deaf_until: Instant,
    is_calm: bool,
}

fn options(is_small: bool) -> Options {
    let options = Options::default();
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
        if self.is_calm {
            self.say_goodbye()?;
        }
        if Instant::now() >= self.next_beat {
            self.next_beat = Instant::now() + BEAT;
            println!("beat {} {}", self.own(), self.hearings.len());
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

    fn receive_from_peer(&mut self, channel: ChannelNumber, mut message: Msg) -> Result<()> {
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
                message.make_reply();
                let spoken = talk.say(&self.posting.poster, message)?;
                ensure!(spoken != Spoken::Full, "no room for a ByeResponse");
                Ok(())
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

    /// Some channels at random, of whatever kind.
    fn some(&mut self, count: usize) -> Vec<Arc<Talk>> {
        let mut talks: Vec<_> = self
            .hearings
            .values()
            .map(|heard| &heard.talk)
            .cloned()
            .collect();
        while talks.len() > count {
            let place = self.random.below(talks.len() as u64);
            talks.swap_remove(usize::try_from(place).unwrap_or_default());
        }
        talks
    }

    /// Ends channels as unkindly as an engine can: the peers see a reset.
    pub(super) fn reset(&mut self, count: usize) -> Result<()> {
        for talk in self.some(count) {
            let message = self.side.message(OpCode::ByeSignal, talk.channel)?;
            talk.say(&self.posting.poster, message)?;
        }
        Ok(())
    }

    /// Ends channels in good order.
    pub(super) fn bye(&mut self, count: usize) -> Result<()> {
        for talk in self.some(count) {
            self.say_bye(&talk)?;
        }
        Ok(())
    }

    /// Posts a ByeRequest, once, if there is room for it now.
    fn say_bye(&self, talk: &Talk) -> Result<()> {
        if talk.is_open() {
            let message = self.side.message(OpCode::ByeRequest, talk.channel)?;
            talk.say(&self.posting.poster, message)?;
        }
        Ok(())
    }

    /// Opens and posts nothing any more.
    pub(super) fn calm(&mut self) -> Result<()> {
        self.posting.stop.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread
                .join()
                .map_err(|_| anyhow!("a posting thread panicked"))?;
        }
        self.is_calm = true;
        Ok(())
    }

    /// Ends its own channels, and says when none is left.
    fn say_goodbye(&mut self) -> Result<()> {
        let own = self
            .hearings
            .values()
            .filter(|heard| heard.talk.is_initiator);
        for heard in own {
            self.say_bye(&heard.talk)?;
        }
        if self.hearings.is_empty() {
            println!("calm");
            self.is_calm = false;
        }
        Ok(())
    }

    /// Shuts the engine down; a node that was calm has nothing left to lose.
    pub(super) fn end(&mut self) -> Result<()> {
        let deadline = Instant::now() + LIMIT;
        while !self.hearings.is_empty() {
            ensure!(Instant::now() < deadline, "open: {:?}", self.hearings);
            self.turn()?;
        }
        let report = self.side.engine.shutdown(Duration::from_secs(5));
        ensure!(report.complete, "the shutdown was not complete: {report:?}");
        println!("ended");
        Ok(())
    }
}
