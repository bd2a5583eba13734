//! `Calls`: which answer belongs to which request, and what becomes of the requests that get none.
//! Fed by the receive loop of one thread; never waits and looks at no clock. `Caller`, beside it, is
//! the same for threads that block.

mod caller;
mod error;
mod event;
mod ids;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Instant;

use tofu_msg::{ChannelNumber, MessageId, OpCode, Origin, Status};

pub use self::caller::{Answer, Caller, Dispatcher, PendingCall};
pub use self::error::{CallError, CallErrorKind};
pub use self::event::{CallEvent, CallFailure, CallFailureKind, CallId, RequestFate};
use self::ids::Ids;
use super::Post;
use super::deadlines::Deadlines;
use crate::{Cause, CloseInfo, Incoming, Msg, Notice};

/// The calls that wait for their answers: Requests by channel and message id, each with a value of
/// the program's own and a deadline.
///
/// A call ends exactly once: with the last part of its Response (that has `more` off), or by failing: at
/// its deadline, when its Request comes back unsent, or when its channel closes. What was not sent
/// comes back with the failure, and the failure says what is known of the Request's fate.
///
/// Feed every received message to [`on_message`](Self::on_message), which gives back what is not
/// about a call, and the time to [`on_time`](Self::on_time); then take the
/// [events](Self::next_event).
///
/// A Request without an id is given one that neither engine gives by itself, so that a Signal which
/// the peer sends on its own account is never taken for a call's progress.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tofu_chnls::helpers::{CallEvent, Calls};
/// use tofu_chnls::{Ampe, Options, Reactor};
/// # use tofu_addr::Address;
/// # use tofu_msg::OpCode;
///
/// let engine = Reactor::start(Options::default())?;
/// let mut group = engine.create()?;
/// # // A server in the same group: it answers what is not an answer.
/// # let mut welcome = engine.message()?;
/// # Address::tcp_server("127.0.0.1", 0).format(&mut welcome)?;
/// # group.post(welcome)?;
/// # let ready = group.wait_receive(Duration::from_secs(5))?.ok_or("no answer")?;
/// # let mut hello = engine.message()?;
/// # Address::connect_to(Address::parse(&ready)?.into_endpoint()).format(&mut hello)?;
/// # let channel = group.post(hello)?.channel_number;
///
/// let mut calls = Calls::new(1000);
/// let mut request = engine.message()?;
/// request.set_channel_number(channel);
/// calls.call(&group, request, "the first job", Instant::now() + Duration::from_secs(5))?;
///
/// 'done: loop {
///     while let Some(event) = calls.next_event() {
///         match event {
///             CallEvent::Answered { value, answer, .. } => {
///                 println!("{value}: {} bytes", answer.body().len());
///                 break 'done;
///             }
///             CallEvent::Failed { value, failure, .. } => println!("{value}: {failure}"),
///             _ => {}
///         }
///     }
///     if let Some(message) = group.wait_receive(Duration::from_secs(1))? {
///         if let Some(message) = calls.on_message(message) {
///             println!("something else: {:?}", message.header());
/// #           let mut message = message;
/// #           if message.op_code() == OpCode::Request {
/// #               message.make_reply();
/// #               group.post(message)?;
/// #           }
///         }
///     }
///     calls.on_time(Instant::now());
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Calls<T> {
    /// By channel and then id, so that a channel's calls stand together, the oldest first.
    pending: BTreeMap<CallId, Pending<T>>,
    /// Exactly one entry for each pending call.
    deadlines: Deadlines<CallId>,
    events: VecDeque<CallEvent<T>>,
    ids: Ids,
    limit: usize,
    late: u64,
}

#[derive(Debug)]
struct Pending<T> {
    value: T,
    deadline: Instant,
    /// The Request has more parts, posted by the program, of which the peer may have seen some.
    in_parts: bool,
    /// The peer's program has shown that it took the Request.
    taken: bool,
}

