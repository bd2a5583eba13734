//! Every state and every event, walked through from both beginnings and compared with
//! `transitions.txt`, from which the guide's picture of the states is drawn.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::*;

/// What is written down, behind its lines of comment.
const WRITTEN: &str = include_str!("../transitions.txt");

/// The op codes that the conversation treats alike have one name; HelloResponse, which changes no
/// state, is left to the ingress table.
const EVENTS: [(&str, &[OpCode]); 6] = [
    ("HelloRequest", &[OpCode::HelloRequest]),
    ("data", &[OpCode::Request, OpCode::Response, OpCode::Signal]),
    ("ByeRequest", &[OpCode::ByeRequest]),
    ("ByeResponse", &[OpCode::ByeResponse]),
    ("ByeSignal", &[OpCode::ByeSignal]),
    (
        "Welcome",
        &[OpCode::WelcomeRequest, OpCode::WelcomeResponse],
    ),
];

/// A conversation goes on or has ended.
type Next = Result<Conversation, &'static str>;

fn name(conversation: &Conversation) -> String {
    let mut name = format!("{:?}", conversation.state);
    if conversation.state == State::ByeCrossed {
        name += if conversation.response_sent {
            ", answered"
        } else {
            ""
        };
        name += if conversation.confirmed {
            ", confirmed"
        } else {
            ""
        };
    }
    name
}

fn describe(next: &Next) -> String {
    next.as_ref().map_or_else(|&end| end.to_owned(), name)
}

/// What our side may say, as the outbox has it, seen from the conversation alone.
fn may_send(conversation: &Conversation, op_code: OpCode) -> bool {
    let (state, answered) = (conversation.state, conversation.response_sent);
    match op_code {
        OpCode::HelloRequest => state == State::Connecting,
        OpCode::Request | OpCode::Response | OpCode::Signal | OpCode::ByeRequest => {
            matches!(state, State::Open | State::ByeReceived)
        }
        OpCode::ByeResponse => match state {
            State::ByeCrossed => !answered,
            _ => state == State::ByeReceived,
        },
        _ => false,
    }
}

/// A peer says nothing before it has a HelloRequest, and what comes while a channel drains is thrown
/// away unread.
fn may_come(conversation: &Conversation) -> bool {
    !matches!(conversation.state, State::Connecting | State::Draining)
}

fn after_sending(conversation: &Conversation, op_code: OpCode) -> Next {
    let mut next = conversation.clone();
    match next.sent(op_code) {
        Sent::Confirmed => Err("closed, confirmed"),
        _ => Ok(next),
    }
}

fn after_receiving(conversation: &Conversation, op_code: OpCode) -> Next {
    let mut next = conversation.clone();
    match next.judge(Flags::from(&header(op_code))) {
        Verdict::Violation(_) => return Err("closed, a violation"),
        Verdict::Close | Verdict::DeliverAndClose => return Err("closed, as if the peer had"),
        _ => next.delivered(op_code),
    }
    match next.is_finished() {
        true => Err("closed, confirmed"),
        false => Ok(next),
    }
}

/// What follows, for all op codes of an event alike.
fn common(op_codes: &[OpCode], step: impl Fn(OpCode) -> Next) -> Next {
    let next = step(op_codes[0]);
    for &other in op_codes {
        assert_eq!(describe(&step(other)), describe(&next), "{other}");
    }
    next
}

fn steps(from: &Conversation) -> Vec<(String, Next)> {
    let mut steps = Vec::new();
    for (event, op_codes) in EVENTS {
        if may_send(from, op_codes[0]) {
            let next = common(op_codes, |op_code| after_sending(from, op_code));
            steps.push((format!("{event} sent"), next));
        }
        if may_come(from) {
            let next = common(op_codes, |op_code| after_receiving(from, op_code));
            steps.push((format!("{event} came"), next));
        }
    }
    steps
}

fn walk() -> String {
    let mut table = String::new();
    let mut known = BTreeSet::new();
    let mut ahead = vec![Conversation::acceptor(), Conversation::initiator()];
    while let Some(conversation) = ahead.pop() {
        let from = name(&conversation);
        if !known.insert(from.clone()) {
            continue;
        }
        for (event, next) in steps(&conversation) {
            writeln!(table, "{from} | {event} | {}", describe(&next)).unwrap();
            ahead.extend(next);
        }
    }
    table
}

#[test]
fn every_state_and_event_is_as_written_down() {
    let comment = |line: &&str| !line.starts_with('#');
    let written: Vec<&str> = WRITTEN.lines().filter(comment).collect();
    let walked = walk();
    assert!(
        walked.lines().eq(written),
        "transitions.txt should say:\n{walked}"
    );
}
