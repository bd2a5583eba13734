//! Properties that must hold for any bytes; not part of the API.
//!
//! Bodies of the fuzz targets in `fuzz/`, replayed over their corpus by `cargo test` and called by
//! the property tests. Each takes arbitrary bytes and panics only if this crate has a bug. What is
//! right is said by `naive`, which shares no code with the rest of the crate.

mod naive;

use alloc::vec::Vec;

use crate::layout::HEADER_LEN;
use crate::{
    BinaryHeader, Decoder, Encoder, FrameRef, HeaderError, MAX_TEXT_HEADERS_LEN, Message, Origin,
    Parse, RawHeader, TextHeaderError, TextHeaders, TextHeadersRef,
};

/// Any sixteen bytes decode to what the layout says, and encode to the same bytes but for the two
/// unused bits.
pub fn header(data: &[u8]) {
    let parsed = FrameRef::parse(data);
    let Some(bytes) = data.first_chunk::<HEADER_LEN>() else {
        assert_eq!(parsed, Ok(Parse::Partial { needed: HEADER_LEN }));
        return;
    };
    let raw = RawHeader::new(*bytes);
    assert_eq!(naive::raw_fields(&raw), naive::fields(bytes));
    assert_eq!(raw.as_bytes(), bytes);
    match BinaryHeader::decode(bytes) {
        Err(error) => {
            let op_code = bytes[2] & 0x0f;
            assert!(op_code > 9, "op code {op_code} exists");
            assert_eq!(error, HeaderError::InvalidOpCode { op_code });
            assert_eq!(parsed, Err(error));
        }
        Ok(header) => {
            assert_eq!(naive::header_fields(&header), naive::masked_fields(bytes));
            let mut expected = *bytes;
            expected[2] &= 0b0011_1111;
            assert_eq!(header.encode(), expected);
            parses_to(parsed, header, data);
        }
    }
}

/// A parse that agrees with the header about where the frame's parts lie.
fn parses_to(parsed: Result<Parse<FrameRef<'_>>, HeaderError>, header: BinaryHeader, data: &[u8]) {
    let body_start = HEADER_LEN + usize::from(header.text_headers_len);
    let frame_len = body_start + usize::from(header.body_len);
    assert_eq!(header.frame_len(), frame_len);
    assert_eq!(header.payload_len(), frame_len - HEADER_LEN);
    match parsed {
        Ok(Parse::Complete(frame)) => {
            assert_eq!(frame.header(), header);
            assert_eq!(frame.as_bytes(), &data[..frame_len]);
            assert_eq!(
                frame.text_headers().as_bytes(),
                &data[HEADER_LEN..body_start]
            );
            assert_eq!(frame.body(), &data[body_start..frame_len]);
        }
        partial => {
            assert!(data.len() < frame_len);
            assert_eq!(partial, Ok(Parse::Partial { needed: frame_len }));
        }
    }
}

/// Reading any block gives what the rules say, and changing it gives what was asked for.
///
/// The first byte says how many of the next are a name to append, the byte after them how many
/// are its value; all bytes are the block.
pub fn text_headers(data: &[u8]) {
    let expected = naive::read(data);
    let view = TextHeadersRef::new(data);
    assert!(lines(view).eq(expected.headers.iter().copied()), "{view:?}");
    // Every name against every line is quadratic: two of them will do.
    let names = || {
        [expected.headers.first(), expected.headers.last()]
            .into_iter()
            .flatten()
    };
    for (name, _) in names() {
        finds_values(view, &expected, name);
    }
    let mut block = TextHeaders::new();
    if data.len() > MAX_TEXT_HEADERS_LEN {
        assert!(matches!(
            block.replace_raw(data),
            Err(TextHeaderError::TooLong { .. })
        ));
        return;
    }
    assert_eq!(block.replace_raw(data), Ok(()));
    assert_eq!(block.as_bytes(), data);
    for (name, _) in names() {
        removes_lines(&block, name);
    }
    let (name, rest) = naive::counted(data);
    let (value, _) = naive::counted(rest);
    adds_line(&block, &expected, name, value);
}

/// A name finds the values of its lines, in order.
fn finds_values(view: TextHeadersRef<'_>, expected: &naive::Reading<'_>, name: &[u8]) {
    let values = || {
        expected
            .headers
            .iter()
            .filter(|header| header.0 == name)
            .map(|line| line.1)
    };
    assert!(view.get_all(name).eq(values()));
    assert_eq!(view.get(name), values().next());
    assert_eq!(
        view.get_str(name),
        values().next().map(core::str::from_utf8)
    );
}

