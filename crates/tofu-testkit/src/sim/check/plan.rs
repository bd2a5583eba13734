//! What a seed draws before anything happens: engines, limits, rates.
//!
//! A quiet plan lets nothing go wrong, so that everything posted must arrive; in the others anything
//! may.

use std::time::Duration;

use tofu_engine::Options;

use crate::Random;
use crate::sim::faults::Faults;

/// A run as it was drawn.
#[derive(Debug)]
pub(crate) struct Plan {
    /// Nothing goes wrong: no timeouts, no resets, nobody refuses.
    pub(crate) quiet: bool,
    pub(crate) options: Vec<Options>,
    pub(crate) faults: Faults,
    /// Bytes that an end of a connection holds, at most.
    pub(crate) room: usize,
    pub(crate) backlog: usize,
    /// Bytes of a body, at most.
    pub(crate) body: usize,
    /// What the applications do before everything calms down.
    pub(crate) actions: u64,
    /// The longest time between two actions.
    pub(crate) interval: Duration,
    pub(crate) weights: Weights,
    /// Raw peers take part.
    pub(crate) raw: bool,
}

/// How often the applications do what, against each other.
#[derive(Debug)]
pub(crate) struct Weights {
    pub(crate) receive: u64,
    pub(crate) post: u64,
    pub(crate) hello: u64,
    pub(crate) listen: u64,
    pub(crate) bye: u64,
    pub(crate) signal: u64,
    pub(crate) unlisten: u64,
    pub(crate) update: u64,
    pub(crate) misuse: u64,
    pub(crate) create: u64,
    pub(crate) destroy: u64,
    pub(crate) shutdown: u64,
    pub(crate) release: u64,
    pub(crate) raw: u64,
}

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> Plan {
        let quiet = one_in(random, 4);
        let hasty = !quiet && one_in(random, 3);
        let crammed = !quiet && one_in(random, 8);
        let engines = 2 + random.below(2);
        let room = small_or(random, 1..400, 200_000);
        let options = (0..engines).map(|_| {
            let options = draw_options(random, quiet, hasty);
            match crammed {
                true => options
                    .handshake_bytes(small_or(random, 1..100, 1 << 20))
                    .receive_budget(small_or(random, 1..500, 1 << 20)),
                false => options,
            }
        });
        Plan {
            quiet,
            options: options.collect(),
            faults: draw_faults(random, quiet),
            room,
            backlog: small_or(random, 1..4, 64),
            body: draw_body(random, room),
            actions: 20 + random.below(160),
            interval: Duration::from_micros(50 << random.below(10)),
            weights: draw_weights(random, quiet),
            raw: one_in(random, 2),
        }
    }
}

fn one_in(random: &mut Random, count: u64) -> bool {
    random.below(count) == 0
}

/// Half of the time something out of `small`, else `large`.
fn small_or(random: &mut Random, small: std::ops::Range<usize>, large: usize) -> usize {
    if one_in(random, 2) {
        return large;
    }
    let span = small.len() as u64;
    small.start + usize::try_from(random.below(span)).unwrap_or(0)
}

/// Bodies that need not more than some dozens of round trips.
fn draw_body(random: &mut Random, room: usize) -> usize {
    let most = (room * 8).clamp(16, 60_000);
    match random.below(8) {
        0 => most,
        _ => most.min(200),
    }
}

fn draw_options(random: &mut Random, quiet: bool, hasty: bool) -> Options {
    let pool = small_or(random, 1..9, 64);
    let options = Options::default()
        .pool_initial(pool.min(2))
        .pool_maximum(pool)
        .inbox_messages(small_or(random, 1..9, 1000))
        .inbox_bytes(small_or(random, 1..3000, 1 << 24))
        .inbox_updates(small_or(random, 1..4, 100))
        .send_queue_messages(small_or(random, 1..5, 64))
        .send_queue_bytes(small_or(random, 1..500, 1 << 22))
        .turn_messages(small_or(random, 1..5, 1024))
        .turn_bytes(small_or(random, 1..300, 1 << 18))
        .turn_accepts(small_or(random, 1..3, 64))
        .large_message(small_or(random, 1..100, 8192));
    let options = if one_in(random, 6) {
        with_send_budget(options, small_or(random, 1..2000, 1 << 20))
    } else {
        options
    };
    let options = if quiet {
        options
    } else {
        draw_refusals(random, options)
            .linger_drain(small_or(random, 1..100, 1 << 20))
            .linger_timeout(Duration::from_millis(small_or(random, 50..51, 2000) as u64))
    };
    match hasty {
        true => draw_timeouts(random, options),
        false => options,
    }
}

