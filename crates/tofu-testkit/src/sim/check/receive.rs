//! What an application makes of what it receives: the books first, then an answer.

use std::time::Duration;

use tofu_engine::{Cause, CloseInfo, Msg, Report};
use tofu_msg::{OpCode, Origin, Status};

use crate::sim::check::ledger::{Fate, Judged, Key, Role};
use crate::sim::check::scenario::{Scenario, number_of};
use crate::sim::connection::End;
use crate::sim::transport::end_of;

/// As many messages as an application keeps at most.
const MOST_HELD: usize = 12;

impl Scenario {
    /// Receives up to `most` messages of one group.
    pub(crate) fn receive(&mut self, engine: usize, seat: usize, most: usize) -> Judged {
        let mut of_peers = 0;
        let (mut left_over, mut ended) = (true, false);
        for _ in 0..most {
            let Some(group) = &mut self.apps[engine].seats[seat].group else {
                return Ok(());
            };
            match group.receive(Duration::ZERO) {
                Ok(Some(msg)) => {
                    of_peers += usize::from(msg.origin() == Origin::Peer);
                    // A channel that ends delivers all that it holds.
                    ended |= msg.report() == Some(Report::ChannelClosed);
                    self.take(engine, seat, msg)?;
                }
                Ok(None) => {
                    left_over = false;
                    break;
                }
                Err(_) => {
                    self.apps[engine].seats[seat].ended = true;
                    break;
                }
            }
        }
        let place = &mut self.apps[engine].seats[seat];
        let limit = self.plan.options[engine].inbox_messages;
        let whole = !std::mem::replace(&mut place.left_over, left_over) && !left_over;
        if whole && of_peers > limit && !ended {
            return Err(format!(
                "{of_peers} messages waited in an inbox for {limit}"
            ));
        }
        Ok(())
    }

    fn take(&mut self, engine: usize, seat: usize, msg: Msg) -> Judged {
        let number = usize::from(msg.channel_number().value());
        let key = (engine, number);
        let (op_code, status) = (msg.op_code(), u64::from(msg.status().value()));
        let numbers = [30, engine as u64, number as u64, status];
        let serial = self.ledger.serial_of(&msg).unwrap_or(usize::MAX);
        self.sim.note(
            &numbers,
            format_args!(
                "app {engine} receives {op_code} {serial} on {number}: {:?} {:?}",
                msg.report(),
                msg.cause()
            ),
        );
        match msg.origin() {
            Origin::Local => {
                self.apps[engine].seats[seat].updates_received += 1;
                Ok(())
            }
            Origin::Peer => {
                self.apps[engine].seats[seat].pool_told = false;
                self.ledger.delivered(key, seat, &msg)?;
                self.note_proof(key, &msg);
                self.react(engine, key, msg)
            }
            Origin::Engine => self.take_report(engine, seat, key, &msg),
        }
    }

    fn take_report(&mut self, engine: usize, seat: usize, key: Key, msg: &Msg) -> Judged {
        let status = msg.cause().map_or(Status::SUCCESS, Cause::status);
        match msg.report() {
            Some(Report::ListenerReady) => {
                let serial = self.ledger.serial_of(msg)?;
                let entry = &mut self.ledger.entries[serial];
                if entry.channel != key || entry.fate != Fate::Posted {
                    return Err(format!("an answer to no WelcomeRequest: {msg:?}"));
                }
                entry.fate = Fate::Delivered;
                Ok(())
            }
            Some(Report::ListenFailed | Report::ConnectFailed | Report::Returned) => {
                self.marks.hit(format!("returned: {status}"));
                // A ByeSignal may come too late for a channel that has just ended well; it tells how that
                // ended, as the last word does.
                if msg.op_code() == OpCode::ByeSignal {
                    if let Some(channel) = self.ledger.channels.get_mut(&key) {
                        channel.signal_back = Some(status);
                    }
                } else if status == Status::SUCCESS {
                    return Err(format!("nothing is wrong, yet this came back: {msg:?}"));
                }
                self.ledger.returned(engine, msg, false)
            }
            Some(Report::ChannelClosed) => match msg.close_info() {
                Some(info) => self.take_last_word(key, seat, info),
                None => Err(format!("a last word on {key:?} without a reason")),
            },
            Some(Report::PoolEmpty) => {
                let told = &mut self.apps[engine].seats[seat].pool_told;
                self.marks.hit("notice: pool_empty");
                match std::mem::replace(told, true) {
                    true => Err("two pool_empty with nothing between them".into()),
                    false => Ok(()),
                }
            }
            Some(Report::SendQueueReady) => {
                self.marks.hit("notice: send_queue_ready");
                let channel = self.ledger.channels.get_mut(&key);
                let owed = channel.and_then(|channel| {
                    channel.refused = false;
                    channel.refusals = channel.refusals.checked_sub(1)?;
                    Some(())
                });
                owed.ok_or_else(|| format!("room on {key:?}, where nothing was refused"))
            }
            Some(Report::UdsPathGone) => {
                self.marks.hit("notice: uds_path_gone");
                Ok(())
            }
            Some(Report::AcceptFailed) => {
                let kind = msg.cause().map(kind_of).unwrap_or_default();
                self.marks.hit(format!("notice: accept_failed: {kind}"));
                Ok(())
            }
            other => Err(format!("a report that nobody expects: {other:?}")),
        }
    }

