//! `Caller`: calls from threads that wait for the answer, while one thread, whose loop feeds a
//! `Dispatcher`, receives. The waiting threads watch their own deadlines, so this is the one helper
//! that looks at the clock. No thread is started here, and none waits with the lock held.

use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tofu_msg::{OpCode, Status};

use super::{CallErrorKind, CallEvent, CallFailure, CallFailureKind, CallId, Calls};
use crate::helpers::deadlines::after;
use crate::{Msg, Poster};

/// Calls from any thread that wait for their answers.
///
/// One thread has to receive for them: the program's receive loop, which feeds what it gets to the
/// [`Dispatcher`]. (So that thread itself must not wait for a call.)
///
/// ```
/// use std::time::Duration;
/// use tofu_chnls::helpers::Caller;
/// use tofu_chnls::{Ampe, Options, Reactor};
/// # use tofu_addr::Address;
///
/// let engine = Reactor::start(Options::default())?;
/// let mut group = engine.create()?;
/// # let mut service = engine.create()?;
/// # let mut welcome = engine.message()?;
/// # Address::tcp_server("127.0.0.1", 0).format(&mut welcome)?;
/// # service.post(welcome)?;
/// # let ready = service.wait_receive(Duration::from_secs(5))?.ok_or("no answer")?;
/// # std::thread::spawn(move || {
/// #     while let Ok(Some(mut message)) = service.wait_receive(Duration::MAX) {
/// #         if message.make_reply().is_some() { service.post(message).ok(); }
/// #     }
/// # });
/// # let mut hello = engine.message()?;
/// # Address::connect_to(Address::parse(&ready)?.into_endpoint()).format(&mut hello)?;
/// # let channel = group.post(hello)?.channel_number;
/// let (caller, dispatcher) = Caller::new(group.poster(), 1000);
/// std::thread::spawn(move || {
///     while let Ok(Some(message)) = group.wait_receive(Duration::MAX) {
///         if let Some(message) = dispatcher.on_message(message) {
///             println!("something else: {:?}", message.header());
///         }
///     }
/// });
///
/// // In this thread, and in clones of the caller in others:
/// let mut request = engine.message()?;
/// request.set_channel_number(channel);
/// request.body_mut().append(b"how much?")?;
/// let answer = caller.call(request, Duration::from_secs(5))?;
/// assert_eq!(answer.message.body().as_bytes(), b"how much?");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct Caller {
    shared: Arc<Shared>,
}

/// Hands what the receive loop gets to the threads that wait for it. When it is dropped, every
/// pending call fails, and no further one is taken.
#[derive(Debug)]
pub struct Dispatcher {
    shared: Arc<Shared>,
}

/// A call that was begun: an iterator over what comes for it, and a wait for its end.
///
/// As an iterator it gives, waiting for each, the Signals with the call's id and the parts of its
/// Response, the last of which has `more` off; or the failure, and nothing behind it. Dropped
/// before, it gives the call up: the answer will be late. What comes faster than it is taken is
/// kept, within the limits of the engine's pool.
#[derive(Debug)]
pub struct PendingCall {
    shared: Arc<Shared>,
    call: CallId,
    /// Tells it from a later call with the same id, if this one's end has not been taken.
    number: u64,
    deadline: Instant,
    steps: Receiver<Step>,
    ended: bool,
}

/// What a call brought.
#[derive(Debug)]
#[non_exhaustive]
pub struct Answer {
    /// The parts of the Response before the last, in their order; most have none.
    pub earlier: Vec<Msg>,
    /// The Response, or its last part.
    pub message: Msg,
}

/// What a waiting thread is told.
#[derive(Debug)]
enum Step {
    Progress(Msg),
    Ended(Result<Msg, CallFailure>),
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    poster: Poster,
}

#[derive(Debug)]
struct State {
    calls: Calls<Waiting>,
    /// How many calls there have been.
    begun: u64,
    /// The dispatcher is there.
    receiving: bool,
}

/// Whom to tell.
#[derive(Debug)]
struct Waiting {
    number: u64,
    steps: Sender<Step>,
}

impl Caller {
    /// A caller that posts through `poster` and keeps up to `limit` pending calls, and the
    /// dispatcher for the loop that receives for the poster's group.
    #[must_use]
    pub fn new(poster: Poster, limit: usize) -> (Caller, Dispatcher) {
        let state = State {
            calls: Calls::new(limit),
            begun: 0,
            receiving: true,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            poster,
        });
        let dispatcher = Dispatcher {
            shared: Arc::clone(&shared),
        };
        (Caller { shared }, dispatcher)
    }

    /// Posts a Request and waits for its Response, up to `timeout` in all. Signals of progress are
    /// passed over; [`start`](Self::start) gives them. A Response of many parts is kept until the
    /// last, each in a message of the engine's pool: for long answers, feed what `start` gives to a
    /// [`Reassembler`](crate::helpers::Reassembler).
    ///
    /// # Errors
    /// How the call failed, with the Request where it was not sent.
    pub fn call(&self, request: Msg, timeout: Duration) -> Result<Answer, CallFailure> {
        self.start(request, timeout)?.wait()
    }

    /// Posts a Request, waiting for room in the send queue if need be; the answer may come up to
    /// `timeout` from now.
    ///
    /// # Errors
    /// The Request was not posted; it is in the failure.
    pub fn start(&self, mut request: Msg, timeout: Duration) -> Result<PendingCall, CallFailure> {
        let deadline = after(Instant::now(), timeout);
        let chosen = request.message_id();
        let (sender, steps) = mpsc::channel();
        // Known before it is posted, for the answer may come before `post` returns.
        let (call, number) = match self.shared.begin(&mut request, sender, deadline) {
            Ok(begun) => begun,
            Err(kind) => return Err(CallFailure::refused(kind, request)),
        };
        if let Err(refused) = self.shared.poster.post_timeout(request, timeout) {
            self.shared.lock().cancel(call, number);
            let (kind, mut request) = refused.into_parts();
            request.set_message_id(chosen);
            return Err(CallFailure::refused(CallErrorKind::Post(kind), request));
        }
        Ok(PendingCall {
            shared: Arc::clone(&self.shared),
            call,
            number,
            deadline,
            steps,
            ended: false,
        })
    }

    /// How many calls wait for their answers.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.shared.lock().calls.pending()
    }

    /// How many answers and progress Signals came too late; see [`Calls::late`].
    #[must_use]
    pub fn late(&self) -> u64 {
        self.shared.lock().calls.late()
    }
}

