//! How often the allocator is asked once everything is warm: not for any message, on either side. (A
//! large frame that comes in pieces is the exception.)
//!
//! The whole process is counted, both engines' threads included, so this is the only test here.

#![cfg(test)]

use std::time::Duration;

use tofu::prelude::*;

#[global_allocator]
static ALLOCATOR: dhat::Alloc = dhat::Alloc;

const LIMIT: Duration = Duration::from_secs(20);

/// Two engines, and the channel between them as either sees it.
struct Pair {
    engines: [Reactor; 2],
    groups: [ChannelGroup; 2],
    channels: [ChannelNumber; 2],
}

/// The next message of a peer.
fn next(group: &mut ChannelGroup) -> Msg {
    loop {
        let msg = group.wait_receive(LIMIT).unwrap().unwrap();
        if msg.origin() == Origin::Peer || msg.op_code() == OpCode::WelcomeResponse {
            return msg;
        }
        assert_eq!(msg.status(), Status::SEND_QUEUE_READY, "{msg:?}");
    }
}

impl Pair {
    fn connect() -> Pair {
        let engines = [(); 2].map(|()| Reactor::start(Options::default()).unwrap());
        let mut groups = [0, 1].map(|side| engines[side].create().unwrap());
        let mut welcome = engines[0].message().unwrap();
        let address = Address::tcp_server("127.0.0.1", 0);
        address.format(&mut welcome).unwrap();
        groups[0].post(welcome).unwrap();
        let ready = next(&mut groups[0]);
        let endpoint = Address::parse(&ready).unwrap().into_endpoint();
        let mut hello = engines[1].message().unwrap();
        Address::connect_to(endpoint).format(&mut hello).unwrap();
        let near = groups[1].post(hello).unwrap().channel_number();
        let far = next(&mut groups[0]).channel_number();
        Pair {
            engines,
            groups,
            channels: [far, near],
        }
    }

    fn post(&self, side: usize, id: u64, len: usize) {
        let mut msg = self.engines[side].message().unwrap();
        msg.set_op_code(OpCode::Signal);
        msg.set_channel_number(self.channels[side]);
        msg.set_message_id(MessageId::new(id));
        msg.body_mut().append(&[7; 60_000][..len]).unwrap();
        self.groups[side].post_timeout(msg, LIMIT).unwrap();
    }

    fn expect(&mut self, side: usize, id: u64, len: usize) {
        let msg = next(&mut self.groups[side]);
        assert_eq!((msg.message_id().value(), msg.body().len()), (id, len));
    }

    fn round_trips(&mut self, count: u64, len: usize) {
        for id in 1..=count {
            self.post(1, id, len);
            self.expect(0, id, len);
            self.post(0, id, len);
            self.expect(1, id, len);
        }
    }

    /// As many on their way at a time as `window`, then all of them received.
    fn bursts(&mut self, count: u64, window: u64, len: usize) {
        for burst in 0..count / window {
            for id in 1..=window {
                self.post(1, burst * window + id, len);
            }
            for id in 1..=window {
                self.expect(0, burst * window + id, len);
            }
        }
    }
}

/// Blocks allocated while `work` runs, in the whole process.
fn blocks(work: impl FnOnce()) -> u64 {
    let before = dhat::HeapStats::get().total_blocks;
    work();
    dhat::HeapStats::get().total_blocks - before
}

#[test]
fn no_message_costs_an_allocation_once_everything_is_warm() {
    let _counting = dhat::Profiler::builder().testing().build();
    let mut pair = Pair::connect();
    for (len, count) in [(64, 4000), (1000, 4000), (60_000, 400)] {
        pair.round_trips(500, len);
        let allocated = blocks(|| pair.round_trips(count, len));
        println!("{count} round trips of {len} bytes: {allocated} blocks");
        assert!(allocated < count / 100, "{allocated} blocks");
        pair.bursts(40 * 32, 32, len);
        let allocated = blocks(|| pair.bursts(count, 32, len));
        println!("{count} messages of {len} bytes in bursts: {allocated} blocks");
        // A large frame that comes in pieces has one small block for as long as it takes.
        let per_message = if len < 8 * 1024 { 0 } else { count };
        assert!(allocated < per_message + count / 100, "{allocated} blocks");
    }
}
