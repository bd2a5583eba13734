//! A connector by virtual time: its pauses, its limits, and each way from one state to another.

use std::time::{Duration, Instant};

use tofu_msg::{ChannelNumber, MessageId, OpCode, Status};

use super::*;
use crate::PostErrorKind;
use crate::helpers::testing::{Desk, Ended, closed, from_peer};

const SECOND: Duration = Duration::from_secs(1);

fn number(value: u16) -> ChannelNumber {
    ChannelNumber::new(value)
}

fn connector(options: ConnectorOptions) -> (Connector, Desk, Instant) {
    let now = Instant::now();
    let endpoint = "tcp|server.example|7099".parse().unwrap();
    (
        Connector::new(endpoint, options.seed(1), now),
        Desk::default(),
        now,
    )
}

/// A HelloResponse of the peer's program.
fn welcome(channel: u16) -> Msg {
    from_peer(OpCode::HelloResponse, number(channel), MessageId::new(1))
}

/// The moment of the next attempt, after a failure was told.
fn retry_at(connector: &mut Connector) -> (Instant, u32) {
    match connector.next_event() {
        Some(ConnectorEvent::Retrying { at, failures, .. }) => (at, failures),
        other => panic!("{other:?}"),
    }
}

fn assert_lost(connector: &mut Connector, expected: u16) {
    match connector.next_event() {
        Some(ConnectorEvent::Lost { channel, .. }) => assert_eq!(channel, number(expected)),
        other => panic!("{other:?}"),
    }
}

