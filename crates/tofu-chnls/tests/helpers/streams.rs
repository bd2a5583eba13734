//! Streams between engines: back-pressure, limits, ends.

use std::io::{Read, Write};
use std::thread;
use std::time::{Duration, Instant};

use tofu_addr::{Address, Endpoint};
use tofu_chnls::helpers::{
    ChunkError, ChunkWriter, Chunks, Progress, Reassembler, Received, Sent, StreamError,
    StreamFault, StreamLimit, StreamLimits,
};
use tofu_chnls::{Ampe, ChannelGroup, Incoming, Msg, Notice, Options, Reactor};
use tofu_msg::{ChannelNumber, MessageId, OpCode};
use tofu_testkit::TempUdsPath;

const PATIENCE: Duration = Duration::from_secs(30);

/// Two engines with one connection; the client's HelloRequest has been received.
struct Pair {
    server: Reactor,
    served: ChannelGroup,
    client: Reactor,
    group: ChannelGroup,
    channel: ChannelNumber,
    /// The server's number of it.
    remote: ChannelNumber,
}

fn tcp() -> Endpoint {
    Address::tcp_server("127.0.0.1", 0).into_endpoint()
}

/// Queues of a few parts only, so that whoever sends has to wait.
fn narrow() -> Options {
    Options::default()
        .send_queue_bytes(64 * 1024)
        .inbox_bytes(256 * 1024)
}

fn pair(endpoint: Endpoint, options: Options) -> Pair {
    let server = Reactor::start(options.clone()).unwrap();
    let mut served = server.create().unwrap();
    let mut welcome = server.message().unwrap();
    Address::listen_on(endpoint).format(&mut welcome).unwrap();
    served.post(welcome).unwrap();
    let ready = served.wait_receive(PATIENCE).unwrap().unwrap();
    let endpoint = Address::parse(&ready).unwrap().into_endpoint();

    let client = Reactor::start(options).unwrap();
    let group = client.create().unwrap();
    let mut hello = client.message().unwrap();
    Address::connect_to(endpoint).format(&mut hello).unwrap();
    let channel = group.post(hello).unwrap().channel_number;
    let hello = served.wait_receive(PATIENCE).unwrap().unwrap();
    assert_eq!(hello.op_code(), OpCode::HelloRequest);
    Pair {
        remote: hello.channel_number(),
        server,
        served,
        client,
        group,
        channel,
    }
}

impl Pair {
    fn first(&self) -> Msg {
        let mut first = self.client.message().unwrap();
        first.set_channel_number(self.channel);
        first
    }
}

/// Every place has its own value, and no part is like another.
fn content(len: usize) -> Vec<u8> {
    (0..len)
        .map(|place| (place * 31 + place / 997).to_le_bytes()[0])
        .collect()
}

/// What comes out of the next messages, without those that are only taken.
fn next(group: &mut ChannelGroup, streams: &mut Reassembler) -> Received {
    loop {
        let message = group
            .wait_receive(PATIENCE)
            .unwrap()
            .expect("a message in time");
        match streams.feed_timeout(message, Instant::now(), PATIENCE) {
            Received::Part => {}
            received => return received,
        }
    }
}

fn failure(received: Received) -> StreamError {
    match received {
        Received::Failed(error) => error,
        other => panic!("not failed: {other:?}"),
    }
}

