//! The raw peer against another one, over TCP and UDS: frames, bytes in any pieces, and every way
//! in which a connection can end.

use std::io::{self, ErrorKind};
use std::time::{Duration, Instant};

use tofu_addr::Address;
use tofu_msg::{ChannelNumber, MAX_BODY_LEN, Message, MessageId, OpCode, Origin, Status};
use tofu_testkit::{End, Random, RawListener, RawPeer, TempUdsPath, run_tasks, seed, wait_until};

/// Longer than anything here takes on a loaded machine.
const LONG: Duration = Duration::from_secs(30);
/// For what must not come.
const SHORT: Duration = Duration::from_millis(30);

/// A connected pair of each transport.
fn pairs() -> io::Result<[(RawPeer, RawPeer); 2]> {
    let path = TempUdsPath::new()?;
    Ok([
        pair(&RawListener::bind_tcp()?)?,
        pair(&RawListener::bind_uds(&path)?)?,
    ])
}

fn pair(listener: &RawListener) -> io::Result<(RawPeer, RawPeer)> {
    let connected = RawPeer::connect(listener.endpoint())?;
    Ok((connected, listener.accept(LONG)?))
}

fn request(id: u64, body: &[u8]) -> Message {
    let mut message = Message::new(OpCode::Request);
    message.set_channel_number(ChannelNumber::new(9));
    message.set_message_id(MessageId::new(id));
    message.set_status(Status::new(200));
    assert!(message.text_headers_mut().append("k", "v").is_ok());
    assert!(message.body_mut().append(body).is_ok());
    message
}

fn frame(message: &Message) -> Vec<u8> {
    let mut bytes = Vec::new();
    message.encode_into(&mut bytes);
    bytes
}

#[test]
fn frames_cross_both_ways_as_they_are() {
    for (mut one, mut other) in pairs().unwrap() {
        one.send_frame(&request(1, b"first")).unwrap();
        one.send_frame(&request(2, b"")).unwrap();
        for (id, body) in [(1, &b"first"[..]), (2, b"")] {
            let mut expected = request(id, body);
            expected.set_origin(Origin::Peer);
            assert_eq!(other.receive_frame(LONG).unwrap(), Some(expected));
        }
        other.send_frame(&request(3, b"back")).unwrap();
        assert_eq!(
            one.receive_frame(LONG).unwrap().unwrap().body().as_bytes(),
            b"back"
        );
    }
}

#[test]
fn hello_carries_its_address() {
    let path = TempUdsPath::new().unwrap();
    for listener in [
        RawListener::bind_tcp().unwrap(),
        RawListener::bind_uds(&path).unwrap(),
    ] {
        let (connected, mut accepted) = pair(&listener).unwrap();
        connected.hello(listener.endpoint()).unwrap();
        let hello = accepted.receive_frame(LONG).unwrap().unwrap();
        assert_eq!(hello.op_code(), OpCode::HelloRequest);
        assert_eq!(
            Address::parse(&hello),
            Ok(Address::connect_to(listener.endpoint().clone()))
        );
        assert!(hello.channel_number().is_assigned() && hello.message_id().is_assigned());
    }
}

#[test]
fn slow_bytes_are_the_same_bytes() {
    for (one, mut other) in pairs().unwrap() {
        let sent: Vec<Message> = (1..=5).map(|id| request(id, &[7; 20])).collect();
        let bytes: Vec<u8> = sent.iter().flat_map(frame).collect();
        for chunk in [0, 1, 7, 16, bytes.len() + 1] {
            one.send_slowly(&bytes, chunk).unwrap();
            for message in &sent {
                let received = other.receive_frame(LONG).unwrap().unwrap();
                assert_eq!(frame(&received), frame(message));
            }
        }
    }
}

