//! Helpers for what many programs build around the four calls: thin, optional, and made of public
//! parts only, so that a program can as well have its own.
//!
//! None of them has a thread or a clock or waits for anything: the program's receive loop feeds
//! them what came and what time it is, and asks them what is due next. So they compose in one loop,
//! and can be tested without waiting. They must use nothing of the engine that a program could not
//! use itself.

mod calls;
mod deadlines;
mod post;
#[cfg(test)]
mod testing;

pub use self::calls::{
    Answer, CallError, CallErrorKind, CallEvent, CallFailure, CallFailureKind, CallId, Caller,
    Calls, Dispatcher, PendingCall, RequestFate,
};
pub use self::deadlines::time_to_next;
pub use self::post::Post;
