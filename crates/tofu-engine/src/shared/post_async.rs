//! Posting from a task: what waits for room in the send queue without holding its thread.
//!
//! Called through `GroupSender`. The wait is that of `post_timeout`: the outbox notes that somebody
//! waits, and the core tells the group when there is room, or never will be.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tofu_msg::{BinaryHeader, ChannelNumber};

use crate::error::{PostError, PostErrorKind};
use crate::group::GroupSender;
use crate::msg::Msg;
use crate::shared::Shared;
use crate::shared::group::GroupShared;
use crate::shared::line::Place;
use crate::shared::outbox::{Outbox, Reservation, WhenFull};

/// A post that waits for room in the channel's send queue: `post_async`.
///
/// Dropping it before it is ready gives its place up; the message is then not posted, and goes back to
/// its pool.
#[derive(Debug)]
#[must_use = "nothing is posted before it is awaited"]
pub struct PostAsync<'a> {
    sender: &'a GroupSender,
    /// `None` once it is ready.
    message: Option<Msg>,
    place: Option<Place>,
}

/// A wait for room in a channel's send queue: `reserve`.
///
/// Dropping it before it is ready gives its place up and leaves nothing behind.
#[derive(Debug)]
#[must_use = "nothing is reserved before it is awaited"]
pub struct Reserve<'a> {
    sender: &'a GroupSender,
    channel: ChannelNumber,
    frame_len: usize,
    place: Option<Place>,
}

/// Room in a channel's send queue for one message; given back when dropped.
///
/// It counts as a queued message, in the limits and in the statistics. It does not keep the channel:
/// where that closes, posting says so.
#[derive(Debug)]
#[must_use = "the room is given back when the permit is dropped"]
pub struct Permit<'a> {
    sender: &'a GroupSender,
    channel: ChannelNumber,
    room: Reservation,
}

impl<'a> PostAsync<'a> {
    pub(crate) fn new(sender: &'a GroupSender, message: Msg) -> PostAsync<'a> {
        PostAsync {
            sender,
            message: Some(message),
            place: None,
        }
    }

    /// Gives up and takes the message back; `None` once the future was ready.
    #[must_use]
    pub fn into_message(self) -> Option<Msg> {
        self.message
    }
}

impl Future for PostAsync<'_> {
    type Output = Result<BinaryHeader, PostError>;

    /// Once ready, it stays pending.
    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let PostAsync {
            sender,
            message,
            place,
        } = self.get_mut();
        let Some(channel) = message.as_ref().map(|message| message.channel_number()) else {
            return Poll::Pending;
        };
        poll_room(sender, channel, place, context, || {
            let posting = message.take()?;
            match sender
                .shared
                .try_post(&sender.group, posting, WhenFull::Wait)
            {
                Err(error) if error.kind() == PostErrorKind::QueueFull => {
                    *message = Some(error.into_message());
                    None
                }
                Err(error) => {
                    sender.shared.count_refusal(&error);
                    Some(Err(error))
                }
                posted => Some(posted),
            }
        })
    }
}

impl<'a> Reserve<'a> {
    pub(crate) fn new(
        sender: &'a GroupSender,
        channel: ChannelNumber,
        frame_len: usize,
    ) -> Reserve<'a> {
        Reserve {
            sender,
            channel,
            frame_len: frame_len.min(tofu_msg::MAX_FRAME_LEN),
            place: None,
        }
    }
}

impl<'a> Future for Reserve<'a> {
    type Output = Result<Permit<'a>, PostErrorKind>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.get_mut();
        let (sender, channel, frame_len) = (this.sender, this.channel, this.frame_len);
        poll_room(sender, channel, &mut this.place, context, || {
            match sender.shared.reserve(&sender.group, channel, frame_len) {
                Err(PostErrorKind::QueueFull) => None,
                done => Some(done.map(|room| Permit {
                    sender,
                    channel,
                    room,
                })),
            }
        })
    }
}

impl Permit<'_> {
    /// Posts on the permit's channel. A message that is not longer than what was reserved is not
    /// refused for want of room; a longer one may be.
    ///
    /// # Errors
    /// The very same message, unchanged, and why it was not taken; `NotAllowed` where it is for another
    /// channel.
    pub fn post(self, message: Msg) -> Result<BinaryHeader, PostError> {
        let GroupSender { shared, group } = self.sender;
        if message.channel_number() != self.channel {
            let why = "the room was reserved on another channel";
            return Err(PostError::new(PostErrorKind::NotAllowed(why), message));
        }
        shared
            .try_post(group, message, WhenFull::Reserved(self.room))
            .inspect_err(|error| shared.count_refusal(error))
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.sender.shared.give_room_back(self.channel, self.room);
    }
}

impl Shared {
    /// Sets room aside in a channel's send queue.
    fn reserve(
        &self,
        group: &GroupShared,
        number: ChannelNumber,
        frame_len: usize,
    ) -> Result<Reservation, PostErrorKind> {
        let Some(slot) = self.registry.slot(number) else {
            return Err(self.refine(PostErrorKind::InvalidChannelNumber));
        };
        let mut outbox = slot.lock();
        let limits = (&self.options, &self.send_budget);
        let reserved = outbox.reserve(number, frame_len, group.id, limits);
        drop(outbox);
        if reserved == Err(PostErrorKind::QueueFull) {
            // If the budget has got room meanwhile, a sleeping loop would not notice.
            self.worklist.wake_if_asleep();
        }
        reserved.map_err(|kind| self.refine(kind))
    }

    /// Gives back room that was set aside. Whoever waits for it is told by the event loop.
    fn give_room_back(&self, number: ChannelNumber, room: Reservation) {
        let budget = &self.send_budget;
        let give_back = |outbox: &mut Outbox| outbox.give_room_back(room, budget);
        let Some(Some(wanted)) = self.registry.with(number, give_back) else {
            return;
        };
        if wanted {
            self.send_budget.refuse(number);
        }
        if self.send_budget.has_refused() {
            self.worklist.add(|work| work.send_room = true);
        }
    }
}

/// Attempts until there was room or the task stands in the line.
fn poll_room<T>(
    sender: &GroupSender,
    channel: ChannelNumber,
    place: &mut Option<Place>,
    context: &mut Context<'_>,
    mut attempt: impl FnMut() -> Option<T>,
) -> Poll<T> {
    // What room was made before the first refusal is of no interest.
    let mut seen = None;
    loop {
        if let Some(done) = attempt() {
            *place = None;
            return Poll::Ready(done);
        }
        let group = &sender.group;
        if let Some(seen) = seen.replace(group.room_epoch()) {
            if Place::wait(place, group, channel, seen, context.waker()) {
                return Poll::Pending;
            }
        }
    }
}
