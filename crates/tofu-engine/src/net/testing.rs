//! A transport with a poll loop around it, for the tests of this folder.
//!
//! Every wait has a deadline and is ended by an event, never by luck.

use std::env;
use std::fs::File;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::time::{Duration, Instant};

use mio::{Events, Poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tofu_addr::Endpoint;

use super::reactor::readiness;
use super::resolver::{Resolver, ResolverOptions, system_lookup};
use super::socket::SocketOptions;
use super::token;
use super::transport::{MioListener, MioStream, MioTransport, Target};
use crate::core::engine::Readiness;
use crate::core::time::Time;
use crate::core::transport::{Stream, Token, Transport};
use crate::sync::Arc;

/// No wait in a test takes longer, unless something is broken.
pub(super) const DEADLINE: Duration = Duration::from_secs(20);

/// A transport and its poller.
pub(super) struct World {
    pub(super) transport: MioTransport,
    poll: Poll,
    events: Events,
    pending: Vec<(Token, Readiness)>,
    next_slot: u32,
    /// How often the watch over socket files was reported.
    pub(super) file_events: u32,
}

/// Two ends of a connection.
pub(super) struct Pair {
    pub(super) client: MioStream,
    pub(super) client_token: Token,
    pub(super) server: MioStream,
    pub(super) server_token: Token,
}

impl World {
    pub(super) fn new() -> World {
        World::with(SocketOptions::default())
    }

    pub(super) fn with(options: SocketOptions) -> World {
        let wake = Arc::new(|| {});
        let resolver = Resolver::new(ResolverOptions::default(), system_lookup(), wake);
        let poll = Poll::new().unwrap();
        let registry = poll.registry().try_clone().unwrap();
        let transport = MioTransport::new(registry, resolver, options);
        let events = Events::with_capacity(64);
        World {
            transport,
            poll,
            events,
            pending: Vec::new(),
            next_slot: 0,
            file_events: 0,
        }
    }

    /// A token that no other socket has.
    pub(super) fn token(&mut self) -> Token {
        self.next_slot += 1;
        Token {
            slot: self.next_slot,
            generation: self.next_slot * 3,
        }
    }

    /// Waits until a readiness of `token` passes `test`; those of others are kept.
    pub(super) fn wait(&mut self, token: Token, test: impl Fn(Readiness) -> bool) {
        let end = Instant::now() + DEADLINE;
        loop {
            let found = self
                .pending
                .iter()
                .position(|(of, what)| *of == token && test(*what));
            if let Some(position) = found {
                self.pending.remove(position);
                return;
            }
            let left = end.saturating_duration_since(Instant::now());
            assert!(
                !left.is_zero(),
                "no such readiness of {token:?}: {:?}",
                self.pending
            );
            self.poll(left);
        }
    }

    pub(super) fn wait_readable(&mut self, token: Token) {
        self.wait(token, |readiness| readiness.readable);
    }

    pub(super) fn wait_writable(&mut self, token: Token) {
        self.wait(token, |readiness| readiness.writable);
    }

    /// Forgets every readiness so far, so that only a new one counts.
    pub(super) fn forget_readiness(&mut self) {
        self.poll(Duration::ZERO);
        self.pending.clear();
    }

    /// Whether a readiness of `token` has been reported since they were forgotten.
    pub(super) fn has_news_of(&mut self, token: Token) -> bool {
        self.poll(Duration::ZERO);
        self.pending.iter().any(|(of, _)| *of == token)
    }

    /// Takes what has been reported, and looks for socket files as the event loop would at `now`.
    pub(super) fn look_for_files(&mut self, now: Time) -> Vec<Token> {
        self.poll(Duration::ZERO);
        self.transport.look_for_files(now)
    }

    fn poll(&mut self, timeout: Duration) {
        match self.poll.poll(&mut self.events, Some(timeout)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return,
            result => result.unwrap(),
        }
        for event in &self.events {
            if event.token() == token::SOCKET_FILES {
                self.file_events += 1;
                self.transport.take_file_events();
                continue;
            }
            let token = token::unpack(event.token());
            self.pending.push((token, readiness(event)));
        }
    }

    /// A listener, its token and where it listens.
    pub(super) fn listen(&mut self, target: &Target) -> (MioListener, Token, Endpoint) {
        let token = self.token();
        let (listener, endpoint) = self.transport.listen(target, token).unwrap();
        (listener, token, endpoint)
    }

    /// Connects to a listener and accepts.
    pub(super) fn pair(&mut self, listener: &mut (MioListener, Token, Endpoint)) -> Pair {
        let client_token = self.token();
        let target = target_of(&listener.2);
        let client = self.transport.connect(&target, client_token).unwrap();
        let server_token = self.token();
        let server = self.accept(listener, server_token);
        let mut pair = Pair {
            client,
            client_token,
            server,
            server_token,
        };
        self.wait_writable(client_token);
        assert!(pair.client.finish_connect().unwrap());
        pair
    }

    /// Accepts a connection that is on its way.
    pub(super) fn accept(
        &mut self,
        listener: &mut (MioListener, Token, Endpoint),
        token: Token,
    ) -> MioStream {
        loop {
            match self.transport.accept(&mut listener.0) {
                Ok(mut stream) => {
                    self.transport.register(&mut stream, token).unwrap();
                    return stream;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_readable(listener.1);
                }
                Err(error) => panic!("accept: {error}"),
            }
        }
    }

    /// Reads `stream` to its end.
    pub(super) fn read_to_end(
        &mut self,
        stream: &mut MioStream,
        token: Token,
    ) -> io::Result<Vec<u8>> {
        let mut all = Vec::new();
        self.read_until(stream, token, &mut all, usize::MAX)?;
        Ok(all)
    }

    /// Reads until `all` has `len` bytes or the stream ends.
    pub(super) fn read_until(
        &mut self,
        stream: &mut MioStream,
        token: Token,
        all: &mut Vec<u8>,
        len: usize,
    ) -> io::Result<()> {
        let mut buffer = [0; 65536];
        while all.len() < len {
            match io::Read::read(stream, &mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => all.extend_from_slice(&buffer[..count]),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.wait_readable(token);
                }
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// Any port of the loopback interface.
pub(super) fn any_port() -> Target {
    Target::Tcp(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
}

/// The numeric target that an endpoint stands for.
pub(super) fn target_of(endpoint: &Endpoint) -> Target {
    match endpoint {
        Endpoint::Tcp { host, port } => Target::Tcp(SocketAddr::new(host.parse().unwrap(), *port)),
        Endpoint::Uds(name) => Target::Uds(name.clone()),
    }
}

/// The kind of error that a call which must fail failed with, and its text.
pub(super) fn failure<T>(result: io::Result<T>) -> (io::ErrorKind, String) {
    match result {
        Ok(_) => panic!("the call succeeded"),
        Err(error) => (error.kind(), error.to_string()),
    }
}

/// Set in a process that was started for one test alone.
const CHILD: &str = "TOFU_TEST_CHILD";
/// What such a process prints at the end, for without it no test of that name was run.
const SURVIVED: &str = "the body has run to its end";

/// Runs the body of the test `name` of `module` (its full path) in a process of its own, for it
/// changes what all tests of a process share: the program starts itself again with this one test.
pub(super) fn in_own_process(module: &str, name: &str, body: impl FnOnce()) {
    if env::var_os(CHILD).is_some() {
        body();
        println!("{SURVIVED}");
        return;
    }
    let (_crate, module) = module.split_once("::").unwrap();
    let output = Command::new(env::current_exe().unwrap())
        .args([&format!("{module}::{name}"), "--exact", "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    let survived = output.status.success() && text.contains(SURVIVED);
    assert!(survived, "{}\n{text}\n{errors}", output.status);
}

/// From now on this process gets no further descriptor, until [`more_descriptors`].
pub(super) fn no_more_descriptors() {
    few_more_descriptors(0);
    let error = File::open("/").unwrap_err();
    assert_eq!(error.raw_os_error(), Some(nix::errno::Errno::EMFILE as i32));
}

/// The same after so many more, unless some are closed.
pub(super) fn few_more_descriptors(count: usize) {
    // Each gets the lowest number that is free; the limit is a number that none reaches.
    let next: Vec<File> = (0..=count).map(|_| File::open("/").unwrap()).collect();
    let limit = next[count].as_raw_fd();
    limit_descriptors(Some(u64::try_from(limit).unwrap()));
}

/// Ends what [`no_more_descriptors`] has begun.
pub(super) fn more_descriptors() {
    limit_descriptors(getrlimit(Resource::Nofile).maximum);
}

fn limit_descriptors(current: Option<u64>) {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current, maximum }).unwrap();
}
