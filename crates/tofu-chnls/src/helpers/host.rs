//! `Host`: the receive loop of a server with any number of listeners, around a `Service`. It is made
//! of the four calls; whoever wants another loop writes one.

use std::collections::VecDeque;
use std::error::Error;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use thiserror::Error;
use tofu_addr::{Address, AddressError, Endpoint};
use tofu_msg::{ChannelNumber, Message, OpCode};

use super::service::{Context, Listener, Service};
use crate::{
    Ampe, Cause, ChannelGroup, DestroyReport, EngineError, Incoming, Msg, Notice, PostError, Poster,
};

/// How long clients may take what the service posted at its end, unless told otherwise.
const GRACE: Duration = Duration::from_secs(1);

/// A server: one group with all its listeners, on TCP and Unix domain sockets alike.
///
/// ```
/// use std::ops::ControlFlow;
/// use std::time::Duration;
/// use tofu_addr::Address;
/// use tofu_chnls::helpers::{Context, Host, HostEnd, Service};
/// use tofu_chnls::{Incoming, Options, Reactor};
///
/// /// Answers everything with itself.
/// struct Echo;
///
/// impl Service for Echo {
///     fn on_message(&mut self, incoming: Incoming, context: &Context<'_>) -> ControlFlow<()> {
///         if let Incoming::Peer(mut message) = incoming {
///             message.make_reply();
///             context.post(message).ok(); // refused if the client has left
///         }
///         ControlFlow::Continue(())
///     }
/// }
///
/// let engine = Reactor::start(Options::default())?;
/// let endpoint = Address::tcp_server("127.0.0.1", 0).into_endpoint();
/// let host = Host::open(&engine, [endpoint], Duration::from_secs(10))?;
/// println!("listening on {}", host.listeners()[0].endpoint);
/// let handle = host.handle();
/// let server = std::thread::spawn(move || host.serve(&engine, &mut Echo));
/// // ...
/// handle.stop();
/// let served = server.join().map_err(|_| "the server panicked")??;
/// assert!(matches!(served.end, HostEnd::Stopped));
/// # Ok::<(), Box<dyn std::error::Error + Send + Sync>>(())
/// ```
#[derive(Debug)]
pub struct Host {
    group: ChannelGroup,
    listeners: Vec<Listener>,
    /// What came before all listeners were ready. Bounded by the group's share of the pool, for
    /// these messages are of it: when that is used up, the engine stops reading.
    early: VecDeque<Msg>,
    stop_now: Arc<AtomicBool>,
    grace: Duration,
}

/// Stops a host from any thread.
#[derive(Debug, Clone)]
pub struct HostHandle {
    poster: Poster,
    stop_now: Arc<AtomicBool>,
}

/// How a host ended, and what was left to send.
#[derive(Debug)]
#[non_exhaustive]
pub struct Served {
    /// What ended it.
    pub end: HostEnd,
    /// What its group left behind, the messages that were not sent among it.
    pub report: DestroyReport,
}

/// What ended a host.
#[derive(Debug)]
#[non_exhaustive]
pub enum HostEnd {
    /// [`HostHandle::stop`]
    Stopped,
    /// [`Service::on_message`] returned `Break`.
    ServiceEnded,
    /// The engine ended.
    EngineEnded(EngineError),
}

/// Why a host did not begin to serve. Nothing is left listening then.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum HostError {
    /// The engine has ended.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// An endpoint cannot be listened on, by what it says.
    #[error("cannot listen on {endpoint}: {error}")]
    Address {
        /// As it was given.
        endpoint: Endpoint,
        /// What is wrong with it.
        error: AddressError,
    },
    /// The engine did not take the wish to listen.
    #[error("cannot listen on {endpoint}: {error}")]
    Refused {
        /// As it was given.
        endpoint: Endpoint,
        /// Why it was not taken.
        error: PostError,
    },
    /// The system refused: the port is held by somebody else, for one.
    #[error("cannot listen on {endpoint}: {cause}")]
    NotListening {
        /// As it was given.
        endpoint: Endpoint,
        /// What the system said.
        cause: Cause,
    },
    /// A listener was not ready in time; a name that has to be looked up may be slow.
    #[error("{endpoint} was not listened on within {timeout:?}")]
    TimedOut {
        /// As it was given.
        endpoint: Endpoint,
        /// The time that there was for all of them.
        timeout: Duration,
    },
    /// [`Service::start`] failed.
    #[error("the service could not start: {0}")]
    NotStarted(Box<dyn Error + Send + Sync>),
}