fn gave_up(connector: &mut Connector) -> (u32, ConnectError) {
    match connector.next_event() {
        Some(ConnectorEvent::GaveUp { failures, error }) => {
            assert_eq!(connector.next_deadline(), None);
            (failures, error)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn it_connects_and_connects_again() {
    let (connector, desk, now) = connector(ConnectorOptions::default());
    let mut connector = connector.hello(|hello| hello.body_mut().append(b"it is me").unwrap());
    assert_eq!(connector.next_deadline(), Some(now));
    connector.on_time(&desk, now);
    let hello = desk.take().remove(0);
    assert_eq!(
        hello.text_headers().get("~connect_to"),
        Some(&b"tcp|server.example|7099"[..])
    );
    assert_eq!(hello.body().as_bytes(), b"it is me");
    assert_eq!(connector.channel(), None);

    connector.on_message(&welcome(1), now);
    assert!(
        matches!(connector.next_event(), Some(ConnectorEvent::Connected { channel }) if channel == number(1))
    );
    assert_eq!(
        (connector.channel(), connector.next_deadline()),
        (Some(number(1)), None)
    );

    let end = now + 5 * SECOND;
    connector.on_message(&closed(number(9)), end);
    connector.on_message(
        &from_peer(OpCode::Signal, number(1), MessageId::new(2)),
        end,
    );
    assert!(connector.next_event().is_none());
    connector.on_message(&closed(number(1)), end);
    assert_lost(&mut connector, 1);
    let (at, failures) = retry_at(&mut connector);
    assert_eq!((failures, connector.channel()), (0, None));
    connector.on_time(&desk, at - Duration::from_nanos(1));
    assert!(desk.take().is_empty());
    connector.on_time(&desk, at);
    assert_eq!(desk.take().remove(0).body().as_bytes(), b"it is me");
    connector.on_message(&welcome(2), at);
    assert_eq!(connector.channel(), Some(number(2)));
}

#[test]
fn pauses_grow_to_their_limit_and_differ() {
    let (mut connector, desk, mut now) = connector(ConnectorOptions::default());
    let mut pauses = Vec::new();
    for attempt in 1..=12 {
        connector.on_time(&desk, now);
        connector.on_message(&closed(number(attempt)), now);
        let (at, failures) = retry_at(&mut connector);
        assert_eq!(failures, u32::from(attempt));
        pauses.push(at - now);
        now = at;
    }
    for (doublings, pause) in (0..).zip(&pauses) {
        let whole = (Duration::from_millis(100) * (1 << doublings)).min(10 * SECOND);
        assert!((whole / 2..=whole).contains(pause), "{pauses:?}");
    }
    // Not all at the same place between the half and the whole.
    assert_ne!(pauses[10], pauses[11]);
}

#[test]
fn a_seed_repeats_the_pauses() {
    let pauses = |seed| {
        let mut options = ConnectorOptions::default().seed(seed);
        assert_eq!(options.seed_in_use(), seed);
        [1, 2, 3].map(|failures| options.delay(failures))
    };
    assert_eq!(pauses(7), pauses(7));
    assert_ne!(pauses(7), pauses(8));
    let mut extreme = ConnectorOptions::default()
        .first_delay(Duration::MAX)
        .longest_delay(Duration::MAX);
    assert!(extreme.delay(u32::MAX) > SECOND);
}

#[test]
fn a_connection_that_does_not_last_is_a_failure() {
    let (mut connector, desk, mut now) = connector(ConnectorOptions::default().attempts(3));
    for round in 1..=3 {
        connector.on_time(&desk, now);
        connector.on_message(&welcome(round), now);
        assert!(matches!(
            connector.next_event(),
            Some(ConnectorEvent::Connected { .. })
        ));
        connector.on_message(&closed(number(round)), now + SECOND / 2);
        assert_lost(&mut connector, round);
        if round < 3 {
            now = retry_at(&mut connector).0;
        }
    }
    assert_eq!(gave_up(&mut connector).0, 3);
}

#[test]
fn it_gives_up_after_its_attempts_or_its_time() {
    let (mut connector, desk, now) = connector(ConnectorOptions::default().attempts(1));
    connector.on_time(&desk, now);
    connector.on_message(&closed(number(1)), now);
    let (failures, error) = gave_up(&mut connector);
    assert_eq!((failures, error.status()), (1, Status::UDS_PATH_NOT_FOUND));
    connector.on_time(&desk, now + 1000 * SECOND);
    assert_eq!(desk.take().len(), 1, "no attempt behind the last");
    connector.restart(now + 1000 * SECOND);
    connector.on_time(&desk, now + 1000 * SECOND);
    assert_eq!(desk.take().len(), 1);
}

#[test]
fn its_time_counts_from_the_last_lasting_connection() {
    let options = ConnectorOptions::default().give_up_after(5 * SECOND);
    let (mut connector, desk, start) = connector(options);
    connector.on_time(&desk, start);
    // Never longer than what is left.
    assert_eq!(connector.next_deadline(), Some(start + 5 * SECOND));
    connector.on_message(&welcome(1), start);
    connector.next_event();
    let lost = start + 100 * SECOND;
    connector.on_message(&closed(number(1)), lost);
    assert_lost(&mut connector, 1);
    let (mut now, mut channel) = (retry_at(&mut connector).0, 1);
    let (failures, _) = loop {
        connector.on_time(&desk, now);
        channel += 1;
        connector.on_message(&closed(number(channel)), now);
        match connector.next_deadline() {
            Some(at) => now = at,
            None => break gave_up(&mut connector),
        }
        connector.next_event();
    };
    assert!(failures > 3);
    assert!(now > lost + SECOND && now <= lost + 5 * SECOND);
}

#[test]
fn an_attempt_without_an_answer_is_ended() {
    let options = ConnectorOptions::default().attempt_timeout(2 * SECOND);
    let (mut connector, desk, now) = connector(options);
    connector.on_time(&desk, now);
    assert_eq!(connector.next_deadline(), Some(now + 2 * SECOND));
    connector.on_time(&desk, now + 2 * SECOND);
    let posted = desk.take();
    assert_eq!(
        (posted[1].op_code(), posted[1].channel_number()),
        (OpCode::ByeSignal, number(1))
    );
    // An answer that comes now is too late: the channel is closing.
    connector.on_message(&welcome(1), now + 2 * SECOND);
    assert!(connector.next_event().is_none());
    connector.on_message(&closed(number(1)), now + 2 * SECOND);
    match connector.next_event() {
        Some(ConnectorEvent::Retrying { error, .. }) => assert_eq!(error, ConnectError::TimedOut),
        other => panic!("{other:?}"),
    }
}

#[test]
fn any_answer_but_a_bye_is_a_connection() {
    let (mut connector, desk, now) = connector(ConnectorOptions::default());
    connector.on_time(&desk, now);
    connector.on_message(
        &from_peer(OpCode::ByeRequest, number(1), MessageId::new(1)),
        now,
    );
    assert!(connector.next_event().is_none());
    connector.on_message(
        &from_peer(OpCode::Signal, number(1), MessageId::new(1)),
        now,
    );
    assert!(matches!(
        connector.next_event(),
        Some(ConnectorEvent::Connected { .. })
    ));
}

#[test]
fn what_another_attempt_cannot_mend_ends_it_at_once() {
    let (mut connector, _, now) = connector(ConnectorOptions::default());
    connector.on_time(&Ended::new(), now);
    let (failures, error) = gave_up(&mut connector);
    assert_eq!(
        (failures, error),
        (1, ConnectError::Refused(PostErrorKind::ShutdownStarted))
    );

    let nowhere = Endpoint::Tcp {
        host: String::new(),
        port: 0,
    };
    let mut connector = Connector::new(nowhere, ConnectorOptions::default(), now);
    connector.on_time(&Desk::default(), now);
    let (_, error) = gave_up(&mut connector);
    assert_eq!(error.status(), Status::INVALID_ADDRESS, "{error}");
    assert!(!ConnectError::Refused(PostErrorKind::ChannelsExhausted).is_final());
}

#[test]
fn stopped_it_leaves_the_channel_to_the_program() {
    let (mut connector, desk, now) = connector(ConnectorOptions::default());
    connector.restart(now + SECOND);
    assert_eq!(connector.next_deadline(), Some(now), "it was not stopped");
    connector.on_time(&desk, now);
    connector.on_message(&welcome(1), now);
    assert_eq!(connector.stop(), Some(number(1)));
    connector.next_event();
    connector.on_message(&closed(number(1)), now);
    assert!(connector.next_event().is_none());
    assert_eq!(
        (connector.channel(), connector.next_deadline()),
        (None, None)
    );
    assert_eq!(connector.stop(), None);
}
