//! The applications of a run: who they are, and how they post.
//!
//! Each engine has one application with some groups. What they do when is in `act`, what they make
//! of what comes in `receive`, how everything ends in `finish`.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use tofu_addr::Address;
use tofu_engine::driver::Handle;
use tofu_engine::{Allocation, Destruction, Group, GroupSender, Msg, PostError, PostErrorKind};
use tofu_msg::{BinaryHeader, ChannelNumber, Message, MessageId, OpCode};

use crate::Random;
use crate::sim::check::ledger::{Channel, Fate, Judged, Key, Ledger, Role};
use crate::sim::check::marks::Marks;
use crate::sim::check::midway::{Outcomes, Posting};
use crate::sim::check::plan::Plan;
use crate::sim::check::raw::Raw;
use crate::sim::simulation::Simulation;
use crate::sim::trace::Tracing;

/// One group of an application, alive or not.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) group: Option<Group>,
    pub(crate) destruction: Option<Destruction>,
    /// By when the destruction must have ended.
    pub(crate) deadline: Duration,
    /// Something may be left of what the receiver took out of the inbox.
    pub(crate) left_over: bool,
    pub(crate) updates_posted: u64,
    pub(crate) updates_received: u64,
    /// A `pool_empty` came, and nothing of a peer since.
    pub(crate) pool_told: bool,
    /// The engine has ended, and everything before that was received.
    pub(crate) ended: bool,
}

impl Seat {
    pub(crate) fn new(group: Group) -> Seat {
        Seat {
            group: Some(group),
            destruction: None,
            deadline: Duration::MAX,
            left_over: false,
            updates_posted: 0,
            updates_received: 0,
            pool_told: false,
            ended: false,
        }
    }
}

/// One application.
#[derive(Debug)]
pub(crate) struct App {
    pub(crate) handle: Handle,
    pub(crate) seats: Vec<Seat>,
    /// Messages that it keeps for a while.
    pub(crate) held: Vec<Msg>,
    /// ByeRequests that are to be answered: group, channel, id.
    pub(crate) owed: Vec<(usize, ChannelNumber, MessageId)>,
    /// By when its engine must have ended, if it was told to.
    pub(crate) shutdown: Option<Duration>,
}

/// A run.
#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) sim: Simulation,
    pub(crate) plan: Plan,
    pub(crate) ledger: Ledger,
    pub(crate) marks: Marks,
    pub(crate) apps: Vec<App>,
    pub(crate) raw: Vec<Raw>,
    /// What has come of posts in the middle of turns.
    pub(crate) midway: Outcomes,
    /// Everything is to come to rest: applications take and answer all at once.
    pub(crate) calm: bool,
    /// Somebody was paused, or a clock has jumped: nothing ends by its deadline.
    pub(crate) late: bool,
}

impl Scenario {
    pub(crate) fn new(seed: u64, tracing: Tracing, adjust: Adjust<'_>) -> Result<Scenario, String> {
        let mut random = Random::new(seed);
        let mut plan = Plan::draw(&mut random);
        plan.options.iter_mut().for_each(adjust);
        let mut sim = Simulation::traced(random.next_u64(), tracing);
        sim.note(&[100], format_args!("{plan:#?}"));
        sim.set_room(plan.room, plan.backlog);
        sim.set_faults(plan.faults.clone());
        let mut apps = Vec::new();
        for options in &plan.options {
            let index = sim.add_engine(options.clone());
            let handle = sim.handle(index);
            let mut seats = Vec::new();
            for _ in 0..=sim.random(2) {
                let group = handle.create_group().map_err(|error| error.to_string())?;
                seats.push(Seat::new(group));
            }
            apps.push(App {
                handle,
                seats,
                held: Vec::new(),
                owed: Vec::new(),
                shutdown: None,
            });
        }
        Ok(Scenario {
            sim,
            plan,
            ledger: Ledger::default(),
            marks: Marks::default(),
            apps,
            raw: Vec::new(),
            midway: Outcomes::default(),
            calm: false,
            late: false,
        })
    }

