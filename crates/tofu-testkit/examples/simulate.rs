//! Runs seeds of the simulated network, one after the other on each of some threads.
//!
//! Called by `cargo xtask sim`, which builds it in release; `--help` says what it takes.

use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tofu_testkit::sim::{Failed, Marks, Passed, Tracing, check};

const HELP: &str = "\
simulate [--seeds N] [--seconds T] [--first S] [--jobs J]   run N seeds, at most for T seconds
         [--failures F]                                     and stop after F failures, not 1
simulate --seed S                                           run one seed and print all of it
simulate --planted                                          find every planted bug";

/// Events shown of a run that failed.
const SHOWN: usize = 60;
/// So many runs must between them have taken every path.
const ENOUGH: u64 = 20_000;
/// One run in so many is made twice, to see that it is the same.
const TWICE: u64 = 64;

#[derive(Debug, Clone)]
struct Arguments {
    seeds: Option<u64>,
    seconds: Option<u64>,
    first: u64,
    jobs: u64,
    failures: u64,
    seed: Option<u64>,
    planted: bool,
}

fn main() -> ExitCode {
    match parse(std::env::args().skip(1)) {
        Err(wrong) => {
            eprintln!("{wrong}\n{HELP}");
            ExitCode::from(2)
        }
        Ok(arguments) => match arguments.seed {
            Some(seed) => replay(seed),
            None if arguments.planted => planted::find_all(arguments.jobs),
            None => run(&arguments),
        },
    }
}

fn parse(mut words: impl Iterator<Item = String>) -> Result<Arguments, String> {
    let mut arguments = Arguments {
        seeds: None,
        seconds: None,
        first: 1,
        jobs: thread::available_parallelism().map_or(1, |count| count.get() as u64),
        failures: 1,
        seed: None,
        planted: false,
    };
    while let Some(word) = words.next() {
        if word == "--planted" {
            arguments.planted = true;
            continue;
        }
        let value = words.next().and_then(|text| text.parse().ok());
        let Some(value) = value else {
            return Err(format!("{word} wants a number"));
        };
        match word.as_str() {
            "--seeds" => arguments.seeds = Some(value),
            "--seconds" => arguments.seconds = Some(value),
            "--first" => arguments.first = value,
            "--jobs" => arguments.jobs = value.max(1),
            "--failures" => arguments.failures = value,
            "--seed" => arguments.seed = Some(value),
            _ => return Err(format!("{word} is unknown")),
        }
    }
    Ok(arguments)
}

fn replay(seed: u64) -> ExitCode {
    match check(seed, Tracing::Print) {
        Ok(passed) => {
            println!("seed {seed} passed: {} events", passed.events);
            ExitCode::SUCCESS
        }
        Err(failed) => {
            println!("{failed}");
            ExitCode::FAILURE
        }
    }
}

/// What the threads share.
#[derive(Debug, Default)]
struct Totals {
    next: AtomicU64,
    done: AtomicU64,
    events: AtomicU64,
    stop: AtomicBool,
    marks: Mutex<Marks>,
    failed: Mutex<Vec<Failed>>,
}

fn run(arguments: &Arguments) -> ExitCode {
    let totals = Totals::default();
    let started = Instant::now();
    let limit = arguments.seconds.map(Duration::from_secs);
    let unasked = limit.map_or(10_000, |_| u64::MAX);
    let last = arguments
        .first
        .saturating_add(arguments.seeds.unwrap_or(unasked));
    totals.next.store(arguments.first, Ordering::Relaxed);
    thread::scope(|scope| {
        for _ in 0..arguments.jobs {
            scope.spawn(|| work(&totals, last, arguments.failures));
        }
        scope.spawn(|| report(&totals, started, limit, last - arguments.first));
    });
    println!("{}", progress(&totals, started));
    let failed = lock(&totals.failed);
    for failed in failed.iter().skip(1) {
        println!("FAILED {failed}");
    }
    if let Some(first) = failed.first() {
        print_failed(first);
    }
    print_marks(&lock(&totals.marks));
    let missing = lock(&totals.marks).missing();
    let enough = totals.done.load(Ordering::Relaxed) >= ENOUGH;
    if enough && !missing.is_empty() {
        println!("FAILED: no run came to: {}", missing.join("; "));
    }
    match failed.is_empty() && (missing.is_empty() || !enough) {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    }
}

/// Which marks were hit, and how many of those that there are.
fn print_marks(marks: &Marks) {
    println!("{marks}");
    let (all, missing) = (Marks::expected().len(), marks.missing());
    println!("{} of {all} marks were hit", all - missing.len());
    if !marks.unlisted().is_empty() {
        println!("not listed: {}", marks.unlisted().join("; "));
    }
}

