//! The ways to end a conversation, and what each side knows afterwards.
//!
//! ```text
//! $ cargo run --release --example graceful_close
//! one says Bye: it knows (confirmed), the other knows (success)
//! both say Bye at once: both know (confirmed)
//! ByeSignal: of 260 messages 133 were sent, 127 came back
//! group destroyed with 2 s of grace: complete, 0 of 1000 messages unsent
//! engine shut down with 2 s of grace: complete, 0 of 1000 messages unsent
//! the peers received 1000 and 1000 of them
//! ```
//!
//! Confirmed means more than that the connection was closed: the peer's program has answered the Bye,
//! so it has taken everything that was said before. (How many messages were sent when the ByeSignal
//! overtook the rest depends on the system's buffers.)

use std::thread::{self, JoinHandle};
use std::time::Duration;

use tofu::prelude::*;
use tofu_examples::{
    Outcome, any_port, joined, listen, message_to, next, next_of_peer, unexpected,
};

/// For what is queued to get out.
const GRACE: Duration = Duration::from_secs(2);

const SIGNALS: u64 = 1000;

fn main() -> Outcome {
    let confirmed = one_says_bye()?;
    println!("one says Bye: it knows (confirmed), the other knows ({confirmed})");
    both_say_bye()?;
    println!("both say Bye at once: both know (confirmed)");
    at_once()?;

    let (side, peer) = posting_to_a_counting_peer()?;
    let report = side.group.destroy(GRACE);
    println!(
        "group destroyed with 2 s of grace: {}, {} of {SIGNALS} messages unsent",
        if report.complete {
            "complete"
        } else {
            "cut off"
        },
        report.unsent.len(),
    );
    let received = joined(peer)?;

    let (side, peer) = posting_to_a_counting_peer()?;
    let report = side.engine.shutdown(GRACE);
    println!(
        "engine shut down with 2 s of grace: {}, {} of {SIGNALS} messages unsent",
        if report.complete {
            "complete"
        } else {
            "cut off"
        },
        report.unsent,
    );
    let also_received = joined(peer)?;
    println!("the peers received {received} and {also_received} of them");
    Ok(())
}

/// The usual way. Returns how the other side's channel ended.
fn one_says_bye() -> Outcome<Status> {
    let mut pair = Pair::new()?;
    pair.initiator.post(OpCode::ByeRequest)?;
    pair.acceptor.answer_bye()?;
    // Its ByeResponse comes before the channel's last word.
    next_of_peer(&mut pair.initiator.group)?;
    if !pair.initiator.last_word()?.0 {
        return Err("the Bye was not confirmed".into());
    }
    Ok(pair.acceptor.last_word()?.1)
}

/// Two Byes that cross: each is answered.
fn both_say_bye() -> Outcome {
    let mut pair = Pair::new()?;
    for side in [&pair.initiator, &pair.acceptor] {
        side.post(OpCode::ByeRequest)?;
    }
    for side in [&mut pair.initiator, &mut pair.acceptor] {
        side.answer_bye()?;
    }
    for side in [&mut pair.initiator, &mut pair.acceptor] {
        next_of_peer(&mut side.group)?;
        if !side.last_word()?.0 {
            return Err("a Bye was not confirmed".into());
        }
    }
    Ok(())
}

/// A ByeSignal overtakes what is queued, and what was not sent comes back.
fn at_once() -> Outcome {
    let mut pair = Pair::new()?;
    let mut posted = 0;
    // The other side receives nothing, so at some time there is no more room.
    while pair.initiator.post_large()? {
        posted += 1;
    }
    pair.initiator.post(OpCode::ByeSignal)?;
    let mut returned = 0;
    loop {
        match Incoming::from(next(&mut pair.initiator.group)?) {
            // The ByeSignal itself, when it has done its work.
            Incoming::Engine(_, message) if message.op_code() == OpCode::ByeSignal => {}
            Incoming::Engine(Notice::Returned, _) => returned += 1,
            Incoming::Engine(Notice::SendQueueReady, _) => {}
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                // The HelloRequest was sent, too.
                let sent = info.messages_sent - 1;
                println!("ByeSignal: of {posted} messages {sent} were sent, {returned} came back");
                return match sent + returned == posted {
                    true => Ok(()),
                    false => Err("messages were lost".into()),
                };
            }
            other => return Err(unexpected(&other)),
        }
    }
}

