//! The simulated network: what is on its way, what has arrived, who listens, and who is to be told.
//!
//! It is edge-triggered and honest about it: an event is raised when something changes, never as a
//! reminder, so that an engine that misses one stalls visibly. Called by streams and transports on
//! one side and by the simulation, which lets time pass, on the other.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::Duration;

use tofu_engine::driver::{Readiness, Token};

use crate::Random;
use crate::sim::connection::{Connection, End, Half, Phase};
use crate::sim::faults::Faults;
use crate::sim::midway::Midway;
use crate::sim::trace::Trace;

/// Something on its way.
#[derive(Debug)]
pub(crate) enum Arrival {
    Bytes(End, Vec<u8>),
    EndOfStream(End),
    Reset(End),
    /// A connection attempt reaches its listener.
    Attempt(usize),
    Event(usize, Token, Readiness),
    /// A name's targets.
    Resolved(usize, Token, Result<Vec<String>, io::ErrorKind>),
}

/// Somebody who listens.
#[derive(Debug)]
pub(crate) struct Listening {
    /// `None` for a raw listener.
    pub(crate) owner: Option<(usize, Token)>,
    pub(crate) backlog: VecDeque<usize>,
    pub(crate) limit: usize,
    pub(crate) life: u64,
}

/// A resolution that has ended, to be handed to its engine.
pub(crate) type Resolved = (Token, Result<Vec<String>, io::ErrorKind>);

/// What an engine's poller has for it.
#[derive(Debug, Default)]
pub(crate) struct Inbound {
    pub(crate) events: BTreeMap<Token, Readiness>,
    pub(crate) resolved: Vec<Resolved>,
    /// Tokens that were registered once: for events without a cause.
    pub(crate) tokens: Vec<Token>,
}

/// The network.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) now: Duration,
    pub(crate) random: Random,
    pub(crate) faults: Faults,
    pub(crate) trace: Trace,
    pub(crate) connections: Vec<Connection>,
    pub(crate) listeners: BTreeMap<String, Listening>,
    /// How many bytes a connection's end holds is drawn from a quarter of this on.
    pub(crate) capacity: usize,
    pub(crate) backlog: usize,
    pub(crate) inbound: Vec<Inbound>,
    /// By engine: until when it has no descriptors.
    pub(crate) drought: Vec<Duration>,
    pub(crate) lives: u64,
    /// Reads, writes, accepts and connects that did something.
    pub(crate) moves: u64,
    pub(crate) midway: Midway,
    on_their_way: BTreeMap<(Duration, u64), Arrival>,
    sent: u64,
}

impl Network {
    pub(crate) fn new(random: Random, trace: Trace) -> Network {
        Network {
            now: Duration::ZERO,
            random,
            faults: Faults::none(),
            trace,
            connections: Vec::new(),
            listeners: BTreeMap::new(),
            capacity: 200_000,
            backlog: 128,
            inbound: Vec::new(),
            drought: Vec::new(),
            lives: 0,
            moves: 0,
            midway: Midway::default(),
            on_their_way: BTreeMap::new(),
            sent: 0,
        }
    }

    /// Whether something of this rate happens now.
    pub(crate) fn chance(&mut self, per_mille: u16) -> bool {
        per_mille > 0 && self.random.below(1000) < u64::from(per_mille)
    }

    /// A number from 1 to `most`, small ones more often.
    pub(crate) fn up_to(&mut self, most: usize) -> usize {
        let bits = u64::from(usize::BITS - most.leading_zeros());
        let shift = self.random.below(bits.max(1));
        let range = (most as u64 >> shift).max(1);
        usize::try_from(1 + self.random.below(range)).unwrap_or(1)
    }

    pub(crate) fn some_time(&mut self, most: Duration) -> Duration {
        let most = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
        if most == 0 {
            return Duration::ZERO;
        }
        // Mostly short, now and then up to all of it.
        let shift = self.random.below(8);
        Duration::from_nanos(self.random.below((most >> shift).saturating_add(1)))
    }

    pub(crate) fn half(&mut self, end: End) -> &mut Half {
        &mut self.connections[end.connection].halves[end.side]
    }

    /// When something sent now arrives.
    pub(crate) fn arrival_time(&mut self) -> Duration {
        let delay = self.faults.delay;
        self.now + self.some_time(delay)
    }

    pub(crate) fn send(&mut self, at: Duration, arrival: Arrival) {
        self.sent += 1;
        self.on_their_way.insert((at, self.sent), arrival);
    }

    /// The moment of the next arrival.
    pub(crate) fn next_arrival(&self) -> Option<Duration> {
        self.on_their_way.keys().next().map(|&(at, _)| at)
    }

