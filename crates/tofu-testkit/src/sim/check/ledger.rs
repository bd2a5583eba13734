//! The books of a run: every message that was posted and what became of it, every channel that an
//! application knows.
//!
//! Whatever contradicts the promises is an error, said in words. The books know nothing of
//! how applications behave.

use std::collections::BTreeMap;

use tofu_engine::{CloseInfo, Msg};
use tofu_msg::{BinaryHeader, Message, MessageId, OpCode, Status};

use crate::sim::connection::End;

/// A channel: its engine and its number. Raw peers count as one engine, with their connection's
/// number.
pub(crate) type Key = (usize, usize);

/// A number may be given out again when so many others were given back after it.
const RESTING: usize = 1024;

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    /// Not posted, or refused.
    Kept,
    Posted,
    Delivered,
    Returned,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) channel: Key,
    pub(crate) op_code: OpCode,
    pub(crate) id: MessageId,
    pub(crate) more: bool,
    pub(crate) body: usize,
    pub(crate) frame: u64,
    pub(crate) fate: Fate,
    /// Place among what was posted on the channel; of no meaning for what does not travel.
    place: usize,
}

/// What an application is on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    Listener,
    Initiator,
    Acceptor,
}

/// One channel, from the post or the delivery that made it known.
#[derive(Debug)]
pub(crate) struct Channel {
    pub(crate) role: Role,
    pub(crate) group: usize,
    /// What was posted and travels, in order.
    pub(crate) posted: Vec<usize>,
    /// How many of them the peer's application has.
    pub(crate) delivered: usize,
    /// The first that came back.
    pub(crate) returned_from: Option<usize>,
    pub(crate) returned: usize,
    pub(crate) received: u64,
    pub(crate) last_received: Option<MessageId>,
    pub(crate) peer: Option<Key>,
    pub(crate) end: Option<End>,
    /// How many bytes had been written here when the last proof of receipt was received.
    pub(crate) proven: Option<u64>,
    pub(crate) hello_answered: bool,
    pub(crate) bye_posted: bool,
    pub(crate) bye_came: bool,
    pub(crate) bye_answered: bool,
    pub(crate) answer_came: bool,
    pub(crate) signalled: bool,
    /// What the ByeSignal said when it came back.
    pub(crate) signal_back: Option<Status>,
    /// A post was refused for a full queue and no room has been announced since.
    pub(crate) refused: bool,
    /// Refusals less announcements of room.
    pub(crate) refusals: u64,
    pub(crate) closed: Option<Status>,
    /// Its group was destroyed.
    pub(crate) gone: bool,
    /// ... and everything posted had been sent by then.
    pub(crate) sent_all: bool,
}

impl Channel {
    pub(crate) fn new(role: Role, group: usize) -> Channel {
        Channel {
            role,
            group,
            posted: Vec::new(),
            delivered: 0,
            returned_from: None,
            returned: 0,
            received: 0,
            last_received: None,
            peer: None,
            end: None,
            proven: None,
            hello_answered: false,
            bye_posted: false,
            bye_came: false,
            bye_answered: false,
            answer_came: false,
            signalled: false,
            signal_back: None,
            refused: false,
            refusals: 0,
            closed: None,
            gone: false,
            sent_all: false,
        }
    }

    pub(crate) fn is_open(&self) -> bool {
        self.closed.is_none() && !self.gone
    }
}

/// The books.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    pub(crate) channels: BTreeMap<Key, Channel>,
}

/// Says what is wrong.
pub(crate) type Judged = Result<(), String>;

impl Ledger {
    /// Writes a new message: its serial number and a body that tells it from all others.
    pub(crate) fn draft(&mut self, message: &mut Message, op_code: OpCode, body: usize) -> usize {
        let serial = self.entries.len();
        let body = body.max(8);
        message.set_op_code(op_code);
        // The body type's own limit is far above what is drawn.
        let _fits = message.body_mut().replace(&content(serial, body));
        self.entries.push(Entry {
            channel: (0, 0),
            op_code,
            id: MessageId::UNASSIGNED,
            more: message.more(),
            body,
            frame: 0,
            fate: Fate::Kept,
            place: 0,
        });
        serial
    }

