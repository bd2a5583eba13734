//! The reassembler with virtual time, and against a naive model; cutting without an engine's network.

use std::collections::HashMap;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use proptest::prelude::*;
use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin};

use super::table::exceeded;
use super::{
    ChunkError, Chunks, Progress, Reassembler, Received, STREAM_ABORTED, StreamError, StreamFault,
    StreamId, StreamLimit, StreamLimits, Swallowed,
};
use crate::helpers::Post;
use crate::{Msg, Options, PostError, Reactor};

/// A message as it would be received.
fn part(channel: u16, op_code: OpCode, id: u64, content: &[u8], more: bool) -> Msg {
    let mut message = Message::new(op_code);
    message.set_origin(Origin::Peer);
    message.set_channel_number(ChannelNumber::new(channel));
    message.set_message_id(MessageId::new(id));
    message.set_more(more);
    message.body_mut().append(content).unwrap();
    Msg::from(message)
}

fn request(id: u64, content: &[u8], more: bool) -> Msg {
    part(1, OpCode::Request, id, content, more)
}

fn id_of(message: &Msg) -> StreamId {
    StreamId::of(message)
}

fn whole(received: Received) -> Vec<u8> {
    match received {
        Received::Whole(whole) => whole.body,
        other => panic!("not whole: {other:?}"),
    }
}

fn failed(received: Received) -> StreamError {
    match received {
        Received::Failed(error) => error,
        other => panic!("not failed: {other:?}"),
    }
}

fn is_part(received: &Received) -> bool {
    matches!(received, Received::Part)
}

#[test]
fn the_head_of_a_whole_body_is_what_an_answer_needs() {
    let mut streams = Reassembler::new(StreamLimits::default());
    let now = Instant::now();
    let mut first = request(5, b"a", true);
    first.text_headers_mut().append("Name", "x").unwrap();
    assert!(is_part(&streams.feed(first, now)));
    match streams.feed(request(5, b"b", false), now) {
        Received::Whole(mut whole) => {
            assert_eq!(whole.stream(), id_of(&request(5, b"", false)));
            assert_eq!(whole.body, b"ab");
            assert_eq!(whole.head.text_headers().get("Name"), Some(&b"x"[..]));
            assert_eq!(whole.head.make_reply(), Some(OpCode::Response));
        }
        other => panic!("{other:?}"),
    }
    assert_eq!((streams.open_streams(), streams.held_bytes()), (0, 0));
}

#[test]
fn requests_and_responses_of_one_id_are_two_streams() {
    let mut streams = Reassembler::new(StreamLimits::default());
    let now = Instant::now();
    for op_code in [OpCode::Request, OpCode::Response, OpCode::Signal] {
        assert!(is_part(&streams.feed(
            part(1, op_code, 7, op_code.name().as_bytes(), true),
            now
        )));
    }
    for op_code in [OpCode::Response, OpCode::Signal, OpCode::Request] {
        let body = whole(streams.feed(part(1, op_code, 7, b".", false), now));
        assert_eq!(body, format!("{}.", op_code.name()).into_bytes());
    }
}

#[test]
fn what_is_no_stream_comes_back_as_it_is() {
    let mut streams = Reassembler::new(StreamLimits::default());
    let now = Instant::now();
    let hello = part(1, OpCode::HelloRequest, 1, b"hi", false);
    assert!(
        matches!(streams.feed(hello, now), Received::Other(message) if message.body().as_bytes() == b"hi")
    );
    let mut returned = request(1, b"mine", true);
    returned.set_origin(Origin::Engine);
    assert!(matches!(streams.feed(returned, now), Received::Other(_)));
    assert_eq!(streams.open_streams(), 0);
}

#[test]
fn a_stream_beyond_its_limit_is_refused_and_the_others_go_on() {
    let mut streams = Reassembler::new(StreamLimits::default().body_bytes(4));
    let now = Instant::now();
    assert!(is_part(&streams.feed(request(1, b"abc", true), now)));
    assert!(is_part(&streams.feed(request(2, b"ab", true), now)));
    let error = failed(streams.feed(request(1, b"de", true), now));
    assert_eq!(error.stream, id_of(&request(1, b"", true)));
    assert_eq!(error.fault, exceeded(StreamLimit::BodyBytes, 4, 5));
    assert!(
        error
            .to_string()
            .contains("5 bytes of one body, and 4 are allowed"),
        "{error}"
    );
    assert!(is_part(&streams.feed(request(1, b"fghi", true), now)));
    assert_eq!(whole(streams.feed(request(2, b"cd", false), now)), b"abcd");
    assert!(is_part(&streams.feed(request(1, b"j", false), now)));
    assert_eq!(streams.swallowed(), Swallowed { parts: 2, bytes: 5 });
    // Its last part has come: the id may be used again.
    assert_eq!(whole(streams.feed(request(1, b"new", false), now)), b"new");
    let error = failed(streams.feed(request(1, b"longer", false), now));
    assert_eq!(error.fault, exceeded(StreamLimit::BodyBytes, 4, 6));
    streams.check();
}