    fn take_last_word(&mut self, key: Key, seat: usize, info: &CloseInfo) -> Judged {
        let status = info.cause.status();
        let kind = kind_of(&info.cause);
        self.marks.hit(format!("closed: {status}: {kind}"));
        let end = info.peer.as_ref().and_then(|peer| end_of(&peer.endpoint));
        let written = end.map_or(0, |end| self.sim.network().half(end).written);
        if let Some(channel) = self.ledger.channels.get_mut(&key) {
            channel.end = end;
            if channel.group != seat {
                return Err(format!("the last word on {key:?} came to group {seat}"));
            }
            if let Some(back) = channel.signal_back.filter(|&back| back != status) {
                return Err(format!(
                    "{key:?} ended by {status}, its ByeSignal said {back}"
                ));
            }
        }
        self.ledger.closed(key, info, written)?;
        self.judge_unconfirmed(key, info, end)?;
        self.justify(key, info, end)
    }

    /// Who is at the other end, and how much had been written when the last proof of receipt was
    /// received.
    fn note_proof(&mut self, key: Key, msg: &Msg) {
        let Some(channel) = self.ledger.channels.get_mut(&key) else {
            return;
        };
        if let Some(peer) = msg.peer() {
            channel.end = end_of(&peer.endpoint);
        }
        if proves_receipt(msg.op_code()) {
            let end = channel.end;
            channel.proven = end.map(|end| self.sim.network().half(end).written);
        }
    }

    /// What is unconfirmed was written behind the reading of the last proof, and not less than what
    /// was written since the application has it.
    fn judge_unconfirmed(&self, key: Key, info: &CloseInfo, end: Option<End>) -> Judged {
        let Some((channel, end)) = self.ledger.channels.get(&key).zip(end) else {
            return Ok(());
        };
        let network = self.sim.network();
        let half = &network.connections[end.connection].halves[end.side];
        let (written, unconfirmed) = (half.written, info.bytes_unconfirmed);
        let before = match self.ledger.last_proof(channel, proves_receipt) {
            None => 0..=0,
            Some(offset) => {
                let most = channel.proven.unwrap_or(written);
                half.written_when_read(offset)..=most
            }
        };
        match written
            .checked_sub(unconfirmed)
            .is_some_and(|at| before.contains(&at))
        {
            true => Ok(()),
            false => Err(format!(
                "{key:?}: of {written} bytes {unconfirmed} are unconfirmed, not those behind {before:?}"
            )),
        }
    }

