//! The naive model of the target `channel_machine`: what was posted and received on each channel,
//! and what therefore may be posted next and must be said at its end.

use tofu_engine::{CloseInfo, PostErrorKind};
use tofu_msg::{MessageId, Status};

use crate::sim::fuzzing::story::{self, Outcome, Said, Story};
use crate::sim::fuzzing::wire::Wire;

/// What an application is on a channel.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Listener,
    Initiator,
    Acceptor,
}

/// A channel, from the post or the delivery that made it known.
#[derive(Debug)]
pub(super) struct Channel {
    pub(super) role: Role,
    pub(super) seat: usize,
    /// What was posted and travels, in order.
    pub(super) posted: Vec<Said>,
    /// What of it came back.
    pub(super) returned: Vec<Said>,
    pub(super) received: Vec<Said>,
    /// A WelcomeRequest or ByeSignal that has no outcome yet.
    pub(super) pending: Vec<Said>,
    pub(super) signalled: bool,
    pub(super) closed: bool,
    /// Its group was destroyed.
    pub(super) gone: bool,
    /// Refusals less announcements of room.
    pub(super) refusals: u64,
    /// A post was refused for a full queue and no room has been announced since.
    pub(super) awaits_room: bool,
}

impl Channel {
    pub(super) fn new(role: Role, seat: usize) -> Channel {
        Channel {
            role,
            seat,
            posted: Vec::new(),
            returned: Vec::new(),
            received: Vec::new(),
            pending: Vec::new(),
            signalled: false,
            closed: false,
            gone: false,
            refusals: 0,
            awaits_room: false,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        !self.closed && !self.gone
    }

    pub(super) fn has_posted(&self, op: u8) -> bool {
        self.posted.iter().any(|said| said.op == op)
    }

    fn has_received(&self, op: u8) -> bool {
        self.received.iter().any(|said| said.op == op)
    }

    /// Whether the conversation forbids to post this, whatever else there is. The peer's ByeRequest
    /// counts from when it was written, which is before the application sees it.
    fn forbids(&self, op: u8, bye_came: bool) -> bool {
        let (asked, answered) = (
            self.has_posted(story::BYE_REQUEST),
            self.has_posted(story::BYE_RESPONSE),
        );
        match op {
            story::BYE_SIGNAL => false,
            _ if self.role == Role::Listener => true,
            story::HELLO_REQUEST | story::WELCOME_REQUEST | story::WELCOME_RESPONSE => true,
            story::HELLO_RESPONSE
                if self.role == Role::Initiator || self.has_posted(story::HELLO_RESPONSE) =>
            {
                true
            }
            story::BYE_RESPONSE => answered || !bye_came,
            _ => asked || answered,
        }
    }

    /// A post was accepted.
    pub(super) fn accepted(&mut self, said: Said, bye_came: bool) {
        assert!(self.is_open() && !self.signalled, "accepted on {self:?}");
        let first = self.posted.is_empty() && self.pending.is_empty();
        let opens = matches!(said.op, story::HELLO_REQUEST | story::WELCOME_REQUEST);
        let opening = opens && first && self.role != Role::Acceptor;
        let forbidden = !opening && self.forbids(said.op, bye_came);
        assert!(!forbidden, "accepted {said:?} on {self:?}");
        match said.op {
            story::BYE_SIGNAL => {
                self.signalled = true;
                self.pending.push(said);
            }
            story::WELCOME_REQUEST => self.pending.push(said),
            _ => self.posted.push(said),
        }
    }

    /// A post was refused: there must be a reason.
    pub(super) fn refused(&mut self, op: u8, seat: usize, kind: PostErrorKind, stopping: bool) {
        let bye_came = self.has_received(story::BYE_REQUEST);
        let is_true = match kind {
            PostErrorKind::InvalidChannelGroup => self.seat != seat || self.gone,
            PostErrorKind::NotAllowed(_) => self.forbids(op, bye_came),
            PostErrorKind::ChannelClosed => true,
            PostErrorKind::QueueFull => {
                self.refusals += 1;
                self.awaits_room = true;
                !self.closed
            }
            PostErrorKind::ShutdownStarted => stopping,
            PostErrorKind::InvalidMoreUsage => op > story::SIGNAL,
            PostErrorKind::InvalidMessageId => op % 2 == 0 || op == story::RESPONSE,
            _ => matches!(op, story::HELLO_REQUEST | story::WELCOME_REQUEST),
        };
        assert!(is_true, "refused {op} as {kind:?} on {self:?}");
    }

    /// Something came back.
    pub(super) fn came_back(&mut self, mut said: Said) {
        assert!(
            !self.closed,
            "{said:?} came back behind the end of {self:?}"
        );
        // A request that opens a channel comes back turned round; nothing goes out with a status.
        said.status = 0;
        let turned = |it: &Said| {
            let opens = matches!(it.op, story::HELLO_REQUEST | story::WELCOME_REQUEST);
            it.op + u8::from(opens)
        };
        let found = self.pending.iter().position(|it| {
            let same = Said {
                op: turned(it),
                ..it.clone()
            };
            same == said
        });
        match found {
            Some(at) => drop(self.pending.remove(at)),
            None => {
                let first = self.role == Role::Initiator && self.returned.is_empty();
                if first && said.op == story::HELLO_RESPONSE {
                    said.op = story::HELLO_REQUEST;
                }
                self.returned.push(said);
            }
        }
    }

    /// What was sent: what came back must be all of the rest, as it was posted.
    pub(super) fn sent(&self) -> &[Said] {
        let sent = self.posted.len().checked_sub(self.returned.len());
        let sent = sent.unwrap_or(0);
        assert_eq!(self.posted[sent..], self.returned, "what came back");
        &self.posted[..sent]
    }

    /// The last word: the books must agree with what it says.
    pub(super) fn last_word(&mut self, info: &CloseInfo) {
        assert!(self.is_open(), "a second last word on {self:?}");
        self.closed = true;
        assert!(self.pending.is_empty(), "without an outcome: {self:?}");
        let ids = |said: &[Said]| said.last().map(|it| MessageId::new(it.id));
        let (sent, received) = (self.sent(), &self.received[..]);
        let books = (sent.len() as u64, ids(sent));
        assert_eq!((info.messages_sent, info.last_id_sent), books);
        let books = (received.len() as u64, ids(received));
        assert_eq!((info.messages_received, info.last_id_received), books);
        let answered = received.last().map(|it| it.op) == Some(story::BYE_RESPONSE);
        let asked = self.has_posted(story::BYE_REQUEST);
        assert!(
            !info.confirmed || (answered && asked),
            "confirmed: {self:?}"
        );
    }

    /// Whether what the peer wrote and read agrees with what was received and sent. At the end of a
    /// channel, or at rest.
    pub(super) fn agrees(&self, wire: &Wire, story: &Story) {
        let count = self.received.len();
        let told = story.said.get(..count);
        assert_eq!(told, Some(&self.received[..]), "received of {wire:?}");
        let read = story::written(&wire.received);
        let sent = read.iter().map(|(_, said)| said);
        assert!(
            read.len() <= self.posted.len() && sent.eq(&self.posted[..read.len()]),
            "read {read:?} of {self:?}"
        );
    }

    /// Whether the cause of the end is one that there was, and nothing is missing in front of it.
    pub(super) fn justifies(&self, info: &CloseInfo, wire: &Wire, story: &Story) {
        let all = self.received.len() == story.said.len();
        let status = info.cause.status();
        let is_true = match status {
            Status::PROTOCOL_VIOLATION => {
                // In a crossing the channel lives on until our answer is out, and nothing may come
                // behind the peer's.
                let crossed = story.outcome == Outcome::Ended && story.bye;
                all && (story.outcome == Outcome::Violation || crossed)
            }
            Status::TOO_MANY_HEADER_LINES => all && story.outcome == Outcome::TooManyLines,
            Status::PEER_DISCONNECTED => {
                all && (wire.has_ended() || story.outcome == Outcome::Ended)
            }
            Status::CHANNEL_CLOSED => self.signalled,
            // In a crossing both answers count, unless the peer does not wait for ours.
            Status::SUCCESS => {
                let alone = info.confirmed && !self.has_received(story::BYE_REQUEST);
                alone || self.has_posted(story::BYE_RESPONSE) || wire.has_ended()
            }
            Status::BYE_TIMEOUT => self.has_posted(story::BYE_REQUEST),
            Status::HELLO_RESPONSE_TIMEOUT => self.role == Role::Initiator,
            Status::LINGER_TIMEOUT => self.has_posted(story::BYE_RESPONSE),
            _ => matches!(
                status,
                Status::FRAME_TIMEOUT
                    | Status::WRITE_STALL_TIMEOUT
                    | Status::IDLE_TIMEOUT
                    | Status::SHUTDOWN_STARTED
            ),
        };
        assert!(
            is_true,
            "{info:?} without reason: {self:?} {wire:?} {story:?}"
        );
        if let (Status::PEER_DISCONNECTED, Outcome::Open(partial)) = (status, story.outcome) {
            assert_eq!(info.partial_frame_bytes, partial, "of a cut frame");
        }
        let proofs = [story::RESPONSE, story::HELLO_RESPONSE, story::BYE_RESPONSE];
        let proven = proofs.iter().any(|&op| self.has_received(op));
        let sent: usize = self.sent().iter().map(Said::frame_len).sum();
        assert!(proven || info.bytes_unconfirmed >= sent as u64, "{info:?}");
    }
}
