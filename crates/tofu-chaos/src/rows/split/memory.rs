//! Two engines over streams in memory that are cut at a given byte: without sockets, threads or time.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tofu::engine::driver::{
    Driver, Handle, PeerInfo, Readiness, Resolution, Stream, Time, Token, Transport,
};
use tofu::engine::{Group, Msg, Options};
use tofu::prelude::{Address, ChannelNumber, Endpoint, Message, OpCode};

/// More turns than any conversation here needs.
const TURNS: usize = 20_000;

/// Where a stream is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cut {
    Nowhere,
    /// Once, behind so many bytes.
    Behind(usize),
    /// Again and again, behind so many bytes each time.
    Every(usize),
}

impl Cut {
    /// How many bytes may pass at once when so many have passed.
    fn limit(self, passed: usize) -> usize {
        match self {
            Cut::Behind(place) if passed < place => place - passed,
            Cut::Nowhere | Cut::Behind(_) => usize::MAX,
            Cut::Every(step) => step,
        }
    }
}

/// One direction of the connection.
#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    written: usize,
    read: usize,
    /// What passed last is followed by a `WouldBlock`, as from a kernel.
    write_pauses: bool,
    read_pauses: bool,
}

/// What both engines have in common.
#[derive(Debug)]
struct World {
    reads: Cut,
    writes: Cut,
    backlog: Option<MemoryStream>,
    tokens: [Vec<Token>; 2],
}

/// One end of the connection.
#[derive(Debug)]
struct MemoryStream {
    inward: Rc<RefCell<Pipe>>,
    outward: Rc<RefCell<Pipe>>,
    reads: Cut,
    writes: Cut,
}

/// The sockets of one engine.
#[derive(Debug)]
struct Memory {
    world: Rc<RefCell<World>>,
    side: usize,
}

impl Read for MemoryStream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut pipe = self.inward.borrow_mut();
        if pipe.bytes.is_empty() || std::mem::take(&mut pipe.read_pauses) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let limit = self.reads.limit(pipe.read).min(space.len());
        let count = pipe.bytes.read(&mut space[..limit])?;
        pipe.read += count;
        pipe.read_pauses = self.reads != Cut::Nowhere;
        Ok(count)
    }
}

impl Write for MemoryStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut pipe = self.outward.borrow_mut();
        if std::mem::take(&mut pipe.write_pauses) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = bytes.len().min(self.writes.limit(pipe.written));
        pipe.bytes.extend(&bytes[..count]);
        pipe.written += count;
        pipe.write_pauses = self.writes != Cut::Nowhere;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for MemoryStream {
    fn finish_connect(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn reset_on_close(&mut self) {}

    fn peer(&self) -> PeerInfo {
        PeerInfo::new(place(), None)
    }
}

/// Where the one listener is.
fn place() -> Endpoint {
    Address::tcp_server("memory", 1).into_endpoint()
}

impl Transport for Memory {
    type Stream = MemoryStream;
    type Listener = ();
    type Target = ();
    const SHORT_READ_MEANS_DRAINED: bool = false;

    fn resolve(&mut self, _: &Address, _: Token) -> Resolution<()> {
        Resolution::Ready(vec![()])
    }

    fn connect(&mut self, (): &(), token: Token) -> io::Result<MemoryStream> {
        let mut world = self.world.borrow_mut();
        let (reads, writes) = (world.reads, world.writes);
        let [one, two]: [Rc<RefCell<Pipe>>; 2] = Default::default();
        let end = |inward: &Rc<_>, outward: &Rc<_>| MemoryStream {
            inward: Rc::clone(inward),
            outward: Rc::clone(outward),
            reads,
            writes,
        };
        world.backlog = Some(end(&one, &two));
        world.tokens[self.side].push(token);
        Ok(end(&two, &one))
    }

    fn listen(&mut self, (): &(), token: Token) -> io::Result<((), Endpoint)> {
        self.world.borrow_mut().tokens[self.side].push(token);
        Ok(((), place()))
    }

    fn accept(&mut self, (): &mut ()) -> io::Result<MemoryStream> {
        let next = self.world.borrow_mut().backlog.take();
        next.ok_or(io::ErrorKind::WouldBlock.into())
    }

    fn shed(&mut self, (): &mut ()) -> bool {
        false
    }

    fn register(&mut self, _: &mut MemoryStream, token: Token) -> io::Result<()> {
        self.world.borrow_mut().tokens[self.side].push(token);
        Ok(())
    }
}

/// Two engines; the first listens.
pub(super) struct Pair {
    world: Rc<RefCell<World>>,
    drivers: [Driver<Memory>; 2],
    handles: [Handle; 2],
    groups: [Group; 2],
}

impl Pair {
    pub(super) fn new(options: &Options, reads: Cut, writes: Cut) -> Result<Pair> {
        let world = Rc::new(RefCell::new(World {
            reads,
            writes,
            backlog: None,
            tokens: Default::default(),
        }));
        let drivers = [0, 1].map(|side| {
            let world = Rc::clone(&world);
            Driver::new(options.clone(), || {}, |_| Memory { world, side })
        });
        let handles = [drivers[0].handle(), drivers[1].handle()];
        let groups = [handles[0].create_group()?, handles[1].create_group()?];
        Ok(Pair {
            world,
            drivers,
            handles,
            groups,
        })
    }

    pub(super) fn post(&self, side: usize, message: Message) -> Result<ChannelNumber> {
        let header = self.groups[side].sender().post(Msg::from(message))?;
        Ok(header.channel_number)
    }

    /// The next message of a side; turns until there is one.
    pub(super) fn receive(&mut self, side: usize) -> Result<Msg> {
        for _ in 0..TURNS {
            if let Some(message) = self.groups[side].receive(Duration::ZERO)? {
                return Ok(message);
            }
            self.turn();
        }
        None.context("a message does not arrive")
    }

    /// One turn of each; every socket may be ready.
    fn turn(&mut self) {
        for (side, driver) in self.drivers.iter_mut().enumerate() {
            let tokens = self.world.borrow().tokens[side].clone();
            driver.awake();
            for token in tokens {
                let readiness = Readiness {
                    readable: true,
                    writable: true,
                    hung_up: false,
                };
                driver.event(token, readiness);
            }
            driver.turn(Time::from_start(Duration::ZERO));
        }
    }

    /// Listens and connects, and says nothing on the channels; each side's number.
    pub(super) fn connect(&mut self) -> Result<[ChannelNumber; 2]> {
        let mut welcome = Message::default();
        Address::listen_on(place()).format(&mut welcome)?;
        self.post(0, welcome)?;
        let ready = self.receive(0)?;
        ensure!(ready.op_code() == OpCode::WelcomeResponse, "{ready:?}");
        let mut hello = Message::default();
        Address::connect_to(place()).format(&mut hello)?;
        let there = self.post(1, hello)?;
        let hello = self.receive(0)?;
        ensure!(hello.op_code() == OpCode::HelloRequest, "{hello:?}");
        Ok([hello.channel_number(), there])
    }
}

impl Drop for Pair {
    /// As the owner of an engine does in the end.
    fn drop(&mut self) {
        for handle in &self.handles {
            handle.request_shutdown(Duration::ZERO);
        }
        self.turn();
    }
}