    /// A message was accepted.
    pub(crate) fn posted(&mut self, key: Key, serial: usize, header: &BinaryHeader) {
        let Some(channel) = self.channels.get_mut(&key) else {
            return;
        };
        let entry = &mut self.entries[serial];
        entry.channel = key;
        entry.id = header.message_id;
        entry.more = header.more;
        entry.frame = header.frame_len() as u64;
        entry.fate = Fate::Posted;
        match header.op_code {
            OpCode::WelcomeRequest => return,
            OpCode::ByeSignal => {
                channel.signalled = true;
                return;
            }
            OpCode::ByeRequest => channel.bye_posted = true,
            OpCode::ByeResponse => channel.bye_answered = true,
            OpCode::HelloResponse => channel.hello_answered = true,
            _ => {}
        }
        entry.place = channel.posted.len();
        channel.posted.push(serial);
    }

    /// A channel becomes known. Its number must have rested.
    pub(crate) fn open(&mut self, key: Key, channel: Channel) -> Judged {
        if self.channels.len() < RESTING && self.channels.contains_key(&key) {
            return Err(format!("channel {key:?} is given out again too early"));
        }
        self.channels.insert(key, channel);
        Ok(())
    }

    /// Whose message this is, by its body.
    pub(crate) fn serial_of(&self, message: &Message) -> Result<usize, String> {
        let body = message.body().as_bytes();
        let first = body.first_chunk::<8>().map(|it| u64::from_be_bytes(*it));
        let serial = first.and_then(|serial| usize::try_from(serial).ok());
        let Some(serial) = serial.filter(|&serial| serial < self.entries.len()) else {
            return Err(format!("a message that nobody posted: {message:?}"));
        };
        let entry = &self.entries[serial];
        if body != content(serial, entry.body) {
            return Err(format!("message {serial} has another body than was posted"));
        }
        if message.more() != entry.more {
            return Err(format!("message {serial} has another `more`: {message:?}"));
        }
        Ok(serial)
    }

    /// A peer's message was received on the channel `at`, which `group` of that engine is to know.
    pub(crate) fn delivered(&mut self, at: Key, group: usize, message: &Message) -> Judged {
        let serial = self.serial_of(message)?;
        let entry = &mut self.entries[serial];
        let (from, id, op_code) = (entry.channel, entry.id, entry.op_code);
        if (message.message_id(), message.op_code()) != (id, op_code) {
            return Err(format!("message {serial} was {op_code} {id}: {message:?}"));
        }
        if entry.fate != Fate::Posted {
            let fate = entry.fate;
            return Err(format!("message {serial} is delivered although {fate:?}"));
        }
        entry.fate = Fate::Delivered;
        let place = entry.place;
        if op_code == OpCode::HelloRequest {
            let mut channel = Channel::new(Role::Acceptor, group);
            channel.peer = Some(from);
            self.open(at, channel)?;
            if let Some(channel) = self.channels.get_mut(&from) {
                channel.peer = Some(at);
            }
        }
        self.in_order(from, at, place, serial)?;
        self.received(at, group, message)
    }

    /// What is delivered is the next of its channel.
    fn in_order(&mut self, from: Key, at: Key, place: usize, serial: usize) -> Judged {
        let Some(channel) = self.channels.get_mut(&from) else {
            return Err(format!("message {serial} comes from an unknown channel"));
        };
        if channel.peer != Some(at) {
            let peer = channel.peer;
            return Err(format!(
                "message {serial} of {from:?} came to {at:?}, not {peer:?}"
            ));
        }
        if place != channel.delivered {
            let next = channel.delivered;
            return Err(format!(
                "message {serial} is number {place} of {from:?}; {next} is due"
            ));
        }
        channel.delivered += 1;
        Ok(())
    }

    /// Where in what the peer has sent the last message ends that proves the receipt of ours, of
    /// those received.
    pub(crate) fn last_proof(&self, channel: &Channel, proves: fn(OpCode) -> bool) -> Option<u64> {
        let peer = self.channels.get(&channel.peer?)?;
        let received = usize::try_from(channel.received).ok()?;
        let said = peer.posted.get(..received)?;
        let last = said
            .iter()
            .rposition(|&serial| proves(self.entries[serial].op_code))?;
        let frames = said[..=last]
            .iter()
            .map(|&serial| self.entries[serial].frame);
        Some(frames.sum())
    }

    fn received(&mut self, at: Key, group: usize, message: &Message) -> Judged {
        let Some(channel) = self.channels.get_mut(&at) else {
            return Err(format!("a message on the unknown channel {at:?}"));
        };
        if !channel.is_open() {
            return Err(format!("a message behind the end of {at:?}: {message:?}"));
        }
        if channel.group != group {
            return Err(format!("a message of {at:?} came to group {group}"));
        }
        channel.received += 1;
        channel.last_received = Some(message.message_id());
        match message.op_code() {
            OpCode::ByeRequest => channel.bye_came = true,
            OpCode::ByeResponse => channel.answer_came = true,
            _ => {}
        }
        Ok(())
    }

