//! `Heartbeat`: Signals at an interval, and notice of peers that send nothing. Fed by the receive
//! loop; never waits and looks at no clock. It closes nothing: what silence means is the program's
//! to say.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use tofu_msg::{ChannelNumber, Message, OpCode, Origin};

use super::Post;
use super::deadlines::{Deadlines, after};
use crate::Msg;

/// The text header by which a Signal is known as a heartbeat; its value is empty.
pub const HEARTBEAT: &str = "heartbeat";

/// What a [`Heartbeat`] has noticed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeartbeatEvent {
    /// Nothing has come from the peer for the time given; once until it is heard again.
    Silent {
        /// Its channel.
        channel: ChannelNumber,
        /// When the last message of the peer was seen, or the channel began to be watched.
        since: Instant,
    },
    /// The peer is heard again after it was silent.
    Heard {
        /// Its channel.
        channel: ChannelNumber,
        /// How long nothing had come.
        silent_for: Duration,
    },
}

/// Sends a Signal on each watched channel once per interval, and tells of peers from which nothing
/// has come for too long.
///
/// Whatever a peer sends is a sign of life, so that a peer which sends anyway needs no heartbeat of
/// its own. One that may have nothing to say for longer needs a `Heartbeat` that watches its end of
/// the channel.
///
/// Show it every received message ([`on_message`](Self::on_message)), tell it the time
/// ([`on_time`](Self::on_time)), and take its [events](Self::next_event). While the loop is away, that
/// is, too late to call `on_time` by an eighth of the silence or more, no peer grows silent.
///
/// ```
/// use std::time::{Duration, Instant};
/// use tofu_chnls::helpers::{Heartbeat, HeartbeatEvent, close_at_once, time_to_next};
/// use tofu_chnls::{Ampe, Options, Reactor};
/// # use tofu_addr::Address;
///
/// let engine = Reactor::start(Options::default())?;
/// let mut group = engine.create()?;
/// # let mut welcome = engine.message()?;
/// # Address::tcp_server("127.0.0.1", 0).format(&mut welcome)?;
/// # group.post(welcome)?;
/// # let ready = group.wait_receive(Duration::from_secs(5))?.ok_or("no answer")?;
/// # let mut hello = engine.message()?;
/// # Address::connect_to(Address::parse(&ready)?.into_endpoint()).format(&mut hello)?;
/// # let channel = group.post(hello)?.channel_number;
/// let mut heartbeat = Heartbeat::new(Duration::from_secs(1), Duration::from_millis(50));
/// heartbeat.watch(channel, Instant::now());
///
/// // The peer at the other end of this channel says nothing.
/// 'silent: loop {
///     heartbeat.on_time(&group, Instant::now());
///     while let Some(event) = heartbeat.next_event() {
///         if let HeartbeatEvent::Silent { channel, .. } = event {
///             close_at_once(&group, channel)?;
///             break 'silent;
///         }
///     }
///     let wait = time_to_next(Instant::now(), [heartbeat.next_deadline()]);
///     if let Some(message) = group.wait_receive(wait)? {
///         if !heartbeat.on_message(&message, Instant::now()) {
///             println!("something else: {:?}", message.header());
///         }
///     }
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Heartbeat {
    interval: Duration,
    silence: Duration,
    beat: Message,
    watched: HashMap<ChannelNumber, Watched>,
    /// One `Send` for each watched channel, and one `Check` unless its peer is silent.
    deadlines: Deadlines<(ChannelNumber, Due)>,
    events: VecDeque<HeartbeatEvent>,
    /// For how long, in all, the loop came too late: that much nobody was silent.
    away: Duration,
}

#[derive(Debug)]
struct Watched {
    send_at: Instant,
    check_at: Instant,
    heard_at: Instant,
    /// `away` at that moment.
    away_then: Duration,
    silent: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Due {
    Send,
    Check,
}

impl Heartbeat {
    /// Sends once per `interval`, and calls a peer silent from which nothing came for `silence`,
    /// which should be a few of the peer's intervals. `Duration::MAX` switches either off; an
    /// interval below 1 ms is taken as 1 ms.
    #[must_use]
    pub fn new(interval: Duration, silence: Duration) -> Heartbeat {
        let mut beat = Message::new(OpCode::Signal);
        let appended = beat.text_headers_mut().append(HEARTBEAT, "");
        debug_assert!(appended.is_ok(), "the header is one that may be appended");
        Heartbeat {
            interval: interval.max(Duration::from_millis(1)),
            silence,
            beat,
            watched: HashMap::new(),
            deadlines: Deadlines::new(),
            events: VecDeque::new(),
            away: Duration::ZERO,
        }
    }