/// A side that has just posted its Signals, and a thread in which its peer counts them.
fn posting_to_a_counting_peer() -> Outcome<(Side, JoinHandle<Outcome<u64>>)> {
    let Pair {
        initiator,
        acceptor,
    } = Pair::new()?;
    for _ in 0..SIGNALS {
        initiator.post(OpCode::Signal)?;
    }
    Ok((initiator, thread::spawn(|| acceptor.count_signals())))
}

/// Two programs in one, connected with each other.
struct Pair {
    initiator: Side,
    acceptor: Side,
}

struct Side {
    engine: Reactor,
    group: ChannelGroup,
    channel: ChannelNumber,
}

impl Pair {
    fn new() -> Outcome<Pair> {
        let [mut initiator, mut acceptor] = [Side::new()?, Side::new()?];
        let endpoint = listen(&acceptor.engine, &mut acceptor.group, any_port())?;
        let mut hello = initiator.engine.message()?;
        Address::connect_to(endpoint).format(&mut hello)?;
        initiator.channel = initiator.group.post(hello)?.channel_number;

        let mut hello = next_of_peer(&mut acceptor.group)?;
        acceptor.channel = hello.channel_number();
        hello.make_reply();
        acceptor.group.post(hello)?;
        next_of_peer(&mut initiator.group)?;
        Ok(Pair {
            initiator,
            acceptor,
        })
    }
}

impl Side {
    fn new() -> Outcome<Side> {
        let engine = Reactor::start(Options::default())?;
        Ok(Side {
            group: engine.create()?,
            channel: ChannelNumber::UNASSIGNED,
            engine,
        })
    }

    fn post(&self, op_code: OpCode) -> Outcome {
        let message = message_to(&self.engine, self.channel, op_code)?;
        self.group.post(message)?;
        Ok(())
    }

    /// Posts a large message. `false` when there is no room for it.
    fn post_large(&self) -> Outcome<bool> {
        let mut message = message_to(&self.engine, self.channel, OpCode::Signal)?;
        message.body_mut().append(&[0; 32 * 1024])?;
        match self.group.post(message) {
            Ok(_) => Ok(true),
            Err(refused) if refused.kind() == PostErrorKind::QueueFull => Ok(false),
            Err(refused) => Err(refused.into()),
        }
    }

    /// Takes the peer's ByeRequest and answers it: by then all before it has been taken.
    fn answer_bye(&mut self) -> Outcome {
        let mut bye = next_of_peer(&mut self.group)?;
        if bye.op_code() != OpCode::ByeRequest {
            return Err(format!("a {} instead of a Bye", bye.op_code()).into());
        }
        bye.make_reply();
        self.group.post(bye)?;
        Ok(())
    }

    /// Takes the channel's last word: whether the end is confirmed, and why it came.
    fn last_word(&mut self) -> Outcome<(bool, Status)> {
        match Incoming::from(next(&mut self.group)?) {
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                Ok((info.confirmed, info.cause.status()))
            }
            other => Err(unexpected(&other)),
        }
    }

    /// Counts what comes until the channel ends. Takes all of the side, for a group does not keep its
    /// engine alive.
    fn count_signals(mut self) -> Outcome<u64> {
        let mut count = 0;
        loop {
            match Incoming::from(next(&mut self.group)?) {
                Incoming::Peer(_) => count += 1,
                Incoming::Engine(Notice::ChannelClosed(_), _) => return Ok(count),
                other => return Err(unexpected(&other)),
            }
        }
    }
}