impl Dispatcher {
    /// Takes one received message and wakes whoever waits for it. Gives it back where nobody does:
    /// what is not about a call, the last word of a channel, and what came too late.
    pub fn on_message(&self, message: Msg) -> Option<Msg> {
        let mut state = self.shared.lock();
        let other = state.calls.on_message(message);
        let late = state.hand_out();
        other.or(late)
    }
}

impl Drop for Dispatcher {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.receiving = false;
        state.calls.fail_all(Status::SHUTDOWN_STARTED);
        state.hand_out();
    }
}

impl PendingCall {
    /// Which call it is: its channel, and the id under which to post the other parts of a Request
    /// of several.
    #[must_use]
    pub fn id(&self) -> CallId {
        self.call
    }

    /// Waits for the end. Signals of progress are passed over.
    ///
    /// # Errors
    /// How the call failed; [`CallFailureKind::AlreadyEnded`] where the iterator gave its end.
    pub fn wait(mut self) -> Result<Answer, CallFailure> {
        let mut earlier = Vec::new();
        while let Some(step) = self.next() {
            let message = step?;
            if self.ended {
                return Ok(Answer { earlier, message });
            }
            if message.op_code() == OpCode::Response {
                earlier.push(message);
            }
        }
        Err(CallFailure::already_ended())
    }

    /// The next step. From the deadline on nothing more can come for the call, and what came before is
    /// handed out without waiting, the failure last.
    fn next_step(&self) -> Option<Step> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            if let Ok(step) = self.steps.recv_timeout(left) {
                return Some(step);
            }
        }
        self.shared.lock().expire(self.call, self.number);
        self.steps.try_recv().ok()
    }
}

impl Iterator for PendingCall {
    type Item = Result<Msg, CallFailure>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        match self.next_step()? {
            Step::Progress(message) => Some(Ok(message)),
            Step::Ended(result) => {
                self.ended = true;
                Some(result)
            }
        }
    }
}

impl Drop for PendingCall {
    fn drop(&mut self) {
        if !self.ended {
            self.shared.lock().cancel(self.call, self.number);
        }
    }
}

impl Shared {
    /// A thread that panicked while it had the lock has left nothing half done that matters here.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(
        &self,
        request: &mut Msg,
        steps: Sender<Step>,
        deadline: Instant,
    ) -> Result<(CallId, u64), CallErrorKind> {
        let mut state = self.lock();
        if !state.receiving {
            return Err(CallErrorKind::NoReceiver);
        }
        let call = state.calls.check(request)?;
        state.begun += 1;
        let number = state.begun;
        let waiting = Waiting { number, steps };
        state.calls.insert(call, waiting, deadline, request.more());
        Ok((call, number))
    }
}

impl State {
    fn expire(&mut self, call: CallId, number: u64) {
        if self.is_pending(call, number) {
            self.calls.fail(call, CallFailureKind::Expired, None);
            self.hand_out();
        }
    }

    fn cancel(&mut self, call: CallId, number: u64) {
        if self.is_pending(call, number) {
            self.calls.cancel(call);
        }
    }

    /// Whether this very call is pending, and not another one with its id.
    fn is_pending(&mut self, call: CallId, number: u64) -> bool {
        let waiting = self.calls.value_mut(call);
        waiting.is_some_and(|waiting| waiting.number == number)
    }

    /// Tells the waiting threads what has happened; returns what came too late for anybody.
    fn hand_out(&mut self) -> Option<Msg> {
        let mut nobodys = None;
        while let Some(event) = self.calls.next_event() {
            // A thread that has gone meanwhile lets what was for it return to the pool.
            match event {
                CallEvent::Progress { call, message } => {
                    if let Some(waiting) = self.calls.value_mut(call) {
                        waiting.steps.send(Step::Progress(message)).ok();
                    }
                }
                CallEvent::Answered { value, answer, .. } => {
                    value.steps.send(Step::Ended(Ok(answer))).ok();
                }
                CallEvent::Failed { value, failure, .. } => {
                    value.steps.send(Step::Ended(Err(failure))).ok();
                }
                CallEvent::Late { message } => nobodys = Some(message),
            }
        }
        nobodys
    }
}
