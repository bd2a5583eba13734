//! One connection: made, used and closed in good order.
//!
//! What `send`, `ping` and `perf` have in common. It receives for them, answers the peer's goodbye,
//! and gives them [`Event`]s; what is sent when is theirs to decide.

use std::cell::Cell;
use std::time::{Duration, Instant};

use tofu::addr::Endpoint;
use tofu::chnls::{Cause, CloseInfo};
use tofu::prelude::*;

use crate::arguments::Connect;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::interrupt::Interrupt;

/// Between two attempts to connect.
const RETRY_PAUSE: Duration = Duration::from_millis(50);

/// How many messages are taken after a wait is over. They may have come in time, while this process was
/// not let run; but a peer that never stops sending must not make the wait endless.
const OVERTIME: u32 = 1000;

/// How long a farewell may take that nobody waits for any more.
const SHORT_PATIENCE: Duration = Duration::from_secs(1);

/// The id of every greeting.
const HELLO_ID: u64 = 1;

/// A connection, with the engine that it lives in.
#[derive(Debug)]
pub(crate) struct Session {
    engine: Reactor,
    group: ChannelGroup,
    interrupt: Interrupt,
    address: Endpoint,
    channel: ChannelNumber,
    /// The id of the next message. Every greeting has the first, so that ids tell nothing of how many
    /// attempts there were.
    next_id: Cell<u64>,
    /// How many messages were taken since the last wait was over.
    overtime: u32,
    /// Its last word has come.
    is_closed: bool,
}

/// What a wait may bring.
#[derive(Debug)]
pub(crate) enum Event {
    /// A message of the peer.
    Message(Msg),
    /// The connection has ended.
    Closed(CloseInfo),
    /// Something may have changed: there may be room to post, an interrupt, something to post.
    Changed,
}

impl Session {
    /// Connects and waits until the peer has answered the greeting.
    pub(crate) fn open(arguments: &Connect) -> Outcome<Session> {
        let options = Options::default()
            .connect_timeout(arguments.timeout)
            .hello_response_timeout(arguments.timeout);
        let engine = Reactor::start(options)?;
        let group = engine.create()?;
        let interrupt = Interrupt::install(group.poster())?;
        let mut session = Session {
            engine,
            group,
            interrupt,
            address: arguments.address.clone(),
            channel: ChannelNumber::UNASSIGNED,
            next_id: Cell::new(HELLO_ID + 1),
            overtime: 0,
            is_closed: false,
        };
        session.connect(arguments.wait)?;
        Ok(session)
    }

    /// The address it is connected to.
    pub(crate) fn address(&self) -> &Endpoint {
        &self.address
    }

