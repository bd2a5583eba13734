//! Heartbeats by virtual time: who is sent to when, and who is silent.

use std::time::{Duration, Instant};

use tofu_msg::{ChannelNumber, MessageId, OpCode};

use super::*;
use crate::helpers::testing::{Desk, Ended, closed, from_peer};

const ONE: ChannelNumber = ChannelNumber::new(1);
const TWO: ChannelNumber = ChannelNumber::new(2);
const SECOND: Duration = Duration::from_secs(1);

/// Beats once a second and calls silent after three.
fn watching(channels: &[ChannelNumber]) -> (Heartbeat, Instant) {
    let now = Instant::now();
    let mut heartbeat = Heartbeat::new(SECOND, 3 * SECOND);
    for channel in channels {
        heartbeat.watch(*channel, now);
    }
    (heartbeat, now)
}

/// Lets the time pass, and does what is due when it is due; returns where Signals were posted.
fn run(heartbeat: &mut Heartbeat, until: Instant) -> Vec<ChannelNumber> {
    let desk = Desk::default();
    while let Some(at) = heartbeat.next_deadline().filter(|at| *at <= until) {
        heartbeat.on_time(&desk, at);
    }
    desk.take()
        .iter()
        .map(|beat| beat.channel_number())
        .collect()
}

fn hear(heartbeat: &mut Heartbeat, channel: ChannelNumber, now: Instant) {
    let message = from_peer(OpCode::Request, channel, MessageId::new(1));
    assert!(!heartbeat.on_message(&message, now));
}

#[test]
fn a_signal_goes_out_per_interval_and_channel() {
    let (mut heartbeat, now) = watching(&[ONE, TWO]);
    assert_eq!(run(&mut heartbeat, now + SECOND / 2), []);
    assert_eq!(run(&mut heartbeat, now + 2 * SECOND), [ONE, TWO, ONE, TWO]);
    heartbeat.forget(ONE);
    assert_eq!(run(&mut heartbeat, now + 4 * SECOND), [TWO, TWO]);
}

#[test]
fn a_heartbeat_is_known_as_one() {
    let (mut heartbeat, now) = watching(&[ONE]);
    let desk = Desk::default();
    heartbeat.on_time(&desk, now + SECOND);
    let mut beat = desk.take().remove(0);
    assert_eq!((beat.op_code(), beat.body().len()), (OpCode::Signal, 0));
    assert!(!Heartbeat::is_heartbeat(&beat), "nobody has sent it yet");
    beat.set_origin(Origin::Peer);
    assert!(heartbeat.on_message(&beat, now));
    let signal = from_peer(OpCode::Signal, ONE, MessageId::new(1));
    assert!(!heartbeat.on_message(&signal, now));
}

#[test]
fn silence_is_told_once_and_so_is_its_end() {
    let (mut heartbeat, now) = watching(&[ONE]);
    run(&mut heartbeat, now + 2 * SECOND);
    assert_eq!(heartbeat.next_event(), None);
    run(&mut heartbeat, now + 60 * SECOND);
    let since = now;
    let silent = HeartbeatEvent::Silent {
        channel: ONE,
        since,
    };
    assert_eq!(heartbeat.next_event(), Some(silent));
    assert_eq!(heartbeat.next_event(), None);

    let again = now + 61 * SECOND;
    hear(&mut heartbeat, ONE, again);
    let silent_for = 61 * SECOND;
    let heard = HeartbeatEvent::Heard {
        channel: ONE,
        silent_for,
    };
    assert_eq!(heartbeat.next_event(), Some(heard));
    run(&mut heartbeat, again + 3 * SECOND);
    let silent = HeartbeatEvent::Silent {
        channel: ONE,
        since: again,
    };
    assert_eq!(heartbeat.next_event(), Some(silent));
}

#[test]
fn any_traffic_of_the_peer_is_life_and_only_of_that_peer() {
    let (mut heartbeat, now) = watching(&[ONE, TWO]);
    for second in 1..10 {
        run(&mut heartbeat, now + second * SECOND);
        hear(&mut heartbeat, ONE, now + second * SECOND);
    }
    let silent = HeartbeatEvent::Silent {
        channel: TWO,
        since: now,
    };
    assert_eq!(heartbeat.next_event(), Some(silent));
    assert_eq!(heartbeat.next_event(), None);
    assert_eq!(
        heartbeat.silent_for(ONE, now + 9 * SECOND),
        Some(Duration::ZERO)
    );
    assert_eq!(
        heartbeat.silent_for(TWO, now + 9 * SECOND),
        Some(9 * SECOND)
    );
}

