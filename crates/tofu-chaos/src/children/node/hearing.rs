//! What a node hears on one channel, and whether it adds up when the last word has come.
//!
//! Used by the receiving thread alone. An error here is a finding: it ends the node.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use tofu::chnls::CloseInfo;
use tofu::prelude::*;

use super::plant::{Plant, Planted};
use super::talk::{ANSWERS, Talk};
use crate::kit::books::TakenBook;
use crate::kit::ledger::read_stamp;

/// Causes that no fault of the soak brings about: its pauses are shorter than these timeouts, and
/// its nodes keep to the protocol.
const UNHEARD_OF: [Status; 8] = [
    Status::PROTOCOL_VIOLATION,
    Status::FRAME_TIMEOUT,
    Status::WRITE_STALL_TIMEOUT,
    Status::BYE_TIMEOUT,
    Status::IDLE_TIMEOUT,
    Status::PROCESSING_FAILED,
    Status::ALLOCATION_FAILED,
    Status::UNKNOWN_ERROR,
];

/// The ear of a channel.
#[derive(Debug)]
pub(super) struct Hearing {
    pub(super) talk: Arc<Talk>,
    /// The one stream that the peer sends here.
    incoming: Option<u32>,
    /// Messages from the peer, of whatever kind.
    taken: u64,
    /// The stream's messages that came back, the first and the last.
    returned: Option<(u64, u64)>,
    /// Greetings and farewells that came back.
    returned_further: u64,
    /// The last of our numbers that the peer's application has answered.
    answered: u64,
}

impl Hearing {
    pub(super) fn new(talk: Arc<Talk>) -> Hearing {
        Hearing {
            talk,
            incoming: None,
            taken: 0,
            returned: None,
            returned_further: 0,
            answered: 0,
        }
    }

    /// A greeting or a farewell from the peer.
    pub(super) fn count(&mut self) {
        self.taken += 1;
    }

    /// A stamped message from the peer; its number.
    pub(super) fn take(
        &mut self,
        message: &mut Message,
        book: &mut TakenBook,
        plant: &mut Planted,
    ) -> Result<u64> {
        self.taken += 1;
        plant.alter(message);
        let (stream, number) = read_stamp(message)?;
        let incoming = *self.incoming.get_or_insert(stream);
        ensure!(
            incoming == stream,
            "{stream}/{number} came on channel {}, which carries {incoming}",
            self.talk.channel
        );
        if plant.strikes_at(Plant::Lost, number) {
            return Ok(number);
        }
        book.take(stream, number)?;
        if plant.strikes_at(Plant::Doubled, number) {
            book.take(stream, number)?;
        }
        if message.op_code() == OpCode::Response {
            self.take_answer(message)?;
        }
        Ok(number)
    }

    /// The peer's application has taken one of our requests. It answers them in their order.
    fn take_answer(&mut self, message: &Message) -> Result<()> {
        let text = message.text_headers().get_str(ANSWERS);
        let number: u64 = text.context("an answer to nothing")??.parse()?;
        ensure!(
            self.answered < number && number <= self.talk.accepted(),
            "an answer to {}/{number} behind that to {}",
            self.talk.stream,
            self.answered
        );
        self.answered = number;
        Ok(())
    }

    /// A message that came back.
    pub(super) fn take_back(&mut self, message: &Message, plant: &Planted) -> Result<()> {
        match message.op_code() {
            OpCode::ByeSignal => {}
            OpCode::Request | OpCode::Response | OpCode::Signal => {
                let (stream, number) = read_stamp(message)?;
                let mine = self.talk.stream;
                ensure!(stream == mine, "{stream}/{number} came back to {mine}");
                let (_, last) = self.returned.get_or_insert((number, number - 1));
                ensure!(
                    number == *last + 1,
                    "{stream}/{number} came back behind {stream}/{last}"
                );
                *last = number;
                if plant.is(Plant::Forgotten) {
                    self.returned = None;
                }
            }
            _ => self.returned_further += 1,
        }
        Ok(())
    }

