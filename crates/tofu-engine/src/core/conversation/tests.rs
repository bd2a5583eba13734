//! The ingress table, every cell, and the ways through a Bye.

mod transitions;

use super::*;
use tofu_msg::{ChannelNumber, MessageId, Status};

fn header(op_code: OpCode) -> BinaryHeader {
    BinaryHeader {
        channel_number: ChannelNumber::new(9),
        op_code,
        engine_origin: false,
        more: false,
        status: Status::SUCCESS,
        message_id: MessageId::new(1),
        text_headers_len: 0,
        body_len: 0,
    }
}

/// The columns of the table: a conversation in each of the situations it tells apart.
fn situations() -> [(&'static str, Conversation); 8] {
    let greeting = Conversation::acceptor();
    let mut acceptor = greeting.clone();
    acceptor.delivered(OpCode::HelloRequest);
    let mut unanswered = Conversation::initiator();
    unanswered.sent(OpCode::HelloRequest);
    let mut initiator = unanswered.clone();
    initiator.delivered(OpCode::HelloResponse);
    let after = |base: &Conversation, sent: &[OpCode], came: &[OpCode]| {
        let mut conversation = base.clone();
        for &op_code in sent {
            conversation.sent(op_code);
        }
        for &op_code in came {
            conversation.delivered(op_code);
        }
        conversation
    };
    let own_bye = after(&initiator, &[OpCode::ByeRequest], &[]);
    let own_bye_unanswered = after(&unanswered, &[OpCode::ByeRequest], &[]);
    let peer_bye = after(&initiator, &[], &[OpCode::ByeRequest]);
    let crossed = after(&initiator, &[OpCode::ByeRequest], &[OpCode::ByeRequest]);
    [
        ("greeting", greeting),
        ("acceptor", acceptor),
        ("unanswered", unanswered),
        ("initiator", initiator),
        ("own bye", own_bye),
        ("own bye, unanswered", own_bye_unanswered),
        ("the peer's bye", peer_bye),
        ("crossed", crossed),
    ]
}

/// Rows: op codes; a letter per situation. D deliver, O open, B bye, C confirmed, L deliver and
/// close, X close, V violation.
const TABLE: [(OpCode, &str); 10] = [
    (OpCode::Request, "VDDDDDVV"),
    (OpCode::Response, "VDDDDDVV"),
    (OpCode::Signal, "VDDDDDVV"),
    (OpCode::HelloRequest, "OVVVVVVV"),
    (OpCode::HelloResponse, "VVDVVDVV"),
    (OpCode::ByeRequest, "VBBBBBVV"),
    (OpCode::ByeResponse, "VLLLCCLC"),
    (OpCode::ByeSignal, "VXXXXXXX"),
    (OpCode::WelcomeRequest, "VVVVVVVV"),
    (OpCode::WelcomeResponse, "VVVVVVVV"),
];

fn letter(verdict: Verdict) -> char {
    match verdict {
        Verdict::Deliver => 'D',
        Verdict::DeliverAndOpen => 'O',
        Verdict::DeliverBye => 'B',
        Verdict::DeliverConfirmed => 'C',
        Verdict::DeliverAndClose => 'L',
        Verdict::Close => 'X',
        Verdict::Violation(_) => 'V',
    }
}

#[test]
fn every_cell_of_the_ingress_table() {
    for (op_code, row) in TABLE {
        for ((name, conversation), expected) in situations().iter().zip(row.chars()) {
            let verdict = letter(conversation.judge(Flags::from(&header(op_code))));
            assert_eq!(verdict, expected, "{op_code} in the situation `{name}`");
        }
    }
}

#[test]
fn the_origin_bit_and_a_misplaced_more_are_violations_everywhere() {
    for (name, conversation) in situations() {
        for op_code in OpCode::ALL {
            let forged = BinaryHeader {
                engine_origin: true,
                ..header(op_code)
            };
            assert_eq!(
                letter(conversation.judge(Flags::from(&forged))),
                'V',
                "{op_code} in `{name}`"
            );
            let more = BinaryHeader {
                more: true,
                ..header(op_code)
            };
            let expected = match op_code.op_type() {
                OpType::Regular => letter(conversation.judge(Flags::from(&header(op_code)))),
                _ => 'V',
            };
            assert_eq!(
                letter(conversation.judge(Flags::from(&more))),
                expected,
                "{op_code} in `{name}`"
            );
        }
    }
}

fn open() -> Conversation {
    let mut conversation = Conversation::initiator();
    assert_eq!(conversation.sent(OpCode::HelloRequest), Sent::Hello);
    conversation
}

#[test]
fn our_bye_is_confirmed_by_the_answer() {
    let mut ours = open();
    assert_eq!(ours.sent(OpCode::ByeRequest), Sent::Bye);
    ours.delivered(OpCode::ByeResponse);
    assert!(ours.is_confirmed() && ours.is_finished());
}

#[test]
fn the_answer_to_the_peers_bye_drains() {
    let mut theirs = open();
    theirs.delivered(OpCode::ByeRequest);
    assert_eq!(theirs.sent(OpCode::ByeResponse), Sent::Drain);
    assert_eq!(theirs.state(), State::Draining);
    assert!(!theirs.is_confirmed());
}

#[test]
fn crossed_byes_end_only_when_both_answers_have_passed() {
    let mut answer_first = open();
    answer_first.sent(OpCode::ByeRequest);
    answer_first.delivered(OpCode::ByeRequest);
    assert_eq!(answer_first.sent(OpCode::ByeResponse), Sent::Nothing);
    assert!(!answer_first.is_finished());
    answer_first.delivered(OpCode::ByeResponse);
    assert!(answer_first.is_finished());

    let mut answered_first = open();
    answered_first.delivered(OpCode::ByeRequest);
    answered_first.sent(OpCode::ByeRequest);
    answered_first.delivered(OpCode::ByeResponse);
    assert!(
        !answered_first.is_finished(),
        "our answer still has to reach the peer"
    );
    assert_eq!(
        letter(answered_first.judge(Flags::from(&header(OpCode::ByeResponse)))),
        'V',
        "a second one"
    );
    assert_eq!(answered_first.sent(OpCode::ByeResponse), Sent::Confirmed);
}

#[test]
fn flags_are_read_as_the_whole_header_is() {
    for byte in 0..=u8::MAX {
        let mut bytes = [0x5a; tofu_msg::HEADER_LEN];
        bytes[2] = byte;
        let whole = BinaryHeader::decode(&bytes);
        let read = Flags::read(RawHeader::new(bytes));
        match (&whole, &read) {
            (Ok(header), Ok(flags)) => assert_eq!(Flags::from(header), *flags, "{byte:#x}"),
            _ => assert_eq!(
                whole.err().map(|error| error.to_string()),
                read.err().map(|error| error.to_string()),
                "{byte:#x}"
            ),
        }
    }
}

#[test]
fn a_frame_that_need_not_be_told_by_itself_moves_nothing() {
    for (name, conversation) in situations() {
        for (op_code, _) in TABLE {
            let mut after = conversation.clone();
            let sent = after.sent(op_code);
            let moved = sent != Sent::Nothing || after != conversation;
            assert!(!moved || moves_when_sent(op_code), "{name}: {op_code}");
        }
    }
}
