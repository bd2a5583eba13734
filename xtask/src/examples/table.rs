//! What `cargo xtask examples` runs and what it must see. Data only.
//!
//! To add an example: one `Run` with its programs in the order of their start. Every program that
//! `examples/` builds must stand in here, so none is left unrun.

use std::time::Duration;

/// One run: a single program, or several that work together.
#[derive(Debug)]
pub(super) struct Run {
    /// How the report calls it.
    pub(super) name: &'static str,
    /// Started in this order. A program behind one that announces something starts only when the
    /// announcement has come. Each must end by itself, with success.
    pub(super) programs: &'static [Program],
    /// From the first start to the last end; what takes longer is killed and has failed.
    pub(super) limit: Duration,
}

/// One program of a run.
#[derive(Debug)]
pub(super) struct Program {
    /// The binary or example target in a package below `examples/`.
    pub(super) name: &'static str,
    /// `{announced}` in an argument is replaced by what an earlier program has announced.
    pub(super) arguments: &'static [&'static str],
    /// The text in front of what this program announces on a line of its output, for example
    /// `listening on ` where it prints `listening on tcp|127.0.0.1|40123`. What follows, up to the
    /// end of the line, goes to the later programs.
    pub(super) announces: Option<&'static str>,
    /// Each of these must be a part of some line of its output.
    pub(super) must_print: &'static [&'static str],
}

/// A program that takes no arguments and needs no other.
const fn alone(name: &'static str, must_print: &'static [&'static str]) -> Program {
    Program {
        name,
        arguments: &[],
        announces: None,
        must_print,
    }
}

/// A run of one program that takes no arguments.
const fn run_alone(name: &'static str, programs: &'static [Program]) -> Run {
    Run {
        name,
        programs,
        limit: Duration::from_secs(20),
    }
}

/// All runs.
pub(super) const RUNS: &[Run] = &[
    Run {
        name: "codec_only",
        programs: &[alone("codec_only", &["all 5 messages are equal"])],
        limit: Duration::from_secs(10),
    },
    Run {
        name: "echo",
        programs: &[alone(
            "echo",
            &[
                "tcp       1081    1081",
                "uds       1081    1081",
                "every message came back equal over both transports",
            ],
        )],
        limit: Duration::from_secs(60),
    },
    Run {
        name: "first_server and first_client",
        programs: &[
            Program {
                name: "first_server",
                arguments: &["tcp|127.0.0.1|0", "--once"],
                announces: Some("listening on "),
                must_print: &["hello from", "question 3", "left in good order"],
            },
            Program {
                name: "first_client",
                arguments: &["{announced}"],
                announces: None,
                must_print: &[
                    "connected to",
                    "question 3 -> question 3",
                    "closed in good order",
                ],
            },
        ],
        limit: Duration::from_secs(20),
    },
    Run {
        name: "first_server and first_client, by a name",
        programs: &[
            Program {
                name: "first_server",
                arguments: &["tcp|localhost|0", "--once"],
                announces: Some("listening on "),
                must_print: &["hello from", "question 3", "left in good order"],
            },
            Program {
                name: "first_client",
                arguments: &["{announced}"],
                announces: None,
                must_print: &[
                    "connected to",
                    "question 3 -> question 3",
                    "closed in good order",
                ],
            },
        ],
        limit: Duration::from_secs(20),
    },
    Run {
        name: "send_file",
        programs: &[
            alone("send_file", &["both sides have the same file"]),
            Program {
                name: "send_file",
                arguments: &["--uds"],
                announces: None,
                must_print: &["over uds|", "both sides have the same file"],
            },
        ],
        limit: Duration::from_secs(30),
    },
    run_alone(
        "update_receiver",
        &[alone(
            "update_receiver",
            &[
                "primes below 80000: 7837",
                "the workers reported 8 answers, then the service was woken to end",
            ],
        )],
    ),
    run_alone(
        "backpressure",
        &[alone(
            "backpressure",
            &[
                "was refused: queue_full",
                "with the notice: 20000 messages arrived in order",
                "with post_timeout: 20000 messages arrived in order",
            ],
        )],
    ),
    run_alone(
        "graceful_close",
        &[alone(
            "graceful_close",
            &[
                "one says Bye: it knows (confirmed), the other knows (success)",
                "both say Bye at once: both know (confirmed)",
                "came back",
                "group destroyed with 2 s of grace: complete, 0 of 1000",
                "engine shut down with 2 s of grace: complete, 0 of 1000",
                "the peers received 1000 and 1000 of them",
            ],
        )],
    ),
    run_alone(
        "streaming",
        &[alone(
            "streaming",
            &[
                "up:   answered by \"32000000 bytes in 1000 parts\"",
                "down: 32000000 bytes in 1000 parts",
                "both: 32000000 bytes in 1000 parts, in capitals",
            ],
        )],
    ),
    run_alone(
        "progress",
        &[alone(
            "progress",
            &[
                "short:  75 %",
                "short: 9592 primes",
                "long:  90 %",
                "long: 25997 primes",
                "both jobs told 12 times",
            ],
        )],
    ),
    run_alone(
        "many_clients",
        &[alone(
            "many_clients",
            &[
                "200 clients connected",
                "4000 payments made, every balance is right",
                "200 clients left in good order",
            ],
        )],
    ),
];