    /// Whether a message is a peer's heartbeat and nothing else: a Signal by itself, without a body,
    /// whose one text header is [`HEARTBEAT`] without a value.
    #[must_use]
    pub fn is_heartbeat(message: &Msg) -> bool {
        message.origin() == Origin::Peer
            && message.op_code() == OpCode::Signal
            && !message.more()
            && message.body().is_empty()
            && has_only_that_header(message)
    }

    /// Begins to send on a channel and to watch its peer, who counts as heard at `now`. The first
    /// Signal is due an interval later.
    pub fn watch(&mut self, channel: ChannelNumber, now: Instant) {
        self.forget(channel);
        let watched = Watched {
            send_at: after(now, self.interval),
            check_at: after(now, self.silence),
            heard_at: now,
            away_then: self.away,
            silent: false,
        };
        self.deadlines.insert(watched.send_at, (channel, Due::Send));
        self.deadlines
            .insert(watched.check_at, (channel, Due::Check));
        self.watched.insert(channel, watched);
    }

    /// Ends that. A channel that closes is forgotten by itself.
    pub fn forget(&mut self, channel: ChannelNumber) {
        if let Some(watched) = self.watched.remove(&channel) {
            self.deadlines.remove(watched.send_at, (channel, Due::Send));
            self.deadlines
                .remove(watched.check_at, (channel, Due::Check));
        }
    }

    /// Shows it a received message, of whatever channel. Returns whether it is a heartbeat, with
    /// which there is nothing more to be done.
    pub fn on_message(&mut self, message: &Msg, now: Instant) -> bool {
        if message.origin() == Origin::Peer {
            self.on_heard(message.channel_number(), now);
        } else if message.close_info().is_some() {
            self.forget(message.channel_number());
        }
        Heartbeat::is_heartbeat(message)
    }

    /// Sends what is due and notices who is silent. A Signal that is refused is left out: whatever
    /// the channel is busy with takes its place.
    pub fn on_time(&mut self, post: &(impl Post + ?Sized), now: Instant) {
        let Some(next) = self.deadlines.next() else {
            return;
        };
        let late = now.saturating_duration_since(next);
        // With many channels something is always due: a loop that is merely busy is not away, or
        // nobody would grow silent.
        if late >= self.silence / 8 {
            self.away += late;
        }
        while let Some((channel, due)) = self.deadlines.pop_due(now) {
            match due {
                Due::Send => self.send(post, channel, now),
                Due::Check => self.check(channel, now),
            }
        }
    }

    /// When [`on_time`](Self::on_time) is next to be called.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    /// What was noticed, in order.
    pub fn next_event(&mut self) -> Option<HeartbeatEvent> {
        self.events.pop_front()
    }

    /// How long nothing has come from the peer of a watched channel.
    #[must_use]
    pub fn silent_for(&self, channel: ChannelNumber, now: Instant) -> Option<Duration> {
        let watched = self.watched.get(&channel)?;
        Some(now.saturating_duration_since(watched.heard_at))
    }

    fn on_heard(&mut self, channel: ChannelNumber, now: Instant) {
        let Some(watched) = self.watched.get_mut(&channel) else {
            return;
        };
        let silent_for = now.saturating_duration_since(watched.heard_at);
        // The check that is due looks at this and moves itself on: nothing is sorted per message.
        watched.heard_at = now;
        watched.away_then = self.away;
        if std::mem::take(&mut watched.silent) {
            watched.check_at = after(now, self.silence);
            self.deadlines
                .insert(watched.check_at, (channel, Due::Check));
            self.events.push_back(HeartbeatEvent::Heard {
                channel,
                silent_for,
            });
        }
    }

    fn send(&mut self, post: &(impl Post + ?Sized), channel: ChannelNumber, now: Instant) {
        let Some(watched) = self.watched.get_mut(&channel) else {
            return;
        };
        watched.send_at = after(now, self.interval);
        self.deadlines.insert(watched.send_at, (channel, Due::Send));
        let mut beat = self.beat.clone();
        beat.set_channel_number(channel);
        post.post(beat.into()).ok();
    }

    fn check(&mut self, channel: ChannelNumber, now: Instant) {
        let Some(watched) = self.watched.get_mut(&channel) else {
            return;
        };
        let allowed = self.silence.saturating_add(self.away - watched.away_then);
        let limit = after(watched.heard_at, allowed);
        if limit > now {
            watched.check_at = limit;
            self.deadlines.insert(limit, (channel, Due::Check));
        } else {
            watched.silent = true;
            self.events.push_back(HeartbeatEvent::Silent {
                channel,
                since: watched.heard_at,
            });
        }
    }
}

fn has_only_that_header(message: &Message) -> bool {
    let mut headers = message.text_headers().iter();
    let is_that = |name: &[u8], value: &[u8]| name == HEARTBEAT.as_bytes() && value.is_empty();
    headers
        .next()
        .is_some_and(|header| is_that(header.name, header.value))
        && headers.next().is_none()
}
