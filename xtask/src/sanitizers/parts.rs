//! The tests that each tool runs, in parts with a limit of time each.
//!
//! Called by `sanitizers`. What a tool cannot judge is left out by name, with the reason beside it.

use super::Kind;

/// Some test programs, run together.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// What `cargo test` is to build and run.
    pub(super) targets: &'static [&'static str],
    /// Tests, by a part of their names, that say nothing under this tool, and why.
    pub(super) left_out: &'static [(&'static str, &'static str)],
}

const fn part(name: &'static str, targets: &'static [&'static str]) -> Part {
    Part {
        name,
        targets,
        left_out: &[],
    }
}

pub(super) fn of(kind: Kind) -> &'static [Part] {
    match kind {
        Kind::Address => ADDRESS,
        Kind::Thread => THREAD,
        Kind::Memcheck => MEMCHECK,
    }
}

const MSG: Part = part("tofu-msg", &["--package", "tofu-msg", "--tests"]);
const ADDR: Part = part("tofu-addr", &["--package", "tofu-addr", "--tests"]);
const ENGINE: Part = part("tofu-engine", &["--package", "tofu-engine", "--tests"]);
const SMOKE: Part = part("smoke", &["--package", "tofu-net", "--test", "smoke"]);
const LIFECYCLE: Part = part(
    "lifecycle",
    &["--package", "tofu-net", "--test", "lifecycle"],
);
const CONFORMANCE: Part = part(
    "conformance",
    &["--package", "tofu-net", "--test", "conformance"],
);
const ENDINGS: Part = part("endings", &["--package", "tofu-net", "--test", "endings"]);
const LEDGER: Part = part("ledger", &["--package", "tofu-net", "--test", "ledger"]);
const LIMITS: Part = part("limits", &["--package", "tofu-net", "--test", "limits"]);
const REGRESSIONS: Part = part(
    "regressions",
    &["--package", "tofu-net", "--test", "regressions"],
);

const ADDRESS: &[Part] = &[
    MSG,
    ADDR,
    ENGINE,
    SMOKE,
    LIFECYCLE,
    CONFORMANCE,
    ENDINGS,
    LEDGER,
    LIMITS,
    REGRESSIONS,
];

/// The crates below the engine start no threads.
const THREAD: &[Part] = &[
    ENGINE,
    SMOKE,
    LIFECYCLE,
    CONFORMANCE,
    ENDINGS,
    LEDGER,
    LIMITS,
    REGRESSIONS,
];

const MEMCHECK: &[Part] = &[
    part(
        "tofu-msg",
        &[
            "--package",
            "tofu-msg",
            "--test",
            "codec",
            "--test",
            "recorded",
        ],
    ),
    SMOKE,
    LIFECYCLE,
    CONFORMANCE,
    ENDINGS,
    REGRESSIONS,
];
