//! What `cargo xtask examples` runs and what it must see. Data only.
//!
//! To add an example: one run with its programs in the order of their start. Every program that
//! `examples/` builds must stand in here, so none is left unrun.

use std::time::Duration;

use super::program::{Program, Run, alone, end_of_input, run, told, typed};

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
    run(
        "first_server and first_client",
        &[
            Program {
                name: "first_server",
                arguments: &["tcp|127.0.0.1|0", "--once"],
                announces: Some("listening on "),
                types: &[],
                must_print: &["hello from", "question 3", "left in good order"],
            },
            told(
                "first_client",
                &["{announced}"],
                &[
                    "connected to",
                    "question 3 -> question 3",
                    "closed in good order",
                ],
            ),
        ],
    ),
    run(
        "first_server and first_client, by a name",
        &[
            Program {
                name: "first_server",
                arguments: &["tcp|localhost|0", "--once"],
                announces: Some("listening on "),
                types: &[],
                must_print: &["hello from", "question 3", "left in good order"],
            },
            told(
                "first_client",
                &["{announced}"],
                &[
                    "connected to",
                    "question 3 -> question 3",
                    "closed in good order",
                ],
            ),
        ],
    ),
    Run {
        name: "stream_gigabyte",
        programs: &[alone(
            "stream_gigabyte",
            &[
                "1073741824 bytes sent in 32768 messages, 1073741824 received as they were sent",
                "and 64 MiB are allowed",
            ],
        )],
        limit: Duration::from_secs(60),
    },
    run(
        "typed_plain",
        &[alone(
            "typed_plain",
            &[
                "1 reading in 16 bytes: mean 21.50 degrees",
                "100000 readings in 1600000 bytes: mean 20.00 degrees",
            ],
        )],
    ),
    run(
        "typed_serde",
        &[alone(
            "typed_serde",
            &[
                "json     an order of 103 bytes, a receipt of 24 bytes: 4 items for 1397 cents",
                "postcard an order of 20 bytes, a receipt of 3 bytes: 4 items for 1397 cents",
                "broken   not understood: EOF while parsing a value",
            ],
        )],
    ),
    Run {
        name: "send_file",
        programs: &[
            alone("send_file", &["both sides have the same file"]),
            told(
                "send_file",
                &["--uds"],
                &["over uds|", "both sides have the same file"],
            ),
        ],
        limit: Duration::from_secs(30),
    },
    run(
        "update_receiver",
        &[alone(
            "update_receiver",
            &[
                "primes below 80000: 7837",
                "the workers reported 8 answers, then the service was woken to end",
            ],
        )],
    ),
    run(
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
    run(
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
    run(
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
    run(
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
    run(
        "many_clients",
        &[alone(
            "many_clients",
            &[
                "100 clients connected",
                "2000 payments made, every balance is right",
                "100 clients left in good order",
            ],
        )],
    ),
    run(
        "print_server with a worker for each language",
        &[
            Program {
                name: "print_server",
                arguments: &["server", "tcp|127.0.0.1|0"],
                announces: Some("serving on "),
                types: &[],
                must_print: &[
                    "a worker for PostScript",
                    "a worker for PCL",
                    "job 3, page 5 is printed",
                    "job 3 is done: 5 pages",
                    "the worker has left in good order",
                    "all 4 jobs are done",
                ],
            },
            told(
                "print_server",
                &["worker", "PostScript", "{announced}", "2"],
                &[
                    "connected to",
                    "job 1: Invoice page 3 of 3, in PostScript",
                    "job 3 is printed",
                    "left in good order",
                ],
            ),
            // Takes one job more than there is, so that the server says Bye.
            told(
                "print_server",
                &["worker", "PCL", "{announced}", "3"],
                &["job 2 is printed", "job 4 is printed", "left in good order"],
            ),
        ],
    ),
    run(
        "chat of three",
        &[
            Program {
                name: "chat",
                arguments: &["host", "helen", "tcp|127.0.0.1|0"],
                announces: Some("hosting on "),
                types: &[
                    typed("* bob has joined", "welcome, bob"),
                    typed("* anna has left", "/quit"),
                ],
                must_print: &[
                    "* anna has joined",
                    "* bob has joined",
                    "anna: hello, both",
                    "bob: good to see you, anna",
                    "* anna has left",
                    "* bob has left",
                ],
            },
            Program {
                name: "chat",
                arguments: &["join", "anna", "{announced}"],
                announces: Some("connected to "),
                types: &[
                    typed("helen: welcome, bob", "hello, both"),
                    end_of_input("bob: good to see you, anna"),
                ],
                must_print: &[
                    "* here are: helen",
                    "* bob has joined",
                    "helen: welcome, bob",
                ],
            },
            Program {
                name: "chat",
                arguments: &["join", "bob", "{announced}"],
                announces: None,
                types: &[typed("anna: hello, both", "good to see you, anna")],
                must_print: &[
                    "* here are: helen, anna",
                    "anna: hello, both",
                    "* anna has left",
                    "* the host has left",
                ],
            },
        ],
    ),
    run(
        "pub_sub",
        &[alone(
            "pub_sub",
            &[
                "all weather: received",
                "rome and news: received",
                "reads late: received",
                "nothing was lost in silence",
            ],
        )],
    ),
    run(
        "work_queue",
        &[alone(
            "work_queue",
            &[
                "worker 2 goes away in the middle of its first job",
                "100 jobs answered, each once",
                "worker 2 did 0",
                "1 job was given out twice",
            ],
        )],
    ),
    run(
        "async_tokio",
        &[alone(
            "async_tokio",
            &["20 clients got 200 answers to 200 requests"],
        )],
    ),
    run(
        "codec_tokio",
        &[alone(
            "codec_tokio",
            &["asked three and got THREE", "closed in good order"],
        )],
    ),
    run(
        "own_event_loop",
        &[alone(
            "own_event_loop",
            &[
                "listening on tcp|",
                "the client received: load 0.4",
                "channel 2: bye",
                "3 datagrams passed on by",
            ],
        )],
    ),
    run(
        "echo_service",
        &[alone(
            "echo_service",
            &[
                "listening on uds|",
                "10 clients over tcp had 1000 right answers",
                "10 clients over uds had 1000 right answers",
                "20 clients left in good order",
            ],
        )],
    ),
    run(
        "multihomed",
        &[alone(
            "multihomed",
            &[
                "listening on tcp|",
                "listening on uds|",
                "20 clients came by 4 addresses, had 200 answers, and the sum is 900",
            ],
        )],
    ),
    run(
        "sharded",
        &[told(
            "sharded",
            &["3"],
            &[
                "20 clients had 2000 right answers",
                "engine 1 had 7 clients, engine 2 had 7 clients, engine 3 had 6 clients",
            ],
        )],
    ),
    run(
        "sharded, compared with one engine",
        &[told(
            "sharded",
            &["--bench", "2", "1", "50"],
            &["much work: 2 engines answer"],
        )],
    ),
    run(
        "reconnect",
        &[alone(
            "reconnect",
            &[
                "attempt 3 failed: uds_path_not_found",
                "connected by channel",
                "question 1 is answered",
                "lost: peer_disconnected",
                "question 2 is answered",
            ],
        )],
    ),
    run(
        "reconnect to a thread",
        &[told(
            "reconnect",
            &["--threads"],
            &[
                "attempt 3 failed: uds_path_not_found",
                "lost: ",
                "question 2 is answered",
            ],
        )],
    ),
    run(
        "heartbeat",
        &[alone(
            "heartbeat",
            &[
                "3 clients are watched",
                "client 2 is silent, and closed",
                "client 1 has left in good order",
                "client 3 has left in good order",
                "client 2 wakes up and finds: peer_disconnected",
            ],
        )],
    ),
];
