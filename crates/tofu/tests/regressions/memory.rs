//! An engine that the test drives, over sockets in memory: what has arrived and what time it is are
//! known to the byte and to the nanosecond before each turn. The peers are raw: bytes in, bytes out.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io::{self, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use tofu::engine::Group;
use tofu::engine::driver::{
    Driver, Handle, PeerInfo, Readiness, Resolution, Stream, Time, Token, Transport,
};
use tofu::prelude::*;

use crate::harness::{frame, hello_to};

/// So many turns are enough for anything that comes to an end.
const TURNS: usize = 10_000;

/// A connection: the engine's end, and what the peer sees of it.
#[derive(Debug, Default)]
struct Connection {
    token: Option<Token>,
    to_engine: VecDeque<u8>,
    to_peer: Vec<u8>,
    /// The peer's kernel takes nothing, but for so many bytes of which it does not tell.
    blocked: bool,
    quiet_room: usize,
}

/// What the poller would tell, and who waits at which listener.
#[derive(Debug, Default)]
struct World {
    events: Vec<(Token, Readiness)>,
    listeners: BTreeMap<String, (Token, VecDeque<SharedConnection>)>,
}

type SharedConnection = Rc<RefCell<Connection>>;
type SharedWorld = Rc<RefCell<World>>;

/// The engine's world of sockets.
#[derive(Debug)]
pub(crate) struct Memory(SharedWorld);

/// The engine's end of a connection.
#[derive(Debug)]
pub(crate) struct MemoryStream(SharedConnection);

/// The peer's end of a connection.
#[derive(Debug)]
pub(crate) struct MemoryPeer {
    connection: SharedConnection,
    world: SharedWorld,
}

fn ready(readable: bool, writable: bool) -> Readiness {
    Readiness {
        readable,
        writable,
        hung_up: false,
    }
}

impl Read for MemoryStream {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let mut connection = self.0.borrow_mut();
        if connection.to_engine.is_empty() {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        connection.to_engine.read(space)
    }
}

impl Write for MemoryStream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut connection = self.0.borrow_mut();
        let mut count = bytes.len();
        if connection.blocked {
            count = count.min(connection.quiet_room);
            connection.quiet_room -= count;
        }
        if count == 0 {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        connection.to_peer.extend_from_slice(&bytes[..count]);
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
        PeerInfo::new(place(0), None)
    }
}

impl Transport for Memory {
    type Stream = MemoryStream;
    type Listener = String;
    type Target = String;
    const SHORT_READ_MEANS_DRAINED: bool = false;

    fn resolve(&mut self, address: &Address, _: Token) -> Resolution<String> {
        Resolution::Ready(vec![address.endpoint().to_string()])
    }

    fn connect(&mut self, _: &String, _: Token) -> io::Result<MemoryStream> {
        Err(io::ErrorKind::ConnectionRefused.into())
    }

    fn listen(&mut self, target: &String, token: Token) -> io::Result<(String, Endpoint)> {
        let endpoint = target.parse().map_err(|_| io::ErrorKind::InvalidInput)?;
        let mut world = self.0.borrow_mut();
        let entry = (token, VecDeque::new());
        world.listeners.insert(target.clone(), entry);
        Ok((target.clone(), endpoint))
    }

    fn accept(&mut self, listener: &mut String) -> io::Result<MemoryStream> {
        let mut world = self.0.borrow_mut();
        let waiting = world.listeners.get_mut(listener);
        let next = waiting.and_then(|(_, waiting)| waiting.pop_front());
        Ok(MemoryStream(next.ok_or(io::ErrorKind::WouldBlock)?))
    }

    fn shed(&mut self, _: &mut String) -> bool {
        false
    }

    fn register(&mut self, stream: &mut MemoryStream, token: Token) -> io::Result<()> {
        let mut connection = stream.0.borrow_mut();
        connection.token = Some(token);
        let event = ready(!connection.to_engine.is_empty(), true);
        self.0.borrow_mut().events.push((token, event));
        Ok(())
    }
}

/// Where listeners are.
pub(crate) fn place(port: u16) -> Endpoint {
    Address::tcp_server("memory", port).into_endpoint()
}

impl MemoryPeer {
    fn announce(&self, readiness: Readiness) {
        let token = self.connection.borrow().token;
        let event = token.map(|token| (token, readiness));
        self.world.borrow_mut().events.extend(event);
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        self.connection.borrow_mut().to_engine.extend(bytes);
        self.announce(ready(true, false));
    }

