//! What a waker does on the engine's own thread.

use super::*;
use std::sync::mpsc::{self, Sender};
use std::task::{Context, Wake, Waker};
use std::thread;

/// Stops its engine, as a task does whose last part is dropped where it is woken.
struct Stopping(Mutex<Option<Reactor>>, Sender<(thread::ThreadId, Duration)>);

impl Wake for Stopping {
    fn wake(self: Arc<Stopping>) {
        let engine = self.0.lock().take();
        if let Some(engine) = engine {
            let start = Instant::now();
            engine.shutdown(Duration::from_secs(60));
            drop(engine);
            let told = (thread::current().id(), start.elapsed());
            self.1.send(told).unwrap();
        }
    }
}

#[test]
fn an_engine_that_its_own_thread_stops_does_not_wait_for_itself() {
    let engine = Reactor::start(Options::default()).unwrap();
    let mut group = engine.create_group().unwrap();
    let mut hello = engine.message().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let nobody = folder.path().join("nobody");
    let address = Address::uds_client(&nobody);
    address.format(&mut hello).unwrap();
    let (tell, told) = mpsc::channel();
    let stopping = Arc::new(Stopping(Mutex::new(Some(engine)), tell));
    let waker = Waker::from(stopping);
    assert!(
        group
            .poll_receive(&mut Context::from_waker(&waker))
            .is_pending()
    );
    group.sender().post(hello).unwrap();
    let (on, took) = told.recv_timeout(2 * DEADLINE).unwrap();
    assert_ne!(on, thread::current().id());
    assert!(took < Duration::from_secs(50), "it waited {took:?}");
    while group.receive(DEADLINE).is_ok() {}
}
