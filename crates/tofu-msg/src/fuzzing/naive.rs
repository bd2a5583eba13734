//! The format said once more, as plainly as it can be said and without regard to speed.
//!
//! Called by the fuzz bodies only. Must not call what it is compared with.

use alloc::vec::Vec;

use crate::{BinaryHeader, RawHeader};

/// Channel number, flags, status, message id, and the two lengths.
type Fields = [u64; 6];

pub(super) fn fields(bytes: &[u8; 16]) -> Fields {
    [0..2, 2..3, 3..4, 4..12, 12..14, 14..16].map(|range| {
        bytes[range]
            .iter()
            .fold(0, |number, byte| number * 256 + u64::from(*byte))
    })
}

/// The fields of a header that was decoded: the unused bits are gone.
pub(super) fn masked_fields(bytes: &[u8; 16]) -> Fields {
    let mut bytes = *bytes;
    bytes[2] %= 64;
    fields(&bytes)
}

pub(super) fn raw_fields(raw: &RawHeader) -> Fields {
    [
        raw.channel_number().into(),
        raw.flags().into(),
        raw.status().into(),
        raw.message_id(),
        raw.text_headers_len().into(),
        raw.body_len().into(),
    ]
}

pub(super) fn header_fields(header: &BinaryHeader) -> Fields {
    let origin_bit = if header.engine_origin { 16 } else { 0 };
    let more_bit = if header.more { 32 } else { 0 };
    [
        header.channel_number.value().into(),
        u64::from(header.op_code.as_u8()) + origin_bit + more_bit,
        header.status.value().into(),
        header.message_id.value(),
        header.text_headers_len.into(),
        header.body_len.into(),
    ]
}

/// What a block reads as.
pub(super) struct Reading<'a> {
    pub(super) headers: Vec<(&'a [u8], &'a [u8])>,
    /// An empty name ended the reading.
    pub(super) stopped: bool,
}

pub(super) fn read(block: &[u8]) -> Reading<'_> {
    let mut headers = Vec::new();
    for line in lines(block) {
        let line = without_end(line);
        if line.is_empty() {
            continue;
        }
        let header = split(line);
        if header.0.is_empty() {
            return Reading {
                headers,
                stopped: true,
            };
        }
        headers.push(header);
    }
    Reading {
        headers,
        stopped: false,
    }
}

/// The lines with their ends.
pub(super) fn lines(mut block: &[u8]) -> impl Iterator<Item = &[u8]> {
    core::iter::from_fn(move || {
        let ends_line = |len: &usize| matches!(block[..*len], [.., b'\r', b'\n']);
        let len = (0..block.len()).find(ends_line).unwrap_or(block.len());
        let (line, rest) = block.split_at(len);
        block = rest;
        (!line.is_empty()).then_some(line)
    })
}

pub(super) fn without_end(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r\n").unwrap_or(line)
}

pub(super) fn split(line: &[u8]) -> (&[u8], &[u8]) {
    let mut parts = line.splitn(2, |byte| *byte == b':');
    let name = parts.next().unwrap_or_default();
    (name, trimmed(parts.next().unwrap_or_default(), b" \t"))
}

fn trimmed<'a>(bytes: &'a [u8], blanks: &[u8]) -> &'a [u8] {
    let is_content = |byte: &u8| !blanks.contains(byte);
    match (
        bytes.iter().position(is_content),
        bytes.iter().rposition(is_content),
    ) {
        (Some(first), Some(last)) => &bytes[first..=last],
        _ => &[],
    }
}

/// What an appended line reads as; none where it may not be appended.
pub(super) fn line<'a>(name: &'a [u8], value: &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let name = trimmed(name, b" \t\r\n");
    let breaks_line = |byte: &u8| b"\r\n".contains(byte);
    let refused = name.is_empty()
        || name.contains(&b':')
        || name.iter().any(breaks_line)
        || value.iter().any(breaks_line)
        || trimmed(value, b" \t") != value;
    (!refused).then_some((name, value))
}

/// A first byte that says how many of the next belong together: those, and the rest.
pub(super) fn counted(data: &[u8]) -> (&[u8], &[u8]) {
    match data {
        [] => (&[], &[]),
        [count, rest @ ..] => rest.split_at(rest.len().min(usize::from(*count))),
    }
}

/// How a stream ends.
pub(super) enum End {
    /// This many bytes into a frame.
    Cut(usize),
    /// At a header with this op code.
    Invalid(u8),
}

/// The frames that lie whole in a stream, and what comes behind them.
pub(super) fn frames(mut stream: &[u8]) -> (Vec<&[u8]>, End) {
    let mut frames = Vec::new();
    loop {
        let Some(header) = stream.first_chunk::<16>() else {
            return (frames, End::Cut(stream.len()));
        };
        let op_code = header[2] % 16;
        if op_code >= 10 {
            return (frames, End::Invalid(op_code));
        }
        let [.., text_headers_len, body_len] = fields(header);
        let frame_len = usize::try_from(16 + text_headers_len + body_len).unwrap_or(usize::MAX);
        let Some((frame, rest)) = stream.split_at_checked(frame_len) else {
            return (frames, End::Cut(stream.len()));
        };
        frames.push(frame);
        stream = rest;
    }
}

/// A stream cut into pieces of these lengths in turn, each one longer than it says; uncut without
/// any.
pub(super) fn pieces<'a>(mut stream: &'a [u8], cuts: &[u8]) -> Vec<&'a [u8]> {
    let mut pieces = Vec::new();
    for cut in cuts.iter().cycle() {
        if stream.is_empty() {
            break;
        }
        let (piece, rest) = stream.split_at(stream.len().min(1 + usize::from(*cut)));
        pieces.push(piece);
        stream = rest;
    }
    pieces.push(stream);
    pieces
}