#[test]
fn a_long_body_arrives_whole_through_narrow_queues() {
    let path = TempUdsPath::new().unwrap();
    for endpoint in [tcp(), Address::uds_server(path.as_path()).into_endpoint()] {
        let mut pair = pair(endpoint, narrow());
        let body = content(3_000_000);
        let (engine, poster, first) = (pair.client.clone(), pair.group.poster(), pair.first());
        let expected = body.clone();
        let sender = thread::spawn(move || {
            let mut chunks = Chunks::new(&engine, first, &body[..]).chunk_len(50_000);
            chunks.post_all(&poster, PATIENCE).unwrap()
        });
        let mut streams = Reassembler::new(StreamLimits::default());
        match next(&mut pair.served, &mut streams) {
            Received::Whole(whole) => {
                assert!(whole.body == expected);
                let Sent {
                    message_id,
                    parts,
                    bytes,
                    ..
                } = sender.join().unwrap();
                assert_eq!(whole.head.message_id(), message_id);
                assert_eq!((parts, bytes), (60, 3_000_000));
            }
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn one_loop_streams_both_ways_at_once_without_waiting() {
    let mut pair = pair(tcp(), narrow());
    let body = content(1_000_000);
    let mut back = pair.server.message().unwrap();
    back.set_channel_number(pair.remote);
    let mut there = Chunks::new(&pair.client, pair.first(), &body[..]);
    let mut back = Chunks::new(&pair.server, back, &body[..]);
    let mut at_server = Reassembler::new(StreamLimits::default());
    let mut at_client = Reassembler::new(StreamLimits::default());
    let (mut sent, mut whole) = (0, 0);
    let started = Instant::now();
    while (sent, whole) != (2, 2) {
        assert!(started.elapsed() < PATIENCE, "sent {sent}, whole {whole}");
        let progress = [there.post_ready(&pair.group), back.post_ready(&pair.served)];
        sent = progress
            .iter()
            .filter(|way| matches!(way, Ok(Progress::Done(_))))
            .count();
        for (group, streams) in [
            (&mut pair.served, &mut at_server),
            (&mut pair.group, &mut at_client),
        ] {
            while let Some(message) = group.wait_receive(Duration::from_millis(1)).unwrap() {
                if let Received::Whole(received) = streams.feed(message, Instant::now()) {
                    assert!(received.body == body);
                    whole += 1;
                }
            }
        }
    }
}

#[test]
fn a_message_of_the_iterator_is_posted_with_the_id_that_was_given() {
    let mut pair = pair(tcp(), Options::default());
    let body = content(1000);
    let mut chunks = Chunks::new(&pair.client, pair.first(), &body[..]).chunk_len(100);
    while let Some(part) = chunks.next() {
        let header = pair.group.post(part.unwrap()).unwrap();
        chunks.set_message_id(header.message_id);
    }
    assert!(chunks.message_id().is_assigned());
    let mut streams = Reassembler::new(StreamLimits::default());
    match next(&mut pair.served, &mut streams) {
        Received::Whole(whole) => assert_eq!(whole.body, body),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_that_found_no_room_goes_on_later() {
    let mut pair = pair(tcp(), narrow());
    let body = content(8_000_000);
    let mut chunks = Chunks::new(&pair.client, pair.first(), &body[..]);
    let poster = pair.group.poster();
    // Nobody receives: sooner or later all queues are full.
    let stalled = chunks.post_until(&poster, Instant::now() + Duration::from_millis(100));
    assert!(matches!(stalled, Err(ChunkError::Stalled)), "{stalled:?}");
    thread::scope(|scope| {
        let sender = scope.spawn(move || chunks.post_all(&poster, PATIENCE).unwrap());
        let mut streams = Reassembler::new(StreamLimits::default());
        match next(&mut pair.served, &mut streams) {
            Received::Whole(whole) => assert!(whole.body == body),
            other => panic!("{other:?}"),
        }
        assert_eq!(sender.join().unwrap().bytes, 8_000_000);
    });
}

#[test]
fn a_writer_that_is_finished_is_whole_and_one_that_is_dropped_is_not() {
    let mut pair = pair(tcp(), Options::default());
    let writer = || {
        ChunkWriter::new(&pair.client, pair.group.poster(), pair.first(), PATIENCE).chunk_len(10)
    };

    let mut finished = writer();
    finished.write_all(b"twelve bytes").unwrap();
    finished.flush().unwrap();
    finished.flush().unwrap();
    finished.write_all(b" and more").unwrap();
    let sent = finished.finish().unwrap();
    assert_eq!((sent.parts, sent.bytes), (3, 21));
    writer().finish().unwrap();

    let mut dropped = writer();
    dropped.write_all(b"twelve bytes").unwrap();
    drop(dropped);
    drop(writer());
    let mut given_up = writer();
    given_up.write_all(b"twelve bytes").unwrap();
    given_up.abort("no paper").unwrap();

    let mut streams = Reassembler::new(StreamLimits::default());
    for expected in [&b"twelve bytes and more"[..], b""] {
        match next(&mut pair.served, &mut streams) {
            Received::Whole(whole) => assert_eq!(whole.body, expected),
            other => panic!("{other:?}"),
        }
    }
    for expected in ["dropped before it was whole", "no paper"] {
        match failure(next(&mut pair.served, &mut streams)).fault {
            StreamFault::Aborted { reason } => assert_eq!(reason, expected),
            other => panic!("{other:?}"),
        }
    }
}

/// Receives until nothing more comes, or a stream has failed.
fn drain(group: &mut ChannelGroup, streams: &mut Reassembler) -> Option<StreamError> {
    while let Some(message) = group.wait_receive(Duration::from_millis(50)).unwrap() {
        if let Received::Failed(error) = streams.feed(message, Instant::now()) {
            return Some(error);
        }
    }
    None
}

#[test]
fn who_finds_no_room_can_give_up() {
    let mut pair = pair(tcp(), narrow());
    let poster = pair.group.poster();
    let mut streams = Reassembler::new(StreamLimits::default());
    let body = content(8_000_000);
    let mut chunks = Chunks::new(&pair.client, pair.first(), &body[..]);
    let stalled = chunks.post_until(&poster, Instant::now());
    assert!(matches!(stalled, Err(ChunkError::Stalled)), "{stalled:?}");
    let started = Instant::now();
    while chunks.abort(&poster, "no patience").is_err() {
        assert!(started.elapsed() < PATIENCE);
        assert_eq!(drain(&mut pair.served, &mut streams), None);
    }
    let broken = chunks.post_all(&poster, PATIENCE);
    assert!(matches!(broken, Err(ChunkError::Broken)), "{broken:?}");
    let error = failure(next(&mut pair.served, &mut streams));
    assert!(
        error.to_string().ends_with("gave up: no patience"),
        "{error}"
    );
    assert_eq!(streams.open_streams(), 0);
}

#[test]
fn a_writer_that_found_no_room_goes_on_later() {
    let mut pair = pair(tcp(), narrow());
    let body = content(8_000_000);
    let stall = Duration::from_millis(10);
    let mut writer = ChunkWriter::new(&pair.client, pair.group.poster(), pair.first(), stall);
    let mut streams = Reassembler::new(StreamLimits::default());
    let (mut written, mut stalled) = (0, 0);
    let started = Instant::now();
    while written < body.len() {
        assert!(
            started.elapsed() < PATIENCE,
            "{written} bytes written, {stalled} times stalled"
        );
        match writer.write(&body[written..]) {
            Ok(len) => written += len,
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
                stalled += 1;
                assert_eq!(drain(&mut pair.served, &mut streams), None);
            }
        }
    }
    assert!(stalled > 0);
    assert_eq!(drain(&mut pair.served, &mut streams), None);
    assert_eq!(writer.finish().unwrap().bytes, 8_000_000);
    match next(&mut pair.served, &mut streams) {
        Received::Whole(whole) => assert!(whole.body == body),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_stream_beyond_its_limit_is_refused_while_others_go_on() {
    let mut pair = pair(tcp(), narrow());
    let bodies = [content(50_000), content(200_000), content(90_000)];
    let posters = bodies.clone().map(|body| {
        let (engine, poster, first) = (pair.client.clone(), pair.group.poster(), pair.first());
        thread::spawn(move || {
            let mut chunks = Chunks::new(&engine, first, &body[..]).chunk_len(1000);
            chunks.post_all(&poster, PATIENCE).unwrap().message_id
        })
    });
    let mut streams = Reassembler::new(StreamLimits::default().body_bytes(100_000));
    let (mut whole, mut refused) = (Vec::new(), Vec::new());
    while whole.len() + refused.len() < 3 {
        match next(&mut pair.served, &mut streams) {
            Received::Whole(received) => whole.push(received),
            Received::Failed(error) => refused.push(error),
            other => panic!("{other:?}"),
        }
    }
    let ids: [MessageId; 3] = posters.map(|poster| poster.join().unwrap());
    assert_eq!(refused.len(), 1);
    assert_eq!(refused[0].stream.message_id, ids[1]);
    assert!(matches!(
        refused[0].fault,
        StreamFault::LimitExceeded {
            limit: StreamLimit::BodyBytes,
            allowed: 100_000,
            reached: 101_000
        }
    ));
    whole.sort_by_key(|whole| whole.body.len());
    assert_eq!(whole[0].head.message_id(), ids[0]);
    assert!(whole[0].body == bodies[0] && whole[1].body == bodies[2]);
    // The rest of the refused one is swallowed up to its last part, and its channel lives.
    let mut last = pair.first();
    last.body_mut().append(b"after it").unwrap();
    pair.group.post(last).unwrap();
    match next(&mut pair.served, &mut streams) {
        Received::Whole(whole) => assert_eq!(whole.body, b"after it"),
        other => panic!("{other:?}"),
    }
    assert_eq!(
        (streams.swallowed().parts, streams.swallowed().bytes),
        (99, 99_000)
    );
}

#[test]
fn another_thread_reads_a_stream_as_it_comes() {
    let mut pair = pair(tcp(), narrow());
    let body = content(4_000_000);
    let mut chunks = Chunks::new(&pair.client, pair.first(), &body[..]);
    let poster = pair.group.poster();
    let limits = StreamLimits::default()
        .reader_bytes(64 * 1024)
        .body_bytes(0);
    let mut streams = Reassembler::new(limits).read_if(|_| true);
    thread::scope(|scope| {
        let sender = scope.spawn(move || chunks.post_all(&poster, PATIENCE).unwrap());
        let Received::Begun(mut reader) = next(&mut pair.served, &mut streams) else {
            panic!("no reader");
        };
        reader.set_timeout(PATIENCE);
        let reading = scope.spawn(move || {
            let mut read = Vec::new();
            reader.read_to_end(&mut read).map(|_| read)
        });
        while streams.open_streams() > 0 {
            let message = pair.served.wait_receive(PATIENCE).unwrap().unwrap();
            let received = streams.feed_timeout(message, Instant::now(), PATIENCE);
            assert!(matches!(received, Received::Part), "{received:?}");
        }
        sender.join().unwrap();
        assert!(reading.join().unwrap().unwrap() == body);
    });
}

#[test]
fn the_end_of_a_channel_ends_its_streams() {
    let mut pair = pair(tcp(), Options::default());
    let mut streams =
        Reassembler::new(StreamLimits::default()).read_if(|head| head.op_code() == OpCode::Signal);
    for (op_code, id) in [
        (OpCode::Request, 8),
        (OpCode::Request, 7),
        (OpCode::Signal, 7),
    ] {
        let mut part = pair.first();
        part.set_op_code(op_code);
        part.set_message_id(MessageId::new(id));
        part.set_more(true);
        part.body_mut().append(b"begun").unwrap();
        pair.group.post(part).unwrap();
    }
    let Received::Begun(mut reader) = next(&mut pair.served, &mut streams) else {
        panic!("no reader");
    };
    assert_eq!(streams.open_streams(), 3);
    pair.client.shutdown(Duration::ZERO);
    let Received::Closed(message, failed) = next(&mut pair.served, &mut streams) else {
        panic!("not closed");
    };
    assert!(matches!(
        Incoming::from(message),
        Incoming::Engine(Notice::ChannelClosed(_), _)
    ));
    let ids: Vec<u64> = failed
        .iter()
        .map(|error| error.stream.message_id.value())
        .collect();
    assert_eq!(ids, [7, 7, 8]);
    assert!(
        failed
            .iter()
            .all(|error| matches!(error.fault, StreamFault::ChannelClosed { .. }))
    );
    let mut read = Vec::new();
    let error = reader.read_to_end(&mut read).unwrap_err();
    assert_eq!(read, b"begun");
    assert!(error.to_string().contains("its channel ended"), "{error}");
    assert_eq!((streams.open_streams(), streams.held_bytes()), (0, 0));
}
