//! A group and its two threads: one receives, one posts whatever its channels have to say.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;
use tofu::engine::CloseInfo;
use tofu::prelude::*;
use tofu_testkit::Random;

use crate::book::Book;
use crate::channel::{Channel, Counts};
use crate::plan::{self, Cut, Plan};

/// How long a receiver waits before it gives back the messages that it holds.
const PATIENCE: Duration = Duration::from_millis(1);

/// What the two threads share.
#[derive(Default)]
pub(crate) struct Desk {
    channels: Mutex<Channels>,
    changed: Condvar,
}

#[derive(Default)]
struct Channels {
    open: HashMap<ChannelNumber, Channel>,
    ended: bool,
}

/// The receiving half.
pub(crate) struct Actor {
    pub(crate) engine: Reactor,
    pub(crate) group: ChannelGroup,
    pub(crate) book: Arc<Book>,
    pub(crate) plan: Arc<Plan>,
    pub(crate) random: Random,
    pub(crate) desk: Arc<Desk>,
    listener: Option<ChannelNumber>,
    held: VecDeque<Msg>,
    received: u64,
}

impl Actor {
    pub(crate) fn new(engine: &Reactor, book: &Arc<Book>, plan: &Arc<Plan>, salt: u64) -> Actor {
        Actor {
            engine: engine.clone(),
            group: engine.create().unwrap(),
            book: Arc::clone(book),
            plan: Arc::clone(plan),
            random: Random::new(plan.seed ^ salt),
            desk: Arc::default(),
            listener: None,
            held: VecDeque::new(),
            received: 0,
        }
    }

    /// Listens, and returns where.
    pub(crate) fn listen(&mut self, address: &Address) -> Endpoint {
        let mut welcome = self.engine.message().unwrap();
        address.format(&mut welcome).unwrap();
        self.listener = Some(self.group.post(welcome).unwrap().channel_number());
        let ready = self.group.wait_receive(Duration::from_secs(10)).unwrap();
        let ready = ready.expect("the listener is ready in time");
        assert!(ready.status().is_success(), "{ready:?}");
        Address::parse(&ready).unwrap().into_endpoint()
    }

    /// Opens a connection.
    pub(crate) fn dial(&mut self, connection: usize, endpoint: &Endpoint) {
        let hello = plan::hello(connection, endpoint).into();
        let Ok(header) = self.group.post(hello) else {
            assert!(self.plan.is_lossy(connection), "a refused Hello");
            return;
        };
        let counts = Counts {
            posted: 1,
            ..Counts::default()
        };
        self.open(header.channel_number(), connection, 0, counts);
    }

    fn open(&self, number: ChannelNumber, connection: usize, side: usize, counts: Counts) {
        let plan = self.plan.connections[connection].clone();
        let channel = Channel::new(number, connection, side, plan, counts);
        let before = self
            .desk
            .channels
            .lock()
            .unwrap()
            .open
            .insert(number, channel);
        assert!(before.is_none(), "{number} was given out twice");
        self.desk.changed.notify_all();
    }

    /// Receives until `done` says so while no channel is open, or until the engine ends (then
    /// every channel must have ended before).
    pub(crate) fn run(&mut self, done: impl Fn() -> bool) {
        let cut = self.run_until_cut(done, self.plan.cuts.len());
        assert!(cut.is_none());
    }

    /// The same for client group `client`, whose life may be cut off before.
    pub(crate) fn run_until_cut(&mut self, done: impl Fn() -> bool, client: usize) -> Option<Cut> {
        let cut = self.plan.cuts.get(client).copied().flatten();
        loop {
            match self.group.wait_receive(PATIENCE) {
                Ok(Some(message)) => self.take(message),
                Ok(None) => self.held.clear(),
                Err(error) => {
                    assert!(matches!(error, EngineError::ShutdownStarted), "{error}");
                    assert!(self.is_quiet(), "no last word: {}", self.open_channels());
                    return None;
                }
            }
            if let Some((_, cut)) = cut.filter(|(after, _)| self.received >= *after) {
                return Some(cut);
            }
            if self.is_quiet() && done() {
                // Whoever still runs may need them.
                self.held.clear();
                return None;
            }
            assert!(
                !self.book.is_stuck(),
                "stuck: {} {:?}",
                self.open_channels(),
                self.engine.stats()
            );
        }
    }

