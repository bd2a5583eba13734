//! What takes a process of its own, for it changes what all tests of a process share: descriptors
//! that run out, and a host that dies of a broken pipe.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, ChildStdin, ChildStdout, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tofu::prelude::*;
use tofu_testkit::RawPeer;

use crate::child::{child_of, plainly, run_child, with_role};
use crate::harness::{LIMIT, SHORT, Side, Transport, request, requests};
use crate::peers::{Line, Place};
use crate::run::on_both;

on_both! {
    no_descriptors_left_others_are_served_and_accepting_resumes,
    no_descriptors_left_for_long_connections_are_shed,
}

const DESCRIPTORS: u64 = 64;

/// An echo server in a process with few descriptors.
struct Server {
    process: Child,
    /// Dropped, it ends the server.
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    endpoint: Endpoint,
}

impl Server {
    fn start(test: &str, transport: Transport) -> Server {
        let module = module_path!().split_once("::").unwrap().1;
        let test = format!("{module}::both::{test}");
        let argument = format!("{transport:?}");
        let mut process = with_role(plainly(), &test, ("SERVER", &argument))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let stdin = process.stdin.take();
        let stdout = BufReader::new(process.stdout.take().unwrap());
        let mut server = Server {
            process,
            stdin,
            stdout,
            endpoint: Endpoint::Tcp {
                host: String::new(),
                port: 0,
            },
        };
        server.endpoint = server.told("endpoint ").parse().unwrap();
        server
    }

    /// The rest of the next line that begins so.
    fn told(&mut self, what: &str) -> String {
        let mut line = String::new();
        while self.stdout.read_line(&mut line).unwrap() > 0 {
            if let Some((_, rest)) = line.split_once(what) {
                return rest.trim().to_owned();
            }
            line.clear();
        }
        panic!("the server ended without {what:?}");
    }

    /// What its processor time was so far.
    fn busy(&self) -> Duration {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id())).unwrap();
        let fields = stat.rsplit_once(')').unwrap().1.split_whitespace();
        let ticks: u64 = fields
            .skip(11)
            .take(2)
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum();
        // The kernel counts in hundredths of a second here, whatever it uses itself.
        Duration::from_millis(ticks * 10)
    }

    /// Ends it: how often accepting failed, how often that was told, how many were shed.
    fn end(mut self) -> [u64; 3] {
        drop(self.stdin.take());
        let counts = self.told("counts ");
        let status = self.process.wait().unwrap();
        assert!(status.success(), "{status}");
        let counts: Vec<_> = counts
            .split(' ')
            .map(|count| count.parse().unwrap())
            .collect();
        counts.try_into().unwrap()
    }

    fn connect(&self) -> RawPeer {
        let peer = RawPeer::connect(&self.endpoint).unwrap();
        peer.hello(&self.endpoint).unwrap();
        peer
    }
}

/// One that is being served.
fn served(peer: &mut RawPeer, id: u64, deadline: Duration) -> bool {
    peer.send_frame(&request(id, 10)).unwrap();
    let answer = peer.receive_frame(deadline);
    answer.is_ok_and(|answer| answer.is_some_and(|answer| answer.message_id().value() == id))
}

/// The other process: echoes until its input ends, and says how it went.
fn serve(transport: Transport, argument: &str, options: Options) {
    if argument != format!("{transport:?}") {
        return;
    }
    let mut side = Side::start(options);
    let listening = side.listen(transport);
    limit_descriptors(Some(DESCRIPTORS));
    println!("endpoint {}", listening.endpoint);
    let (ended, end) = mpsc::channel();
    std::thread::spawn(move || {
        let _ = std::io::stdin().read_to_end(&mut Vec::new());
        ended.send(()).unwrap();
    });
    let mut notices = 0;
    while end.try_recv().is_err() {
        let Some(mut msg) = side.group.wait_receive(SHORT / 5).unwrap() else {
            continue;
        };
        if msg.origin() == Origin::Peer && msg.op_code() == OpCode::Request {
            msg.make_reply();
            let _ = side.group.post(msg);
        } else if msg.status() == Status::ACCEPT_FAILED {
            assert_eq!(msg.channel_number(), listening.channel);
            notices += 1;
        }
    }
    let stats = side.stats();
    println!(
        "counts {} {notices} {}",
        stats.accepts_failed, stats.connections_shed
    );
}