#[test]
fn streams_are_counted_per_channel_and_in_all() {
    let limits = StreamLimits::default().channel_streams(2).streams(3);
    let mut streams = Reassembler::new(limits);
    let now = Instant::now();
    let mut begin = |channel, id| streams.feed(part(channel, OpCode::Request, id, b"", true), now);
    assert!(is_part(&begin(1, 1)));
    assert!(is_part(&begin(1, 2)));
    assert_eq!(
        failed(begin(1, 3)).fault,
        exceeded(StreamLimit::ChannelStreams, 2, 3)
    );
    assert!(is_part(&begin(2, 1)));
    assert_eq!(
        failed(begin(2, 2)).fault,
        exceeded(StreamLimit::Streams, 3, 4)
    );
    assert_eq!(whole(streams.feed(request(2, b"x", false), now)), b"x");
    assert!(is_part(
        &streams.feed(part(2, OpCode::Request, 5, b"", true), now)
    ));
    streams.check();
}

#[test]
fn held_bytes_are_bounded_and_given_back() {
    let mut streams = Reassembler::new(StreamLimits::default().held_bytes(100));
    let now = Instant::now();
    assert!(is_part(&streams.feed(request(1, &[1; 60], true), now)));
    let error = failed(streams.feed(request(2, &[2; 60], true), now));
    assert_eq!(error.fault, exceeded(StreamLimit::HeldBytes, 100, 120));
    assert!(is_part(&streams.feed(request(3, &[3; 30], true), now)));
    assert!(is_part(&streams.feed(request(3, &[3; 10], true), now)));
    let error = failed(streams.feed(request(1, &[1; 10], true), now));
    assert!(matches!(
        error.fault,
        StreamFault::LimitExceeded {
            limit: StreamLimit::HeldBytes,
            allowed: 100,
            ..
        }
    ));
    assert_eq!(streams.held_bytes(), 40);
    assert_eq!(whole(streams.feed(request(3, b"", false), now)), [3; 40]);
    assert_eq!(streams.held_bytes(), 0);
    streams.check();
}

#[test]
fn text_headers_count_as_held() {
    let mut streams = Reassembler::new(StreamLimits::default().held_bytes(1000));
    let mut first = request(1, b"", true);
    first
        .text_headers_mut()
        .append("Name", "v".repeat(2000))
        .unwrap();
    let error = failed(streams.feed(first, Instant::now()));
    assert_eq!(error.fault, exceeded(StreamLimit::HeldBytes, 1000, 2007));
}

#[test]
fn old_streams_expire_in_virtual_time() {
    let age = Duration::from_secs(60);
    let mut streams = Reassembler::new(StreamLimits::default().age(age));
    let start = Instant::now();
    let at = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(streams.next_deadline(), None);
    assert!(is_part(&streams.feed(request(1, b"a", true), at(0))));
    assert!(is_part(&streams.feed(request(2, b"b", true), at(10))));
    assert!(is_part(&streams.feed(request(3, b"c", true), at(10))));
    assert_eq!(streams.next_deadline(), Some(at(60)));
    assert_eq!(whole(streams.feed(request(1, b"a", false), at(59))), b"aa");
    assert_eq!(streams.next_deadline(), Some(at(70)));
    assert_eq!(streams.expire(at(69)), []);
    let expired = streams.expire(at(70));
    assert_eq!(expired.len(), 2);
    assert!(
        expired
            .iter()
            .all(|error| error.fault == StreamFault::Expired { age })
    );
    assert_eq!(streams.next_deadline(), None);
    // What comes too late does not begin anew in the middle.
    assert!(is_part(&streams.feed(request(2, b"b", true), at(71))));
    assert!(is_part(&streams.feed(request(2, b"b", false), at(72))));
    assert_eq!(streams.swallowed(), Swallowed { parts: 2, bytes: 2 });
    streams.check();
}

