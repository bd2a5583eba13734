//! Tasks bring their panics and their hanging to the caller; waiting for a condition ends.

use std::panic::catch_unwind;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
use std::time::{Duration, Instant};

use tofu_testkit::{Task, TasksError, run_named_tasks, run_tasks, wait_until};

const LONG: Duration = Duration::from_secs(30);
const SHORT: Duration = Duration::from_millis(30);

/// A task that waits until its other end is dropped.
fn hanging() -> (mpsc::Sender<()>, Task) {
    let (keep_hanging, end) = mpsc::channel::<()>();
    (keep_hanging, Box::new(move || assert!(end.recv().is_err())))
}

#[test]
fn all_tasks_run_at_the_same_time_and_to_their_end() {
    let ended = Arc::new(AtomicUsize::new(0));
    let barrier = Arc::new(Barrier::new(8));
    let tasks = (0..8).map(|_| {
        let (ended, barrier) = (Arc::clone(&ended), Arc::clone(&barrier));
        Box::new(move || {
            barrier.wait();
            ended.fetch_add(1, Ordering::SeqCst);
        }) as Task
    });
    run_tasks(LONG, tasks.collect()).unwrap();
    assert_eq!(ended.load(Ordering::SeqCst), 8);
    run_tasks(Duration::ZERO, vec![]).unwrap();
}

#[test]
fn a_panic_comes_back_at_once_with_its_text() {
    let (_keep_hanging, hanging) = hanging();
    let start = Instant::now();
    let error = run_tasks(
        LONG,
        vec![hanging, Box::new(|| panic!("{} of 3 frames", 2))],
    );
    let error = error.unwrap_err();
    assert!(start.elapsed() < LONG, "the other task was not waited for");
    assert_eq!(error.to_string(), "task 1 panicked: 2 of 3 frames");
    assert!(matches!(error, TasksError::Panicked { task, .. } if task == "task 1"));

    let error = run_tasks(LONG, vec![Box::new(|| panic!("plain text"))]).unwrap_err();
    assert_eq!(error.to_string(), "task 0 panicked: plain text");
    let error = run_tasks(LONG, vec![Box::new(|| std::panic::panic_any(7))]).unwrap_err();
    assert_eq!(error.to_string(), "task 0 panicked: (a panic without text)");
}

#[test]
fn a_hanging_task_is_named_at_the_deadline() {
    let (_keep_one, one) = hanging();
    let (_keep_other, other) = hanging();
    let tasks = [
        ("client", one),
        ("finished", Box::new(|| {}) as Task),
        ("server", other),
    ];
    let tasks = tasks.map(|(name, task)| (name.to_owned(), task));
    let error = run_named_tasks(SHORT, tasks).unwrap_err();
    assert_eq!(
        error.to_string(),
        "still running after 30ms: client, server"
    );
    assert!(matches!(
        error,
        TasksError::Hanging {
            deadline: SHORT,
            ..
        }
    ));
}

#[test]
fn waiting_ends_when_the_condition_holds() {
    let mut asked = 0;
    wait_until(LONG, "three questions", || {
        asked += 1;
        asked == 3
    });
    wait_until(Duration::ZERO, "what holds already", || true);
    wait_until(Duration::MAX, "what holds already", || true);
}

#[test]
fn waiting_in_vain_panics_with_what() {
    let start = Instant::now();
    let panic = catch_unwind(|| wait_until(SHORT, "the impossible", || false)).unwrap_err();
    assert!(start.elapsed() >= SHORT);
    let text = panic.downcast_ref::<String>().unwrap();
    assert_eq!(text, "waited 30ms in vain for: the impossible");
}