    /// The last word has come: checks what this side can, and puts the rest into a line for the
    /// reconciliation. Nothing for a stranger's channel.
    pub(super) fn close(self, info: &CloseInfo, book: &mut TakenBook) -> Result<Option<String>> {
        let said = self.talk.close();
        if let Some(stream) = self.incoming {
            book.close(stream);
        }
        if self.talk.is_stranger {
            return Ok(None);
        }
        let (first, last) = self.returned.unwrap_or((said.accepted + 1, said.accepted));
        let back = last + 1 - first + self.returned_further;
        let stream = self.talk.stream;
        ensure!(
            info.messages_sent + back == said.accepted + said.further,
            "stream {stream}: {said:?}, {back} came back, but {info:?}"
        );
        ensure!(
            info.messages_received == self.taken,
            "stream {stream}: {} were received, but {info:?}",
            self.taken
        );
        let cause = info.cause.status();
        ensure!(!UNHEARD_OF.contains(&cause), "stream {stream}: {info:?}");
        Ok(Some(format!(
            "closed {stream} {} {first} {last} {} {} {cause}",
            said.accepted, self.answered, info.confirmed
        )))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::talk::Spoken;
    use super::*;
    use crate::kit::books::PostedBook;
    use crate::kit::side::{Side, Transport, connected_pair};
    use tofu_testkit::TempUdsPath;

    /// Posts until nothing is taken any more: the peer does not receive.
    fn fill(here: &mut Side, talk: &Talk, book: &PostedBook) {
        loop {
            let message = here.engine.message().unwrap();
            let spoken = talk.speak(&here.group.poster(), book, message, 60_000, None);
            match spoken.unwrap() {
                Spoken::Accepted => {}
                Spoken::Full if here.group.wait_receive(PATIENCE).unwrap().is_none() => return,
                Spoken::Full => {}
                Spoken::Over => panic!("the channel has ended"),
            }
        }
    }

    /// How long a queue stays full before it counts as stuck.
    const PATIENCE: Duration = Duration::from_millis(200);

    /// A connection that ends while much is queued: what the end says, and the node's verdict on it.
    fn ends_with_a_full_queue(plant: Option<Plant>) -> Result<Option<String>> {
        let folder = TempUdsPath::new()?;
        let folder = folder.parent().context("a path without folder")?;
        let posted = PostedBook::create(folder, 1)?;
        let mut taken = TakenBook::create(folder, 1)?;
        let pair = connected_pair(Transport::Uds, Options::default());
        let (mut here, channel, _there, _, _listening) = pair?;
        let talk = Arc::new(Talk::new(channel, posted.stream()?, true));
        talk.count_hello();
        talk.open();
        let mut hearing = Hearing::new(Arc::clone(&talk));
        hearing.count(); // the answer to the Hello
        fill(&mut here, &talk, &posted);
        let bye = here.message(OpCode::ByeSignal, channel)?;
        assert_eq!(talk.say(&here.group.poster(), bye)?, Spoken::Accepted);
        loop {
            match Incoming::from(here.next()?) {
                Incoming::Engine(Notice::Returned, message) => {
                    hearing.take_back(&message, &Planted::new(plant))?;
                }
                Incoming::Engine(Notice::ChannelClosed(info), _) => {
                    assert!(info.messages_sent < talk.accepted(), "nothing came back");
                    return hearing.close(&info, &mut taken);
                }
                // On a slow machine there may have been room once more.
                Incoming::Engine(Notice::SendQueueReady, _) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    #[test]
    fn a_returned_message_that_goes_unnoticed_is_found() {
        let line = ends_with_a_full_queue(None).unwrap();
        assert!(line.unwrap().starts_with("closed "));
        let complaint = ends_with_a_full_queue(Some(Plant::Forgotten)).unwrap_err();
        assert!(
            complaint.to_string().contains(" 0 came back"),
            "{complaint}"
        );
    }
}
