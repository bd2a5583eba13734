//! Two engine cores over memory, for the tests of this tree: streams that take and give as few
//! bytes at a time as a test wants, no time but what a test passes in.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use tofu_addr::{Address, Endpoint};
use tofu_msg::{BinaryHeader, ChannelNumber, FrameRef, Message, OpCode, Parse, Status};

use crate::core::engine::{Core, Readiness};
use crate::core::time::Time;
use crate::core::transport::{PeerInfo, Resolution, Stream, Token, Transport};
use crate::group::Group;
use crate::msg::Msg;
use crate::options::Options;
use crate::shared::{Arc, Shared};

/// One direction of a stream.
#[derive(Debug, Default)]
struct Pipe {
    bytes: VecDeque<u8>,
    ended: bool,
}

/// One end of a stream in memory.
pub(crate) struct MemoryStream {
    inward: Rc<RefCell<Pipe>>,
    outward: Rc<RefCell<Pipe>>,
    world: Rc<RefCell<World>>,
    /// A read or write that met its limit is followed by a `WouldBlock`, as from a kernel.
    read_paused: bool,
    write_paused: bool,
}

/// What both cores have in common: who listens, and how much moves at a time.
#[derive(Default)]
pub(crate) struct World {
    backlog: VecDeque<MemoryStream>,
    listening: bool,
    pub(crate) tokens: Vec<Vec<Token>>,
    /// Bytes that one read gives and one write takes; then the stream is not ready.
    pub(crate) read_limit: usize,
    pub(crate) write_limit: usize,
    /// What every write answers instead of taking anything.
    pub(crate) write_outcome: Option<fn() -> io::Result<usize>>,
    /// Called before every read.
    pub(crate) on_read: Option<Box<dyn FnMut()>>,
}

/// What another thread might do at that moment.
fn call_before_read(world: &RefCell<World>) {
    let hook = world.borrow_mut().on_read.take();
    if let Some(mut hook) = hook {
        hook();
        world.borrow_mut().on_read = Some(hook);
    }
}

pub(crate) struct MemoryTransport {
    world: Rc<RefCell<World>>,
    side: usize,
}

impl MemoryStream {
    fn new(
        inward: &Rc<RefCell<Pipe>>,
        outward: &Rc<RefCell<Pipe>>,
        world: &Rc<RefCell<World>>,
    ) -> MemoryStream {
        MemoryStream {
            inward: Rc::clone(inward),
            outward: Rc::clone(outward),
            world: Rc::clone(world),
            read_paused: false,
            write_paused: false,
        }
    }
}

/// A peer that is no engine: it says what it likes, and nothing by itself.
pub(crate) struct RawEnd {
    inward: Rc<RefCell<Pipe>>,
    outward: Rc<RefCell<Pipe>>,
}

impl RawEnd {
    pub(crate) fn say(&self, message: &Message) {
        let mut bytes = Vec::new();
        message.encode_into(&mut bytes);
        self.outward.borrow_mut().bytes.extend(bytes);
    }

    /// Says nothing more, and goes on listening.
    pub(crate) fn end(&self) {
        self.outward.borrow_mut().ended = true;
    }

    /// The messages that have come whole since this was last asked.
    pub(crate) fn heard(&self) -> Vec<Message> {
        let mut pipe = self.inward.borrow_mut();
        let bytes: Vec<u8> = pipe.bytes.drain(..).collect();
        let mut rest = bytes.as_slice();
        let mut messages = Vec::new();
        while let Parse::Complete(frame) = FrameRef::parse(rest).unwrap() {
            messages.push(frame.to_message());
            rest = &rest[frame.frame_len()..];
        }
        pipe.bytes.extend(rest);
        messages
    }
}

impl Read for MemoryStream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        call_before_read(&self.world);
        let mut pipe = self.inward.borrow_mut();
        if pipe.bytes.is_empty() && pipe.ended {
            return Ok(0);
        }
        if pipe.bytes.is_empty() || std::mem::take(&mut self.read_paused) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let count = space
            .len()
            .min(pipe.bytes.len())
            .min(self.world.borrow().read_limit);
        for (byte, place) in pipe.bytes.drain(..count).zip(space) {
            *place = byte;
        }
        self.read_paused = true;
        Ok(count)
    }
}

