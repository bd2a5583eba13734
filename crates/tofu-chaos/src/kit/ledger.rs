//! The ledger: each posted message carries its stream and number, and has one outcome.
//!
//! One thread posts the messages 1, 2, 3... of a stream to one channel. What is delivered must be
//! the beginning of that, without gap or repetition; what comes back must be its end; between the
//! two may lie only what was handed to the kernel and whose receipt nobody can know.

use std::collections::BTreeMap;
use std::ops::AddAssign;

use anyhow::{Context, Result, ensure};
use tofu::prelude::Message;

/// Bytes of a body in front of the filler: the stream and the number.
pub(crate) const STAMP_LEN: usize = 12;

/// The text header that repeats the number.
const NUMBER: &str = "number";

/// Writes a stream's message: a number in body and text headers, and `filler` bytes that follow
/// from both.
pub(crate) fn stamp(message: &mut Message, stream: u32, number: u64, filler: usize) -> Result<()> {
    message.text_headers_mut().clear();
    message
        .text_headers_mut()
        .append(NUMBER, number.to_string())?;
    let mut bytes = Vec::with_capacity(STAMP_LEN + filler);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(&number.to_be_bytes());
    fill(&mut bytes, stream, number, filler);
    message.body_mut().replace(&bytes)?;
    Ok(())
}

/// The stream and the number of a message; an error if any byte of it is not as it was stamped.
pub(crate) fn read_stamp(message: &Message) -> Result<(u32, u64)> {
    let body = message.body().as_bytes();
    let (stream, rest) = body.split_first_chunk().context("no stamp in the body")?;
    let (number, filler) = rest.split_first_chunk().context("no stamp in the body")?;
    let (stream, number) = (u32::from_be_bytes(*stream), u64::from_be_bytes(*number));
    let mut expected = Vec::with_capacity(filler.len());
    fill(&mut expected, stream, number, filler.len());
    ensure!(filler == expected, "{stream}/{number}: the body is corrupt");
    let header = message.text_headers().get(NUMBER);
    ensure!(
        header == Some(number.to_string().as_bytes()),
        "{stream}/{number}: the text headers are corrupt"
    );
    Ok((stream, number))
}

fn fill(bytes: &mut Vec<u8>, stream: u32, number: u64, len: usize) {
    let mut word = (u64::from(stream) << 40 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let end = bytes.len() + len;
    while bytes.len() < end {
        let part = word.to_be_bytes();
        let take = part.len().min(end - bytes.len());
        bytes.extend_from_slice(&part[..take]);
        word = word.rotate_left(5).wrapping_add(0x0123_4567_89ab_cdef);
    }
}

/// What the receiving side has taken: of each stream the number of the last message.
#[derive(Debug, Default, Clone)]
pub(crate) struct Delivered(BTreeMap<u32, u64>);

impl Delivered {
    /// Notes a received message.
    pub(crate) fn take(&mut self, message: &Message) -> Result<(u32, u64)> {
        let (stream, number) = read_stamp(message)?;
        self.note(stream, number)?;
        Ok((stream, number))
    }

    /// Notes a message that somebody else has received.
    pub(crate) fn note(&mut self, stream: u32, number: u64) -> Result<()> {
        let last = self.0.entry(stream).or_default();
        ensure!(
            number == *last + 1,
            "{stream}/{number} was delivered behind {stream}/{last}"
        );
        *last = number;
        Ok(())
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().sum()
    }
}

/// What came back to the sender: of each stream the first and the last number.
#[derive(Debug, Default, Clone)]
pub(crate) struct Returned(BTreeMap<u32, (u64, u64)>);

impl Returned {
    /// Notes a returned message.
    pub(crate) fn take(&mut self, message: &Message) -> Result<()> {
        let (stream, number) = read_stamp(message)?;
        let (_, last) = self
            .0
            .entry(stream)
            .or_insert((number, number.saturating_sub(1)));
        ensure!(
            number == *last + 1,
            "{stream}/{number} came back behind {stream}/{last}"
        );
        *last = number;
        Ok(())
    }

    pub(crate) fn total(&self) -> u64 {
        self.0.values().map(|(first, last)| last - first + 1).sum()
    }
}

/// How many messages had which outcome.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) accepted: u64,
    pub(crate) delivered: u64,
    pub(crate) returned: u64,
    /// Handed to the kernel, and neither delivered nor returned.
    pub(crate) unknown: u64,
}