    fn is_quiet(&self) -> bool {
        self.desk.channels.lock().unwrap().open.is_empty()
    }

    fn open_channels(&self) -> String {
        format!("{:?}", self.desk.channels.lock().unwrap().open)
    }

    fn take(&mut self, message: Msg) {
        match Incoming::from(message) {
            Incoming::Update(_) => panic!("nobody updates"),
            Incoming::Engine(notice, message) => self.take_notice(notice, &message),
            Incoming::Peer(message) => self.take_message(message),
        }
        self.desk.changed.notify_all();
        if self.random.below(50) == 0 {
            std::thread::sleep(Duration::from_millis(self.random.below(10)));
        }
    }

    fn take_message(&mut self, message: Msg) {
        self.received += 1;
        self.book.note_progress();
        if message.op_code() == OpCode::HelloRequest {
            self.welcome(message);
            return;
        }
        let book = Arc::clone(&self.book);
        self.with(message.channel_number(), |channel| {
            channel.hear(&message, &book);
        });
        if self.random.below(3) == 0 {
            self.held.push_back(message);
        }
        while self.held.len() as u64 > self.random.below(6) {
            self.held.pop_front();
        }
    }

    fn welcome(&mut self, mut hello: Msg) {
        let key = hello.body().as_bytes().try_into().expect("four bytes");
        let number = hello.channel_number();
        hello.make_reply();
        hello.body_mut().clear();
        // Refused only if the peer has gone already; the last word tells.
        let posted = u64::from(self.group.post(hello).is_ok());
        let counts = Counts {
            posted,
            received: 1,
            ..Counts::default()
        };
        self.open(number, u32::from_be_bytes(key) as usize, 1, counts);
    }

    fn take_notice(&mut self, notice: Notice, message: &Msg) {
        let number = message.channel_number();
        let book = Arc::clone(&self.book);
        match notice {
            Notice::ChannelClosed(info) => self.close(number, &info),
            Notice::Returned | Notice::ConnectFailed if Some(number) != self.listener => {
                self.with(number, |channel| channel.take_back(message, &book));
            }
            Notice::SendQueueReady => self.with(number, Channel::unblock),
            Notice::Returned | Notice::PoolEmpty => {}
            other => panic!("{other:?}: {message:?}"),
        }
    }

    fn close(&mut self, number: ChannelNumber, info: &CloseInfo) {
        self.book.note_progress();
        if Some(number) == self.listener {
            self.listener = None;
            return;
        }
        let channel = self.desk.channels.lock().unwrap().open.remove(&number);
        let channel = channel.expect("a last word on a channel that is open");
        channel.close(info, self.plan.is_lossy(channel.connection));
    }

    fn with(&self, number: ChannelNumber, work: impl FnOnce(&mut Channel)) {
        let mut channels = self.desk.channels.lock().unwrap();
        work(channels.open.get_mut(&number).expect("an open channel"));
    }

    /// Destroys the group: what it gives back is entered; there are no last words any more.
    pub(crate) fn destroy(self, grace: Duration) {
        let poster = self.group.poster();
        let report = self.group.destroy(grace);
        self.book.note_progress();
        let mut channels = self.desk.channels.lock().unwrap();
        for message in report.unsent {
            let channel = channels.open.get_mut(&message.channel_number());
            channel
                .expect("an open channel")
                .take_back(&message, &self.book);
        }
        for number in channels.open.keys() {
            let mut message = Message::default();
            message.set_channel_number(*number);
            poster.post(message.into()).expect_err("the group is gone");
        }
    }
}

impl Desk {
    /// The posting thread: posts one message of each channel in turn, until the group has ended.
    pub(crate) fn write(&self, engine: &Reactor, poster: &Poster, book: &Book) {
        let mut channels = self.channels.lock().unwrap();
        while !channels.ended {
            let mut moved = false;
            for channel in channels.open.values_mut() {
                moved |= channel.step(engine, poster, book);
            }
            channels = if moved {
                // The receiving thread gets its turn at the lock.
                drop(channels);
                std::thread::yield_now();
                self.channels.lock().unwrap()
            } else {
                let wait = Duration::from_millis(100);
                self.changed.wait_timeout(channels, wait).unwrap().0
            };
        }
    }

    /// Ends the posting thread.
    pub(crate) fn end(&self) {
        self.channels.lock().unwrap().ended = true;
        self.changed.notify_all();
    }
}