#[test]
fn an_age_without_limit_has_no_deadline() {
    let mut streams = Reassembler::new(StreamLimits::default().age(Duration::MAX));
    let now = Instant::now();
    assert!(is_part(&streams.feed(request(1, b"a", true), now)));
    assert_eq!((streams.next_deadline(), streams.open_streams()), (None, 1));
}

#[test]
fn a_channel_that_has_overrun_begins_nothing_and_is_remembered_in_little() {
    let limits = StreamLimits::default()
        .channel_streams(1)
        .refused_streams(2);
    let mut streams = Reassembler::new(limits);
    let now = Instant::now();
    assert!(is_part(&streams.feed(request(1, b"a", true), now)));
    for id in [2, 3] {
        let error = failed(streams.feed(request(id, b"", true), now));
        assert_eq!(error.fault, exceeded(StreamLimit::ChannelStreams, 1, 2));
    }
    let error = failed(streams.feed(request(4, b"", true), now));
    assert_eq!(error.fault, exceeded(StreamLimit::RefusedStreams, 2, 3));
    for id in 5..100 {
        assert!(is_part(&streams.feed(request(id, b"x", id % 2 == 0), now)));
    }
    assert_eq!(
        streams.swallowed(),
        Swallowed {
            parts: 95,
            bytes: 95
        }
    );
    assert_eq!(
        whole(streams.feed(request(1, b"b", false), now)),
        b"ab",
        "what had begun"
    );
    let other = part(2, OpCode::Request, 5, b"other channel", false);
    assert_eq!(whole(streams.feed(other, now)), b"other channel");
    streams.check();
}

#[test]
fn a_sender_that_gives_up_says_why() {
    let mut streams = Reassembler::new(StreamLimits::default());
    let now = Instant::now();
    for is_begun in [true, false] {
        if is_begun {
            assert!(is_part(&streams.feed(request(1, b"a", true), now)));
        }
        let mut last = request(1, b"", false);
        // A peer may send what a terminal would obey.
        last.text_headers_mut()
            .append(STREAM_ABORTED, "disk\u{1b} full")
            .unwrap();
        let reason = "disk full".to_owned();
        assert_eq!(
            failed(streams.feed(last, now)).fault,
            StreamFault::Aborted { reason }
        );
    }
    assert_eq!(streams.open_streams(), 0);
}

#[test]
fn limits_that_are_switched_off_add_up_to_nothing_strange() {
    let off = usize::MAX;
    let limits = StreamLimits::default().held_bytes(off).reader_bytes(off);
    let read = |head: &Message| head.op_code() == OpCode::Request;
    let mut streams = Reassembler::new(limits.body_bytes(off)).read_if(read);
    let (now, signal) = (Instant::now(), OpCode::Signal);
    for id in 1..=3 {
        let begun = streams.feed(request(id, b"ab", true), now);
        assert!(matches!(begun, Received::Begun(_)), "{begun:?}");
        for piece in [&b"a"[..], b"bcd"] {
            assert!(is_part(
                &streams.feed(part(1, signal, id, piece, true), now)
            ));
        }
    }
    for id in 1..=3 {
        assert!(is_part(&streams.feed(request(id, b"c", false), now)));
        let last = part(1, signal, id, b"e", false);
        assert_eq!(whole(streams.feed(last, now)), b"abcde");
    }
    assert_eq!(streams.held_bytes(), 0);
}

#[test]
fn a_reader_gets_bytes_as_they_come_and_pushes_back() {
    let limits = StreamLimits::default().reader_bytes(8).body_bytes(1);
    let mut streams = Reassembler::new(limits).read_if(|head| head.message_id().value() == 1);
    let now = Instant::now();
    let Received::Begun(mut reader) = streams.feed(request(1, b"12345", true), now) else {
        panic!("no reader");
    };
    reader.set_timeout(Duration::ZERO);
    assert_eq!(reader.stream(), id_of(&request(1, b"", true)));
    assert_eq!(streams.held_bytes(), 8);
    assert!(is_part(&streams.feed(request(1, b"678", true), now)));
    let Received::Full(kept) = streams.feed(request(1, b"9", true), now) else {
        panic!("not full");
    };
    let mut buffer = [0; 100];
    let read = reader.read(&mut buffer).unwrap();
    assert!(read > 0);
    assert!(is_part(&streams.feed(kept, now)));
    assert!(is_part(&streams.feed(request(1, b"", false), now)));
    let mut rest = buffer[..read].to_vec();
    reader.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, b"123456789");
    assert_eq!(streams.held_bytes(), 0);
    assert_eq!(
        failed(streams.feed(request(2, b"12", false), now))
            .stream
            .message_id
            .value(),
        2
    );
}