/// Removing a name takes its lines, all of them and nothing else.
fn removes_lines(block: &TextHeaders, name: &[u8]) {
    let is_gone = |line: &&[u8]| naive::split(naive::without_end(line)).0 == name;
    let gone = naive::lines(block.as_bytes()).filter(is_gone).count();
    let kept = naive::lines(block.as_bytes()).filter(|line| !is_gone(line));
    let mut changed = block.clone();
    assert_eq!(changed.remove_all(name), gone);
    assert!(changed.as_bytes().iter().eq(kept.flatten()), "{changed:?}");
    assert_eq!(changed.get(name), None);
    assert_eq!(changed.remove_all(name), 0);
}

/// What is appended, or put in front, is read back as it was given, or nothing changes.
fn adds_line(block: &TextHeaders, before: &naive::Reading<'_>, name: &[u8], value: &[u8]) {
    let mut behind = block.clone();
    let mut in_front = block.clone();
    let appended = behind.append(name, value);
    let inserted = in_front.insert_first(name, value);
    let Some(line) = naive::line(name, value) else {
        assert!(matches!(
            appended,
            Err(TextHeaderError::EmptyName
                | TextHeaderError::InvalidName { .. }
                | TextHeaderError::InvalidValue { .. })
        ));
        assert_eq!(appended, inserted);
        assert!(behind == *block && in_front == *block);
        return;
    };
    if appended.is_ok() {
        let added = Some(line).filter(|_| !before.stopped);
        assert!(lines(behind.view()).eq(before.headers.iter().copied().chain(added)));
    } else {
        assert!(block.len() + name.len() + value.len() + 5 > MAX_TEXT_HEADERS_LEN);
        assert_eq!(behind, *block);
    }
    if inserted.is_ok() {
        assert!(
            lines(in_front.view()).eq(core::iter::once(line).chain(before.headers.iter().copied()))
        );
        assert!(in_front.as_bytes().ends_with(block.as_bytes()));
    } else {
        assert_eq!(in_front, *block);
    }
}

fn lines(view: TextHeadersRef<'_>) -> impl Iterator<Item = (&[u8], &[u8])> {
    view.iter().map(|header| (header.name, header.value))
}

/// However a stream is cut, the decoder gives the frames that lie in the whole, and holds little
/// more than what has come of the next one.
///
/// The first byte says how many of the next are the lengths of the pieces, taken in turn; the rest
/// is the stream.
pub fn frame_decoder(data: &[u8]) {
    let (cuts, stream) = naive::counted(data);
    let (frames, end) = naive::frames(stream);
    let mut decoder = Decoder::new();
    let mut messages = Vec::new();
    let mut failure = None;
    for mut piece in naive::pieces(stream, cuts) {
        loop {
            match decoder.decode(&mut piece) {
                Ok(Some(message)) => messages.push(message),
                Ok(None) => break assert!(piece.is_empty(), "bytes left over"),
                Err(error) => break failure = Some(error),
            }
        }
        assert!(decoder.capacity() <= 2 * decoder.buffered_len() + 64);
    }
    assert_eq!(messages.len(), frames.len());
    for (message, frame) in messages.iter().zip(frames) {
        carries(message, frame);
    }
    match end {
        naive::End::Cut(len) => {
            assert_eq!(failure, None);
            assert_eq!(decoder.buffered_len(), len);
        }
        naive::End::Invalid(op_code) => {
            let error = HeaderError::InvalidOpCode { op_code };
            assert_eq!(failure, Some(error));
            assert_eq!(decoder.decode(&mut &[0; HEADER_LEN][..]), Err(error));
        }
    }
}

/// A message that holds what the frame says, and goes back on the wire as the same bytes but for
/// those that a peer may not set.
fn carries(message: &Message, frame: &[u8]) {
    assert_eq!(message.origin(), Origin::Peer);
    assert_eq!(message.frame_len(), frame.len());
    let mut expected = frame.to_vec();
    expected[2] &= 0b0010_1111;
    let mut encoded = Vec::new();
    message.encode_into(&mut encoded);
    assert_eq!(encoded, expected);
    let mut encoder = Encoder::new(message);
    let mut pieces = Vec::new();
    let mut buffer = [0; 7];
    // Small steps through the first part, the rest in one.
    while pieces.len() < 64 && !encoder.is_done() {
        let len = encoder.encode(&mut buffer);
        pieces.extend_from_slice(&buffer[..len]);
    }
    pieces.extend(encoder.slices().concat());
    assert_eq!(pieces, expected);
}