#[test]
fn frames_and_bytes_can_be_asked_for_in_turn() {
    for (one, mut other) in pairs().unwrap() {
        let mut bytes = frame(&request(1, b"whole"));
        bytes.extend_from_slice(b"\xff\xffnoise");
        bytes.extend(frame(&request(2, b"whole again")));
        one.send(&bytes).unwrap();
        assert!(other.receive_frame(LONG).unwrap().is_some());
        assert_eq!(other.receive_bytes(7, LONG).unwrap(), b"\xff\xffnoise");
        assert_eq!(
            other.receive_frame(LONG).unwrap().unwrap().message_id(),
            MessageId::new(2)
        );
    }
}

#[test]
fn many_large_frames_in_both_directions_at_once() {
    let mut random = Random::new(seed());
    let sizes: Vec<usize> = (0..60)
        .map(|_| usize::try_from(random.below(MAX_BODY_LEN as u64 + 1)).unwrap())
        .collect();
    for (one, other) in pairs().unwrap() {
        let mut tasks: Vec<tofu_testkit::Task> = Vec::new();
        for mut peer in [one, other] {
            let sender = peer.try_clone().unwrap();
            let (sizes, expected) = (sizes.clone(), sizes.clone());
            tasks.push(Box::new(move || {
                for (id, &size) in (1..).zip(&sizes) {
                    sender.send_frame(&request(id, &vec![0xa5; size])).unwrap();
                }
                sender.shutdown_write().unwrap();
            }));
            tasks.push(Box::new(move || {
                let (messages, end) = peer.receive_all(LONG);
                let received: Vec<usize> = messages.iter().map(|m| m.body().len()).collect();
                assert_eq!((received, end), (expected, End::Eof));
            }));
        }
        run_tasks(LONG, tasks).unwrap();
    }
}

#[test]
fn a_closed_half_still_receives() {
    for (mut one, mut other) in pairs().unwrap() {
        one.send_frame(&request(1, b"last")).unwrap();
        one.shutdown_write().unwrap();
        let (messages, end) = other.receive_all(LONG);
        assert_eq!((messages.len(), end), (1, End::Eof));
        assert_eq!(other.receive_frame(LONG).unwrap(), None);

        other.send_frame(&request(2, b"answer")).unwrap();
        drop(other);
        let (messages, end) = one.receive_all(LONG);
        assert_eq!((messages.len(), end), (1, End::Eof));
    }
}

#[test]
fn an_end_inside_a_frame_is_no_clean_end() {
    for (one, mut other) in pairs().unwrap() {
        let mut bytes = frame(&request(1, b"whole"));
        bytes.extend_from_slice(&frame(&request(2, b"cut"))[..17]);
        one.send(&bytes).unwrap();
        one.shutdown_write().unwrap();
        let (messages, end) = other.receive_all(LONG);
        assert_eq!((messages.len(), end), (1, End::CutFrame));
        let error = other.receive_frame(LONG).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::UnexpectedEof);
        assert_eq!(other.receive_bytes(17, LONG).unwrap().len(), 17);
    }
}

#[test]
fn a_reset_is_seen_as_a_reset() {
    for (one, mut other) in pairs().unwrap() {
        // On UDS only unreceived bytes make a reset.
        other.send(b"never received").unwrap();
        one.send_frame(&request(1, b"before")).unwrap();
        one.reset().unwrap();
        let (_, end) = other.receive_all(LONG);
        assert_eq!(end, End::Reset);
    }
}

#[test]
fn a_tcp_reset_needs_no_unreceived_bytes() {
    let (one, mut other) = pair(&RawListener::bind_tcp().unwrap()).unwrap();
    one.reset().unwrap();
    assert_eq!(other.receive_all(LONG).1, End::Reset);
}