impl<T> Calls<T> {
    /// Keeps up to `limit` pending calls (at least one); further ones are refused.
    #[must_use]
    pub fn new(limit: usize) -> Calls<T> {
        Calls {
            pending: BTreeMap::new(),
            deadlines: Deadlines::new(),
            events: VecDeque::new(),
            ids: Ids::random(),
            limit: limit.max(1),
            late: 0,
        }
    }

    /// The first id to give to Requests, in place of a random one: for runs that are to be
    /// repeated.
    #[must_use]
    pub fn first_id(mut self, id: MessageId) -> Calls<T> {
        self.ids = Ids::from(id);
        self
    }

    /// Posts a Request and keeps `value` for its answer. A Request whose `more` is on is the first
    /// of several; post the others under the id that is returned.
    ///
    /// # Errors
    /// The message and the value as they were, and why: too many calls are pending, it is not a
    /// Request, its id is that of a pending call, or `post` refused it.
    pub fn call(
        &mut self,
        post: &(impl Post + ?Sized),
        mut request: Msg,
        value: T,
        deadline: Instant,
    ) -> Result<CallId, CallError<T>> {
        let chosen = request.message_id();
        let call = match self.check(&mut request) {
            Ok(call) => call,
            Err(kind) => return Err(CallError::new(kind, request, value)),
        };
        let in_parts = request.more();
        if let Err(refused) = post.post(request) {
            let (kind, mut request) = refused.into_parts();
            request.set_message_id(chosen);
            return Err(CallError::new(CallErrorKind::Post(kind), request, value));
        }
        self.insert(call, value, deadline, in_parts);
        Ok(call)
    }

    /// Takes one received message. Gives it back unless it was about a pending call or one that has
    /// ended; the last word of a channel fails its calls and is given back too.
    ///
    /// When the group is destroyed, feed it what was not sent
    /// ([`DestroyReport::unsent`](crate::DestroyReport)), and then call [`fail_all`](Self::fail_all).
    pub fn on_message(&mut self, message: Msg) -> Option<Msg> {
        match message.origin() {
            Origin::Peer => self.on_peer(message),
            Origin::Engine => self.on_engine(message),
            Origin::Local => Some(message),
        }
    }

    /// Fails the calls whose deadline has passed.
    pub fn on_time(&mut self, now: Instant) {
        while let Some(call) = self.deadlines.pop_due(now) {
            self.fail(call, CallFailureKind::Expired, None);
        }
    }

    /// When [`on_time`](Self::on_time) is next to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// What has become of calls, in the order in which it happened.
    pub fn next_event(&mut self) -> Option<CallEvent<T>> {
        self.events.pop_front()
    }

    /// The value of a pending call.
    #[must_use]
    pub fn value_mut(&mut self, call: CallId) -> Option<&mut T> {
        self.pending
            .get_mut(&call)
            .map(|pending| &mut pending.value)
    }

    /// Gives a pending call another deadline, as when it has shown progress. Returns whether the
    /// call is pending.
    pub fn set_deadline(&mut self, call: CallId, deadline: Instant) -> bool {
        let Some(pending) = self.pending.get_mut(&call) else {
            return false;
        };
        self.deadlines.remove(pending.deadline, call);
        self.deadlines.insert(deadline, call);
        pending.deadline = deadline;
        true
    }

    /// Forgets a pending call and returns its value; an answer to it will be late. The Request
    /// goes its way.
    pub fn cancel(&mut self, call: CallId) -> Option<T> {
        self.end(call).map(|pending| pending.value)
    }

    /// Fails every pending call: for the end of the group, or of the engine, when `wait_receive`
    /// returns an error.
    pub fn fail_all(&mut self, status: Status) {
        while let Some((&call, _)) = self.pending.first_key_value() {
            self.fail(call, CallFailureKind::EngineEnded(status), None);
        }
    }

