//! Calls by virtual time: every way in which one ends, and that it ends once.

use std::time::{Duration, Instant};

use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Status};

use super::*;
use crate::PostErrorKind;
use crate::helpers::testing::{Desk, Ended, closed, from_peer, returned};

const CHANNEL: ChannelNumber = ChannelNumber::new(7);
const SECOND: Duration = Duration::from_secs(1);

fn request(channel: ChannelNumber) -> Msg {
    let mut message = Message::new(OpCode::Request);
    message.set_channel_number(channel);
    message.into()
}

/// Calls with `count` pending ones on the channel, numbered from 0, and the moment of the first;
/// each is due a second after the one before.
fn pending(count: u32) -> (Calls<u32>, Vec<CallId>, Instant) {
    let (desk, now) = (Desk::default(), Instant::now());
    let mut calls = Calls::new(100);
    let ids = (0..count).map(|i| {
        calls
            .call(&desk, request(CHANNEL), i, now + (i + 1) * SECOND)
            .unwrap()
    });
    let ids = ids.collect();
    (calls, ids, now)
}

fn response(call: CallId) -> Msg {
    from_peer(OpCode::Response, call.channel, call.id)
}

/// The values and failures of the calls that have failed; nothing else may have happened.
fn failures(calls: &mut Calls<u32>) -> Vec<(u32, CallFailure)> {
    let events = std::iter::from_fn(|| calls.next_event());
    events
        .map(|event| match event {
            CallEvent::Failed { value, failure, .. } => (value, failure),
            other => panic!("{other:?}"),
        })
        .collect()
}