#[test]
fn nobody_is_silent_while_we_do_not_look() {
    let (mut heartbeat, now) = watching(&[ONE]);
    let desk = Desk::default();
    // A handler took a minute; the peer's messages wait in the inbox.
    heartbeat.on_time(&desk, now + 60 * SECOND);
    assert_eq!(heartbeat.next_event(), None);
    assert_eq!(desk.take().len(), 1, "what was missed is not made up for");
    run(&mut heartbeat, now + 63 * SECOND);
    assert!(matches!(
        heartbeat.next_event(),
        Some(HeartbeatEvent::Silent { .. })
    ));
}

#[test]
fn a_closed_channel_is_forgotten_and_a_refused_signal_left_out() {
    let (mut heartbeat, now) = watching(&[ONE, TWO]);
    assert!(!heartbeat.on_message(&closed(ONE), now));
    assert_eq!(run(&mut heartbeat, now + SECOND), [TWO]);
    heartbeat.on_time(&Ended::new(), now + 2 * SECOND);
    assert_eq!(run(&mut heartbeat, now + 3 * SECOND), [TWO]);
    heartbeat.on_message(&closed(TWO), now);
    assert_eq!(
        (heartbeat.next_deadline(), heartbeat.silent_for(TWO, now)),
        (None, None)
    );
}

#[test]
fn either_can_be_switched_off() {
    let now = Instant::now();
    let mut heartbeat = Heartbeat::new(Duration::MAX, SECOND);
    heartbeat.watch(ONE, now);
    assert_eq!(run(&mut heartbeat, now + 1000 * SECOND), []);
    assert!(matches!(
        heartbeat.next_event(),
        Some(HeartbeatEvent::Silent { .. })
    ));

    let mut heartbeat = Heartbeat::new(SECOND, Duration::MAX);
    heartbeat.watch(ONE, now);
    assert_eq!(run(&mut heartbeat, now + 1000 * SECOND).len(), 1000);
    assert_eq!(heartbeat.next_event(), None);
}

/// A thousand channels whose Signals are spread over the interval, and a loop whose turns take 10 ms:
/// whenever it looks, something has been due for a moment.
#[test]
fn short_turns_of_a_busy_loop_hide_nobodys_silence() {
    let now = Instant::now();
    let mut heartbeat = Heartbeat::new(SECOND, 3 * SECOND);
    for number in 1..=1000 {
        let spread = now + u32::from(number) * Duration::from_millis(1);
        heartbeat.watch(ChannelNumber::new(number), spread);
    }
    let (desk, turn) = (Desk::default(), Duration::from_millis(10));
    let noticed = (0..5000).find_map(|turns| {
        heartbeat.on_time(&desk, now + turns * turn);
        heartbeat.next_event().map(|_| turns * turn)
    });
    assert!(noticed.unwrap() < 4 * SECOND, "{noticed:?}");
}

/// What has something to say besides is the program's.
#[test]
fn a_signal_with_more_than_the_header_is_no_heartbeat() {
    let beat = || {
        let mut beat = from_peer(OpCode::Signal, ONE, MessageId::new(1));
        beat.text_headers_mut().append(HEARTBEAT, "").unwrap();
        beat
    };
    assert!(Heartbeat::is_heartbeat(&beat()));
    let changes: [fn(&mut Msg); 4] = [
        |beat| beat.body_mut().append(b"50 % done").unwrap(),
        |beat| beat.set_more(true),
        |beat| beat.text_headers_mut().append("progress", "50").unwrap(),
        |beat| {
            beat.text_headers_mut()
                .replace_raw(b"heartbeat:of the patient")
                .unwrap();
        },
    ];
    for change in changes {
        let mut other = beat();
        change(&mut other);
        assert!(!Heartbeat::is_heartbeat(&other), "{:?}", other.header());
    }
}
