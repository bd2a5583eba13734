//! An event loop that is asleep in the poller, each in a process where it is the only one.

use super::*;
use crate::net::testing::{few_more_descriptors, in_own_process, more_descriptors};
use std::fs::File;
use std::io::{Read, Seek};

/// The event loop's thread, as the system describes it.
struct LoopThread(File);

impl LoopThread {
    /// That of the only engine in this process.
    fn find() -> LoopThread {
        let path = poll_for("the engine's thread", || {
            let threads = fs::read_dir("/proc/self/task").unwrap();
            let mut files = threads.map(|thread| thread.unwrap().path().join("status"));
            files.find(|file| fs::read_to_string(file).is_ok_and(|it| it.contains("tofu-reactor")))
        });
        LoopThread(File::open(path).unwrap())
    }

    /// While there is nothing to do, the one place where it sleeps is the poller.
    fn wait_until_asleep(&mut self) {
        poll_for("the event loop to come to rest", || {
            let mut status = String::new();
            self.0.rewind().unwrap();
            self.0.read_to_string(&mut status).unwrap();
            status.contains("State:\tS").then_some(())
        });
    }
}

/// Waits for what no event announces.
fn poll_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < end, "waited in vain for {what}");
        std::thread::yield_now();
    }
}

#[test]
fn a_socket_file_that_is_lost_while_the_engine_sleeps_is_told() {
    let name = "a_socket_file_that_is_lost_while_the_engine_sleeps_is_told";
    in_own_process(module_path!(), name, || {
        let engine = Reactor::start(Options::default()).unwrap();
        let mut event_loop = LoopThread::find();
        let mut group = engine.create_group().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let listener = listen(&engine, &mut group, &path);
        event_loop.wait_until_asleep();
        fs::remove_file(&path).unwrap();
        assert_told(&mut group, listener);
    });
}

#[test]
fn a_socket_file_that_the_kernel_does_not_tell_of_is_looked_at_in_time() {
    let name = "a_socket_file_that_the_kernel_does_not_tell_of_is_looked_at_in_time";
    in_own_process(module_path!(), name, || {
        let engine = Reactor::start(Options::default()).unwrap();
        let mut event_loop = LoopThread::find();
        let mut group = engine.create_group().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        // The listener takes it, and for inotify there is none.
        few_more_descriptors(1);
        let listener = listen(&engine, &mut group, &path);
        event_loop.wait_until_asleep();
        fs::remove_file(&path).unwrap();
        assert_told(&mut group, listener);
        more_descriptors();
    });
}

/// Stops the process that starts it, waits until it has stopped, and lets it go on.
const STOP_AND_CONTINUE: &str = "
    kill -STOP $PPID
    until grep -q '^State:.T' /proc/$PPID/status; do :; done
    kill -CONT $PPID";

/// That interrupts waiting for events, although there is no handler of a signal.
#[test]
fn the_event_loop_goes_on_when_its_wait_is_interrupted() {
    let name = "the_event_loop_goes_on_when_its_wait_is_interrupted";
    in_own_process(module_path!(), name, || {
        let engine = Reactor::start(Options::default()).unwrap();
        let mut event_loop = LoopThread::find();
        let mut group = engine.create_group().unwrap();
        let folder = tempfile::tempdir().unwrap();
        for round in 0..10 {
            event_loop.wait_until_asleep();
            let mut stop = std::process::Command::new("sh");
            let stopped = stop.args(["-c", STOP_AND_CONTINUE]).status().unwrap();
            assert!(stopped.success());
            listen(&engine, &mut group, &folder.path().join(round.to_string()));
        }
    });
}
