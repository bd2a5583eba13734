//! How a test receives and posts: in a call that holds its thread, or (feature `async`) by a future on
//! a bare loop of polls. Each test's own thread says which.

use std::time::Duration;

use tofu::msg::BinaryHeader;
use tofu::prelude::*;

/// A group as the test's thread uses it.
pub(crate) trait Face {
    /// The next message within `timeout`, as `wait_receive` gives it.
    fn receive_within(&mut self, timeout: Duration) -> Result<Option<Msg>, EngineError>;

    /// A post for which there is room.
    fn post_with_room(&self, msg: Msg) -> Result<BinaryHeader, PostError>;
}

#[cfg(not(feature = "async"))]
impl Face for ChannelGroup {
    fn receive_within(&mut self, timeout: Duration) -> Result<Option<Msg>, EngineError> {
        self.wait_receive(timeout)
    }

    fn post_with_room(&self, msg: Msg) -> Result<BinaryHeader, PostError> {
        self.post(msg)
    }
}

#[cfg(feature = "async")]
pub(crate) use awaited::await_from_now_on;

#[cfg(feature = "async")]
mod awaited {
    use std::cell::Cell;
    use std::future::Future;
    use std::pin::pin;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::task::{Context, Poll, Wake, Waker};
    use std::thread::Thread;
    use std::time::Instant;

    use super::*;

    thread_local! {
        static AWAITS: Cell<bool> = const { Cell::new(false) };
    }

    /// This thread uses futures where it would wait in a call.
    pub(crate) fn await_from_now_on() {
        AWAITS.set(true);
    }

    impl Face for ChannelGroup {
        fn receive_within(&mut self, timeout: Duration) -> Result<Option<Msg>, EngineError> {
            if !AWAITS.get() {
                return self.wait_receive(timeout);
            }
            block_on(self.receive(), timeout).transpose()
        }

        fn post_with_room(&self, msg: Msg) -> Result<BinaryHeader, PostError> {
            if !AWAITS.get() {
                return self.post(msg);
            }
            block_on(self.post_async(msg), Duration::ZERO).expect("there is room")
        }
    }

    struct Parked {
        thread: Thread,
        woken: AtomicBool,
    }

    impl Wake for Parked {
        fn wake(self: Arc<Parked>) {
            self.woken.store(true, Ordering::SeqCst);
            self.thread.unpark();
        }
    }

    /// Polls until the future is ready, or drops it when `timeout` has passed.
    fn block_on<F: Future>(future: F, timeout: Duration) -> Option<F::Output> {
        let parked = Arc::new(Parked {
            thread: std::thread::current(),
            woken: AtomicBool::new(false),
        });
        let waker = Waker::from(Arc::clone(&parked));
        let deadline = Instant::now().checked_add(timeout);
        let mut future = pin!(future);
        loop {
            if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
                return Some(output);
            }
            while !parked.woken.swap(false, Ordering::SeqCst) {
                match deadline.map(|deadline| deadline.saturating_duration_since(Instant::now())) {
                    Some(Duration::ZERO) => return None,
                    Some(left) => std::thread::park_timeout(left),
                    None => std::thread::park(),
                }
            }
        }
    }
}
