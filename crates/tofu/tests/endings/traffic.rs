//! Two engines with some channels between them, threads that post to them until they may no more,
//! and a peer that only receives.

use std::collections::HashMap;
use std::ops::Range;
use std::thread::JoinHandle;
use std::time::Duration;

use tofu::prelude::*;
use tofu_testkit::{Random, TempUdsPath};

use crate::ledger::{Arrivals, id, note};

pub(crate) const LIMIT: Duration = Duration::from_secs(20);
/// How late an end with a deadline may be: a second is promised, and another one is the machine's.
pub(crate) const MARGIN: Duration = Duration::from_secs(2);
pub(crate) const CHANNELS: usize = 4;
pub(crate) const THREADS: u64 = 8;

/// One end of the channels.
pub(crate) struct End {
    pub(crate) engine: Reactor,
    pub(crate) group: ChannelGroup,
    /// In the same order at both ends.
    pub(crate) channels: Vec<ChannelNumber>,
}

/// Connects two engines: the one that said Hello, the other, and what must outlive them.
pub(crate) fn connected(run: u64, options: Options) -> (End, End, TempUdsPath) {
    let path = TempUdsPath::new().unwrap();
    // On TCP in even runs, on UDS in odd ones.
    let address = match run % 2 {
        0 => Address::tcp_server("127.0.0.1", 0),
        _ => Address::uds_server(&path),
    };
    let mut far = End::start(options.clone());
    let mut welcome = far.engine.message().unwrap();
    address.format(&mut welcome).unwrap();
    far.group.post(welcome).unwrap();
    let ready = next(&mut far.group);
    let endpoint = Address::parse(&ready).unwrap().into_endpoint();
    let mut near = End::start(options);
    for _ in 0..CHANNELS {
        near.channels
            .push(connect(&near.engine, &near.group, &endpoint));
        let mut hello = next(&mut far.group);
        far.channels.push(hello.channel_number());
        hello.make_reply().unwrap();
        far.group.post(hello).unwrap();
        assert_eq!(next(&mut near.group).op_code(), OpCode::HelloResponse);
    }
    (near, far, path)
}

impl End {
    fn start(options: Options) -> End {
        let engine = Reactor::start(options).unwrap();
        let group = engine.create().unwrap();
        let channels = Vec::new();
        End {
            engine,
            group,
            channels,
        }
    }

    /// From this end's channel to the other's.
    pub(crate) fn names(&self, other: &End) -> HashMap<ChannelNumber, ChannelNumber> {
        let pairs = self.channels.iter().zip(&other.channels);
        pairs.map(|(here, there)| (*here, *there)).collect()
    }
}

/// The engine under test, its channels, and their peer, which receives until all channels have
/// said their last word.
pub(crate) struct Traffic {
    pub(crate) near: End,
    pub(crate) peer: JoinHandle<Arrivals>,
    _path: TempUdsPath,
}

pub(crate) fn next(group: &mut ChannelGroup) -> Msg {
    let msg = group.wait_receive(LIMIT).unwrap();
    msg.expect("a message in time")
}

impl Traffic {
    pub(crate) fn start(run: u64, options: Options) -> Traffic {
        let (near, far, path) = connected(run, options);
        let names = far.names(&near);
        let peer = std::thread::spawn(move || {
            let arrivals = receive(far.group, &names);
            drop(far.engine);
            arrivals
        });
        Traffic {
            near,
            peer,
            _path: path,
        }
    }

    /// Starts the threads that post; each returns what was taken.
    pub(crate) fn post_from_all(&self, seed: u64) -> Vec<JoinHandle<Posted>> {
        post_from(0..THREADS, &self.near, seed)
    }
}

/// Starts threads that post at one end; each returns what was taken.
pub(crate) fn post_from(threads: Range<u64>, end: &End, seed: u64) -> Vec<JoinHandle<Posted>> {
    let threads = threads.map(|thread| {
        let poster = end.group.poster();
        let channels = end.channels.clone();
        let random = Random::new(seed ^ (thread << 48));
        std::thread::spawn(move || post_until_refused(&poster, &channels, thread, random))
    });
    threads.collect()
}

fn connect(engine: &Reactor, group: &ChannelGroup, endpoint: &Endpoint) -> ChannelNumber {
    let mut hello = engine.message().unwrap();
    let address = Address::connect_to(endpoint.clone());
    address.format(&mut hello).unwrap();
    group.post(hello).unwrap().channel_number
}

/// Receives everything; by the names that the sender gives the channels.
fn receive(mut group: ChannelGroup, names: &HashMap<ChannelNumber, ChannelNumber>) -> Arrivals {
    let (mut arrivals, mut closed) = (Arrivals::new(), 0);
    while closed < CHANNELS {
        let msg = next(&mut group);
        if let Some(info) = msg.close_info() {
            assert_eq!(info.cause.status(), Status::PEER_DISCONNECTED, "{info:?}");
            closed += 1;
            continue;
        }
        assert_eq!(msg.origin(), Origin::Peer);
        let len = body_len(msg.message_id());
        assert!(msg.body().as_bytes() == vec![b'.'; len], "{msg:?}");
        note(
            &mut arrivals,
            names[&msg.channel_number()],
            msg.message_id(),
        );
    }
    arrivals
}

/// The body is the one that was posted.
#[track_caller]
pub(crate) fn assert_content(msg: &Msg) {
    let len = body_len(msg.message_id());
    assert!(msg.body().as_bytes() == vec![b'.'; len], "{msg:?}");
}

/// Mostly small, some so large that they travel by pointer.
fn body_len(id: MessageId) -> usize {
    match id.value() % 16 {
        0 => 40_000,
        1 => 9000,
        short => usize::try_from(short).unwrap() * 20,
    }
}

/// What a thread's posts came to.
#[derive(Debug)]
pub(crate) struct Posted {
    pub(crate) taken: Vec<(MessageId, ChannelNumber)>,
    /// What refused the last.
    pub(crate) end: Status,
}

/// Posts to a channel at random, for as long as it may. A full queue is no end: the next try is
/// with another channel.
fn post_until_refused(
    poster: &Poster,
    channels: &[ChannelNumber],
    thread: u64,
    mut random: Random,
) -> Posted {
    let mut taken = Vec::new();
    let mut number = 0;
    loop {
        let index = usize::try_from(random.below(channels.len() as u64)).unwrap();
        let mut message = Message::new(OpCode::Signal);
        let id = id(thread, number);
        message.set_message_id(id);
        message.set_channel_number(channels[index]);
        message
            .body_mut()
            .append(&vec![b'.'; body_len(id)])
            .unwrap();
        match poster.post(Msg::from(message.clone())) {
            Ok(header) => {
                taken.push((header.message_id, header.channel_number));
                number += 1;
            }
            Err(refused) => {
                let (kind, back) = refused.into_parts();
                assert!(*back == message, "changed by the refusal: {back:?}");
                if kind != PostErrorKind::QueueFull {
                    return Posted {
                        taken,
                        end: kind.status(),
                    };
                }
                std::thread::yield_now();
            }
        }
    }
}
