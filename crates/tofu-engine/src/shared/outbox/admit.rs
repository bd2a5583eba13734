//! What may be posted to a channel now: the checks that depend on it, and its part of the engine's
//! send budget.
//!
//! Called under the slot's lock, by posting threads and, where bytes leave, by the core.

use tofu_msg::{BinaryHeader, ChannelNumber, OpCode};

use super::{Outbox, Phase, Role, WhenFull, opens_channel};
use crate::error::PostErrorKind;
use crate::options::Options;
use crate::shared::group::GroupId;
use crate::shared::send_budget::SendBudget;

impl Outbox {
    /// Whether a message of this header may be posted by `group` now: the checks that depend on the
    /// channel, in their order.
    pub(crate) fn admit(
        &mut self,
        header: &BinaryHeader,
        group: GroupId,
        limits: (&Options, &SendBudget),
        when_full: WhenFull,
    ) -> Result<(), PostErrorKind> {
        let frame = (header.channel_number, header.op_code, header.frame_len());
        self.admit_frame(frame, group, limits, when_full)
    }

    pub(super) fn admit_frame(
        &mut self,
        (number, op_code, frame_len): (ChannelNumber, OpCode, usize),
        group: GroupId,
        limits: (&Options, &SendBudget),
        when_full: WhenFull,
    ) -> Result<(), PostErrorKind> {
        if self.phase == Phase::Vacant {
            return Err(PostErrorKind::InvalidChannelNumber);
        }
        // Before the group: the number may have another one by now.
        let has_room = self.has_reserved(frame_len, when_full)?;
        if self.group != Some(group) {
            return Err(PostErrorKind::InvalidChannelGroup);
        }
        self.judge_op_code(op_code)
            .map_err(PostErrorKind::NotAllowed)?;
        if self.phase != Phase::Open {
            return Err(PostErrorKind::ChannelClosed);
        }
        if has_room {
            return Ok(());
        }
        if op_code != OpCode::ByeSignal && self.is_full(frame_len, limits) {
            let noted = self.refused || self.waited_for;
            match when_full {
                WhenFull::Refuse | WhenFull::Reserved(_) => self.refused = true,
                WhenFull::Wait => self.waited_for = true,
            }
            if !noted {
                limits.1.refuse(number);
            }
            return Err(PostErrorKind::QueueFull);
        }
        Ok(())
    }