    /// Whether the user wants the command to end.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.interrupt.is_set()
    }

    /// Wakes [`next`](Self::next) from another thread.
    pub(crate) fn poster(&self) -> Poster {
        self.group.poster()
    }

    /// An empty message to post on this connection.
    pub(crate) fn message(&self, op_code: OpCode) -> Outcome<Msg> {
        let mut message = self.engine.message()?;
        message.set_op_code(op_code);
        message.set_channel_number(self.channel);
        Ok(message)
    }

    /// Posts a message and returns its id. Where the queue is full, or the connection has ended
    /// (which [`next`](Self::next) will tell), the message comes back.
    pub(crate) fn post(&self, mut message: Msg) -> Outcome<Result<MessageId, Msg>> {
        if !message.message_id().is_assigned() {
            let id = self.next_id.replace(self.next_id.get() + 1);
            message.set_message_id(MessageId::new(id));
        }
        match self.group.post(message) {
            Ok(header) => Ok(Ok(header.message_id)),
            Err(refused) => match refused.kind() {
                // After the peer's goodbye nothing may be said; the end is near there too.
                PostErrorKind::QueueFull
                | PostErrorKind::ChannelClosed
                | PostErrorKind::NotAllowed(_) => Ok(Err(refused.into_message())),
                _ => Err(Failure::new(ExitStatus::Failure, refused.to_string())),
            },
        }
    }

    /// The next event; `None` when none came within `timeout`. Once that is 0, only as many more as
    /// may have come before are given.
    pub(crate) fn next(&mut self, timeout: Duration) -> Outcome<Option<Event>> {
        self.overtime = match timeout.is_zero() {
            true => self.overtime + 1,
            false => 0,
        };
        if self.overtime > OVERTIME {
            return Ok(None);
        }
        let Some(message) = self.group.wait_receive(timeout)? else {
            return Ok(None);
        };
        let is_ours = message.channel_number() == self.channel;
        Ok(Some(match Incoming::from(message) {
            Incoming::Peer(message) if message.op_code() == OpCode::ByeRequest => {
                self.answer(message);
                Event::Changed
            }
            Incoming::Peer(message) => Event::Message(message),
            Incoming::Engine(Notice::ChannelClosed(info), _) if is_ours => {
                self.is_closed = true;
                Event::Closed(info)
            }
            Incoming::Engine(..) | Incoming::Update(_) => Event::Changed,
        }))
    }

    /// Says goodbye and waits for the answer; messages that still come go to `take`. Returns how
    /// the connection ended, or `None` when the peer did not answer within `patience`.
    pub(crate) fn close(
        &mut self,
        patience: Duration,
        mut take: impl FnMut(&Msg) -> Outcome,
    ) -> Outcome<Option<CloseInfo>> {
        if self.is_closed {
            return Ok(None);
        }
        let bye = self.message(OpCode::ByeRequest)?;
        // Refused only if the connection ends already: its last word comes next.
        let _refused = self.group.post(bye);
        let deadline = Instant::now() + patience;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.next(left)? {
                None => return Ok(None),
                Some(Event::Message(message)) => take(&message)?,
                Some(Event::Closed(info)) => {
                    self.engine.shutdown(SHORT_PATIENCE);
                    return Ok(Some(info));
                }
                Some(Event::Changed) => {}
            }
        }
    }

    /// Says goodbye where nobody cares for the answer any more.
    pub(crate) fn leave(&mut self) {
        // Whatever comes of it: the command ends for another reason.
        let _outcome = self.close(SHORT_PATIENCE, |_| Ok(()));
    }

    /// The end of the connection as a failure.
    pub(crate) fn lost(&self, info: &CloseInfo) -> Failure {
        let why = match info.cause.status().is_success() {
            true => "the peer said goodbye".to_owned(),
            false => info.cause.to_string(),
        };
        let text = format!("the connection to {} was lost: {why}", self.address);
        Failure::new(ExitStatus::ConnectionLost, text)
    }

    /// That nothing came in time as a failure.
    pub(crate) fn unanswered(&self, what: &str, timeout: Duration) -> Failure {
        let text = format!(
            "no answer to {what} from {} within {timeout:?}",
            self.address
        );
        Failure::new(ExitStatus::NoAnswer, text)
    }

    /// Attempts until one succeeds or `wait` has passed.
    fn connect(&mut self, wait: Duration) -> Outcome {
        let started = Instant::now();
        loop {
            match self.attempt()? {
                Ok(()) => return Ok(()),
                Err(failure) if started.elapsed() >= wait => return Err(failure),
                Err(_) => self.pause()?,
            }
        }
    }

    /// Says hello. The inner failure is worth another attempt.
    fn attempt(&mut self) -> Outcome<Result<(), Failure>> {
        let mut hello = self.engine.message()?;
        let malformed = |error: AddressError| Failure::new(ExitStatus::Usage, error.to_string());
        Address::connect_to(self.address.clone())
            .format(&mut hello)
            .map_err(malformed)?;
        let refused = |error: PostError| Failure::new(ExitStatus::Failure, error.to_string());
        hello.set_message_id(MessageId::new(HELLO_ID));
        self.channel = self.group.post(hello).map_err(refused)?.channel_number;
        // The engine's limits end the wait.
        while let Some(message) = self.group.wait_receive(Duration::MAX)? {
            if self.is_interrupted() {
                return Err(Failure::interrupted());
            }
            if message.channel_number() != self.channel {
                continue; // the last word on an earlier attempt
            }
            match Incoming::from(message) {
                Incoming::Peer(message) if message.op_code() == OpCode::HelloResponse => break,
                Incoming::Peer(message) => self.answer(message),
                Incoming::Engine(Notice::ConnectFailed, message) => {
                    return Ok(Err(self.unreachable(&message)));
                }
                Incoming::Engine(Notice::ChannelClosed(info), _) => {
                    return Err(self.unwelcome(&info));
                }
                Incoming::Engine(..) | Incoming::Update(_) => {}
            }
        }
        Ok(Ok(()))
    }

    /// The peer was reached, and did not answer the greeting.
    fn unwelcome(&self, info: &CloseInfo) -> Failure {
        let status = match info.cause.status() {
            Status::HELLO_RESPONSE_TIMEOUT => ExitStatus::NoAnswer,
            _ => ExitStatus::NoConnection,
        };
        let text = format!("{} did not greet back: {}", self.address, info.cause);
        Failure::new(status, text)
    }

    fn unreachable(&self, hello: &Msg) -> Failure {
        let why = hello.cause().map_or("", Cause::text);
        // The cause says it too.
        let doing = format!("connecting to {}: ", self.address);
        let why = why.strip_prefix(&doing).unwrap_or(why);
        let text = format!("cannot connect to {}: {why}", self.address);
        Failure::new(ExitStatus::NoConnection, text)
    }

    fn pause(&mut self) -> Outcome {
        let over = Instant::now() + RETRY_PAUSE;
        while self
            .group
            .wait_receive(over.saturating_duration_since(Instant::now()))?
            .is_some()
        {
            if self.is_interrupted() {
                return Err(Failure::interrupted());
            }
        }
        Ok(())
    }

    /// Answers a goodbye; whatever else wants an answer gets none.
    fn answer(&self, mut message: Msg) {
        if message.op_code() == OpCode::ByeRequest && message.make_reply().is_some() {
            // Refused only if the connection has ended.
            let _refused = self.group.post(message);
        }
    }
}