    /// How many calls wait for their answers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.pending.len()
    }

    /// How many answers and progress Signals came for calls that had ended. Those of Requests to
    /// which the program gave ids of its own are not known as such and not counted.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late
    }

    /// Checks what a Request must be, and gives it an id where it has none.
    fn check(&mut self, request: &mut Msg) -> Result<CallId, CallErrorKind> {
        if request.op_code() != OpCode::Request {
            return Err(CallErrorKind::NotARequest(request.op_code()));
        }
        if self.pending.len() >= self.limit {
            return Err(CallErrorKind::TooManyPending { limit: self.limit });
        }
        if self.pending.contains_key(&CallId::of(request)) {
            return Err(CallErrorKind::IdInUse(request.message_id()));
        }
        // The program may have given the next id to a pending call by itself.
        let is_taken = |request: &Msg| self.pending.contains_key(&CallId::of(request));
        while !request.message_id().is_assigned() || is_taken(request) {
            request.set_message_id(self.ids.give());
        }
        Ok(CallId::of(request))
    }

    fn insert(&mut self, call: CallId, value: T, deadline: Instant, in_parts: bool) {
        let pending = Pending {
            value,
            deadline,
            in_parts,
            taken: false,
        };
        self.deadlines.insert(deadline, call);
        self.pending.insert(call, pending);
    }

    fn on_peer(&mut self, message: Msg) -> Option<Msg> {
        let is_response = message.op_code() == OpCode::Response;
        if !is_response && message.op_code() != OpCode::Signal {
            return Some(message);
        }
        let call = CallId::of(&message);
        let Some(pending) = self.pending.get_mut(&call) else {
            return self.on_late(message);
        };
        pending.taken = true;
        if is_response && !message.more() {
            self.answer(call, message);
        } else {
            self.events.push_back(CallEvent::Progress { call, message });
        }
        None
    }

    fn on_late(&mut self, message: Msg) -> Option<Msg> {
        if !self.ids.gave(message.message_id()) {
            return Some(message);
        }
        self.late += 1;
        self.events.push_back(CallEvent::Late { message });
        None
    }

    fn on_engine(&mut self, message: Msg) -> Option<Msg> {
        match Incoming::from(message) {
            Incoming::Engine(Notice::Returned, message) => self.on_returned(message),
            Incoming::Engine(Notice::ChannelClosed(info), message) => {
                self.on_closed(message.channel_number(), &info);
                Some(message)
            }
            Incoming::Engine(_, message) | Incoming::Peer(message) | Incoming::Update(message) => {
                Some(message)
            }
        }
    }

    fn on_returned(&mut self, message: Msg) -> Option<Msg> {
        let call = CallId::of(&message);
        let is_call = message.op_code() == OpCode::Request && self.pending.contains_key(&call);
        let Some(cause) = message.cause().filter(|_| is_call).cloned() else {
            return Some(message);
        };
        self.fail(call, CallFailureKind::Returned(cause), Some(message));
        None
    }

    /// Nothing more can come on this channel.
    fn on_closed(&mut self, channel: ChannelNumber, info: &CloseInfo) {
        let calls = CallId::all_of(channel);
        while let Some((&call, pending)) = self.pending.range_mut(calls.clone()).next() {
            pending.taken |= info.confirmed;
            let cause: Cause = info.cause.clone();
            self.fail(call, CallFailureKind::ChannelClosed(cause), None);
        }
    }

    fn answer(&mut self, call: CallId, answer: Msg) {
        if let Some(Pending { value, .. }) = self.end(call) {
            self.events.push_back(CallEvent::Answered {
                call,
                value,
                answer,
            });
        }
    }

    fn fail(&mut self, call: CallId, kind: CallFailureKind, request: Option<Msg>) {
        let Some(pending) = self.end(call) else {
            return;
        };
        let fate = match request {
            _ if pending.taken => RequestFate::Taken,
            Some(_) if !pending.in_parts => RequestFate::NotSent,
            _ => RequestFate::Unknown,
        };
        self.events.push_back(CallEvent::Failed {
            call,
            value: pending.value,
            failure: CallFailure::new(kind, fate, request),
        });
    }

    fn end(&mut self, call: CallId) -> Option<Pending<T>> {
        let pending = self.pending.remove(&call)?;
        self.deadlines.remove(pending.deadline, call);
        Some(pending)
    }
}
