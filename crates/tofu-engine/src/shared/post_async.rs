//! Posting from a task: what waits for room in the send queue without holding its thread.
//!
//! Called through `GroupSender`. The wait is that of `post_timeout`: the outbox notes that somebody
//! waits, and the core tells the group when there is room, or never will be.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use tofu_msg::BinaryHeader;

use crate::error::{PostError, PostErrorKind};
use crate::group::GroupSender;
use crate::msg::Msg;
use crate::shared::line::Place;
use crate::shared::outbox::WhenFull;

/// A post that waits for room in the channel's send queue.
///
/// Dropping it before it is ready gives its place up; the message is then not posted, and goes back to
/// its pool.
#[derive(Debug)]
#[must_use = "nothing is posted before it is polled"]
pub struct PostAsync<'a> {
    sender: &'a GroupSender,
    /// `None` once it is ready.
    message: Option<Msg>,
    place: Option<Place>,
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
        let this = self.get_mut();
        let (shared, group) = (&this.sender.shared, &this.sender.group);
        // What room was made before the first refusal is of no interest.
        let mut seen = None;
        while let Some(message) = this.message.take() {
            match shared.try_post(group, message, WhenFull::Wait) {
                Err(error) if error.kind() == PostErrorKind::QueueFull => {
                    let channel = error.message().channel_number();
                    this.message = Some(error.into_message());
                    let (place, waker) = (&mut this.place, context.waker());
                    match seen.replace(group.room_epoch()) {
                        Some(seen) if Place::wait(place, group, channel, seen, waker) => break,
                        _ => {}
                    }
                }
                done => {
                    this.place = None;
                    return Poll::Ready(done.inspect_err(|error| shared.count_refusal(error)));
                }
            }
        }
        Poll::Pending
    }
}
