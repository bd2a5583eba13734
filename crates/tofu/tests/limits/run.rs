//! Running a test on both transports, and again where the machine was to blame.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tofu_testkit::{Task, run_named_tasks};

use crate::harness::{LIMIT, SHORT, Transport};

/// The tests of a module, each on both transports.
macro_rules! on_both {
    ($($name:ident),* $(,)?) => {
        mod both {
            $(#[test] fn $name() { crate::run::run_on_both(super::$name); })*
        }
    };
}
pub(crate) use on_both;

/// So often a test is begun again that failed while the machine stood still.
const ATTEMPTS: usize = 5;

/// Runs a test on both transports side by side, for most of them spend their time waiting.
///
/// Who waits out a short timeout must not be late himself: a failure of a test whose process got
/// no processor for a good part of that time proves nothing, and the test is begun again.
#[track_caller]
pub(crate) fn run_on_both(test: fn(Transport)) {
    for attempt in 1..=ATTEMPTS {
        let gauge = Gauge::start();
        let tasks = [Transport::Tcp, Transport::Uds].map(|transport| {
            let task: Task = Box::new(move || test(transport));
            (format!("{transport:?}"), task)
        });
        let outcome = run_named_tasks(LIMIT * 6, tasks);
        let stood_still = gauge.stop();
        match outcome {
            Ok(()) => return,
            Err(error) if stood_still < SHORT / 2 || attempt == ATTEMPTS => panic!("{error}"),
            Err(error) => println!("once more after {stood_still:?} of standing still: {error}"),
        }
    }
}

/// Measures for how long, at worst, a thread that had something to do was kept waiting.
struct Gauge {
    thread: JoinHandle<()>,
    stopped: Arc<AtomicBool>,
    worst: Arc<AtomicU64>,
}

impl Gauge {
    const STEP: Duration = Duration::from_millis(5);

    fn start() -> Gauge {
        let stopped = Arc::new(AtomicBool::new(false));
        let worst = Arc::new(AtomicU64::new(0));
        let (end, result) = (Arc::clone(&stopped), Arc::clone(&worst));
        let thread = thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                let start = Instant::now();
                thread::sleep(Gauge::STEP);
                let late = start.elapsed().saturating_sub(Gauge::STEP);
                let late = u64::try_from(late.as_nanos()).unwrap();
                result.fetch_max(late, Ordering::Relaxed);
            }
        });
        Gauge {
            thread,
            stopped,
            worst,
        }
    }

    fn stop(self) -> Duration {
        self.stopped.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        Duration::from_nanos(self.worst.load(Ordering::Relaxed))
    }
}
