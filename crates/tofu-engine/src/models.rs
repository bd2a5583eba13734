//! Models of what threads share: the real structures under every schedule that the model checker
//! draws, `cargo xtask models`.
//!
//! Each model is small, asserts what must hold in the end, and hangs if a wake-up is lost, which the
//! checker reports as a deadlock. A failing schedule is printed and can be replayed.

mod calls;
mod structures;

/// Schedules drawn per model; more by the environment variable `TOFU_SCHEDULES`.
const SCHEDULES: usize = 2000;

/// Runs `model` under many schedules: half drawn at random, half with few preemptions.
fn explore(model: impl Fn() + Clone + Send + Sync + 'static) {
    let asked = std::env::var("TOFU_SCHEDULES")
        .ok()
        .and_then(|count| count.parse().ok());
    let schedules = asked.unwrap_or(SCHEDULES);
    shuttle::check_random(model.clone(), schedules / 2);
    shuttle::check_pct(model, schedules / 2, 3);
}