#[test]
fn a_message_by_itself_can_be_read_too() {
    let mut streams = Reassembler::new(StreamLimits::default()).read_if(|_| true);
    let Received::Begun(mut reader) = streams.feed(request(1, b"all", false), Instant::now())
    else {
        panic!("no reader");
    };
    let mut text = String::new();
    reader.read_to_string(&mut text).unwrap();
    assert_eq!((text.as_str(), streams.open_streams()), ("all", 0));
}

#[test]
fn a_stalled_reader_is_told_and_the_rest_swallowed() {
    let limits = StreamLimits::default().reader_bytes(1);
    let mut streams = Reassembler::new(limits).read_if(|_| true);
    let now = Instant::now();
    let Received::Begun(mut reader) = streams.feed(request(1, b"1", true), now) else {
        panic!("no reader");
    };
    let waited = Duration::from_millis(1);
    let error = failed(streams.feed_timeout(request(1, b"2", true), now, waited));
    assert_eq!(error.fault, StreamFault::ReaderStalled { waited });
    let mut rest = Vec::new();
    let told = reader.read_to_end(&mut rest).unwrap_err();
    assert_eq!(
        (rest.as_slice(), told.kind()),
        (&b"1"[..], io::ErrorKind::TimedOut)
    );
    assert!(is_part(&streams.feed(request(1, b"3", false), now)));
    assert_eq!(streams.swallowed(), Swallowed { parts: 1, bytes: 1 });
}

#[test]
fn both_ends_of_a_reader_may_go_first() {
    let mut streams = Reassembler::new(StreamLimits::default()).read_if(|_| true);
    let now = Instant::now();
    drop(streams.feed(request(1, b"1", true), now));
    assert!(is_part(&streams.feed(request(1, b"2", true), now)));
    assert!(is_part(&streams.feed(request(1, b"3", false), now)));
    assert_eq!(streams.swallowed(), Swallowed { parts: 2, bytes: 2 });
    streams.check();

    let Received::Begun(mut reader) = streams.feed(request(2, b"", true), now) else {
        panic!("no reader");
    };
    reader.set_timeout(Duration::ZERO);
    let error = reader.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
    drop(streams);
    let error = reader.read(&mut [0]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    let inner = error.into_inner().unwrap();
    assert_eq!(
        inner.downcast_ref::<StreamError>().unwrap().fault,
        StreamFault::Abandoned
    );
}

/// A source that gives its bytes in odd portions, and then perhaps fails.
struct Portions<'a>(&'a [u8], Option<io::ErrorKind>);

impl Read for Portions<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match (self.0.is_empty(), self.1) {
            (true, Some(kind)) => Err(kind.into()),
            _ => {
                let portion = buffer.len().min(3);
                self.0.read(&mut buffer[..portion])
            }
        }
    }
}

fn first_part(engine: &Reactor, op_code: OpCode) -> Msg {
    let mut first = engine.message().unwrap();
    first.set_op_code(op_code);
    first.set_message_id(MessageId::new(9));
    first.text_headers_mut().append("Name", "x").unwrap();
    first.body_mut().append(b"is replaced").unwrap();
    first
}

#[test]
fn content_is_cut_at_every_length() {
    let engine = Reactor::start(Options::default()).unwrap();
    let content: Vec<u8> = (0..50).collect();
    for len in 0..content.len() {
        for chunk_len in [0, 1, 7, 10, 49, 50, 1000] {
            let source = Portions(&content[..len], None);
            let chunks = Chunks::new(&engine, first_part(&engine, OpCode::Response), source);
            let parts: Vec<Msg> = chunks.chunk_len(chunk_len).map(Result::unwrap).collect();
            assert_eq!(
                parts.len(),
                len.div_ceil(chunk_len.max(1)).max(1),
                "{len} {chunk_len}"
            );
            let (last, others) = parts.split_last().unwrap();
            assert!(!last.more() && others.iter().all(|part| part.more()));
            assert!(parts.iter().all(|part| part.message_id().value() == 9));
            assert!(parts.iter().all(|part| part.op_code() == OpCode::Response));
            assert_eq!(parts[0].text_headers().get("Name"), Some(&b"x"[..]));
            assert!(parts[1..].iter().all(|part| part.text_headers().is_empty()));
            let bodies: Vec<u8> = parts.iter().flat_map(|part| part.body().to_vec()).collect();
            assert_eq!(bodies, content[..len]);
        }
    }
}

