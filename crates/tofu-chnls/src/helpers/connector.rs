//! `Connector`: keeps a connection to one endpoint, by posting a fresh HelloRequest, after a pause,
//! whenever there is none. Fed by the receive loop; never waits and looks at no clock. It does not
//! resend anything: what was under way on a lost connection is the program's affair.

mod error;
mod options;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::fmt;
use std::time::Instant;

use tofu_addr::{Address, Endpoint};
use tofu_msg::{ChannelNumber, Message, OpCode, Origin};

pub use self::error::ConnectError;
pub use self::options::ConnectorOptions;
use super::deadlines::after;
use super::post::{Post, close_at_once};
use crate::{Cause, Msg};

/// What happens to a connection that a [`Connector`] keeps.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum ConnectorEvent {
    /// There is a connection: the peer's program has answered.
    Connected {
        /// Its channel.
        channel: ChannelNumber,
    },
    /// The connection has ended. A `Retrying` or `GaveUp` follows.
    Lost {
        /// The channel that was.
        channel: ChannelNumber,
        /// Why it ended; `success` where both programs said Bye.
        cause: Cause,
    },
    /// There is no connection; the next attempt will be made at `at`.
    Retrying {
        /// When.
        at: Instant,
        /// Attempts that have failed since there was a connection that lasted.
        failures: u32,
        /// Why the last one failed, or the connection was lost.
        error: ConnectError,
    },
    /// There is no connection and no attempt will be made any more.
    GaveUp {
        /// Attempts that have failed since there was a connection that lasted.
        failures: u32,
        /// Why the last one failed, or the connection was lost.
        error: ConnectError,
    },
}

/// ```text
///   Waiting --time--> Connecting --answer--> Connected
///    ^   ^                |  |                   |
///    |   +-channel_closed-+  +--deadline--+      |
///    |                                    v      |
///    +------channel_closed----------- Aborting   |
///    +------channel_closed-----------------------+
///   Stopped: instead of Waiting, where it is given up; from any state by `stop`
/// ```
#[derive(Debug, Clone, Copy)]
enum State {
    Waiting {
        at: Instant,
    },
    Connecting {
        channel: ChannelNumber,
        deadline: Instant,
    },
    /// The attempt took too long; its channel has not said its last word yet.
    Aborting {
        channel: ChannelNumber,
    },
    Connected {
        channel: ChannelNumber,
        since: Instant,
    },
    Stopped,
}

/// Keeps a connection to one endpoint: connects, and connects again when the connection is lost,
/// with growing pauses, until it is told to stop or gives up.
///
/// A connection counts as made when the peer's program has answered the HelloRequest, be it with a
/// HelloResponse or with anything else but a Bye. Names are looked up afresh for each attempt.
/// Pauses, limits and the seed of the pauses' randomness are in [`ConnectorOptions`].
///
/// Show it every received message ([`on_message`](Self::on_message)), tell it the time
/// ([`on_time`](Self::on_time)), and take its [events](Self::next_event).
///
/// ```
/// use std::time::{Duration, Instant};
/// use tofu_chnls::helpers::{Connector, ConnectorEvent, ConnectorOptions, time_to_next};
/// use tofu_chnls::{Ampe, Options, Reactor};
///
/// let engine = Reactor::start(Options::default())?;
/// let mut group = engine.create()?;
///
/// let nowhere = "uds|/no/such/folder/socket".parse()?;
/// let options = ConnectorOptions::default()
///     .first_delay(Duration::from_millis(1))
///     .attempts(3);
/// let mut connector = Connector::new(nowhere, options, Instant::now())
///     .hello(|hello| hello.text_headers_mut().append("name", "example").unwrap_or_default());
///
/// 'connected: loop {
///     connector.on_time(&group, Instant::now());
///     while let Some(event) = connector.next_event() {
///         match event {
///             ConnectorEvent::Connected { channel } => println!("connected: {channel}"),
///             ConnectorEvent::Retrying { error, .. } => println!("once more: {error}"),
///             ConnectorEvent::GaveUp { .. } => break 'connected,
///             other => println!("{other:?}"),
///         }
///     }
///     let wait = time_to_next(Instant::now(), [connector.next_deadline()]);
///     if let Some(message) = group.wait_receive(wait)? {
///         connector.on_message(&message, Instant::now());
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Connector {
    endpoint: Endpoint,
    options: ConnectorOptions,
    hello: Box<dyn FnMut(&mut Message) + Send>,
    state: State,
    /// Since there was a connection that lasted.
    failures: u32,
    /// When the connector began, or last lost a connection that had lasted.
    without_since: Instant,
    events: VecDeque<ConnectorEvent>,
}

impl Connector {
    /// Connects to `endpoint`; the first attempt is due at once, at `now`.
    #[must_use]
    pub fn new(endpoint: Endpoint, options: ConnectorOptions, now: Instant) -> Connector {
        Connector {
            endpoint,
            options,
            hello: Box::new(|_| {}),
            state: State::Waiting { at: now },
            failures: 0,
            without_since: now,
            events: VecDeque::new(),
        }
    }

    /// What to put into each HelloRequest: text headers and a body. The address is added.
    #[must_use]
    pub fn hello(mut self, fill: impl FnMut(&mut Message) + Send + 'static) -> Connector {
        self.hello = Box::new(fill);
        self
    }