#[test]
fn bytes_that_are_no_frame_are_malformed() {
    for (one, mut other) in pairs().unwrap() {
        let mut bytes = frame(&request(1, b"whole"));
        bytes.extend_from_slice(&[0, 1, 0x0f, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
        one.send(&bytes).unwrap();
        let (messages, end) = other.receive_all(LONG);
        assert_eq!((messages.len(), end), (1, End::Malformed));
    }
}

#[test]
fn every_wait_ends_at_its_deadline() {
    for (mut one, mut other) in pairs().unwrap() {
        let start = Instant::now();
        assert_eq!(
            one.receive_frame(SHORT).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        assert_eq!(
            one.receive_frame(Duration::ZERO).unwrap_err().kind(),
            ErrorKind::TimedOut
        );
        assert!(start.elapsed() >= SHORT);

        // What came before the deadline is kept for the next call.
        let bytes = frame(&request(1, b"in two pieces"));
        other.send(&bytes[..20]).unwrap();
        assert_eq!(one.receive_all(SHORT), (vec![], End::Timeout));
        other.send(&bytes[20..]).unwrap();
        assert!(one.receive_frame(LONG).unwrap().is_some());

        // Nobody receives: the buffers fill, then the sender gives up and says how far it came.
        other.set_send_deadline(SHORT);
        one.set_receive_buffer(4096).unwrap();
        let error = other.send(&vec![0; 64 << 20]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        assert!(error.to_string().ends_with("of 67108864 bytes"), "{error}");
    }
    let listener = RawListener::bind_tcp().unwrap();
    assert_eq!(
        listener.accept(SHORT).unwrap_err().kind(),
        ErrorKind::TimedOut
    );
}

/// Elsewhere a full backlog refuses.
#[cfg(target_os = "linux")]
#[test]
fn a_uds_connect_waits_for_room_in_the_backlog() {
    let path = TempUdsPath::new().unwrap();
    let listener = RawListener::bind_uds(&path).unwrap();
    listener.set_backlog(0).unwrap();
    let clients = (0..4).map(|_| {
        let path = path.to_path_buf();
        Box::new(move || {
            let mut peer = RawPeer::connect_uds(&path).unwrap();
            assert_eq!(peer.receive_frame(LONG).unwrap(), None);
        }) as tofu_testkit::Task
    });
    let acceptor = Box::new(move || (0..4).for_each(|_| drop(listener.accept(LONG).unwrap())));
    run_tasks(
        LONG,
        clients.chain([acceptor as tofu_testkit::Task]).collect(),
    )
    .unwrap();
}

/// Elsewhere a full backlog refuses.
#[cfg(target_os = "linux")]
#[test]
fn a_uds_connect_gives_up_on_a_full_backlog() {
    let path = TempUdsPath::new().unwrap();
    let listener = RawListener::bind_uds(&path).unwrap();
    listener.set_backlog(0).unwrap();
    let endpoint = listener.endpoint();
    let _waiting = RawPeer::connect(endpoint).unwrap();
    let error = RawPeer::connect_within(endpoint, SHORT).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}

#[cfg(target_os = "linux")]
#[test]
fn abstract_names_need_no_file() {
    let name = format!("@tofu-testkit-{:x}", seed());
    let listener = RawListener::bind_uds(&name).unwrap();
    let connected = RawPeer::connect_uds(&name).unwrap();
    connected.hello(listener.endpoint()).unwrap();
    let mut accepted = listener.accept(LONG).unwrap();
    assert!(accepted.receive_frame(LONG).unwrap().is_some());
}

#[test]
fn what_cannot_be_reached_is_an_error() {
    let endpoint = "tcp|not-numeric.example|7099".parse().unwrap();
    assert_eq!(
        RawPeer::connect(&endpoint).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );

    let path = TempUdsPath::new().unwrap();
    assert_eq!(
        RawPeer::connect_uds(&path).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    // The dropped listener leaves its path behind, as a killed process would.
    drop(RawListener::bind_uds(&path).unwrap());
    assert_eq!(
        RawPeer::connect_uds(&path).unwrap_err().kind(),
        ErrorKind::ConnectionRefused
    );

    let port = tofu_testkit::free_tcp_port().unwrap();
    let refused = RawPeer::connect_tcp(([127, 0, 0, 1], port)).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
}

#[test]
fn a_dropped_peer_is_an_end_for_the_other() {
    for (one, mut other) in pairs().unwrap() {
        drop(one);
        wait_until(LONG, "the end of the stream", || {
            other.receive_frame(SHORT).is_ok()
        });
        assert_eq!(other.receive_all(LONG), (vec![], End::Eof));
    }
}