#[test]
fn what_cannot_be_a_stream_is_an_error_and_the_last_item() {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut hello = Chunks::new(
        &engine,
        first_part(&engine, OpCode::HelloRequest),
        &b"x"[..],
    );
    assert!(matches!(
        hello.next(),
        Some(Err(ChunkError::NotRegular(OpCode::HelloRequest)))
    ));
    assert!(hello.next().is_none());

    let mut first = first_part(&engine, OpCode::Request);
    first.set_message_id(MessageId::UNASSIGNED);
    let mut nameless = Chunks::new(&engine, first, &b"xyz"[..]).chunk_len(1);
    assert!(nameless.next().unwrap().is_ok());
    assert!(matches!(
        nameless.next(),
        Some(Err(ChunkError::MessageIdMissing))
    ));

    let source = Portions(b"12345", Some(io::ErrorKind::PermissionDenied));
    let mut broken =
        Chunks::new(&engine, first_part(&engine, OpCode::Request), source).chunk_len(2);
    assert_eq!(broken.next().unwrap().unwrap().body().as_bytes(), b"12");
    assert_eq!(broken.next().unwrap().unwrap().body().as_bytes(), b"34");
    assert!(matches!(broken.next(), Some(Err(ChunkError::Read(_)))));
    assert!(broken.next().is_none());
}

/// Takes what it is given and keeps it, as a peer would see it.
#[derive(Default)]
struct Taken(std::cell::RefCell<Vec<Msg>>);

impl Post for Taken {
    fn post(&self, mut message: Msg) -> Result<tofu_msg::BinaryHeader, PostError> {
        message.set_origin(Origin::Peer);
        let header = message.header();
        self.0.borrow_mut().push(message);
        Ok(header)
    }
}

#[test]
fn a_source_that_fails_ends_the_stream_for_the_peer() {
    let engine = Reactor::start(Options::default()).unwrap();
    let source = Portions(b"12345", Some(io::ErrorKind::PermissionDenied));
    let mut chunks =
        Chunks::new(&engine, first_part(&engine, OpCode::Request), source).chunk_len(2);
    let taken = Taken::default();
    assert!(matches!(
        chunks.post_ready(&taken),
        Err(ChunkError::Read(_))
    ));
    let mut streams = Reassembler::new(StreamLimits::default());
    let parts = taken.0.into_inner();
    let mut received = parts
        .into_iter()
        .map(|part| streams.feed(part, Instant::now()));
    assert!(is_part(&received.next().unwrap()) && is_part(&received.next().unwrap()));
    let error = failed(received.next().unwrap());
    assert!(
        matches!(&error.fault, StreamFault::Aborted { reason } if reason.contains("permission denied"))
    );
    assert!(received.next().is_none());
}

#[test]
fn all_that_is_taken_is_counted() {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut chunks =
        Chunks::new(&engine, first_part(&engine, OpCode::Request), &[5; 25][..]).chunk_len(10);
    let Progress::Done(sent) = chunks.post_ready(&Taken::default()).unwrap() else {
        panic!("nothing is ever full here");
    };
    assert_eq!(
        (sent.message_id.value(), sent.parts, sent.bytes),
        (9, 3, 25)
    );
    assert!(chunks.next().is_none());
    let nothing = Taken::default();
    chunks.abort(&nothing, "too late").unwrap();
    assert!(
        nothing.0.borrow().is_empty(),
        "a stream that is whole is not given up"
    );
}

/// A stream of the model: its parts, and where it goes.
#[derive(Debug, Clone)]
struct Stream {
    channel: u16,
    op_code: OpCode,
    id: u64,
    parts: Vec<Vec<u8>>,
}

fn streams() -> impl Strategy<Value = Vec<Stream>> {
    let parts = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..20), 1..8);
    let op_code = proptest::sample::select(vec![OpCode::Request, OpCode::Response, OpCode::Signal]);
    let stream =
        (1..4_u16, op_code, 1..4_u64, parts).prop_map(|(channel, op_code, id, parts)| Stream {
            channel,
            op_code,
            id,
            parts,
        });
    proptest::collection::vec(stream, 0..12)
}