/// Connects more than there are descriptors: those who are served, and those who wait.
fn crowd(server: &Server) -> (Vec<RawPeer>, Vec<RawPeer>) {
    let mut crowd: Vec<_> = (0..90).map(|_| server.connect()).collect();
    let mut count = 0;
    while served(&mut crowd[count], 1, SHORT * 3 / 2) {
        count += 1;
    }
    let waiting = crowd.split_off(count);
    assert!(crowd.len() > 30 && waiting.len() > 20, "{count} are served");
    (crowd, waiting)
}

fn no_descriptors_left_others_are_served_and_accepting_resumes(transport: Transport) {
    if let Some(argument) = child_of("SERVER") {
        return serve(transport, &argument, Options::default());
    }
    let test = "no_descriptors_left_others_are_served_and_accepting_resumes";
    let begun = Instant::now();
    let server = Server::start(test, transport);
    let mut honest = server.connect();
    assert!(served(&mut honest, 1, LIMIT));
    let (crowd, mut waiting) = crowd(&server);
    let (start, busy) = (Instant::now(), server.busy());
    std::thread::sleep(SHORT * 3);
    let share = (server.busy() - busy).as_secs_f64() / start.elapsed().as_secs_f64();
    assert!(share <= 0.05, "{share} of a processor for waiting");
    for id in 2..20 {
        assert!(served(&mut honest, id, LIMIT));
    }
    drop(crowd);
    let start = Instant::now();
    for peer in &mut waiting {
        // The first of them has asked once before.
        let answer = peer
            .send_frame(&request(7, 1))
            .map(|()| peer.receive_frame(LIMIT));
        assert!(answer.unwrap().unwrap().is_some());
    }
    let elapsed = start.elapsed();
    assert!(
        elapsed < Duration::from_secs(2),
        "resumed after {elapsed:?}"
    );
    assert!(served(&mut honest, 20, LIMIT));
    let [failed, told, shed] = server.end();
    let seconds = begun.elapsed().as_secs();
    assert!(told >= 1 && told <= failed, "{failed} {told}");
    assert!(told <= seconds + 1, "{told} in {seconds} s");
    assert_eq!(shed, 0);
}

fn no_descriptors_left_for_long_connections_are_shed(transport: Transport) {
    if let Some(argument) = child_of("SERVER") {
        let options = Options::default().handshake_timeout(SHORT);
        return serve(transport, &argument, options);
    }
    let test = "no_descriptors_left_for_long_connections_are_shed";
    let server = Server::start(test, transport);
    let mut honest = server.connect();
    assert!(served(&mut honest, 1, LIMIT));
    let (mut crowd, mut waiting) = crowd(&server);
    // The oldest learns of it; those who are in stay in.
    let (frames, _end) = waiting[0].receive_all(LIMIT);
    assert!(frames.is_empty(), "{frames:?}");
    for peer in &mut crowd {
        assert!(served(peer, 2, LIMIT));
    }
    assert!(served(&mut honest, 2, LIMIT));
    let [failed, told, shed] = server.end();
    assert!(told >= 1 && told <= failed, "{failed} {told}");
    assert!((1..20).contains(&shed), "{shed}");
}

/// From now on this process gets so many descriptors, and `None` means as many as it may.
fn limit_descriptors(current: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    let current = current.or(maximum);
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}

