//! What must hold for an engine whatever its peers and its application do; not part of the API.
//!
//! Bodies of the fuzz targets in `fuzz/`, replayed over their corpus by `cargo test`. Each takes any
//! bytes as a sequence of events on the simulated network and panics only if tofu has a bug. What
//! is right is said by `story`, which shares no code with the codec or the engine.

mod actions;
mod book;
mod hostile;
mod input;
mod judge;
mod machine;
mod mutation;
mod story;
mod wire;

use tofu_engine::Options;

pub use hostile::hostile_peer;
pub use machine::channel_machine;

/// The options, with the defect that a proof of the targets asks for.
#[cfg(feature = "planted-bugs")]
fn planted(mut options: Options) -> Options {
    let wanted = std::env::var("TOFU_PLANTED").unwrap_or_default();
    let all = tofu_engine::Planted::ALL.iter();
    options.planted = all
        .copied()
        .find(|bug| format!("{bug:?}").eq_ignore_ascii_case(&wanted));
    options
}

/// The options as they are: no defect is built in.
#[cfg(not(feature = "planted-bugs"))]
fn planted(options: Options) -> Options {
    options
}