#[test]
fn each_answer_finds_its_call_in_any_order() {
    let (mut calls, ids, _) = pending(3);
    for (value, call) in ids.iter().enumerate().rev() {
        assert!(calls.on_message(response(*call)).is_none());
        match calls.next_event() {
            Some(CallEvent::Answered { value: found, .. }) => assert_eq!(found as usize, value),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((calls.pending(), calls.next_deadline()), (0, None));
    assert!(calls.next_event().is_none());
}

#[test]
fn a_second_answer_is_late() {
    let (mut calls, ids, _) = pending(1);
    calls.on_message(response(ids[0]));
    assert!(matches!(
        calls.next_event(),
        Some(CallEvent::Answered { .. })
    ));
    assert!(calls.on_message(response(ids[0])).is_none());
    assert!(matches!(calls.next_event(), Some(CallEvent::Late { .. })));
    assert_eq!(calls.late(), 1);
}

#[test]
fn the_last_part_ends_a_call_and_progress_does_not() {
    let (mut calls, ids, _) = pending(1);
    let mut part = response(ids[0]);
    part.set_more(true);
    let signal = from_peer(OpCode::Signal, CHANNEL, ids[0].id);
    for message in [signal, part] {
        assert!(calls.on_message(message).is_none());
        assert!(
            matches!(calls.next_event(), Some(CallEvent::Progress { call, .. }) if call == ids[0])
        );
    }
    assert_eq!(calls.pending(), 1);
    calls.on_message(response(ids[0]));
    assert!(matches!(
        calls.next_event(),
        Some(CallEvent::Answered { .. })
    ));
}

#[test]
fn what_is_no_answer_is_given_back() {
    let (mut calls, ids, _) = pending(1);
    let other = ChannelNumber::new(8);
    let foreign = [
        from_peer(OpCode::Request, CHANNEL, ids[0].id),
        from_peer(OpCode::ByeResponse, CHANNEL, ids[0].id),
        from_peer(OpCode::HelloResponse, CHANNEL, ids[0].id),
        from_peer(OpCode::Response, CHANNEL, MessageId::new(1)),
        from_peer(OpCode::Signal, other, MessageId::new(2)),
        closed(other),
        returned(other, ids[0].id),
        Msg::from(Message::new(OpCode::Response)),
    ];
    for message in foreign {
        let header = message.header();
        assert_eq!(calls.on_message(message).unwrap().header(), header);
    }
    assert!(calls.next_event().is_none());
    assert_eq!((calls.pending(), calls.late()), (1, 0));
}

#[test]
fn deadlines_pass_in_their_order_and_late_answers_are_told() {
    let (mut calls, ids, now) = pending(3);
    assert_eq!(calls.next_deadline(), Some(now + SECOND));
    calls.on_time(now + SECOND - Duration::from_nanos(1));
    assert!(calls.next_event().is_none());

    assert!(calls.set_deadline(ids[0], now + 10 * SECOND));
    calls.on_time(now + 3 * SECOND);
    let failed = failures(&mut calls);
    assert_eq!(
        failed.iter().map(|(value, _)| *value).collect::<Vec<_>>(),
        [1, 2]
    );
    for (_, failure) in &failed {
        assert!(matches!(failure.kind(), CallFailureKind::Expired));
        assert_eq!(failure.fate(), RequestFate::Unknown);
    }
    assert_eq!(calls.next_deadline(), Some(now + 10 * SECOND));

    assert!(calls.on_message(response(ids[1])).is_none());
    assert!(
        matches!(calls.next_event(), Some(CallEvent::Late { message }) if message.message_id() == ids[1].id)
    );
    assert_eq!(calls.late(), 1);
    assert!(!calls.set_deadline(ids[1], now));
}

#[test]
fn what_came_back_unsent_was_not_seen_and_what_did_not_may_have_been() {
    let (mut calls, ids, now) = pending(3);
    let (desk, elsewhere) = (Desk::default(), ChannelNumber::new(8));
    calls
        .call(&desk, request(elsewhere), 9, now + SECOND)
        .unwrap();
    calls.on_message(from_peer(OpCode::Signal, CHANNEL, ids[1].id));
    assert!(matches!(
        calls.next_event(),
        Some(CallEvent::Progress { .. })
    ));

    assert!(calls.on_message(returned(CHANNEL, ids[2].id)).is_none());
    assert!(calls.on_message(closed(CHANNEL)).is_some());
    let failed = failures(&mut calls);
    let fates: Vec<_> = failed
        .iter()
        .map(|(value, failure)| (*value, failure.fate()))
        .collect();
    assert_eq!(
        fates,
        [
            (2, RequestFate::NotSent),
            (0, RequestFate::Unknown),
            (1, RequestFate::Taken),
        ]
    );
    for (value, failure) in failed {
        let came_back = value == 2;
        let status = match came_back {
            true => Status::CHANNEL_CLOSED,
            false => Status::UDS_PATH_NOT_FOUND,
        };
        assert_eq!(failure.status(), status, "{failure}");
        assert_eq!(failure.into_request().is_some(), came_back);
    }
    assert_eq!(calls.pending(), 1);
}

#[test]
fn of_a_request_in_parts_some_may_have_been_seen() {
    let (mut calls, desk) = (Calls::new(1), Desk::default());
    let mut first = request(CHANNEL);
    first.set_more(true);
    let call = calls.call(&desk, first, 0, Instant::now()).unwrap();
    calls.on_message(returned(CHANNEL, call.id));
    let failed = failures(&mut calls);
    assert_eq!(failed[0].1.fate(), RequestFate::Unknown);
    // The other parts come back as what they are.
    assert!(calls.on_message(returned(CHANNEL, call.id)).is_some());
}

#[test]
fn the_end_of_the_engine_fails_all() {
    let (mut calls, _, _) = pending(3);
    calls.fail_all(Status::SHUTDOWN_STARTED);
    let failed = failures(&mut calls);
    assert_eq!(failed.len(), 3);
    assert!(
        failed
            .iter()
            .all(|(_, failure)| failure.status() == Status::SHUTDOWN_STARTED)
    );
    assert_eq!((calls.pending(), calls.next_deadline()), (0, None));
}

#[test]
fn a_cancelled_call_is_over() {
    let (mut calls, ids, now) = pending(1);
    *calls.value_mut(ids[0]).unwrap() = 42;
    assert_eq!(calls.cancel(ids[0]), Some(42));
    assert_eq!(calls.cancel(ids[0]), None);
    calls.on_time(now + 100 * SECOND);
    assert!(calls.next_event().is_none());
    assert!(calls.on_message(response(ids[0])).is_none());
    assert!(matches!(calls.next_event(), Some(CallEvent::Late { .. })));
}

#[test]
fn refused_calls_come_back_as_they_were() {
    let (desk, ended, now) = (Desk::default(), Ended::new(), Instant::now());
    let mut calls = Calls::new(1);

    let error = calls.call(&ended, request(CHANNEL), 1, now).unwrap_err();
    assert!(matches!(error.kind(), CallErrorKind::Post(_)), "{error}");
    let (_, message, value) = error.into_parts();
    assert_eq!((message.message_id(), value), (MessageId::UNASSIGNED, 1));

    let signal = from_peer(OpCode::Signal, CHANNEL, MessageId::new(1));
    let error = calls.call(&desk, signal, 2, now).unwrap_err();
    assert_eq!(error.kind(), CallErrorKind::NotARequest(OpCode::Signal));

    calls.call(&desk, request(CHANNEL), 3, now).unwrap();
    let failure = CallFailure::from(calls.call(&desk, request(CHANNEL), 4, now).unwrap_err());
    assert_eq!(
        (failure.status(), failure.fate()),
        (Status::QUEUE_FULL, RequestFate::NotSent)
    );
    assert!(failure.into_request().is_some());
    assert_eq!(desk.take().len(), 1);
    assert_eq!(calls.pending(), 1);
}

#[test]
fn an_id_of_the_programs_own_is_kept_and_pending_once() {
    let (mut calls, desk, now) = (Calls::new(10), Desk::default(), Instant::now());
    let mut job = request(CHANNEL);
    job.set_message_id(MessageId::new(5));
    let again = Msg::from(Message::clone(&job));
    let call = calls.call(&desk, job, 0, now).unwrap();
    assert_eq!(call.id, MessageId::new(5));
    let error = calls.call(&desk, again, 1, now).unwrap_err();
    assert_eq!(error.kind(), CallErrorKind::IdInUse(MessageId::new(5)));
    calls.on_message(response(call));
    assert!(matches!(
        calls.next_event(),
        Some(CallEvent::Answered { value: 0, .. })
    ));
}

#[test]
fn ids_are_consecutive_and_meet_no_engines() {
    let (calls, ids, _) = pending(3);
    assert!(ids[0].id.value() >= 1 << 52 && ids[2].id.value() < 1 << 53);
    assert_eq!(ids[2].id.value(), ids[0].id.value() + 2);
    let mut calls = calls.first_id(MessageId::new(1000));
    let call = calls.call(&Desk::default(), request(CHANNEL), 0, Instant::now());
    assert_eq!(call.unwrap().id, MessageId::new(1000));
}

#[test]
fn a_given_id_passes_over_pending_ones_and_the_end_of_the_numbers() {
    let (desk, now) = (Desk::default(), Instant::now());
    let mut calls = Calls::new(10).first_id(MessageId::new(u64::MAX));
    for (value, id) in [(0, u64::MAX), (1, 1)] {
        let mut own = request(CHANNEL);
        own.set_message_id(MessageId::new(id));
        calls.call(&desk, own, value, now).unwrap();
    }
    let third = calls.call(&desk, request(CHANNEL), 2, now).unwrap();
    let fourth = calls.call(&desk, request(CHANNEL), 3, now).unwrap();
    assert_eq!((third.id.value(), fourth.id.value()), (2, 3));
    assert_eq!(calls.pending(), 4, "none has taken another's place");
    calls.fail_all(Status::SHUTDOWN_STARTED);
    assert_eq!(failures(&mut calls).len(), 4);
    assert_eq!(calls.next_deadline(), None);

    // What was passed over or given out is known when it comes late; an id of nobody's is not.
    assert!(calls.on_message(response(fourth)).is_none());
    let unassigned = from_peer(OpCode::Signal, CHANNEL, MessageId::UNASSIGNED);
    assert!(calls.on_message(unassigned).is_some());
    let ahead = from_peer(OpCode::Response, CHANNEL, MessageId::new(4));
    assert!(calls.on_message(ahead).is_some());
}

#[test]
fn the_reasons_have_statuses() {
    let kinds = [
        (
            CallErrorKind::TooManyPending { limit: 1 },
            Status::QUEUE_FULL,
        ),
        (
            CallErrorKind::NotARequest(OpCode::Signal),
            Status::INVALID_OP_CODE,
        ),
        (
            CallErrorKind::IdInUse(MessageId::new(1)),
            Status::INVALID_MESSAGE_ID,
        ),
        (CallErrorKind::NoReceiver, Status::SHUTDOWN_STARTED),
        (
            CallErrorKind::Post(PostErrorKind::ChannelClosed),
            Status::CHANNEL_CLOSED,
        ),
    ];
    for (kind, status) in kinds {
        assert_eq!(kind.status(), status, "{kind}");
        assert_eq!(
            CallFailure::refused(kind, request(CHANNEL)).status(),
            status
        );
    }
}
