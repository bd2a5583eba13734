//! The end of a run: faults stop, everything drains, everything closes, and the books are audited.

use std::time::Duration;

use tofu_engine::{ChannelInfo, ChannelState};
use tofu_msg::{OpCode, Status};

use crate::sim::check::ledger::{Channel, Fate, Judged, Key, Role, sent_of};
use crate::sim::check::scenario::Scenario;
use crate::sim::connection::{End, Phase};
use crate::sim::faults::Faults;
use crate::sim::simulation::Step;
use crate::sim::transport::RETRIES;

/// More steps than any run needs to come to rest.
const MOST_STEPS: u64 = 2_000_000;
/// Beyond every timeout.
const ALL_TIMEOUTS: Duration = Duration::from_secs(200);

impl Scenario {
    /// Plays the whole run.
    pub(crate) fn play(&mut self) -> Judged {
        self.late = self.plan.faults.pause > 0 || self.plan.faults.jump > 0;
        for engine in 0..self.apps.len() {
            self.listen(engine, 0)?;
        }
        if self.plan.raw {
            self.listen_raw();
        }
        for _ in 0..self.plan.actions {
            let engine = self.pick(self.apps.len());
            self.act(engine)?;
            let interval = u64::try_from(self.plan.interval.as_nanos()).unwrap_or(0);
            let time = Duration::from_nanos(self.sim.random(interval));
            self.sim.run_for(time).map_err(|error| error.to_string())?;
            self.note_midway()?;
        }
        self.calm_down()?;
        self.no_stall()?;
        self.close_all()?;
        self.all_closed()?;
        self.end_engines()?;
        self.audit()
    }

    fn calm_down(&mut self) -> Judged {
        (0..self.apps.len()).try_for_each(|engine| self.do_the_rest(engine))?;
        self.calm = true;
        self.end_cut_raw();
        let faults = &self.plan.faults;
        let harmless = Faults {
            delay: faults.delay,
            partial: faults.partial,
            would_block: faults.would_block,
            spurious: faults.spurious,
            ..Faults::none()
        };
        self.sim.set_faults(harmless);
        self.sim.note(&[40], format_args!("faults stop"));
        self.drain(RETRIES)
    }

    /// Runs until nothing happens for so long; the applications take and answer everything.
    fn drain(&mut self, idle: Duration) -> Judged {
        self.serve_all()?;
        let idle = idle + self.sim.set_back();
        for _ in 0..MOST_STEPS {
            let limit = self.sim.now() + idle;
            match self.sim.step(limit).map_err(|error| error.to_string())? {
                Step::Turn(engine) => {
                    self.serve(engine)?;
                    self.serve_all_raw()?;
                }
                Step::Passed => self.serve_all_raw()?,
                Step::Idle => {
                    self.serve_all()?;
                    if !self.sim.is_busy() {
                        return Ok(());
                    }
                }
            }
        }
        Err("it does not come to rest".into())
    }

    fn serve_all(&mut self) -> Judged {
        self.serve_all_raw()?;
        (0..self.apps.len()).try_for_each(|engine| self.serve(engine))
    }

    fn serve(&mut self, engine: usize) -> Judged {
        self.apps[engine].held.clear();
        self.poll_destructions(engine)?;
        self.pay_owed(engine)?;
        for seat in 0..self.apps[engine].seats.len() {
            self.receive(engine, seat, usize::MAX)?;
        }
        Ok(())
    }

    /// With everything at rest, nothing may be left that somebody could go on with.
    fn no_stall(&mut self) -> Judged {
        self.connections_at_rest()?;
        self.queues_at_rest()?;
        Ok(())
    }

    fn connections_at_rest(&self) -> Judged {
        let network = self.sim.network();
        for (index, connection) in network.connections.iter().enumerate() {
            for (side, half) in connection.halves.iter().enumerate() {
                let Some((engine, _)) = half.owner else {
                    continue;
                };
                if connection.phase != Phase::Established || self.sim.engine(engine).has_ended() {
                    continue;
                }
                if !half.arrived.is_empty() {
                    let count = half.arrived.len();
                    return Err(format!("{count} bytes wait unread at {index}/{side}"));
                }
                if half.end_arrived || half.reset {
                    return Err(format!("the end of {index}/{side} is not noticed"));
                }
            }
        }
        for (address, listening) in &network.listeners {
            let waits = listening.backlog.len();
            if listening.owner.is_some() && waits > 0 {
                return Err(format!("{waits} connections wait at {address}"));
            }
        }
        Ok(())
    }