    /// A message came back: to the inbox, or in the report of its group's destruction.
    pub(crate) fn returned(&mut self, engine: usize, message: &Msg, reported: bool) -> Judged {
        let serial = self.serial_of(message)?;
        let entry = &mut self.entries[serial];
        let key = (engine, usize::from(message.channel_number().value()));
        if entry.channel != key || entry.id != message.message_id() {
            return Err(format!("message {serial} came back as {message:?}"));
        }
        if entry.fate != Fate::Posted {
            let fate = entry.fate;
            return Err(format!("message {serial} came back although {fate:?}"));
        }
        entry.fate = Fate::Returned;
        let (place, op_code) = (entry.place, entry.op_code);
        if matches!(op_code, OpCode::WelcomeRequest | OpCode::ByeSignal) {
            return Ok(());
        }
        let Some(channel) = self.channels.get_mut(&key) else {
            return Err(format!("message {serial} came back from nowhere"));
        };
        if channel.closed.is_some() || (channel.gone && !reported) {
            return Err(format!("message {serial} came back behind the end"));
        }
        let first = *channel.returned_from.get_or_insert(place);
        if place != first + channel.returned {
            return Err(format!("message {serial} came back out of its order"));
        }
        channel.returned += 1;
        Ok(())
    }

    /// A group was destroyed when everything was sent.
    pub(crate) fn all_sent(&mut self, engine: usize, group: usize) {
        let range = (engine, 0)..(engine + 1, 0);
        for (_, channel) in self.channels.range_mut(range) {
            channel.sent_all |= channel.gone && channel.group == group;
        }
    }

    /// The last word on a channel: the books must agree with what it says.
    pub(crate) fn closed(&mut self, key: Key, info: &CloseInfo, written: u64) -> Judged {
        let entries = &self.entries;
        let Some(channel) = self.channels.get_mut(&key) else {
            return Err(format!("the last word on the unknown channel {key:?}"));
        };
        if !channel.is_open() {
            return Err(format!("a second last word on {key:?}"));
        }
        channel.closed = Some(info.cause.status());
        if channel.role == Role::Listener {
            return Ok(());
        }
        let sent = sent_of(channel, key)?;
        let ids = (info.messages_sent, info.last_id_sent);
        let last = sent.last().map(|&serial| entries[serial].id);
        if ids != (sent.len() as u64, last) {
            return Err(format!(
                "{key:?}: {} were sent, the last {last:?}; said is {ids:?}",
                sent.len()
            ));
        }
        let received = (info.messages_received, info.last_id_received);
        if received != (channel.received, channel.last_received) {
            let ours = (channel.received, channel.last_received);
            return Err(format!("{key:?}: received {ours:?}, said is {received:?}"));
        }
        if info.confirmed && !channel.answer_came {
            return Err(format!("{key:?} is confirmed by nobody"));
        }
        let bytes: u64 = sent.iter().map(|&serial| entries[serial].frame).sum();
        let next = channel.posted.get(sent.len());
        let unsent = next.map_or(u64::MAX, |&serial| bytes + entries[serial].frame);
        if written < bytes || written >= unsent {
            return Err(format!(
                "{key:?}: {written} bytes were taken; {bytes} were sent, {unsent} not"
            ));
        }
        Ok(())
    }
}

/// Whatever did not come back was sent: the returned ones must be all of the rest.
pub(crate) fn sent_of(channel: &Channel, key: Key) -> Result<&[usize], String> {
    let sent = channel.returned_from.unwrap_or(channel.posted.len());
    if sent + channel.returned != channel.posted.len() {
        let (returned, posted) = (channel.returned, channel.posted.len());
        return Err(format!(
            "{key:?}: {posted} posted, {returned} came back from {sent} on"
        ));
    }
    Ok(&channel.posted[..sent])
}

/// The body of a message: its serial number, then bytes that follow from it.
fn content(serial: usize, len: usize) -> Vec<u8> {
    let mut bytes = (serial as u64).to_be_bytes().to_vec();
    let seed = serial.wrapping_mul(0x9e37);
    bytes.extend((8..len).map(|place| (seed.wrapping_add(place * 7) >> 3).to_le_bytes()[0]));
    bytes
}
