//! Threads of a test and waiting for a condition. What fails in a thread, or never ends, must fail
//! the test that started it: [`run_tasks`] brings the panic's text and the names of those that
//! hang to the caller.

use std::any::Any;
use std::collections::BTreeMap;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::deadline::{Deadline, POLL_INTERVAL};

/// What one thread of a test does; it fails by panicking.
pub type Task = Box<dyn FnOnce() + Send>;

/// Why not all tasks ended well.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TasksError {
    /// A task panicked; the others may still be running.
    #[error("{task} panicked: {text}")]
    Panicked {
        /// The task's name.
        task: String,
        /// What it panicked with.
        text: String,
    },
    /// Some tasks were still running at the deadline, and are left running.
    #[error("still running after {deadline:?}: {}", tasks.join(", "))]
    Hanging {
        /// The names of those tasks, in the order in which they were given.
        tasks: Vec<String>,
        /// The deadline that was given.
        deadline: Duration,
    },
    /// The system gave no thread for a task; those before it may be running.
    #[error("{task} could not be started: {source}")]
    NotStarted {
        /// The task's name.
        task: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Runs every task in a thread of its own, named "task 0", "task 1"..., and waits for all.
///
/// # Errors
///
/// [`TasksError::Panicked`] as soon as one panics, [`TasksError::Hanging`] at the deadline.
///
/// ```
/// use std::time::Duration;
/// let error = tofu_testkit::run_tasks(
///     Duration::from_secs(5),
///     vec![Box::new(|| {}), Box::new(|| assert_eq!(1 + 1, 3, "sums"))],
/// ).unwrap_err();
/// assert!(error.to_string().starts_with("task 1 panicked:"));
/// assert!(error.to_string().contains("sums"));
/// ```
pub fn run_tasks(deadline: Duration, tasks: Vec<Task>) -> Result<(), TasksError> {
    let numbered = tasks.into_iter().enumerate();
    run_named_tasks(
        deadline,
        numbered.map(|(number, task)| (format!("task {number}"), task)),
    )
}

/// Like [`run_tasks`], with names of the test's own; a name holds no NUL.
///
/// # Errors
///
/// As for [`run_tasks`].
pub fn run_named_tasks(
    deadline: Duration,
    tasks: impl IntoIterator<Item = (String, Task)>,
) -> Result<(), TasksError> {
    let end = Deadline::after(deadline);
    let (report, reports) = mpsc::channel();
    let mut running = BTreeMap::new();
    for (number, (name, task)) in tasks.into_iter().enumerate() {
        match spawn(number, &name, task, report.clone()) {
            Ok(thread) => running.insert(number, (name, thread)),
            Err(source) => return Err(TasksError::NotStarted { task: name, source }),
        };
    }
    while !running.is_empty() {
        let Ok((number, outcome)) = reports.recv_timeout(end.remaining()) else {
            let tasks = running.into_values().map(|(name, _)| name).collect();
            return Err(TasksError::Hanging { tasks, deadline });
        };
        let Some((task, thread)) = running.remove(&number) else {
            continue;
        };
        // It has nothing left to do but to end, and must not be counted as a leftover.
        let _ = thread.join();
        outcome.map_err(|text| TasksError::Panicked { task, text })?;
    }
    Ok(())
}

/// A task's number and, if it panicked, the text.
type Report = (usize, Result<(), String>);

fn spawn(
    number: usize,
    name: &str,
    task: Task,
    report: mpsc::Sender<Report>,
) -> io::Result<JoinHandle<()>> {
    thread::Builder::new().name(name.to_owned()).spawn(move || {
        let outcome = catch_unwind(AssertUnwindSafe(task)).map_err(|panic| panic_text(&*panic));
        // Nobody listens any more once another task has failed.
        let _ = report.send((number, outcome));
    })
}

fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    let text = text.or_else(|| panic.downcast_ref::<String>().map(String::as_str));
    text.unwrap_or("(a panic without text)").to_owned()
}

/// Waits until `condition` holds, for conditions that have no event to wait for.
///
/// It is asked every millisecond, at least once, and once more after the deadline.
///
/// # Panics
///
/// At the deadline, with `what`.
///
/// ```
/// # use std::time::{Duration, Instant};
/// let start = Instant::now();
/// tofu_testkit::wait_until(Duration::from_secs(5), "20 ms to pass", || {
///     start.elapsed() >= Duration::from_millis(20)
/// });
/// ```
#[track_caller]
#[expect(
    clippy::panic,
    reason = "a condition that never holds must fail the test that waits"
)]
pub fn wait_until(deadline: Duration, what: &str, mut condition: impl FnMut() -> bool) {
    let end = Deadline::after(deadline);
    loop {
        // Looked at before the condition, so that the last word is the condition's.
        let late = end.has_passed();
        if condition() {
            return;
        }
        if late {
            panic!("waited {deadline:?} in vain for: {what}");
        }
        thread::sleep(POLL_INTERVAL);
    }
}