    pub(crate) fn send_frame(&self, message: &Message) {
        self.send(&frame(message));
    }

    /// From now on the peer takes nothing.
    pub(crate) fn block(&self) {
        self.connection.borrow_mut().blocked = true;
    }

    /// The peer takes so many bytes more; too few for the kernel to tell of room.
    pub(crate) fn take_quietly(&self, bytes: usize) {
        self.connection.borrow_mut().quiet_room = bytes;
    }

    /// From now on the peer takes everything.
    pub(crate) fn unblock(&self) {
        self.connection.borrow_mut().blocked = false;
        self.announce(ready(false, true));
    }

    /// How many bytes the peer has got.
    pub(crate) fn received(&self) -> usize {
        self.connection.borrow().to_peer.len()
    }
}

/// An engine whose turns and whose time are the test's.
pub(crate) struct Driven {
    pub(crate) driver: Driver<Memory>,
    pub(crate) handle: Handle,
    world: SharedWorld,
    elapsed: Duration,
}

impl Driven {
    pub(crate) fn new(options: Options) -> Driven {
        let world = SharedWorld::default();
        let transport = Memory(Rc::clone(&world));
        let driver = Driver::new(options, || {}, |_| transport);
        Driven {
            handle: driver.handle(),
            driver,
            world,
            elapsed: Duration::ZERO,
        }
    }

    /// Lets time pass, and nothing happen.
    pub(crate) fn pass(&mut self, time: Duration) {
        self.elapsed += time;
    }

    /// One turn with everything that has happened since the last.
    pub(crate) fn turn(&mut self) {
        let events = std::mem::take(&mut self.world.borrow_mut().events);
        self.driver.awake();
        for (token, readiness) in events {
            self.driver.event(token, readiness);
        }
        self.driver.turn(Time::from_start(self.elapsed));
        self.driver.check_invariants().unwrap();
    }

    /// Turns until the engine would sleep.
    #[track_caller]
    pub(crate) fn settle(&mut self) {
        for _ in 0..TURNS {
            self.turn();
            let now = Time::from_start(self.elapsed);
            let sleeps = self.driver.prepare_sleep(now) != Some(Duration::ZERO);
            if sleeps && self.world.borrow().events.is_empty() {
                return;
            }
        }
        panic!("the engine does not come to rest");
    }

    /// A group that listens at this port.
    #[track_caller]
    pub(crate) fn listening(&mut self, port: u16) -> Group {
        let mut group = self.handle.create_group().unwrap();
        let mut welcome = Message::default();
        let address = Address::listen_on(place(port));
        address.format(&mut welcome).unwrap();
        group.sender().post(Msg::from(welcome)).unwrap();
        self.settle();
        let ready = received(&mut group);
        assert_eq!(ready.op_code(), OpCode::WelcomeResponse, "{ready:?}");
        group
    }

    /// A connection to the listener at this port.
    pub(crate) fn connected(&mut self, port: u16) -> MemoryPeer {
        let connection = Rc::default();
        let mut world = self.world.borrow_mut();
        let listener = world.listeners.get_mut(&place(port).to_string());
        let (token, waiting) = listener.expect("a listener");
        waiting.push_back(Rc::clone(&connection));
        let event = (*token, ready(true, false));
        world.events.push(event);
        drop(world);
        self.settle();
        MemoryPeer {
            connection,
            world: Rc::clone(&self.world),
        }
    }

    /// A channel of this group, which listens at this port, and the peer at its other end.
    #[track_caller]
    pub(crate) fn accepted(&mut self, group: &mut Group, port: u16) -> (ChannelNumber, MemoryPeer) {
        let peer = self.connected(port);
        peer.send_frame(&hello_to(&place(port), 0));
        self.settle();
        let mut hello = received(group);
        while hello.status() == Status::POOL_EMPTY {
            hello = received(group);
        }
        assert_eq!(hello.op_code(), OpCode::HelloRequest, "{hello:?}");
        (hello.channel_number(), peer)
    }
}

/// What is in the group's inbox now.
pub(crate) fn received_if_any(group: &mut Group) -> Option<Msg> {
    group.receive(Duration::ZERO).unwrap()
}

/// The next message, which is in the group's inbox now.
#[track_caller]
pub(crate) fn received(group: &mut Group) -> Msg {
    received_if_any(group).expect("a message is there")
}