    /// Whether the conversation, as it stands, lets this side say `op_code`; if not, the first reason
    /// against it.
    fn judge_op_code(&self, op_code: OpCode) -> Result<(), &'static str> {
        if opens_channel(op_code) {
            return Err("the channel exists already; a new one is opened on channel 0");
        }
        if op_code == OpCode::ByeSignal {
            return Ok(());
        }
        if self.role == Role::Listener {
            return Err("a listener takes only a ByeSignal");
        }
        if op_code == OpCode::WelcomeResponse {
            return Err("a WelcomeResponse comes from the engine only");
        }
        if op_code == OpCode::HelloResponse {
            if self.role != Role::Acceptor {
                return Err("only the side that received the HelloRequest answers it");
            }
            if self.hello_response_posted {
                return Err("the HelloRequest has been answered already");
            }
        }
        if self.bye_response_posted {
            return Err("after a ByeResponse only a ByeSignal may follow");
        }
        if op_code == OpCode::ByeResponse {
            return match self.peer_said_bye {
                true => Ok(()),
                false => Err("the peer has sent no ByeRequest to answer"),
            };
        }
        if self.bye_request_posted {
            return Err("after a ByeRequest only a ByeResponse or a ByeSignal may follow");
        }
        Ok(())
    }

    /// Draws for a frame of small data, if `group` may post it and there is room: then it needs no further
    /// look at the channel.
    #[inline]
    pub(crate) fn draw_plain(
        &mut self,
        frame_len: usize,
        group: GroupId,
        (options, budget): (&Options, &SendBudget),
    ) -> bool {
        if !self.takes_data || self.group != Some(group) {
            return false;
        }
        let queued_bytes = self.queued_bytes + frame_len;
        let left = self.drawn_ahead.checked_sub(frame_len);
        match left {
            // Nearly always: enough has been drawn ahead.
            Some(left)
                if self.queued_messages < options.send_queue_messages
                    && queued_bytes <= options.send_queue_bytes =>
            {
                self.queued_messages += 1;
                (self.queued_bytes, self.drawn_ahead) = (queued_bytes, left);
                true
            }
            _ => self.draw_unless_full(frame_len, (options, budget)),
        }
    }

    #[cold]
    fn draw_unless_full(&mut self, frame_len: usize, limits: (&Options, &SendBudget)) -> bool {
        let has_room = !self.is_full(frame_len, limits);
        if has_room {
            self.draw(frame_len, limits.1);
        }
        has_room
    }

    fn is_full(&self, frame_len: usize, (options, budget): (&Options, &SendBudget)) -> bool {
        self.queued_messages > 0
            && (self.queued_messages >= options.send_queue_messages
                || self.queued_bytes + frame_len > options.send_queue_bytes
                || (self.drawn_ahead < frame_len && budget.is_full(frame_len - self.drawn_ahead)))
    }

    /// One message more is queued.
    pub(super) fn draw(&mut self, frame_len: usize, budget: &SendBudget) {
        self.queued_messages += 1;
        self.queued_bytes += frame_len;
        self.drawn_ahead = match self.drawn_ahead.checked_sub(frame_len) {
            Some(left) => left,
            None => budget.draw(frame_len - self.drawn_ahead, self.queued_bytes),
        };
    }

    /// Whether it holds more of the budget than it may.
    pub(crate) fn draws_too_far_ahead(&self, budget: &SendBudget) -> bool {
        self.drawn_ahead > budget.ahead(self.queued_bytes)
    }

    /// So many bytes are queued no longer: they go back to the budget, with most of what was drawn
    /// ahead.
    pub(super) fn give_back_to(&mut self, budget: &SendBudget, settled: usize) {
        let drawn = self.drawn_ahead + settled;
        self.drawn_ahead = drawn.min(budget.ahead(self.queued_bytes));
        if drawn > self.drawn_ahead {
            budget.release(drawn - self.drawn_ahead);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tofu_msg::Message;

    #[test]
    fn an_empty_queue_has_room_whatever_others_have_queued() {
        let options = Options::default().send_budget(100);
        let budget = SendBudget::new(&options);
        let limits = (&options, &budget);
        let outbox = || {
            let mut outbox = Outbox::default();
            outbox.open(Role::Initiator, GroupId(1), None);
            outbox
        };
        let (mut stuck, mut waiting) = (outbox(), outbox());
        stuck.draw(200, &budget);
        waiting.draw(10, &budget);
        let frame = (ChannelNumber::new(2), OpCode::Signal, 10);
        let refused = waiting.admit_frame(frame, GroupId(1), limits, WhenFull::Wait);
        assert_eq!(refused, Err(PostErrorKind::QueueFull));
        let room = waiting.settle(1, 10, limits);
        let admitted = waiting.admit_frame(frame, GroupId(1), limits, WhenFull::Wait);
        assert_eq!(admitted, Ok(()));
        assert!(
            room.waiters,
            "it would be admitted, yet is not told: {room:?}"
        );
    }

    #[test]
    fn room_of_an_earlier_life_is_gone_whoever_has_the_number_now() {
        let options = Options::default();
        let budget = SendBudget::new(&options);
        let limits = (&options, &budget);
        let mut outbox = Outbox::default();
        let number = ChannelNumber::new(2);
        outbox.open(Role::Initiator, GroupId(1), None);
        let room = outbox.reserve(number, 10, GroupId(1), limits).unwrap();
        let (_, drawn) = outbox.close();
        budget.release(drawn);
        outbox.open(Role::Initiator, GroupId(2), None);
        let when_full = WhenFull::Reserved(room);
        let frame = (number, OpCode::Signal, 10);
        let posted = outbox.admit_frame(frame, GroupId(1), limits, when_full);
        assert_eq!(posted, Err(PostErrorKind::ChannelClosed));
        assert_eq!(outbox.give_room_back(room, &budget), None);
        assert_eq!((outbox.drawn(), budget.queued()), (0, 0));
    }

    #[test]
    fn what_is_drawn_ahead_stays_within_its_bound_whatever_is_posted_and_settled() {
        let options = Options::default();
        let budget = SendBudget::new(&options);
        let mut outbox = Outbox::default();
        outbox.open(Role::Initiator, GroupId(1), None);
        let lengths = [17_000, 16, 131_086, 20_000, 64, 40_000, 17_000, 17_000];
        let mut queued = Vec::new();
        let check = |outbox: &Outbox| {
            assert_eq!(budget.queued(), outbox.drawn());
            assert!(!outbox.draws_too_far_ahead(&budget), "{outbox:?}");
        };
        for round in 0..200 {
            let len = lengths[round % lengths.len()];
            outbox.draw(len, &budget);
            queued.push(len);
            check(&outbox);
            if round % 5 == 4 {
                let bytes = queued.drain(..4).sum();
                let _room = outbox.settle(4, bytes, (&options, &budget));
                check(&outbox);
            }
        }
        let (_, drawn) = outbox.close();
        budget.release(drawn);
        assert_eq!(budget.queued(), 0);
    }

    /// What a post of data finds at once must be what a look at everything finds.
    fn check_takes_data(outbox: &Outbox, when: &str) {
        let judged = [OpCode::Request, OpCode::Response, OpCode::Signal]
            .map(|op_code| outbox.phase == Phase::Open && outbox.judge_op_code(op_code).is_ok());
        assert_eq!(judged, [outbox.takes_data; 3], "{when}: {outbox:?}");
    }

    #[test]
    fn whether_data_may_be_posted_is_known_whatever_happens() {
        let options = Options::default();
        let budget = SendBudget::new(&options);
        let post = |outbox: &mut Outbox, op_code| {
            let mut message = Message::new(op_code);
            message.set_channel_number(ChannelNumber::new(1));
            let header = message.header();
            outbox.append(&header, message.into(), usize::MAX, &budget, Vec::new);
        };
        check_takes_data(&Outbox::default(), "vacant");
        for role in [Role::Listener, Role::Initiator, Role::Acceptor] {
            let open = || {
                let mut outbox = Outbox::default();
                outbox.open(role, GroupId(1), None);
                outbox
            };
            check_takes_data(&open(), "open");
            for op_code in [OpCode::Signal, OpCode::ByeRequest, OpCode::ByeResponse] {
                let mut outbox = open();
                outbox.peer_said_bye();
                post(&mut outbox, op_code);
                check_takes_data(&outbox, "posted");
            }
            let mut aborted = open();
            aborted.set_abort(Message::new(OpCode::ByeSignal).into());
            check_takes_data(&aborted, "aborted");
            let mut closing = open();
            closing.begin_closing();
            check_takes_data(&closing, "closing");
            closing.close();
            check_takes_data(&closing, "closed");
            closing.open(role, GroupId(2), None);
            check_takes_data(&closing, "in its next life");
        }
    }

    #[test]
    fn many_channels_with_a_little_each_do_not_use_the_budget_up() {
        for limit in [16 << 20, 64 << 20] {
            let options = Options::default().send_budget(limit);
            let budget = SendBudget::new(&options);
            let mut outboxes = Vec::new();
            for _ in 0..64_510 {
                let mut outbox = Outbox::default();
                outbox.open(Role::Initiator, GroupId(1), None);
                assert!(outbox.draw_plain(32, GroupId(1), (&options, &budget)));
                outboxes.push(outbox);
            }
            let queued: usize = outboxes.iter().map(|outbox| outbox.queued_bytes).sum();
            let mut other = Outbox::default();
            other.open(Role::Initiator, GroupId(1), None);
            assert!(other.draw_plain(2000, GroupId(1), (&options, &budget)));
            assert!(
                other.draw_plain(2000, GroupId(1), (&options, &budget)),
                "refused: {queued} of {limit} are queued, {} drawn",
                budget.queued()
            );
        }
    }

    #[test]
    fn the_short_way_draws_what_the_long_one_would() {
        for budget_len in [100, 5000, 16 << 20, 64 << 20, 256 << 20] {
            for bound in [(1, 1), (3, 500), (100, 4000), (1000, 1 << 20)] {
                let options = Options::default()
                    .send_budget(budget_len)
                    .send_queue_messages(bound.0)
                    .send_queue_bytes(bound.1)
                    .normalized();
                let budgets = [SendBudget::new(&options), SendBudget::new(&options)];
                let mut two = [Outbox::default(), Outbox::default()];
                for outbox in &mut two {
                    outbox.open(Role::Initiator, GroupId(1), None);
                }
                let mut queued = std::collections::VecDeque::new();
                let mut seed = 12345_u64;
                for round in 0..3000 {
                    seed = seed
                        .wrapping_mul(6364136223846793005)
                        .wrapping_add(1442695040888963407);
                    let len = 16 + (seed >> 33) as usize % 1500;
                    let short = two[0].draw_plain(len, GroupId(1), (&options, &budgets[0]));
                    let long = !two[1].is_full(len, (&options, &budgets[1]));
                    if long {
                        two[1].draw(len, &budgets[1]);
                        queued.push_back(len);
                    }
                    assert_eq!(short, long, "round {round}");
                    if (seed >> 20) % 3 == 0 || !long {
                        if let Some(len) = queued.pop_front() {
                            for (outbox, budget) in two.iter_mut().zip(&budgets) {
                                let _ = outbox.settle(1, len, (&options, budget));
                            }
                        }
                    }
                    for (outbox, budget) in two.iter().zip(&budgets) {
                        assert_eq!(outbox.drawn(), budget.queued());
                        assert!(!outbox.draws_too_far_ahead(budget));
                        assert!(outbox.queued_messages > 0 || outbox.drawn_ahead == 0);
                    }
                    assert_eq!(two[0].drawn(), two[1].drawn());
                    assert_eq!(two[0].queued_bytes, two[1].queued_bytes);
                }
            }
        }
    }
}