/// The parts of all streams in a random order in which each stream keeps its own; streams of the
/// same channel, op code and id come one after the other.
fn interleaved(streams: &[Stream], mut choices: impl FnMut(usize) -> usize) -> Vec<Msg> {
    let mut queues: HashMap<(u16, u8, u64), Vec<Msg>> = HashMap::new();
    let mut order = Vec::new();
    for Stream {
        channel,
        op_code,
        id,
        parts,
    } in streams
    {
        let key = (*channel, op_code.as_u8(), *id);
        let queue = queues.entry(key).or_insert_with(|| {
            order.push(key);
            Vec::new()
        });
        for (index, content) in parts.iter().enumerate() {
            queue.push(part(
                *channel,
                *op_code,
                *id,
                content,
                index + 1 < parts.len(),
            ));
        }
    }
    let mut queues: Vec<_> = order
        .into_iter()
        .filter_map(|key| queues.remove(&key).map(Vec::into_iter))
        .collect();
    let mut messages = Vec::new();
    while !queues.is_empty() {
        let chosen = choices(queues.len());
        match queues[chosen].next() {
            Some(message) => messages.push(message),
            None => drop(queues.swap_remove(chosen)),
        }
    }
    messages
}

/// What came of each stream, in the order of its coming: its body, or that it was too long.
type Outcomes = Vec<(StreamId, Option<Vec<u8>>)>;

/// The naive way: keep everything, look at the whole. A stream is refused when its bytes exceed the
/// limit, and comes whole with its last part.
fn naive(messages: &[Msg], limit: usize) -> Outcomes {
    let mut bodies: HashMap<StreamId, (Vec<u8>, bool)> = HashMap::new();
    let mut outcomes = Vec::new();
    for message in messages {
        let id = StreamId::of(message);
        let (body, is_refused) = bodies.entry(id).or_default();
        body.extend_from_slice(message.body());
        if body.len() > limit && !*is_refused {
            *is_refused = true;
            outcomes.push((id, None));
        }
        if !message.more() {
            if let Some((body, false)) = bodies.remove(&id) {
                outcomes.push((id, Some(body)));
            }
        }
    }
    outcomes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_cutting_and_interleaving_gives_what_the_naive_model_gives(
        streams in streams(),
        choices in proptest::collection::vec(any::<usize>(), 1..200),
        limit in 0..120_usize,
    ) {
        let mut index = 0;
        let messages = interleaved(&streams, |count| {
            index += 1;
            choices[index % choices.len()] % count
        });
        let expected = naive(&messages, limit);
        let limits = StreamLimits::default().body_bytes(limit);
        let mut reassembler = Reassembler::new(limits.channel_streams(99));
        let mut outcomes = Outcomes::new();
        for message in messages {
            match reassembler.feed(message, Instant::now()) {
                Received::Whole(whole) => outcomes.push((whole.stream(), Some(whole.body))),
                Received::Failed(error) => outcomes.push((error.stream, None)),
                Received::Part => {}
                other => prop_assert!(false, "{other:?}"),
            }
            reassembler.check();
        }
        prop_assert_eq!(outcomes, expected);
        prop_assert_eq!((reassembler.open_streams(), reassembler.held_bytes()), (0, 0));
    }

    #[test]
    fn no_order_of_parts_breaks_the_books(
        parts in proptest::collection::vec((1..3_u16, 1..6_u64, 0..40_usize, any::<bool>(), 0..30_u64), 0..200),
    ) {
        let limits = StreamLimits::default()
            .body_bytes(60)
            .stream_bytes(90)
            .channel_streams(3)
            .streams(4)
            .held_bytes(150)
            .reader_bytes(40)
            .refused_streams(3)
            .age(Duration::from_secs(100));
        let mut reassembler = Reassembler::new(limits).read_if(|head| head.message_id().value() > 3);
        let mut readers = Vec::new();
        let mut now = Instant::now();
        for (channel, id, len, more, seconds) in parts {
            now += Duration::from_secs(seconds);
            reassembler.expire(now);
            match reassembler.feed(part(channel, OpCode::Request, id, &vec![0; len], more), now) {
                Received::Begun(reader) => readers.push(reader),
                Received::Full(message) => {
                    readers.clear();
                    prop_assert!(!matches!(reassembler.feed(message, now), Received::Full(_)));
                }
                _ => {}
            }
            reassembler.check();
        }
        reassembler.expire(now + Duration::from_secs(100));
        prop_assert_eq!(reassembler.open_streams(), 0);
        reassembler.check();
    }
}