    /// What is posted on a connected channel goes out while the peer reads.
    fn queues_at_rest(&self) -> Judged {
        for (engine, app) in self.apps.iter().enumerate() {
            for seat in &app.seats {
                let Some(group) = &seat.group else { continue };
                for info in group.sender().channels() {
                    if info.peer.is_some() && info.queued_messages > 0 {
                        return Err(format!("engine {engine} does not send: {info:?}"));
                    }
                    if !self.is_told(engine, &info) {
                        return Err(format!("engine {engine} does not tell of room: {info:?}"));
                    }
                }
            }
        }
        self.books_at_rest()
    }

    /// Whoever was refused for a full queue has been told when it was empty, which needs no room in the
    /// engine's budget.
    fn is_told(&self, engine: usize, info: &ChannelInfo) -> bool {
        let key = (engine, usize::from(info.number.value()));
        let refused = self.ledger.channels.get(&key).is_some_and(|it| it.refused);
        info.queued_messages > 0 || info.state != ChannelState::Open || !refused
    }

    fn books_at_rest(&self) -> Judged {
        for (key, channel) in &self.ledger.channels {
            let peer = channel
                .peer
                .and_then(|peer| self.ledger.channels.get(&peer));
            let both = peer.is_some_and(Channel::is_open) && channel.is_open();
            if both && channel.delivered < channel.posted.len() {
                let (delivered, posted) = (channel.delivered, channel.posted.len());
                return Err(format!("{key:?}: {delivered} of {posted} have arrived"));
            }
        }
        Ok(())
    }

    /// Everybody says Bye, one way or another.
    fn close_all(&mut self) -> Judged {
        self.sim.note(&[41], format_args!("everything closes"));
        self.end_raw();
        for engine in 0..self.apps.len() {
            for key in self.channels(engine, |it| !it.signalled) {
                let channel = &self.ledger.channels[&key];
                let listener = channel.role == Role::Listener;
                if !listener && (channel.bye_posted || self.sim.random(8) == 0) {
                    continue;
                }
                let op_code = match listener || self.sim.random(4) == 0 {
                    true => OpCode::ByeSignal,
                    false => OpCode::ByeRequest,
                };
                let msg = self.blank(engine);
                self.say(key, op_code, 0, msg)?;
            }
        }
        self.drain(RETRIES)?;
        for engine in 0..self.apps.len() {
            for key in self.channels(engine, |it| !it.signalled && !it.bye_posted) {
                let msg = self.blank(engine);
                self.say(key, OpCode::ByeSignal, 0, msg)?;
            }
        }
        self.drain(ALL_TIMEOUTS)
    }

    /// Every channel has had its last word.
    fn all_closed(&mut self) -> Judged {
        for (key, channel) in &self.ledger.channels {
            if channel.is_open() {
                return Err(format!("{key:?} never ends: {channel:?}"));
            }
        }
        for (index, app) in self.apps.iter_mut().enumerate() {
            app.held.clear();
            let stats = app.handle.stats();
            self.marks.add_stats(&stats);
            self.marks.add_paths(&app.handle.marks());
            if self.sim.engine(index).has_ended() {
                continue;
            }
            let left = (stats.pool_in_use, stats.queued_messages, stats.queued_bytes);
            if left != (0, 0, 0) {
                return Err(format!(
                    "engine {index} leaks: in use, queued, bytes {left:?}"
                ));
            }
            let alive = app.handle.channel_count();
            if alive > 0 {
                return Err(format!("{alive} numbers of engine {index} are not free"));
            }
        }
        Ok(())
    }

