//! An engine that does not run for longer than its timeouts, over real sockets: what arrives
//! meanwhile is looked at before any deadline is judged, however the engine comes to look.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, flock};
use rustix::process::{Pid, Resource, Rlimit, Signal, getrlimit, kill_process, setrlimit};
use tofu::prelude::*;
use tofu_testkit::{RawPeer, TempUdsPath};

use crate::harness::{LIMIT, Side, Transport, on_both, requests};

on_both! {
    what_came_while_the_process_was_stopped_is_read_before_deadlines_are_judged,
}

const TIMEOUT: Duration = Duration::from_millis(500);

/// Set in the process that is stopped.
const ROLE: &str = "TOFU_REGRESSIONS_STOPPED";

/// The process that is stopped: an engine that tells what it receives.
struct Server {
    process: Child,
    stdout: BufReader<ChildStdout>,
}

impl Server {
    fn start(test: &str) -> Server {
        let mut process = Command::new(env::current_exe().unwrap())
            .args([test, "--exact", "--nocapture"])
            .env(ROLE, test)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        Server { process, stdout }
    }

    /// The next thing that it tells. It ends by itself when nothing happens for long.
    #[track_caller]
    fn told(&mut self) -> String {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once("told: ") {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the process has ended");
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.process), signal).unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; a drop has nobody to tell.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In the other process.
fn serve(transport: Transport) {
    let options = Options::default().frame_timeout(TIMEOUT);
    let mut side = Side::start(options.handshake_timeout(TIMEOUT));
    let listening = side.listen(transport);
    println!("told: {}", listening.endpoint);
    while let Some(msg) = side.group.wait_receive(LIMIT).unwrap() {
        match msg.close_info() {
            None => println!("told: {}", msg.op_code()),
            Some(info) => println!("told: closed, {}", info.cause.status()),
        }
    }
}

/// Without the repair the poll that the stop had interrupted counted as one that found nothing: the
/// frame and the HelloRequest that had come meanwhile were closed by their timeouts.
fn what_came_while_the_process_was_stopped_is_read_before_deadlines_are_judged(
    transport: Transport,
) {
    if env::var_os(ROLE).is_some() {
        return serve(transport);
    }
    let thread = std::thread::current();
    let test = thread.name().expect("a test's name");
    let conclusive = (0..10).any(|_| stop(&mut Server::start(test)));
    assert!(conclusive, "this machine is too slow for {TIMEOUT:?}");
}

/// Stops the process in the middle of a frame and of a handshake. Whether it was stopped in time: if
/// not, it may have been right to close them.
fn stop(server: &mut Server) -> bool {
    let endpoint: Endpoint = server.told().parse().unwrap();
    let line = RawPeer::connect(&endpoint).unwrap();
    line.hello(&endpoint).unwrap();
    let hello = OpCode::HelloRequest.name();
    assert_eq!(server.told(), hello);
    let begun = Instant::now();
    let late = RawPeer::connect(&endpoint).unwrap();
    let bytes = requests([2, 3], 100);
    let (first, rest) = bytes.split_at(150);
    line.send(first).unwrap();
    let request = OpCode::Request.name();
    assert_eq!(server.told(), request);
    server.signal(Signal::STOP);
    if begun.elapsed() > TIMEOUT / 2 {
        return false;
    }
    line.send(rest).unwrap();
    late.hello(&endpoint).unwrap();
    // The timeouts pass.
    std::thread::sleep(TIMEOUT);
    server.signal(Signal::CONT);
    let mut told = [server.told(), server.told()];
    told.sort();
    assert_eq!(told, [hello, request]);
    true
}

/// More than the poller hands over at once.
const CROWD: u64 = 1_100;

/// Both ends of a connection are in this process.
fn allow_descriptors() {
    let wanted = 3 * CROWD;
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current.is_some_and(|current| current < wanted) {
        let current = Some(maximum.map_or(wanted, |maximum| maximum.min(wanted)));
        setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
    }
}

/// How long the engine's thread waits for the lock of a folder: a tenth of a second for each listener
/// there.
const BUSY: Duration = Duration::from_millis(900);

/// The engine's thread does nothing else for that time.
fn keep_busy(side: &Side, folder: &TempUdsPath) -> File {
    let folder = folder.parent().expect("a folder");
    let lock = File::open(folder).unwrap();
    flock(&lock, FlockOperation::LockExclusive).unwrap();
    for number in 0..9 {
        let mut welcome = Message::default();
        let address = Address::uds_server(folder.join(format!("{number}")));
        address.format(&mut welcome).unwrap();
        side.post(welcome);
    }
    lock
}

/// Without the repair deadlines were judged after the first thousand events: the frames of all
/// others, which had arrived as well, were closed by the frame timeout.
#[test]
fn more_than_the_poller_tells_at_once_is_read_before_deadlines_are_judged() {
    allow_descriptors();
    let mut side = Side::start(Options::default().frame_timeout(BUSY - TIMEOUT / 2));
    let listening = side.listen(Transport::Uds);
    let crowd: Vec<_> = (0..CROWD)
        .map(|_| {
            let raw = RawPeer::connect(&listening.endpoint).unwrap();
            raw.hello(&listening.endpoint).unwrap();
            raw
        })
        .collect();
    for _ in &crowd {
        assert_eq!(side.next().op_code(), OpCode::HelloRequest);
    }
    let bytes = requests([2], 100);
    let (first, rest) = bytes.split_at(50);
    for raw in &crowd {
        raw.send(first).unwrap();
    }
    side.turn();
    let other = side.beside();
    let folder = TempUdsPath::new().unwrap();
    let _lock = keep_busy(&other, &folder);
    for raw in &crowd {
        raw.send(rest).unwrap();
    }
    for _ in &crowd {
        let msg = side.next();
        assert_eq!(msg.origin(), Origin::Peer, "{msg:?}");
    }
    assert_eq!(side.stats().timeouts, 0);
}
