//! Every limit of `Options` and what happens when it is reached, on real sockets, over TCP and UDS.
//!
//! Each limit is set to a small value and reached; the test then says who is told what, who gets
//! which message back, which counter shows it, and that everybody else goes on. The names of the
//! tests begin with the name of the option. Some facts about the kernel that the engine is built on
//! are tested in the same way: descriptors that run out, full backlogs, resets, socket files.

#![cfg(test)]

mod accept;
mod budgets;
mod child;
mod connections;
mod deadlines;
mod descriptors;
mod ends;
mod extremes;
mod frames;
mod harness;
mod inbox;
mod kernel;
mod names;
mod peers;
mod pool;
mod post_timeout;
mod run;
mod send_queue;
mod socket_options;
mod turns;
mod view;
mod write_stall;

/// The sources in which tests are looked for.
const SOURCES: [&str; 14] = [
    include_str!("accept.rs"),
    include_str!("budgets.rs"),
    include_str!("connections.rs"),
    include_str!("deadlines.rs"),
    include_str!("ends.rs"),
    include_str!("frames.rs"),
    include_str!("inbox.rs"),
    include_str!("pool.rs"),
    include_str!("post_timeout.rs"),
    include_str!("send_queue.rs"),
    include_str!("socket_options.rs"),
    include_str!("turns.rs"),
    include_str!("view.rs"),
    include_str!("write_stall.rs"),
];

/// A field that the simulator alone has; it is there when everything is built at once.
const OF_THE_SIMULATOR: &str = "send_budget_ahead";

#[test]
fn every_option_has_a_test_of_its_name() {
    let options = format!("{:#?}", tofu::prelude::Options::default());
    let fields = options
        .lines()
        .filter_map(|line| line.strip_prefix("    ")?.split_once(':'))
        .filter(|(name, _)| !name.starts_with(' ') && *name != OF_THE_SIMULATOR);
    let mut names = 0;
    for (name, _) in fields {
        names += 1;
        let test = format!("fn {name}");
        assert!(
            SOURCES.iter().any(|source| source.contains(&test)),
            "no test begins with {name}"
        );
    }
    assert!(names > 30, "{names} options in {options}");
}
