//! Events for whoever watches the engine, with the feature `tracing`; without it, nothing at all.
//!
//! One event where a channel, a listener or the engine begins, ends or fails; none per message.

/// Tells of something that is as it should be.
macro_rules! event {
    ($($part:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::debug!(target: "tofu", $($part)*);
    };
}

/// Tells of something that somebody should look into.
macro_rules! warning {
    ($($part:tt)*) => {
        #[cfg(feature = "tracing")]
        tracing::warn!(target: "tofu", $($part)*);
    };
}

pub(crate) use {event, warning};