impl AddAssign for Balance {
    fn add_assign(&mut self, other: Balance) {
        self.accepted += other.accepted;
        self.delivered += other.delivered;
        self.returned += other.returned;
        self.unknown += other.unknown;
    }
}

impl std::fmt::Display for Balance {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} posted = {} delivered + {} returned + {} in the kernel",
            self.accepted, self.delivered, self.returned, self.unknown
        )
    }
}

/// Compares both sides' books; `accepted` is how many messages of each stream were posted.
pub(crate) fn balance(
    accepted: &BTreeMap<u32, u64>,
    delivered: &Delivered,
    returned: &Returned,
) -> Result<Balance> {
    let known = |stream: &u32| accepted.contains_key(stream);
    ensure!(
        delivered.0.keys().all(known) && returned.0.keys().all(known),
        "a stream that nobody has posted: {delivered:?} {returned:?}"
    );
    let mut sum = Balance::default();
    for (&stream, &accepted) in accepted {
        let received = delivered.0.get(&stream).copied().unwrap_or(0);
        let back = returned.0.get(&stream).copied();
        let (first, last) = back.unwrap_or((accepted + 1, accepted));
        ensure!(
            last == accepted && received <= accepted,
            "stream {stream}: {accepted} posted, {received} delivered, {first} to {last} returned"
        );
        ensure!(
            received < first,
            "{stream}/{first} came back, and was delivered as one of {received}"
        );
        let returned = last + 1 - first;
        sum += Balance {
            accepted,
            delivered: received,
            returned,
            unknown: accepted - received - returned,
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamped(number: u64, filler: usize) -> Message {
        let mut message = Message::default();
        stamp(&mut message, 7, number, filler).unwrap();
        message
    }

    #[test]
    fn a_stamp_is_read_as_written_and_a_changed_byte_is_seen() {
        for filler in [0, 1, 7, 8, 9, 60_000] {
            assert_eq!(read_stamp(&stamped(3, filler)).unwrap(), (7, 3));
        }
        let mut message = stamped(3, 100);
        let mut bytes = message.body().as_bytes().to_vec();
        bytes[STAMP_LEN + 50] ^= 1;
        message.body_mut().replace(&bytes).unwrap();
        assert!(read_stamp(&message).is_err());
        assert!(read_stamp(&Message::default()).is_err());
    }

    #[test]
    fn gaps_repetitions_and_double_outcomes_are_seen() {
        let mut delivered = Delivered::default();
        delivered.take(&stamped(1, 0)).unwrap();
        assert!(delivered.clone().take(&stamped(1, 0)).is_err());
        assert!(delivered.clone().take(&stamped(3, 0)).is_err());
        delivered.take(&stamped(2, 0)).unwrap();
        let mut returned = Returned::default();
        returned.take(&stamped(4, 0)).unwrap();
        assert!(returned.clone().take(&stamped(6, 0)).is_err());
        returned.take(&stamped(5, 0)).unwrap();
        let sum = balance(&[(7, 5)].into(), &delivered, &returned).unwrap();
        assert_eq!(
            sum.to_string(),
            "5 posted = 2 delivered + 2 returned + 1 in the kernel"
        );
        assert!(balance(&[(7, 6)].into(), &delivered, &returned).is_err());
        assert!(balance(&[(8, 5)].into(), &delivered, &returned).is_err());
        delivered.note(7, 3).unwrap();
        delivered.note(7, 4).unwrap();
        assert!(balance(&[(7, 5)].into(), &delivered, &returned).is_err());
    }
}