    /// Whether the cause that a channel's end is given is one that there was.
    fn justify(&self, key: Key, info: &CloseInfo, end: Option<End>) -> Judged {
        let Some(channel) = self.ledger.channels.get(&key) else {
            return Ok(());
        };
        let status = info.cause.status();
        let listener = channel.role == Role::Listener;
        let ended = end.is_some_and(|end| {
            let mut network = self.sim.network();
            let half = network.half(end);
            half.end_arrived || half.reset
        });
        let is_true = match status {
            Status::SUCCESS => info.confirmed || channel.bye_answered,
            // A raw peer may also say that it goes.
            Status::PEER_DISCONNECTED => ended || self.is_raw(channel),
            Status::CHANNEL_CLOSED => channel.signalled,
            Status::SHUTDOWN_STARTED => self.apps[key.0].shutdown.is_some(),
            Status::PROTOCOL_VIOLATION => self.plan.raw,
            // A raw peer takes its time to leave.
            Status::LINGER_TIMEOUT => !listener && (self.plan.raw || !self.plan.quiet),
            Status::ADDRESS_IN_USE => listener,
            Status::LISTEN_FAILED | Status::INVALID_ADDRESS => listener && !self.plan.quiet,
            Status::CONNECT_FAILED | Status::UDS_PATH_NOT_FOUND | Status::TOO_MANY_LOOKUPS => {
                end.is_none() && !listener
            }
            Status::CONNECT_TIMEOUT => end.is_none() && !listener && !self.plan.quiet,
            _ => !listener && !self.plan.quiet,
        };
        match is_true {
            true => Ok(()),
            false => Err(format!("{key:?} was closed without reason: {}", info.cause)),
        }
    }

    /// Answers, or not, and keeps the message, or not.
    fn react(&mut self, engine: usize, key: Key, mut msg: Msg) -> Judged {
        let (op_code, id) = (msg.op_code(), msg.message_id());
        let roll = self.sim.random(100);
        let answer = match op_code {
            OpCode::HelloRequest if roll < 75 => Some(OpCode::HelloResponse),
            OpCode::HelloRequest if roll < 80 && !self.calm => Some(OpCode::ByeSignal),
            OpCode::Request if roll < 40 => Some(OpCode::Response),
            OpCode::ByeRequest => {
                let seat = self.ledger.channels.get(&key).map_or(0, |it| it.group);
                self.apps[engine].owed.push((seat, number_of(key), id));
                if roll < 60 || self.calm {
                    self.pay_owed(engine)?;
                }
                None
            }
            _ => None,
        };
        if let Some(answer) = answer {
            msg.reset();
            self.say(key, answer, id.value(), msg)?;
        } else if !self.calm && roll >= 70 && self.apps[engine].held.len() < MOST_HELD {
            self.apps[engine].held.push(msg);
        }
        Ok(())
    }

    /// Answers the ByeRequests that were not answered yet.
    pub(crate) fn pay_owed(&mut self, engine: usize) -> Judged {
        for (seat, number, id) in std::mem::take(&mut self.apps[engine].owed) {
            let key = (engine, usize::from(number.value()));
            let open = self.ledger.channels.get(&key).is_some_and(|channel| {
                channel.is_open() && !channel.signalled && !channel.bye_answered
            });
            let late = !self.calm && self.sim.random(4) > 0;
            if !open {
                continue;
            }
            let mut paid = false;
            if !late {
                let msg = self.blank(engine);
                paid = self.say(key, OpCode::ByeResponse, id.value(), msg)?;
            }
            if !paid {
                self.apps[engine].owed.push((seat, number, id));
            }
        }
        Ok(())
    }

    /// Looks whether destructions have ended, and takes their reports into the books.
    pub(crate) fn poll_destructions(&mut self, engine: usize) -> Judged {
        for seat in 0..self.apps[engine].seats.len() {
            let place = &mut self.apps[engine].seats[seat];
            let Some(destruction) = &mut place.destruction else {
                continue;
            };
            if let Some(report) = destruction.poll() {
                place.destruction = None;
                for msg in &report.unsent {
                    self.ledger.returned(engine, msg, true)?;
                }
                if report.complete {
                    self.ledger.all_sent(engine, seat);
                }
            } else if !self.late && self.sim.now() > place.deadline {
                return Err(format!("group {seat} of {engine} is not destroyed in time"));
            }
        }
        Ok(())
    }
}

/// What comes from an application that had taken what it answers.
fn proves_receipt(op_code: OpCode) -> bool {
    use OpCode::{ByeResponse, HelloResponse, Response};
    matches!(op_code, Response | HelloResponse | ByeResponse)
}

/// The kind of a cause: its text without what differs from one to the next.
fn kind_of(cause: &Cause) -> String {
    let text = cause.text();
    let doing = ["connecting", "listening", "accepting"];
    if let Some(doing) = doing.iter().find(|doing| text.starts_with(**doing)) {
        return (*doing).to_owned();
    }
    match text.split_once(" from the peer: ") {
        Some((_, what)) => what.to_owned(),
        None if cause.status() == Status::PROTOCOL_VIOLATION => "an op code that is none".into(),
        None => text.to_owned(),
    }
}
