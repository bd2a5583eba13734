//! The reconciliation: every stream's posted, delivered and returned messages must add up.
//!
//! A stream is what one side of one channel has posted. Both sides' books are here; where a process
//! was killed, its word on how its channels ended is missing, and less can be demanded.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::{Context, Result};

use crate::kit::books;

/// How a stream ended, by its sender's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Closing {
    pub(super) accepted: u64,
    /// The first and the last that came back; the first behind the last when none did.
    pub(super) returned: (u64, u64),
    /// The last that the peer's application has answered.
    pub(super) answered: u64,
    /// The peer's application has taken everything.
    pub(super) confirmed: bool,
}

impl Closing {
    /// Reads the words behind `closed`: the stream, how it ended, and the cause.
    pub(super) fn parse(line: &str) -> Result<(u32, Closing, String)> {
        let words: Vec<_> = line.split(' ').collect();
        let [stream, accepted, first, last, answered, confirmed, cause] = words[..] else {
            anyhow::bail!("a node says of a stream: {line}");
        };
        let closing = Closing {
            accepted: accepted.parse()?,
            returned: (first.parse()?, last.parse()?),
            answered: answered.parse()?,
            confirmed: confirmed.parse()?,
        };
        Ok((stream.parse()?, closing, cause.to_owned()))
    }
}

/// What all processes have written down.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// What was about to be posted.
    pub(super) posted: BTreeMap<u32, u64>,
    /// What was taken, by the life that took it.
    pub(super) taken: Vec<(u32, BTreeMap<u32, u64>)>,
    pub(super) closings: BTreeMap<u32, Closing>,
    /// The lives that were killed.
    pub(super) killed: BTreeSet<u32>,
}

/// The outcomes, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Balance {
    pub(super) streams: u64,
    pub(super) confirmed: u64,
    pub(super) posted: u64,
    pub(super) delivered: u64,
    pub(super) returned: u64,
    /// Wholly handed to the kernel, and neither delivered nor returned.
    pub(super) unknown: u64,
    /// Streams whose sender was killed, and what was delivered of them.
    pub(super) orphans: u64,
    pub(super) orphans_delivered: u64,
    pub(super) findings: Vec<String>,
}

/// Adds up all streams.
pub(super) fn reconcile(books: Books) -> Balance {
    let mut sum = Balance::default();
    let mut taken = BTreeMap::new();
    for (life, streams) in books.taken {
        for (stream, count) in streams {
            if taken.insert(stream, count).is_some() {
                let text = format!("stream {stream} was delivered to two; one is life {life}");
                sum.findings.push(text);
            }
        }
    }
    for stream in taken.keys() {
        if !books.posted.contains_key(stream) {
            let text = format!("stream {stream} was delivered, but nobody posted it");
            sum.findings.push(text);
        }
    }
    for (&stream, &posted) in &books.posted {
        let delivered = taken.get(&stream).copied().unwrap_or_default();
        let closing = books.closings.get(&stream);
        let is_orphan = books.killed.contains(&books::sender(stream));
        let outcome = match closing {
            Some(closing) => sum.add(closing, posted, delivered),
            None if is_orphan || posted == 0 => sum.add_orphan(posted, delivered),
            None => Err("its channel never ended".to_owned()),
        };
        if let Err(what) = outcome {
            let text = format!("stream {stream}: {what}; {delivered} delivered, {closing:?}");
            sum.findings.push(text);
        }
    }
    sum
}

impl Balance {
    /// A stream whose sender has told its end; what is wrong with it.
    fn add(&mut self, closing: &Closing, posted: u64, delivered: u64) -> Result<(), String> {
        let Closing {
            accepted,
            returned: (first, last),
            ..
        } = *closing;
        let kept = first.saturating_sub(1);
        self.streams += 1;
        self.confirmed += u64::from(closing.confirmed);
        self.posted += accepted;
        self.delivered += delivered;
        self.returned += accepted.saturating_sub(kept);
        self.unknown += kept.saturating_sub(delivered);
        let rules = [
            (
                posted == accepted || posted == accepted + 1,
                "the sender's book does not agree",
            ),
            (
                last == accepted && kept <= accepted,
                "what came back is not its end",
            ),
            (delivered <= accepted, "more was delivered than posted"),
            (delivered <= kept, "some came back and was delivered"),
            (
                !closing.confirmed || delivered == accepted,
                "confirmed, and not all was delivered",
            ),
            (
                closing.answered <= delivered,
                "answered, and yet not delivered",
            ),
        ];
        let broken = rules.iter().find(|(holds, _)| !holds);
        broken.map_or(Ok(()), |(_, what)| Err((*what).to_owned()))
    }