impl Host {
    /// Listens on all of the endpoints; returns when each of them can be connected to, within
    /// `timeout` altogether. Clients that connect before [`serve`](Host::serve) wait for it.
    ///
    /// # Errors
    /// Which endpoint cannot be listened on and why; then none is.
    pub fn open(
        engine: &dyn Ampe,
        endpoints: impl IntoIterator<Item = Endpoint>,
        timeout: Duration,
    ) -> Result<Host, HostError> {
        let mut host = Host {
            group: engine.create()?,
            listeners: Vec::new(),
            early: VecDeque::new(),
            stop_now: Arc::default(),
            grace: GRACE,
        };
        for endpoint in endpoints {
            let channel_number = host.listen(engine, &endpoint)?;
            host.listeners.push(Listener {
                channel_number,
                endpoint,
            });
        }
        host.wait_until_ready(timeout)?;
        Ok(host)
    }

    /// Sets how long clients may take what is posted at the end. Default 1 s.
    #[must_use]
    pub fn grace(mut self, grace: Duration) -> Host {
        self.grace = grace;
        self
    }

    /// The listeners, in the order in which their endpoints were given, with their real addresses.
    #[must_use]
    pub fn listeners(&self) -> &[Listener] {
        &self.listeners
    }

    /// A handle that stops this host from any thread.
    #[must_use]
    pub fn handle(&self) -> HostHandle {
        HostHandle {
            poster: self.group.poster(),
            stop_now: Arc::clone(&self.stop_now),
        }
    }

    /// Serves until it is stopped, the service ends it, or the engine ends. Then the channels are
    /// closed; what was posted may be sent within the grace.
    ///
    /// # Errors
    /// [`HostError::NotStarted`] when the service could not start.
    pub fn serve<S: Service + ?Sized>(
        mut self,
        engine: &dyn Ampe,
        service: &mut S,
    ) -> Result<Served, HostError> {
        service
            .start(&self.context(engine))
            .map_err(HostError::NotStarted)?;
        let end = self.run(engine, service);
        service.stop(&self.context(engine));
        let report = self.group.destroy(self.grace);
        Ok(Served { end, report })
    }

    fn listen(&self, engine: &dyn Ampe, endpoint: &Endpoint) -> Result<ChannelNumber, HostError> {
        let mut welcome = engine.message()?;
        Address::listen_on(endpoint.clone())
            .format(&mut welcome)
            .map_err(|error| HostError::Address {
                endpoint: endpoint.clone(),
                error,
            })?;
        match self.group.post(welcome) {
            Ok(header) => Ok(header.channel_number),
            Err(error) => Err(HostError::Refused {
                endpoint: endpoint.clone(),
                error,
            }),
        }
    }

    fn wait_until_ready(&mut self, timeout: Duration) -> Result<(), HostError> {
        let started = Instant::now();
        let mut is_ready = vec![false; self.listeners.len()];
        while let Some(slow) = is_ready.iter().position(|ready| !ready) {
            let left = timeout.saturating_sub(started.elapsed());
            let Some(message) = self.group.wait_receive(left)? else {
                let endpoint = self.listeners[slow].endpoint.clone();
                return Err(HostError::TimedOut { endpoint, timeout });
            };
            if let Some(index) = self.take_early(message)? {
                is_ready[index] = true;
            }
        }
        Ok(())
    }

    /// Which listener has become ready by this message, if it is about that; others are kept.
    fn take_early(&mut self, message: Msg) -> Result<Option<usize>, HostError> {
        let number = message.channel_number();
        let index = self
            .listeners
            .iter()
            .position(|listener| listener.channel_number == number);
        match (index, Incoming::from(message)) {
            (Some(index), Incoming::Engine(Notice::ListenerReady, message)) => {
                let listener = &mut self.listeners[index];
                let real = Address::parse(&message);
                listener.endpoint = real.map(Address::into_endpoint).map_err(|error| {
                    let endpoint = listener.endpoint.clone();
                    HostError::Address { endpoint, error }
                })?;
                return Ok(Some(index));
            }
            (Some(index), Incoming::Engine(Notice::ListenFailed, message)) => {
                let endpoint = self.listeners[index].endpoint.clone();
                if let Some(cause) = message.cause().cloned() {
                    return Err(HostError::NotListening { endpoint, cause });
                }
            }
            (
                _,
                Incoming::Peer(message) | Incoming::Update(message) | Incoming::Engine(_, message),
            ) => {
                self.early.push_back(message);
            }
        }
        Ok(None)
    }

