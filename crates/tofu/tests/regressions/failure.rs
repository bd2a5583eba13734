//! An engine that fails: what becomes of what had been posted and not yet taken, and of whatever
//! is posted from then on. A driver that is dropped without a shutdown is such a failure.

use std::time::Duration;

use tofu::engine::driver::Handle;
use tofu::engine::{Cause, Group, Report};
use tofu::prelude::*;

use crate::harness::{Build, hello_to, request};
use crate::memory::{Driven, place, received};

/// What is left of an engine that has failed: a group with one channel.
struct Failed {
    handle: Handle,
    group: Group,
    channel: ChannelNumber,
}

impl Failed {
    /// The engine fails when this has been posted to its channel and it has not looked yet.
    fn with(post: impl Fn(ChannelNumber, &dyn Fn(Message))) -> Failed {
        let mut engine = Driven::new(Options::default());
        let mut group = engine.listening(1);
        let (channel, _peer) = engine.accepted(&mut group, 1);
        let handle = engine.handle.clone();
        post(channel, &|message| {
            let mut msg = handle.message().unwrap();
            *msg = message;
            group.sender().post(msg).unwrap();
        });
        drop(engine);
        Failed {
            handle,
            group,
            channel,
        }
    }

    /// The next message is one that was posted: which, and as what it comes back.
    #[track_caller]
    fn expect_back(&mut self, id: u64, op_code: OpCode, report: Report) -> Msg {
        let msg = received(&mut self.group);
        assert_eq!(msg.message_id().value(), id, "{msg:?}");
        assert_eq!((msg.op_code(), msg.report()), (op_code, Some(report)));
        assert_eq!(msg.origin(), Origin::Engine);
        let why = Some(Status::PROCESSING_FAILED);
        assert_eq!(
            (Some(msg.status()), msg.cause().map(Cause::status)),
            (why, why)
        );
        msg
    }

    /// Nothing is left, and every wait says so at once.
    #[track_caller]
    fn expect_end(&mut self) {
        for _ in 0..2 {
            let end = self.group.receive(Duration::MAX).unwrap_err();
            assert!(matches!(end, EngineError::ProcessingFailed), "{end:?}");
        }
        let stats = self.handle.stats();
        assert_eq!((stats.queued_messages, stats.queued_bytes), (0, 0));
        assert_eq!(stats.pool_in_use, 0);
    }
}

/// Without the repair every outbox stayed open when the engine's thread failed: messages were taken
/// for ever, and none of them ever had an outcome.
#[test]
fn a_failed_engine_takes_no_posts() {
    let mut failed = Failed::with(|_, _| {});
    let messages = [
        request(5, 10).on(failed.channel),
        request(6, 20_000).on(failed.channel),
        Message::new(OpCode::ByeRequest).on(failed.channel).id(7),
        Message::new(OpCode::ByeSignal).on(failed.channel).id(8),
        hello_to(&place(1), 3),
    ];
    for message in messages {
        let msg = Msg::from(message.clone());
        let error = failed.group.sender().post(msg).unwrap_err();
        let (kind, back) = error.into_parts();
        assert_eq!(kind, PostErrorKind::ProcessingFailed, "{message:?}");
        assert_eq!(*back, message, "changed by the refusal");
    }
    let message = Msg::from(request(9, 10).on(failed.channel));
    let sender = failed.group.sender();
    let error = sender.post_timeout(message, Duration::MAX).unwrap_err();
    assert_eq!(error.kind(), PostErrorKind::ProcessingFailed);
    failed.expect_end();
}

/// Without the repair what had been posted just before the failure was never heard of again.
#[test]
fn what_a_failed_engine_had_not_taken_comes_back() {
    let mut failed = Failed::with(|channel, post| {
        post(request(5, 10).on(channel));
        post(request(6, 20_000).on(channel));
        post(request(7, 10).on(channel));
        post(Message::new(OpCode::ByeSignal).on(channel).id(8));
    });
    // A ByeSignal overtakes what is queued.
    failed.expect_back(8, OpCode::ByeSignal, Report::Returned);
    for (id, len) in [(5, 10), (6, 20_000), (7, 10)] {
        let msg = failed.expect_back(id, OpCode::Request, Report::Returned);
        assert_eq!(msg.body().as_bytes(), vec![b'x'; len]);
        assert_eq!(msg.channel_number(), failed.channel);
    }
    failed.expect_end();
}

/// Without the repair openings came back as if they were messages on a channel, which no program
/// takes for the answer to its HelloRequest or WelcomeRequest.
#[test]
fn openings_that_a_failed_engine_had_not_taken_come_back_as_failed() {
    let mut failed = Failed::with(|_, post| {
        post(hello_to(&place(1), 3).id(5));
        let mut welcome = Message::default();
        let address = Address::listen_on(place(2));
        address.format(&mut welcome).unwrap();
        post(welcome.id(6));
    });
    failed.expect_back(5, OpCode::HelloResponse, Report::ConnectFailed);
    failed.expect_back(6, OpCode::WelcomeResponse, Report::ListenFailed);
    failed.expect_end();
}

/// Without the repair a destruction that waited for its channels when the engine failed was reported
/// as complete, although what the engine had taken and not sent was gone with it.
#[test]
fn a_destruction_under_way_when_the_engine_fails_is_not_complete() {
    let mut engine = Driven::new(Options::default());
    let mut group = engine.listening(1);
    let (channel, peer) = engine.accepted(&mut group, 1);
    peer.block();
    let message = request(5, 10).on(channel);
    group.sender().post(Msg::from(message)).unwrap();
    engine.settle();
    let mut destruction = group.begin_destroy(Duration::MAX);
    engine.settle();
    assert!(destruction.poll().is_none(), "it waits for the peer");
    drop(engine);
    let report = destruction.poll().expect("the engine has ended");
    assert!(!report.complete, "{report:?}");
}

/// The same where the destruction was asked for afterwards.
#[test]
fn a_destruction_after_the_engine_has_failed_is_not_complete() {
    let failed = Failed::with(|channel, post| post(request(5, 10).on(channel)));
    let report = failed.group.destroy(Duration::MAX);
    assert!(!report.complete, "{report:?}");
    let unsent: Vec<_> = report.unsent.iter().map(|msg| msg.message_id()).collect();
    assert_eq!(unsent, [MessageId::new(5)]);
}