    /// A stream whose sender was killed.
    fn add_orphan(&mut self, posted: u64, delivered: u64) -> Result<(), String> {
        self.orphans += u64::from(posted > 0);
        self.orphans_delivered += delivered;
        if delivered > posted {
            return Err(format!("more was delivered than the {posted} posted"));
        }
        Ok(())
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "messages    {} posted = {} delivered + {} returned + {} in the kernel",
            self.posted, self.delivered, self.returned, self.unknown
        )?;
        writeln!(
            f,
            "streams     {}, {} of them confirmed to the last message",
            self.streams, self.confirmed
        )?;
        writeln!(
            f,
            "orphans     {} streams of killed senders, {} messages of them delivered",
            self.orphans, self.orphans_delivered
        )
    }
}

/// Reads the books of these lives.
pub(super) fn read(folder: &std::path::Path, lives: impl Iterator<Item = u32>) -> Result<Books> {
    let mut books = Books::default();
    for life in lives {
        let posted = books::read_posted(folder, life);
        books
            .posted
            .append(&mut posted.with_context(|| format!("life {life}"))?);
        let taken = books::read_taken(folder, life);
        books
            .taken
            .push((life, taken.with_context(|| format!("life {life}"))?));
    }
    Ok(books)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A stream of ten: seven delivered, one in the kernel, two returned.
    const LINE: &str = "1048576 10 9 10 5 false peer_disconnected";

    fn books(line: &str, posted: u64, delivered: u64) -> Books {
        let (stream, closing, _) = Closing::parse(line).unwrap();
        Books {
            posted: [(stream, posted)].into(),
            taken: vec![(2, [(stream, delivered)].into())],
            closings: [(stream, closing)].into(),
            killed: BTreeSet::new(),
        }
    }

    fn findings(books: Books) -> String {
        reconcile(books).findings.join("\n")
    }

    #[test]
    fn what_adds_up_is_counted() {
        for posted in [10, 11] {
            let sum = reconcile(books(LINE, posted, 7));
            assert_eq!(sum.findings, Vec::<String>::new());
            assert_eq!(
                [sum.posted, sum.delivered, sum.returned, sum.unknown],
                [10, 7, 2, 1]
            );
        }
    }

    #[test]
    fn every_kind_of_mistake_is_found() {
        for (line, posted, delivered, what) in [
            (LINE, 12, 7, "book does not agree"),
            (LINE, 10, 9, "came back and was delivered"),
            (LINE, 10, 11, "more was delivered"),
            (LINE, 10, 4, "answered, and yet"),
            ("1048576 10 9 9 5 false x", 10, 7, "not its end"),
            ("1048576 10 11 10 5 true x", 10, 9, "not all was delivered"),
        ] {
            let found = findings(books(line, posted, delivered));
            assert!(found.contains(what), "{what}: {found}");
        }
        let mut twice = books(LINE, 10, 7);
        twice.taken.push((3, [(1_048_576, 1)].into()));
        assert!(findings(twice).contains("delivered to two"));
        let mut unknown = books(LINE, 10, 7);
        unknown.taken.push((3, [(77, 1)].into()));
        assert!(findings(unknown).contains("nobody posted"));
    }

    #[test]
    fn only_a_killed_sender_may_keep_silent() {
        let mut silent = books(LINE, 10, 7);
        silent.closings.clear();
        assert!(findings(silent).contains("never ended"));
        for (delivered, is_good) in [(10, true), (11, false)] {
            let mut killed = books(LINE, 10, delivered);
            killed.closings.clear();
            killed.killed.insert(1);
            assert_eq!(findings(killed).is_empty(), is_good);
        }
    }
}