    fn run<S: Service + ?Sized>(&mut self, engine: &dyn Ampe, service: &mut S) -> HostEnd {
        while !self.stop_now.load(Ordering::Acquire) {
            let incoming = match self.next(service.next_deadline()) {
                Ok(message) => message.map(Incoming::from),
                Err(error) => return HostEnd::EngineEnded(error),
            };
            if matches!(&incoming, Some(Incoming::Update(update)) if is_stop(update)) {
                break;
            }
            let context = self.context(engine);
            if let Some(incoming) = incoming {
                if service.on_message(incoming, &context).is_break() {
                    return HostEnd::ServiceEnded;
                }
            }
            if on_time(service, &context).is_break() {
                return HostEnd::ServiceEnded;
            }
        }
        HostEnd::Stopped
    }

    /// The next message, or none where the deadline comes first.
    fn next(&mut self, deadline: Option<Instant>) -> Result<Option<Msg>, EngineError> {
        if let Some(message) = self.early.pop_front() {
            return Ok(Some(message));
        }
        let wait = deadline.map_or(Duration::MAX, |at| {
            at.saturating_duration_since(Instant::now())
        });
        self.group.wait_receive(wait)
    }

    fn context<'a>(&'a self, engine: &'a dyn Ampe) -> Context<'a> {
        Context {
            engine,
            group: &self.group,
            listeners: &self.listeners,
        }
    }
}

impl HostHandle {
    /// Ends the host's loop behind what has come so far. Safe to call again, and after its end.
    pub fn stop(&self) {
        let message = Msg::from(Message::new(OpCode::ByeSignal));
        if self.poster.update_receiver(Some(message)).is_err() {
            // The loop is over, or so many updates wait that it looks at the flag once more before
            // it sleeps; if it has just taken them all, there is room to wake it.
            self.stop_now.store(true, Ordering::Release);
            self.poster.update_receiver(None).ok();
        }
    }
}

/// Tells a service the time, if it waits for it. One that waits for nothing costs no look at the clock.
fn on_time<S: Service + ?Sized>(service: &mut S, context: &Context<'_>) -> ControlFlow<()> {
    let Some(deadline) = service.next_deadline() else {
        return ControlFlow::Continue(());
    };
    let now = Instant::now();
    if deadline > now {
        return ControlFlow::Continue(());
    }
    service.on_time(now, context)
}

/// A goodbye from this process itself is the handle's: nobody else can send one here by accident.
fn is_stop(update: &Message) -> bool {
    update.op_code() == OpCode::ByeSignal
}

#[cfg(test)]
mod tests {
    use tofu_msg::Origin;

    use super::*;
    use crate::{Options, Reactor};

    /// Keeps the first message and ends.
    struct First(Option<Incoming>);

    impl Service for First {
        fn on_message(&mut self, incoming: Incoming, _context: &Context<'_>) -> ControlFlow<()> {
            self.0 = Some(incoming);
            ControlFlow::Break(())
        }
    }

    #[test]
    fn who_came_before_the_last_listener_was_ready_is_served() {
        let engine = Reactor::start(Options::default()).unwrap();
        let endpoint = Address::tcp_server("127.0.0.1", 0).into_endpoint();
        let mut host = Host::open(&engine, [endpoint], Duration::from_secs(30)).unwrap();
        let mut hello = Message::new(OpCode::HelloRequest);
        hello.set_origin(Origin::Peer);
        hello.set_channel_number(ChannelNumber::new(77));
        assert!(matches!(host.take_early(Msg::from(hello)), Ok(None)));
        host.handle().stop();
        let mut service = First(None);
        let served = host.serve(&engine, &mut service).unwrap();
        assert!(matches!(served.end, HostEnd::ServiceEnded));
        match service.0 {
            Some(Incoming::Peer(hello)) => {
                assert_eq!(hello.channel_number(), ChannelNumber::new(77));
            }
            other => panic!("{other:?}"),
        }
    }
}
