//! What a server has seen of each request, and how each call ended: once, and as it must have.

use std::collections::BTreeMap;
use std::sync::{Condvar, Mutex};
use std::time::Instant;

use tofu_chnls::helpers::{CallFailure, RequestFate};
use tofu_chnls::{Msg, Reactor};
use tofu_msg::{ChannelNumber, Message};

use crate::server::DEADLINE;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Answered,
    Failed(RequestFate),
}

#[derive(Debug, Default)]
pub(crate) struct Ledger {
    book: Mutex<Book>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Book {
    next: u64,
    /// How often the server was asked each.
    served: BTreeMap<u64, u32>,
    outcomes: BTreeMap<u64, Outcome>,
}

impl Ledger {
    /// A request of its own kind, with `padding` behind its number, and that number.
    pub(crate) fn request(
        &self,
        engine: &Reactor,
        channel: ChannelNumber,
        padding: &[u8],
    ) -> (Msg, u64) {
        let mut book = self.book.lock().unwrap();
        let key = book.next;
        book.next += 1;
        let mut request = engine.message().unwrap();
        request.set_channel_number(channel);
        request.body_mut().append(&key.to_be_bytes()).unwrap();
        request.body_mut().append(padding).unwrap();
        (request, key)
    }

    /// The number in a request or its answer.
    pub(crate) fn key(message: &Message) -> u64 {
        let (key, _) = message.body().as_bytes().split_first_chunk().unwrap();
        u64::from_be_bytes(*key)
    }

    /// The server was asked this.
    pub(crate) fn served(&self, request: &Message) {
        let mut book = self.book.lock().unwrap();
        *book.served.entry(Ledger::key(request)).or_default() += 1;
        self.changed.notify_all();
    }

    pub(crate) fn answered(&self, key: u64, answer: &Message) {
        assert_eq!(Ledger::key(answer), key, "the answer is another call's");
        self.ended(key, Outcome::Answered);
    }

    pub(crate) fn failed(&self, key: u64, failure: CallFailure) {
        assert!(!failure.status().is_success(), "{failure}");
        let fate = failure.fate();
        if let Some(request) = failure.into_request() {
            assert_eq!(Ledger::key(&request), key, "the request is another call's");
        }
        self.ended(key, Outcome::Failed(fate));
    }

    /// Waits until as many calls as this have been answered in all.
    pub(crate) fn wait_answered(&self, count: usize) {
        let end = Instant::now() + DEADLINE;
        let mut book = self.book.lock().unwrap();
        while book.count(Outcome::Answered) < count {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} answers", book.count(Outcome::Answered));
            book = self.changed.wait_timeout(book, left).unwrap().0;
        }
    }

    pub(crate) fn answers(&self) -> usize {
        self.book.lock().unwrap().count(Outcome::Answered)
    }

    /// Checks that every call has ended, and as the server saw it; `served` says whether the server
    /// kept this ledger too.
    pub(crate) fn reconcile(&self, served: bool) {
        let book = self.book.lock().unwrap();
        for key in 0..book.next {
            let outcome = book.outcomes.get(&key);
            let times = book.served.get(&key).copied().unwrap_or_default();
            let possible = match outcome {
                None => panic!("call {key} is lost; it was served {times} times"),
                Some(Outcome::Answered | Outcome::Failed(RequestFate::Taken)) => 1..=1,
                Some(Outcome::Failed(RequestFate::NotSent)) => 0..=0,
                Some(Outcome::Failed(RequestFate::Unknown)) => 0..=1,
            };
            let right = !served || possible.contains(&times);
            assert!(right, "call {key} was served {times} times: {outcome:?}");
        }
        let fates = [
            RequestFate::NotSent,
            RequestFate::Unknown,
            RequestFate::Taken,
        ];
        let failed = fates.map(|fate| book.count(Outcome::Failed(fate)));
        println!(
            "{} answered, not sent, unknown, taken: {failed:?}",
            book.count(Outcome::Answered)
        );
    }

    fn ended(&self, key: u64, outcome: Outcome) {
        let mut book = self.book.lock().unwrap();
        let before = book.outcomes.insert(key, outcome);
        assert!(
            before.is_none(),
            "call {key} ended twice: {before:?}, {outcome:?}"
        );
        self.changed.notify_all();
    }
}

impl Book {
    fn count(&self, outcome: Outcome) -> usize {
        self.outcomes
            .values()
            .filter(|ended| **ended == outcome)
            .count()
    }
}