    /// Some groups are destroyed, then every engine is shut down.
    fn end_engines(&mut self) -> Judged {
        for engine in 0..self.apps.len() {
            for seat in 0..self.apps[engine].seats.len() {
                if self.sim.random(2) == 0 {
                    self.destroy(engine, seat, Duration::from_secs(1));
                }
            }
            self.shut_down(engine, Duration::from_secs(5));
        }
        self.drain(ALL_TIMEOUTS)?;
        for (engine, app) in self.apps.iter().enumerate() {
            if self.sim.shutdown_report(engine).is_none() {
                return Err(format!("engine {engine} does not end"));
            }
            for (index, seat) in app.seats.iter().enumerate() {
                if seat.destruction.is_some() || (seat.group.is_some() && !seat.ended) {
                    return Err(format!("group {index} of engine {engine} does not end"));
                }
                if seat.group.is_some() && seat.updates_posted != seat.updates_received {
                    return Err(format!("group {index} of engine {engine} lost an update"));
                }
            }
        }
        Ok(())
    }

    /// Every message has one outcome; what was lost was lost for a reason.
    fn audit(&mut self) -> Judged {
        for (&key, channel) in &self.ledger.channels {
            self.is_answered(key, channel)?;
            let sent = sent_of(channel, key)?;
            for &serial in &sent[channel.delivered.min(sent.len())..] {
                if !self.may_be_lost(channel) {
                    return Err(format!("message {serial} of {key:?} is lost: {channel:?}"));
                }
            }
        }
        for (serial, entry) in self.ledger.entries.iter().enumerate() {
            let gone = self
                .ledger
                .channels
                .get(&entry.channel)
                .is_none_or(|it| it.gone);
            let travels = !matches!(entry.op_code, OpCode::ByeSignal | OpCode::WelcomeRequest);
            if entry.fate == Fate::Posted && !travels && !gone {
                return Err(format!("message {serial} has no outcome: {entry:?}"));
            }
        }
        Ok(())
    }

    /// Whether this is a raw peer's, or leads to one.
    pub(crate) fn is_raw(&self, channel: &Channel) -> bool {
        if channel.peer.is_some_and(|peer| peer.0 >= self.apps.len()) {
            return true;
        }
        let first = channel
            .posted
            .first()
            .map(|&serial| &self.ledger.entries[serial]);
        first.is_some_and(|entry| entry.channel.0 >= self.apps.len())
    }

    /// A ByeRequest that came to an application is answered, unless somebody had enough: then the
    /// channel is closed, confirmed.
    fn is_answered(&self, key: Key, channel: &Channel) -> Judged {
        let peer = channel.peer.and_then(|key| self.ledger.channels.get(&key));
        let abrupt = |it: &Channel| it.signalled || it.gone;
        let Some(peer) = peer.filter(|it| it.bye_came && !abrupt(it)) else {
            return Ok(());
        };
        if !self.plan.quiet || channel.answer_came || abrupt(channel) {
            return Ok(());
        }
        let (ours, theirs) = (channel.closed, peer.closed);
        Err(format!(
            "the ByeRequest on {key:?} is not answered: {ours:?}, {theirs:?}"
        ))
    }

    /// Whether what was sent on this channel may have got lost on its way.
    fn may_be_lost(&self, channel: &Channel) -> bool {
        let peer = channel.peer.and_then(|key| self.ledger.channels.get(&key));
        let harmless =
            |status: Status| status == Status::SUCCESS || status == Status::PEER_DISCONNECTED;
        let abrupt = |it: &Channel| it.signalled || !it.closed.is_some_and(harmless);
        let sender = channel.signalled || (abrupt(channel) && !channel.sent_all);
        let receiver = peer.is_none_or(|it| it.gone || abrupt(it));
        let reset = channel.end.is_some_and(|end: End| {
            let network = self.sim.network();
            let connection = &network.connections[end.connection];
            connection.halves.iter().any(|half| half.reset)
        });
        let raw = [Some(channel), peer]
            .iter()
            .flatten()
            .any(|it| self.is_raw(it));
        sender || receiver || ((reset || channel.gone) && !self.plan.quiet) || (reset && raw)
    }
}