impl Write for MemoryStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(outcome) = self.world.borrow().write_outcome {
            return outcome();
        }
        let limit = self.world.borrow().write_limit;
        if limit == 0 || std::mem::take(&mut self.write_paused) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        let mut pipe = self.outward.borrow_mut();
        if pipe.ended {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        let count = bytes.len().min(limit);
        pipe.bytes.extend(&bytes[..count]);
        self.write_paused = true;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for MemoryStream {
    fn drop(&mut self) {
        self.outward.borrow_mut().ended = true;
        self.inward.borrow_mut().ended = true;
    }
}

impl Stream for MemoryStream {
    fn finish_connect(&mut self) -> io::Result<bool> {
        Ok(true)
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.outward.borrow_mut().ended = true;
        Ok(())
    }

    fn reset_on_close(&mut self) {
        self.outward.borrow_mut().bytes.clear();
    }

    fn peer(&self) -> PeerInfo {
        PeerInfo::new(endpoint(), None)
    }
}

fn endpoint() -> Endpoint {
    Endpoint::Tcp {
        host: "memory".into(),
        port: 1,
    }
}

impl Transport for MemoryTransport {
    type Stream = MemoryStream;
    type Listener = ();
    type Target = ();
    const SHORT_READ_MEANS_DRAINED: bool = false;

    fn resolve(&mut self, _address: &Address, _token: Token) -> Resolution<()> {
        Resolution::Ready(vec![()])
    }

    fn connect(&mut self, _target: &(), token: Token) -> io::Result<MemoryStream> {
        let mut world = self.world.borrow_mut();
        if !world.listening {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (one, two) = (Rc::default(), Rc::default());
        world
            .backlog
            .push_back(MemoryStream::new(&one, &two, &self.world));
        world.tokens[self.side].push(token);
        Ok(MemoryStream::new(&two, &one, &self.world))
    }

    fn listen(&mut self, _target: &(), token: Token) -> io::Result<((), Endpoint)> {
        let mut world = self.world.borrow_mut();
        world.listening = true;
        world.tokens[self.side].push(token);
        Ok(((), endpoint()))
    }

    fn accept(&mut self, _listener: &mut ()) -> io::Result<MemoryStream> {
        self.world
            .borrow_mut()
            .backlog
            .pop_front()
            .ok_or(io::ErrorKind::WouldBlock.into())
    }

    fn shed(&mut self, _listener: &mut ()) -> bool {
        self.world.borrow_mut().backlog.pop_front().is_some()
    }

    fn register(&mut self, _stream: &mut MemoryStream, token: Token) -> io::Result<()> {
        self.world.borrow_mut().tokens[self.side].push(token);
        Ok(())
    }
}

/// One engine of a test.
pub(crate) struct Side {
    pub(crate) core: Core<MemoryTransport>,
    pub(crate) shared: Arc<Shared>,
    pub(crate) group: Group,
}

/// As an engine's owner does in the end. The messages in the pool know their pool, so one that is
/// never closed is never freed.
impl Drop for Side {
    fn drop(&mut self) {
        self.shared.end(Status::SHUTDOWN_STARTED);
    }
}

/// Two engines, the first listening.
pub(crate) struct Net {
    pub(crate) world: Rc<RefCell<World>>,
    pub(crate) sides: [Side; 2],
    pub(crate) now: Time,
}

impl Net {
    pub(crate) fn new(options: &Options, read_limit: usize, write_limit: usize) -> Net {
        let world = World {
            read_limit,
            write_limit,
            ..World::default()
        };
        let world = Rc::new(RefCell::new(world));
        let sides = [0, 1].map(|side| {
            world.borrow_mut().tokens.push(Vec::new());
            let shared = Shared::new(options.clone(), Box::new(|| {}));
            let transport = MemoryTransport {
                world: Rc::clone(&world),
                side,
            };
            let core = Core::new(Arc::clone(&shared), transport);
            let group = Group::new(shared.create_group().unwrap(), Arc::clone(&shared));
            Side {
                core,
                shared,
                group,
            }
        });
        let mut net = Net {
            world,
            sides,
            now: Time::START,
        };
        let mut welcome = Message::default();
        Address::tcp_server("memory", 1)
            .format(&mut welcome)
            .unwrap();
        net.post(0, welcome);
        net.settle();
        assert_eq!(net.receive(0).unwrap().op_code(), OpCode::WelcomeResponse);
        net
    }

    /// Posts a HelloRequest from the second engine; the channel's number there.
    pub(crate) fn hello(&mut self) -> BinaryHeader {
        let mut hello = Message::default();
        Address::tcp_client("memory", 1).format(&mut hello).unwrap();
        self.post(1, hello)
    }

    /// A raw peer says Hello to the first engine; with the channel's number there.
    pub(crate) fn raw_hello(&mut self) -> (RawEnd, ChannelNumber) {
        let raw = RawEnd {
            inward: Rc::default(),
            outward: Rc::default(),
        };
        let accepted = MemoryStream::new(&raw.outward, &raw.inward, &self.world);
        self.world.borrow_mut().backlog.push_back(accepted);
        let mut hello = Message::default();
        Address::tcp_client("memory", 1).format(&mut hello).unwrap();
        raw.say(&hello);
        self.settle();
        let hello = self.receive(0).unwrap();
        assert_eq!(hello.op_code(), OpCode::HelloRequest);
        (raw, hello.channel_number())
    }

    pub(crate) fn post(&mut self, side: usize, message: Message) -> BinaryHeader {
        self.sides[side]
            .group
            .sender()
            .post(Msg::from(message))
            .unwrap()
    }

    pub(crate) fn receive(&mut self, side: usize) -> Option<Msg> {
        self.sides[side].group.receive(Duration::ZERO).unwrap()
    }

    /// Lets both cores take turns, everything ready, for so many rounds.
    pub(crate) fn turns(&mut self, rounds: usize) {
        for _ in 0..rounds {
            for (index, side) in self.sides.iter_mut().enumerate() {
                let tokens = self.world.borrow().tokens[index].clone();
                for token in tokens {
                    let all = Readiness {
                        readable: true,
                        writable: true,
                        hung_up: false,
                    };
                    side.core.event(token, all);
                }
                side.core.turn(self.now);
                // Under the model other threads are in the middle of something.
                if cfg!(not(feature = "model")) {
                    side.core.check_invariants().unwrap();
                }
            }
        }
    }

    /// Takes turns until certainly nothing more happens with short messages.
    pub(crate) fn settle(&mut self) {
        self.turns(8);
    }

    pub(crate) fn pass(&mut self, time: Duration) {
        self.now = self.now.after(time);
    }
}