/// Runs seeds until there are no more, or so many have failed.
fn work(totals: &Totals, last: u64, failures: u64) {
    let mut marks = Marks::default();
    while !totals.stop.load(Ordering::Relaxed) {
        let seed = totals.next.fetch_add(1, Ordering::Relaxed);
        if seed >= last {
            break;
        }
        match check(seed, Tracing::Hash).and_then(|passed| same_again(seed, passed)) {
            Ok(passed) => {
                marks.add(&passed.marks);
                totals.events.fetch_add(passed.events, Ordering::Relaxed);
                totals.done.fetch_add(1, Ordering::Relaxed);
            }
            Err(failed) => {
                let mut all = lock(&totals.failed);
                all.push(failed);
                if all.len() as u64 >= failures {
                    totals.stop.store(true, Ordering::Relaxed);
                }
                totals.done.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
    lock(&totals.marks).add(&marks);
}

/// Some runs are made twice: the same seed must give the same history.
fn same_again(seed: u64, passed: Passed) -> Result<Passed, Failed> {
    if seed % TWICE != 0 {
        return Ok(passed);
    }
    let again = check(seed, Tracing::Hash)?;
    if (again.hash, again.events) == (passed.hash, passed.events) {
        return Ok(passed);
    }
    Err(Failed {
        seed,
        what: "a second run of the same seed went another way".into(),
        last_events: Vec::new(),
    })
}

/// Says every now and then how far it is.
fn report(totals: &Totals, started: Instant, limit: Option<Duration>, seeds: u64) {
    let mut said = Instant::now();
    while !totals.stop.load(Ordering::Relaxed) && totals.done.load(Ordering::Relaxed) < seeds {
        thread::sleep(Duration::from_millis(20));
        if limit.is_some_and(|limit| started.elapsed() >= limit) {
            totals.stop.store(true, Ordering::Relaxed);
        }
        if said.elapsed() >= Duration::from_secs(5) {
            said = Instant::now();
            println!("{}", progress(totals, started));
        }
    }
}

fn progress(totals: &Totals, started: Instant) -> String {
    let done = totals.done.load(Ordering::Relaxed);
    let events = totals.events.load(Ordering::Relaxed);
    let seconds = started.elapsed().as_secs_f64().max(1e-9);
    #[expect(clippy::cast_precision_loss, reason = "a rate for people")]
    let rate = done as f64 / seconds;
    format!("{done} seeds, {events} events in {seconds:.1} s, {rate:.0} seeds/s")
}

/// A failed run, repeated for its last events.
fn print_failed(failed: &Failed) {
    let seed = failed.seed;
    let repeated = check(seed, Tracing::Last(SHOWN));
    if let Err(again) = &repeated {
        for event in &again.last_events {
            println!("{event}");
        }
    }
    println!("FAILED {failed}");
    match repeated {
        Err(again) if again.what == failed.what => {}
        _ => println!("repeated, it ended otherwise: the run is not repeatable"),
    }
    println!("replay: cargo xtask sim --seed {seed}");
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Engines with a planted bug each: the simulator must find every one.
#[cfg(feature = "planted-bugs")]
mod planted {
    use super::*;
    use tofu_engine::Planted;
    use tofu_testkit::sim::check_with;

    /// Within so many seeds.
    const SEEDS: u64 = 5000;

    pub(super) fn find_all(jobs: u64) -> ExitCode {
        // A bug may show itself as a panic; its text stands in the failure.
        std::panic::set_hook(Box::new(|_| {}));
        let mut found = 0;
        for &bug in Planted::ALL {
            match find(bug, jobs) {
                Some(failed) => {
                    found += 1;
                    let Failed { seed, what, .. } = failed;
                    println!("{bug:?}: found after {seed} seeds: {what}");
                }
                None => println!("{bug:?}: NOT FOUND within {SEEDS} seeds"),
            }
        }
        println!("{found} of {} planted bugs were found", Planted::ALL.len());
        match found == Planted::ALL.len() {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }

    /// The first seed that finds it.
    fn find(bug: Planted, jobs: u64) -> Option<Failed> {
        let next = AtomicU64::new(1);
        let first: Mutex<Option<Failed>> = Mutex::default();
        thread::scope(|scope| {
            for _ in 0..jobs {
                scope.spawn(|| {
                    while lock(&first).is_none() {
                        let seed = next.fetch_add(1, Ordering::Relaxed);
                        if seed > SEEDS {
                            return;
                        }
                        let adjust = |options: &mut tofu_engine::Options| {
                            options.planted = Some(bug);
                        };
                        if let Err(failed) = check_with(seed, Tracing::Hash, &adjust) {
                            let mut first = lock(&first);
                            if first.as_ref().is_none_or(|it| seed < it.seed) {
                                *first = Some(failed);
                            }
                        }
                    }
                });
            }
        });
        lock(&first).take()
    }
}

#[cfg(not(feature = "planted-bugs"))]
mod planted {
    use super::ExitCode;

    pub(super) fn find_all(_jobs: u64) -> ExitCode {
        eprintln!("built without the feature `planted-bugs`");
        ExitCode::from(2)
    }
}