/// What needs a socket fails for want of one, by itself alone, and does not later.
#[test]
fn no_descriptors_left_nothing_new_begins() {
    const EMFILE: Option<i32> = Some(24);
    if child_of("NOTHING_NEW").is_none() {
        let test = "descriptors::no_descriptors_left_nothing_new_begins";
        return run_child(plainly(), test, ("NOTHING_NEW", ""));
    }
    let mut side = Side::start(Options::default());
    let places = [Place::new(Transport::Tcp), Place::new(Transport::Uds)];
    let mut line = Line::dialed(&side, &places[0]);
    let next = File::open("/").unwrap().as_raw_fd();
    limit_descriptors(Some(u64::try_from(next).unwrap()));
    for place in &places {
        let hello = side.hello(place.endpoint());
        let (notice, msg) = side.expect_engine(hello.channel_number());
        assert_eq!(notice, Notice::ConnectFailed);
        let cause = msg.cause().unwrap();
        assert_eq!(cause.status(), Status::CONNECT_FAILED, "{cause}");
        assert_eq!(cause.os_error(), EMFILE);
        side.expect_closed(hello.channel_number(), Status::CONNECT_FAILED);
    }
    let mut welcome = Message::default();
    let address = Address::tcp_server("127.0.0.1", 0);
    address.format(&mut welcome).unwrap();
    let welcome = side.post(welcome);
    let (notice, msg) = side.expect_engine(welcome.channel_number());
    assert_eq!(notice, Notice::ListenFailed);
    assert_eq!(msg.cause().unwrap().os_error(), EMFILE);
    side.expect_closed(welcome.channel_number(), Status::LISTEN_FAILED);
    let error = Reactor::start(Options::default()).unwrap_err();
    assert!(matches!(error, EngineError::NotStarted(_)), "{error}");
    line.echo(&mut side);
    limit_descriptors(None);
    for place in &places {
        Line::dialed(&side, place);
    }
    side.listen_on(&address);
}

/// Whether a broken pipe ends this process: the signal is neither ignored nor caught.
fn dies_of_a_broken_pipe() -> bool {
    const BIT: u64 = 1 << (13 - 1);
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let mask = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
    };
    (mask("SigIgn:") | mask("SigCgt:")) & BIT == 0
}

/// Posts to peers that are gone while nothing is read, so that nothing but writing can tell.
fn write_into_broken_pipes(transport: Transport) {
    let mut side = Side::start(Options::default().inbox_messages(1));
    let place = Place::new(transport);
    for _ in 0..5 {
        let line = Line::dialed(&side, &place);
        line.raw.send(&requests(1..=3, 10)).unwrap();
        side.turn();
        line.raw.shutdown_write().unwrap();
        line.raw.reset().unwrap();
        side.turn();
        let mut message = request(7, 10);
        message.set_channel_number(line.channel);
        side.post(message);
        side.turn();
        for id in 1..=3 {
            side.expect_peer(line.channel, &request(id, 10));
        }
        let mut back = request(7, 10);
        back.set_channel_number(line.channel);
        side.expect_back(&back, Status::PEER_DISCONNECTED);
        side.expect_closed(line.channel, Status::PEER_DISCONNECTED);
    }
}

#[test]
fn a_host_that_dies_of_broken_pipes_lives_on() {
    let test = "descriptors::a_host_that_dies_of_broken_pipes_lives_on";
    if let Some(part) = child_of("BROKEN_PIPE") {
        assert!(!dies_of_a_broken_pipe(), "as every Rust program begins");
        sigpipe::reset();
        assert!(dies_of_a_broken_pipe());
        if part == "control" {
            let (ours, theirs) = UnixStream::pair().unwrap();
            drop(theirs);
            let result = File::from(OwnedFd::from(ours)).write(b"x");
            panic!("survived it: {result:?}");
        }
        write_into_broken_pipes(Transport::Tcp);
        write_into_broken_pipes(Transport::Uds);
        return;
    }
    run_child(plainly(), test, ("BROKEN_PIPE", "engine"));
    let mut control = with_role(plainly(), test, ("BROKEN_PIPE", "control"));
    let status = control.output().unwrap().status;
    assert_eq!(status.signal(), Some(13), "{status}");
}
