//! How an engine shows itself: `stats()` and a group's `channels()`.

use std::time::Duration;

use tofu::chnls::ChannelState;
use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::harness::{Build, Side, Transport, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    channels_show_state_peer_and_queue,
    stats_count_what_was_sent_and_received,
    stats_show_the_channels_of_all_groups,
}

/// In the order of their numbers.
fn states(side: &Side) -> Vec<ChannelState> {
    let mut channels = side.group.channels();
    channels.sort_by_key(|info| info.number);
    channels.iter().map(|info| info.state).collect()
}

fn channels_show_state_peer_and_queue(transport: Transport) {
    let mut side = Side::start(Options::default());
    assert_eq!(side.group.channels(), []);
    let listening = side.listen(transport);
    let accepted = Line::accepted(&mut side, &listening);
    let narrow = Place::narrow(transport);
    let dialed = Line::dialed(&side, &narrow);
    let blocked = Place::new(transport);
    let _filler = blocked.fill_backlog();
    let hello = side.hello(blocked.endpoint());
    assert_eq!(
        states(&side),
        [
            ChannelState::Listening,
            ChannelState::Open,
            ChannelState::Open,
            ChannelState::Connecting
        ]
    );
    let listener = side.info(listening.channel).unwrap();
    assert_eq!((listener.peer, listener.queued_messages), (None, 0));
    let connecting = side.info(hello.channel_number()).unwrap();
    assert_eq!(connecting.peer, None);
    assert_eq!(connecting.queued_messages, 1, "its HelloRequest");
    assert_eq!(connecting.queued_bytes, hello.frame_len());
    let info = side.info(accepted.channel).unwrap();
    let credentials = info.peer.unwrap().credentials;
    assert_eq!(credentials.is_some(), transport == Transport::Uds);
    let info = side.info(dialed.channel).unwrap();
    assert_eq!(info.peer.unwrap().endpoint, *narrow.endpoint());
    dialed.clog(&side);
    side.post(request(5, 50).on(dialed.channel));
    assert!(side.info(dialed.channel).unwrap().queued_messages >= 2);
    // Another group sees none of it.
    assert_eq!(side.beside().group.channels(), []);
}

/// It is closing while it sends the rest, and gone with its last word.
#[test]
fn channels_show_one_that_sends_the_rest() {
    let mut side = Side::start(Options::default());
    let listening = side.listen(Transport::Tcp);
    let line = Line::accepted(&mut side, &listening);
    let clogged = line.clog(&side);
    // More than the kernel might take after all when the peer's end acknowledges what it has.
    for id in clogged + 1..clogged + 40 {
        side.post(request(id, 60_000).on(line.channel));
    }
    // The peer has nothing more to say, and the application knows all it has said.
    line.raw.shutdown_write().unwrap();
    side.turn();
    let nothing = side.group.wait_receive(Duration::ZERO).unwrap();
    assert!(nothing.is_none(), "{nothing:?}");
    side.turn();
    assert_eq!(
        states(&side),
        [ChannelState::Listening, ChannelState::Closing]
    );
    assert_eq!(side.stats().channels.closing, 1);
    let refused = side.refused(&request(1, 1).on(line.channel));
    assert_eq!(refused, PostErrorKind::ChannelClosed);
    drop(line.raw);
    while side.next().close_info().is_none() {}
    assert_eq!(states(&side), [ChannelState::Listening]);
}

fn stats_count_what_was_sent_and_received(transport: Transport) {
    let mut side = Side::start(Options::default());
    let listening = side.listen(transport);
    let (mut line, mut other) = (
        Line::accepted(&mut side, &listening),
        Line::accepted(&mut side, &listening),
    );
    let before = side.stats();
    let bytes = requests(1..=10, 100);
    line.raw.send(&bytes).unwrap();
    for id in 1..=10 {
        side.expect_peer(line.channel, &request(id, 100));
    }
    for id in 1..=3 {
        other.says(&side, request(id, 50_000));
    }
    side.turn();
    let after = side.stats();
    assert_eq!(after.messages_received - before.messages_received, 10);
    assert_eq!(
        after.bytes_received - before.bytes_received,
        bytes.len() as u64
    );
    assert_eq!(after.messages_sent - before.messages_sent, 3);
    assert_eq!(after.bytes_sent - before.bytes_sent, 3 * 50_016);
    assert!(after.turns > before.turns);
    assert!(after.wakes > before.wakes);
    assert_eq!(after.connections_accepted, 2);
    assert_eq!((after.connections_made, after.connects_failed), (0, 0));
    line.echo(&mut side);
}

fn stats_show_the_channels_of_all_groups(transport: Transport) {
    let mut first = Side::start(Options::default());
    let mut second = first.beside();
    let listening = first.listen(transport);
    let _elsewhere = second.listen(transport);
    let lines: Vec<_> = (0..3)
        .map(|_| Line::accepted(&mut first, &listening))
        .collect();
    let place = Place::new(transport);
    let _dialed = Line::dialed(&second, &place);
    // One that has not said Hello is nobody's channel yet.
    let _waiting = RawPeer::connect(&listening.endpoint).unwrap();
    first.turn();
    let channels = first.stats().channels;
    assert_eq!((channels.listening, channels.open), (2, 4));
    assert_eq!((channels.connecting, channels.closing), (0, 0));
    assert_eq!(first.engine.channel_count(), 6);
    for line in lines {
        drop(line.raw);
        first.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    }
    assert_eq!(second.stats().channels.open, 1);
    let report = first.engine.shutdown(Duration::ZERO);
    assert_eq!(report.channels, 3);
}
