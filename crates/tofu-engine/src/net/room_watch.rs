//! Whether the poller tells of room for writing on a Unix domain socket.
//!
//! Such a socket has news of room whenever the peer reads, wanted or not: each message wakes the engine's
//! thread of its sender once more. Where that thread sleeps and something can be read soon behind the news,
//! as an answer, it is awake when that comes, and it comes in half the time; elsewhere it is in vain. So
//! after some in a row that were, the poller is asked to tell only of what can be read: until a write
//! blocks, or for a while, for answers may have become quick. (TCP tells of room only after a write that
//! has blocked.)

use std::io;
use std::time::{Duration, Instant};

use mio::event::Source;
use mio::{Interest, Registry, Token};

use crate::sync::Arc;

/// So much news in vain, in a row, is enough.
const IN_VAIN: u8 = 4;

/// News was not in vain where something could be read so soon behind it: about as long as it takes to wake
/// a thread that sleeps on another core of a slow machine, and the answering one's work.
const AT_ONCE: Duration = Duration::from_micros(100);

/// After so many reads without news it is tried again. The first of that is the poller's own, which tells
/// at once how things stand.
const READS_UNTIL_TRIED: u16 = 256;

/// What one socket's poller has been asked to tell.
#[derive(Debug)]
pub(super) struct RoomWatch {
    registry: Arc<Registry>,
    token: Token,
    /// The thread sleeps as soon as there is nothing to do, so that being woken early may be of use.
    sleeps_at_once: bool,
    in_vain: u8,
    /// Reads since the poller was asked to tell only of them.
    reads: u16,
    /// When there was news last that nothing waited for.
    told: Option<Instant>,
}

impl RoomWatch {
    /// Registers a socket, first for both directions.
    pub(super) fn register(
        socket: &mut impl Source,
        registry: &Arc<Registry>,
        token: Token,
        sleeps_at_once: bool,
    ) -> io::Result<RoomWatch> {
        registry.register(socket, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(RoomWatch {
            registry: Arc::clone(registry),
            token,
            sleeps_at_once,
            in_vain: 0,
            reads: 0,
            told: None,
        })
    }

    /// There was news of room, and nothing waited for it. If nothing had come of the one before, that one
    /// was in vain.
    pub(super) fn was_told(&mut self, socket: &mut impl Source, now: Instant) {
        if self.is_quiet() || self.told.replace(now).is_none() {
            return;
        }
        self.in_vain += 1;
        if self.is_quiet() {
            let quiet = self
                .registry
                .reregister(socket, self.token, Interest::READABLE);
            // Where that fails, the news goes on, and costs time only.
            self.in_vain = if quiet.is_ok() { IN_VAIN } else { 0 };
            (self.told, self.reads) = (None, 0);
        }
    }

    /// Something was read.
    pub(super) fn has_read(&mut self, socket: &mut impl Source, now: impl FnOnce() -> Instant) {
        if !self.sleeps_at_once {
            return;
        }
        if let Some(told) = self.told {
            if now().saturating_duration_since(told) < AT_ONCE {
                (self.told, self.in_vain) = (None, 0);
            }
        } else if self.is_quiet() {
            self.reads += 1;
            if self.reads == READS_UNTIL_TRIED {
                self.reads = 0;
                // Where that fails, all stays as it is.
                let _tried = self.ask_for_room(socket);
            }
        }
    }

    fn is_quiet(&self) -> bool {
        self.in_vain == IN_VAIN
    }

    /// A write has blocked: from now on news of room is wanted. What has come meanwhile is told at
    /// once.
    pub(super) fn has_blocked(&mut self, socket: &mut impl Source) -> io::Result<()> {
        self.ask_for_room(socket)
    }

    fn ask_for_room(&mut self, socket: &mut impl Source) -> io::Result<()> {
        if self.is_quiet() {
            let both = Interest::READABLE | Interest::WRITABLE;
            self.registry.reregister(socket, self.token, both)?;
        }
        self.in_vain = 0;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use mio::Poll;
    use mio::net::UnixStream;

    use super::*;

    /// A watch, its socket, and what keeps both working.
    fn watched(sleeps_at_once: bool) -> (RoomWatch, UnixStream, (Poll, UnixStream)) {
        let poll = Poll::new().unwrap();
        let registry = Arc::new(poll.registry().try_clone().unwrap());
        let (mut socket, peer) = UnixStream::pair().unwrap();
        let watch = RoomWatch::register(&mut socket, &registry, Token(1), sleeps_at_once).unwrap();
        (watch, socket, (poll, peer))
    }

    /// So many round trips whose answers come so long behind the news of room.
    fn pass(watch: &mut RoomWatch, socket: &mut UnixStream, count: usize, delay: Duration) {
        let mut now = Instant::now();
        for _ in 0..count {
            watch.was_told(socket, now);
            now += delay;
            watch.has_read(socket, || now);
            now += Duration::from_millis(1);
        }
    }

    #[test]
    fn news_goes_on_where_the_answer_follows_at_once() {
        let (mut watch, mut socket, _rest) = watched(true);
        pass(&mut watch, &mut socket, 1000, AT_ONCE / 2);
        assert!(!watch.is_quiet());
        // Now and then one that comes late changes nothing.
        for _ in 0..10 {
            pass(&mut watch, &mut socket, 3, 2 * AT_ONCE);
            pass(&mut watch, &mut socket, 1, AT_ONCE / 2);
        }
        assert!(!watch.is_quiet());
    }

    #[test]
    fn news_ends_where_answers_are_slow_and_is_tried_again_when_many_have_come() {
        let (mut watch, mut socket, _rest) = watched(true);
        let in_vain = usize::from(IN_VAIN) + 1;
        for _ in 0..3 {
            pass(&mut watch, &mut socket, in_vain, 2 * AT_ONCE);
            assert!(watch.is_quiet());
            for _ in 0..READS_UNTIL_TRIED - 2 {
                watch.has_read(&mut socket, Instant::now);
            }
            assert!(watch.is_quiet());
            watch.has_read(&mut socket, Instant::now);
            assert!(!watch.is_quiet(), "it is tried again");
        }
    }

    #[test]
    fn who_is_awake_anyway_does_not_need_it() {
        let (mut watch, mut socket, _rest) = watched(false);
        let in_vain = usize::from(IN_VAIN) + 1;
        pass(&mut watch, &mut socket, in_vain, AT_ONCE / 2);
        assert!(watch.is_quiet());
        pass(
            &mut watch,
            &mut socket,
            2 * usize::from(READS_UNTIL_TRIED),
            AT_ONCE / 2,
        );
        assert!(watch.is_quiet());
    }

    #[test]
    fn news_without_any_answer_is_in_vain() {
        let (mut watch, mut socket, _rest) = watched(true);
        let now = Instant::now();
        (0..=IN_VAIN).for_each(|_| watch.was_told(&mut socket, now));
        assert!(watch.is_quiet());
        watch.has_blocked(&mut socket).unwrap();
        assert!(!watch.is_quiet(), "a write waits for it");
    }
}