    /// An index below `count`.
    pub(crate) fn pick(&mut self, count: usize) -> usize {
        usize::try_from(self.sim.random(count as u64)).unwrap_or(0)
    }

    /// A message to fill, from one source or another.
    pub(crate) fn blank(&mut self, engine: usize) -> Msg {
        let app = &mut self.apps[engine];
        let choice = self.sim.random(4);
        let found = match choice {
            0 => None,
            1 => app.held.pop(),
            2 => app.handle.get(Allocation::PoolOnly).ok().flatten(),
            _ => app.handle.get(Allocation::Always).ok().flatten(),
        };
        let mut msg = found.unwrap_or_else(|| Msg::from(Message::default()));
        msg.reset();
        msg
    }

    /// How long a body is drawn: mostly short.
    pub(crate) fn body_len(&mut self) -> usize {
        let most = self.plan.body as u64;
        let shift = self.sim.random(8);
        usize::try_from(self.sim.random((most >> shift) + 1)).unwrap_or(0)
    }

    /// The channels of an engine that this holds for.
    pub(crate) fn channels(&self, engine: usize, wanted: impl Fn(&Channel) -> bool) -> Vec<Key> {
        let range = (engine, 0)..(engine + 1, 0);
        let channels = self.ledger.channels.range(range);
        channels
            .filter(|(_, channel)| channel.is_open() && wanted(channel))
            .map(|(&key, _)| key)
            .collect()
    }

    /// Posts what was drafted under `serial`; whether it was accepted.
    pub(crate) fn post(
        &mut self,
        engine: usize,
        seat: usize,
        msg: Msg,
        serial: usize,
    ) -> Result<bool, String> {
        let Some(group) = &self.apps[engine].seats[seat].group else {
            return Ok(false);
        };
        let op_code = msg.op_code();
        let given = msg.channel_number();
        let more = msg.more();
        self.ledger.entries[serial].more = more;
        let posting = Posting {
            engine,
            seat,
            serial,
            op_code,
            given,
        };
        let result = post_by_turns(group.sender(), msg, serial);
        self.note_post(posting, result)
    }

    /// Notes what has come of a post; whether it was accepted.
    pub(crate) fn note_post(
        &mut self,
        posting: Posting,
        result: Result<BinaryHeader, PostError>,
    ) -> Result<bool, String> {
        let Posting {
            engine,
            seat,
            serial,
            op_code,
            given,
        } = posting;
        match result {
            Err(error) => self
                .refused(engine, seat, given, serial, &error)
                .map(|()| false),
            Ok(header) => {
                let number = usize::from(header.channel_number.value());
                let key = (engine, number);
                match op_code {
                    OpCode::WelcomeRequest => {
                        self.ledger.open(key, Channel::new(Role::Listener, seat))?;
                    }
                    OpCode::HelloRequest => {
                        self.ledger.open(key, Channel::new(Role::Initiator, seat))?;
                    }
                    _ => {}
                }
                self.ledger.posted(key, serial, &header);
                let numbers = [20, engine as u64, number as u64, serial as u64];
                self.sim.note(
                    &numbers,
                    format_args!("app {engine} posts {op_code} {serial} on {number}"),
                );
                Ok(true)
            }
        }
    }

    /// A refused message is in the error as it was, and the refusal makes sense.
    fn refused(
        &mut self,
        engine: usize,
        seat: usize,
        given: ChannelNumber,
        serial: usize,
        error: &PostError,
    ) -> Judged {
        let numbers = [21, engine as u64, serial as u64];
        self.sim.note(
            &numbers,
            format_args!("app {engine} may not post {serial}: {error}"),
        );
        self.marks.hit(format!("refused: {}", error.kind()));
        let message = error.message();
        let entry = &self.ledger.entries[serial];
        let (op_code, fate) = (entry.op_code, entry.fate);
        let unchanged = message.op_code() == op_code && message.channel_number() == given;
        if self.ledger.serial_of(message) != Ok(serial) || fate != Fate::Kept || !unchanged {
            return Err(format!(
                "message {serial} was changed by a refusal: {error}"
            ));
        }
        let key = (engine, usize::from(given.value()));
        let shut = self.apps[engine].shutdown.is_some();
        let Some(channel) = self.ledger.channels.get_mut(&key) else {
            return Ok(());
        };
        if !channel.is_open() || channel.group != seat {
            return Ok(());
        }
        match error.kind() {
            PostErrorKind::QueueFull => {
                channel.refused = true;
                channel.refusals += 1;
            }
            PostErrorKind::ShutdownStarted if shut => {}
            PostErrorKind::ChannelClosed | PostErrorKind::NotAllowed(_) => {}
            _ => return Err(format!("an open channel refuses: {error}")),
        }
        Ok(())
    }

