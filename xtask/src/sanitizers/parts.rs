//! The tests that each tool runs, in parts with a limit of time each.
//!
//! Called by `sanitizers`. A tool runs each part with all its tests or not at all.

use super::Kind;

/// Some test programs, run together.
pub(super) struct Part {
    pub(super) name: &'static str,
    /// What `cargo test` is to build and run.
    pub(super) targets: &'static [&'static str],
}

const fn part(name: &'static str, targets: &'static [&'static str]) -> Part {
    Part { name, targets }
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

const SCALE: Part = part("scale", &["--package", "tofu-net", "--test", "scale"]);

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
    SCALE,
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
    SCALE,
];

/// Every instruction is looked at, so only what needs no speed is here.
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