    /// Lets everything arrive whose time has come.
    pub(crate) fn arrive(&mut self) {
        while self.next_arrival().is_some_and(|at| at <= self.now) {
            if let Some((_, arrival)) = self.on_their_way.pop_first() {
                self.take_in(arrival);
            }
        }
    }

    fn take_in(&mut self, arrival: Arrival) {
        match arrival {
            Arrival::Bytes(end, bytes) => self.bytes_arrive(end, &bytes),
            Arrival::EndOfStream(end) => {
                let half = self.half(end);
                if half.reset || half.closed {
                    return;
                }
                half.end_arrived = true;
                let both = half.write_ended;
                self.tell(end, true, both, true);
            }
            Arrival::Reset(end) => self.reset_arrives(end),
            Arrival::Attempt(connection) => self.attempt_arrives(connection),
            Arrival::Event(engine, token, readiness) => self.raise(engine, token, readiness),
            Arrival::Resolved(engine, token, result) => {
                self.inbound[engine].resolved.push((token, result));
            }
        }
    }

    fn bytes_arrive(&mut self, end: End, bytes: &[u8]) {
        let half = self.half(end);
        half.in_flight -= bytes.len();
        if half.reset {
            return;
        }
        if half.closed {
            // Nobody is there to read them: the sender is told so.
            let at = self.arrival_time();
            self.send(at, Arrival::Reset(end.other()));
            return;
        }
        half.arrived.extend(bytes);
        let (connection, side, count) = (end.connection, end.side, bytes.len());
        let numbers = [1, connection as u64, side as u64, count as u64];
        self.trace.note(
            &numbers,
            format_args!("{count} bytes arrive at {connection}/{side}"),
        );
        self.tell(end, true, false, false);
    }

    fn reset_arrives(&mut self, end: End) {
        let half = self.half(end);
        if half.reset || half.closed {
            return;
        }
        half.reset = true;
        let (connection, side) = (end.connection, end.side);
        let numbers = [2, connection as u64, side as u64];
        self.trace.note(
            &numbers,
            format_args!("a reset arrives at {connection}/{side}"),
        );
        self.tell(end, true, true, true);
    }

    fn attempt_arrives(&mut self, connection: usize) {
        let address = self.connections[connection].address.clone();
        let end = End {
            connection,
            side: 0,
        };
        if self.half(end).closed {
            return;
        }
        let backlog = self
            .listeners
            .get(&address)
            .map(|listening| listening.backlog.len() < listening.limit);
        match backlog {
            None => {
                self.connections[connection].phase = Phase::Refused;
                self.tell(end, true, true, true);
            }
            // The attempt is repeated, as a handshake that got no answer is.
            Some(false) => {
                let again = self.now + Duration::from_millis(200);
                self.send(again, Arrival::Attempt(connection));
            }
            Some(true) => {
                self.establish(connection);
                self.tell(end, false, true, false);
            }
        }
    }

    /// A connection enters its listener's backlog.
    pub(crate) fn establish(&mut self, connection: usize) {
        let entry = &mut self.connections[connection];
        entry.phase = Phase::Established;
        let address = entry.address.clone();
        let owner = self.listeners.get_mut(&address).and_then(|listening| {
            listening.backlog.push_back(connection);
            listening.owner
        });
        let numbers = [3, connection as u64];
        self.trace.note(
            &numbers,
            format_args!("connection {connection} waits at {address}"),
        );
        if let Some((engine, token)) = owner {
            let readable = Readiness {
                readable: true,
                ..Readiness::default()
            };
            self.raise(engine, token, readable);
        }
    }

    /// Tells the owner of an end, if it has one, that something has changed.
    pub(crate) fn tell(&mut self, end: End, readable: bool, writable: bool, hung_up: bool) {
        if let Some((engine, token)) = self.half(end).owner {
            let readiness = Readiness {
                readable,
                writable,
                hung_up,
            };
            self.raise(engine, token, readiness);
        }
    }

    /// Adds to what an engine's poller has for it.
    pub(crate) fn raise(&mut self, engine: usize, token: Token, readiness: Readiness) {
        let events = &mut self.inbound[engine].events;
        let entry = events.entry(token).or_default();
        entry.readable |= readiness.readable;
        entry.writable |= readiness.writable;
        entry.hung_up |= readiness.hung_up;
    }

    /// Connections that an engine has a part in.
    pub(crate) fn connections_of(&self, engine: usize) -> usize {
        let halves = self.connections.iter().flat_map(|it| &it.halves);
        let owners = halves.filter_map(|half| half.owner);
        owners.filter(|&(owner, _)| owner == engine).count()
    }

    /// A token is registered: from now on it may also be named by events without a cause.
    pub(crate) fn note_token(&mut self, engine: usize, token: Token) {
        self.inbound[engine].tokens.push(token);
    }
}