/// A small send budget; every other one is drawn ahead, as large ones are.
fn with_send_budget(options: Options, budget: usize) -> Options {
    let mut options = options.send_budget(budget);
    options.send_budget_ahead = (budget % 2 == 1).then_some(budget / 8);
    options
}

/// Limits that turn peers away.
fn draw_refusals(random: &mut Random, options: Options) -> Options {
    match random.below(8) {
        0 => options.pending_handshakes(small_or(random, 1..4, 64)),
        1 => options.connections_per_listener(small_or(random, 1..4, 64)),
        2 => options.channels(small_or(random, 1..6, 100)),
        3 => options.connections_per_ip(small_or(random, 1..3, 64)),
        4 => match random.below(2) {
            0 => options.connections_per_uid(small_or(random, 1..3, 64)),
            _ => options.uds_allowed_uids(Some(vec![0, 2])),
        },
        5 => options.header_lines(small_or(random, 1..3, 64)),
        _ => options,
    }
}

/// Timeouts from a tenth of a second to some seconds.
fn draw_timeouts(random: &mut Random, mut options: Options) -> Options {
    let mut draw = |ours: Duration| match random.below(3) {
        0 => Duration::from_millis(100 + random.below(4000)),
        _ => ours,
    };
    options.connect_timeout = draw(options.connect_timeout);
    options.handshake_timeout = draw(options.handshake_timeout);
    options.frame_timeout = draw(options.frame_timeout) / 8;
    options.bye_timeout = draw(options.bye_timeout);
    options.linger_timeout = draw(options.linger_timeout);
    options.write_stall_timeout = draw(options.write_stall_timeout);
    options.hello_response_timeout = draw(options.hello_response_timeout);
    options.idle_timeout = draw(options.idle_timeout);
    options
}

fn draw_faults(random: &mut Random, quiet: bool) -> Faults {
    let shift = random.below(12);
    let delay = Duration::from_micros(random.below(10 << shift));
    let mut faults = Faults {
        delay,
        ..Faults::none()
    };
    let mut rate = |most: u64| u16::try_from(random.below(3) * random.below(most) / 2).unwrap_or(0);
    faults.partial = rate(1000);
    faults.would_block = rate(300);
    faults.spurious = rate(300);
    if quiet {
        return faults;
    }
    faults.reset = rate(8);
    faults.fail = rate(6);
    faults.refuse = rate(200);
    faults.silence = rate(200);
    faults.no_descriptors = rate(300);
    faults.abort_accept = rate(200);
    faults.register = rate(100);
    faults.path_gone = rate(20);
    faults.pause = rate(50);
    faults.jump = rate(20);
    faults.drought = Duration::from_millis(1 << random.below(15));
    faults.pause_time = Duration::from_millis(1 << random.below(15));
    faults.jump_time = Duration::from_millis(1 << random.below(20));
    faults
}

fn draw_weights(random: &mut Random, quiet: bool) -> Weights {
    let mut up_to = |most: u64| random.below(most + 1);
    Weights {
        receive: 10 + up_to(40),
        post: 10 + up_to(60),
        hello: 2 + up_to(8),
        listen: 2 + up_to(3),
        bye: up_to(6),
        signal: up_to(2),
        unlisten: up_to(1),
        update: up_to(2),
        misuse: up_to(4),
        create: up_to(1),
        destroy: up_to(1),
        shutdown: if quiet { 0 } else { up_to(8) / 6 },
        release: 2 + up_to(20),
        raw: up_to(20),
    }
}