    /// Shows it a received message, of whatever channel.
    pub fn on_message(&mut self, message: &Msg, now: Instant) {
        if self.any_channel() != Some(message.channel_number()) {
            return;
        }
        match (message.origin(), message.close_info()) {
            (Origin::Engine, Some(info)) => self.on_closed(&info.cause, now),
            (Origin::Peer, _) => self.on_peer(message.op_code(), now),
            _ => {}
        }
    }

    /// Does what is due: posts a HelloRequest, or ends an attempt that takes too long.
    pub fn on_time(&mut self, post: &(impl Post + ?Sized), now: Instant) {
        match self.state {
            State::Waiting { at } if at <= now => self.attempt(post, now),
            State::Connecting { channel, deadline } if deadline <= now => {
                // Where it is refused, the channel's last word is on its way already.
                close_at_once(post, channel).ok();
                self.state = State::Aborting { channel };
            }
            _ => {}
        }
    }

    /// When [`on_time`](Self::on_time) is next to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        match self.state {
            State::Waiting { at } => Some(at),
            State::Connecting { deadline, .. } => Some(deadline),
            State::Aborting { .. } | State::Connected { .. } | State::Stopped => None,
        }
    }

    /// What has happened, in order.
    pub fn next_event(&mut self) -> Option<ConnectorEvent> {
        self.events.pop_front()
    }

    /// The channel of the connection, while there is one.
    #[must_use]
    pub fn channel(&self) -> Option<ChannelNumber> {
        match self.state {
            State::Connected { channel, .. } => Some(channel),
            _ => None,
        }
    }

    /// Makes no further attempt, and takes no further interest in the channel of the connection, or
    /// of the attempt, if there is one: it is returned, for the program to close.
    pub fn stop(&mut self) -> Option<ChannelNumber> {
        let channel = self.any_channel();
        self.state = State::Stopped;
        channel
    }

    /// Begins anew where it was stopped or gave up: the next attempt is due at `now`. Does nothing
    /// otherwise.
    pub fn restart(&mut self, now: Instant) {
        if let State::Stopped = self.state {
            self.state = State::Waiting { at: now };
            self.failures = 0;
            self.without_since = now;
        }
    }

    /// The channel of the connection or of the attempt.
    fn any_channel(&self) -> Option<ChannelNumber> {
        match self.state {
            State::Connecting { channel, .. }
            | State::Aborting { channel }
            | State::Connected { channel, .. } => Some(channel),
            State::Waiting { .. } | State::Stopped => None,
        }
    }

    fn attempt(&mut self, post: &(impl Post + ?Sized), now: Instant) {
        match self.post_hello(post) {
            Ok(channel) => {
                let limit = after(self.without_since, self.options.give_up_after);
                let deadline = after(now, self.options.attempt_timeout).min(limit);
                self.state = State::Connecting { channel, deadline };
            }
            Err(error) => self.failed(error, now),
        }
    }

    fn post_hello(&mut self, post: &(impl Post + ?Sized)) -> Result<ChannelNumber, ConnectError> {
        let mut hello = Message::new(OpCode::HelloRequest);
        (self.hello)(&mut hello);
        Address::connect_to(self.endpoint.clone()).format(&mut hello)?;
        match post.post(hello.into()) {
            Ok(header) => Ok(header.channel_number),
            Err(refused) => Err(ConnectError::Refused(refused.kind())),
        }
    }

    fn on_peer(&mut self, op_code: OpCode, now: Instant) {
        let State::Connecting { channel, .. } = self.state else {
            return;
        };
        // A Bye without an answer before it turns us away.
        if !matches!(op_code, OpCode::ByeRequest | OpCode::ByeResponse) {
            let since = now;
            self.state = State::Connected { channel, since };
            self.events.push_back(ConnectorEvent::Connected { channel });
        }
    }

    fn on_closed(&mut self, cause: &Cause, now: Instant) {
        match self.state {
            State::Connecting { .. } => self.failed(ConnectError::Closed(cause.clone()), now),
            State::Aborting { .. } => self.failed(ConnectError::TimedOut, now),
            State::Connected { channel, since } => self.lost(channel, since, cause, now),
            State::Waiting { .. } | State::Stopped => {}
        }
    }

    fn lost(&mut self, channel: ChannelNumber, since: Instant, cause: &Cause, now: Instant) {
        if now.saturating_duration_since(since) >= self.options.stable_after {
            self.failures = 0;
            self.without_since = now;
        } else {
            self.failures = self.failures.saturating_add(1);
        }
        let cause = cause.clone();
        self.events.push_back(ConnectorEvent::Lost {
            channel,
            cause: cause.clone(),
        });
        self.retry(ConnectError::Closed(cause), now);
    }

    fn failed(&mut self, error: ConnectError, now: Instant) {
        self.failures = self.failures.saturating_add(1);
        self.retry(error, now);
    }

    /// Waits for the next attempt, unless there shall be none.
    fn retry(&mut self, error: ConnectError, now: Instant) {
        let at = after(now, self.options.delay(self.failures));
        let too_late = after(self.without_since, self.options.give_up_after) < at;
        let failures = self.failures;
        if error.is_final() || failures >= self.options.attempts.max(1) || too_late {
            self.state = State::Stopped;
            self.events
                .push_back(ConnectorEvent::GaveUp { failures, error });
        } else {
            self.state = State::Waiting { at };
            self.events.push_back(ConnectorEvent::Retrying {
                at,
                failures,
                error,
            });
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector")
            .field("endpoint", &self.endpoint)
            .field("options", &self.options)
            .field("state", &self.state)
            .field("failures", &self.failures)
            .field("without_since", &self.without_since)
            .finish_non_exhaustive()
    }
}