    /// Posts something new on a channel; whether it was accepted.
    pub(crate) fn say(
        &mut self,
        key: Key,
        op_code: OpCode,
        id: u64,
        msg: Msg,
    ) -> Result<bool, String> {
        let Some(channel) = self.ledger.channels.get(&key) else {
            return Ok(false);
        };
        let seat = channel.group;
        let (msg, serial) = self.draft(key, op_code, id, msg)?;
        self.post(key.0, seat, msg, serial)
    }

    /// Fills a message that is to be posted on a channel; with it, the number under which it stands in
    /// the books.
    pub(crate) fn draft(
        &mut self,
        key: Key,
        op_code: OpCode,
        id: u64,
        mut msg: Msg,
    ) -> Result<(Msg, usize), String> {
        let len = self.body_len();
        msg.set_channel_number(number_of(key));
        msg.set_message_id(MessageId::new(id));
        msg.set_more(op_code.op_type() == tofu_msg::OpType::Regular && self.sim.random(4) == 0);
        self.add_lines(&mut msg)?;
        let serial = self.ledger.draft(&mut msg, op_code, len);
        Ok((msg, serial))
    }

    /// Now and then, some text headers.
    pub(crate) fn add_lines(&mut self, message: &mut Message) -> Judged {
        if self.plan.quiet || self.sim.random(16) > 0 {
            return Ok(());
        }
        for _ in 0..=self.sim.random(3) {
            let added = message.text_headers_mut().append("name", "value");
            added.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Opens a channel at or to `address`.
    pub(crate) fn open(&mut self, engine: usize, seat: usize, address: &Address) -> Judged {
        let mut msg = self.blank(engine);
        address
            .format(&mut msg)
            .map_err(|error| error.to_string())?;
        let (op_code, len) = (msg.op_code(), self.body_len());
        let serial = self.ledger.draft(&mut msg, op_code, len);
        self.post(engine, seat, msg, serial)?;
        Ok(())
    }
}

/// Changes the options of an engine before it starts.
pub(crate) type Adjust<'a> = &'a dyn Fn(&mut tofu_engine::Options);

/// The number of a channel as it stands in a message.
pub(crate) fn number_of(key: Key) -> ChannelNumber {
    ChannelNumber::new(u16::try_from(key.1).unwrap_or(u16::MAX))
}

/// Posts as a thread does, or as a task that does not wait: by a permit, or by a future.
pub(crate) fn post_by_turns(
    sender: &GroupSender,
    mut msg: Msg,
    serial: usize,
) -> Result<BinaryHeader, PostError> {
    let mut context = Context::from_waker(Waker::noop());
    match serial % 4 {
        1 => {
            let mut room = sender.reserve(msg.channel_number(), msg.frame_len());
            if let Poll::Ready(Ok(permit)) = Pin::new(&mut room).poll(&mut context) {
                return permit.post(msg);
            }
        }
        3 => {
            let mut posting = sender.post_async(msg);
            if let Poll::Ready(posted) = Pin::new(&mut posting).poll(&mut context) {
                return posted;
            }
            let Some(kept) = posting.into_message() else {
                unreachable!("it waits, so its message is there");
            };
            msg = kept;
        }
        _ => {}
    }
    // Refused as any other, so that a notice tells of room.
    sender.post(msg)
}
