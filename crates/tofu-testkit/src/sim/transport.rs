//! The engines' side of the simulated network: the transport that a driver is made with, and its
//! streams and listeners.

use std::cell::RefCell;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::rc::Rc;
use std::time::Duration;

use tofu_addr::{Address, Endpoint, UdsName};
use tofu_engine::driver::{Credentials, PeerInfo, Readiness, Resolution, Stream, Token, Transport};

use crate::sim::connection::{End, Phase};
use crate::sim::network::{Arrival, Listening, Network};

/// The transport of one engine. `WHOLE`: a read gives all there is, so that a short one proves
/// that nothing is left.
#[derive(Debug)]
pub(crate) struct SimTransport<const WHOLE: bool> {
    network: Rc<RefCell<Network>>,
    engine: usize,
}

impl<const WHOLE: bool> SimTransport<WHOLE> {
    pub(crate) fn new(network: Rc<RefCell<Network>>, engine: usize) -> SimTransport<WHOLE> {
        SimTransport { network, engine }
    }
}

/// One end of a connection, held by an engine.
#[derive(Debug)]
pub(crate) struct SimStream<const WHOLE: bool> {
    network: Rc<RefCell<Network>>,
    end: End,
}

/// A listening socket of an engine.
#[derive(Debug)]
pub(crate) struct SimListener {
    network: Rc<RefCell<Network>>,
    address: String,
    life: u64,
}

impl<const WHOLE: bool> SimStream<WHOLE> {
    /// The engine is in the middle of a turn: an application may do something meanwhile.
    fn be_midway(&self) {
        let mut network = self.network.borrow_mut();
        let owner = network.half(self.end).owner;
        let work = owner.and_then(|(engine, _)| network.midway.take_due(engine));
        drop(network);
        if let Some(work) = work {
            work();
        }
    }
}

impl<const WHOLE: bool> Read for SimStream<WHOLE> {
    fn read(&mut self, space: &mut [u8]) -> io::Result<usize> {
        let result = self.network.borrow_mut().read(self.end, space, WHOLE);
        self.be_midway();
        result
    }
}

impl<const WHOLE: bool> Write for SimStream<WHOLE> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(bytes)])
    }

    fn write_vectored(&mut self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        let result = self.network.borrow_mut().write(self.end, slices);
        self.be_midway();
        result
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<const WHOLE: bool> Drop for SimStream<WHOLE> {
    fn drop(&mut self) {
        self.network.borrow_mut().close(self.end);
    }
}

impl<const WHOLE: bool> Stream for SimStream<WHOLE> {
    fn finish_connect(&mut self) -> io::Result<bool> {
        match self.network.borrow().connections[self.end.connection].phase {
            Phase::Connecting => Ok(false),
            Phase::Established => Ok(true),
            Phase::Refused => Err(ErrorKind::ConnectionRefused.into()),
        }
    }

    fn shutdown_write(&mut self) -> io::Result<()> {
        self.network.borrow_mut().end_writing(self.end)
    }

    fn reset_on_close(&mut self) {
        self.network.borrow_mut().half(self.end).reset_on_close = true;
    }

    fn peer(&self) -> PeerInfo {
        let network = self.network.borrow();
        let local = network.connections[self.end.connection]
            .address
            .starts_with("uds");
        peer_info(self.end, local)
    }
}

/// So many users and hosts are behind the connections, in turn.
const WHO: usize = 3;

/// Who is said to be at the other end: the connection, and one of a few users or hosts.
fn peer_info(end: End, local: bool) -> PeerInfo {
    let End { connection, side } = end;
    let who = connection % WHO;
    if local {
        let name = UdsName::File(format!("/{connection}/{side}").into());
        let user = u32::try_from(who).unwrap_or(0);
        let credentials = Credentials::new(user, user, None);
        return PeerInfo::new(Endpoint::Uds(name), Some(credentials));
    }
    let endpoint = Endpoint::Tcp {
        host: format!("{side}.{who}"),
        port: u16::try_from(connection).unwrap_or(u16::MAX),
    };
    PeerInfo::new(endpoint, None)
}

/// The end that an endpoint was made from.
pub(crate) fn end_of(endpoint: &Endpoint) -> Option<End> {
    match endpoint {
        Endpoint::Tcp { host, port } => Some(End {
            connection: usize::from(*port),
            side: host.split_once('.')?.0.parse().ok()?,
        }),
        Endpoint::Uds(UdsName::File(path)) => {
            let mut parts = path.to_str()?.split('/').skip(1);
            let mut number = || parts.next()?.parse().ok();
            Some(End {
                connection: number()?,
                side: number()?,
            })
        }
        Endpoint::Uds(_) => None,
    }
}

impl Drop for SimListener {
    fn drop(&mut self) {
        let mut network = self.network.borrow_mut();
        network.stop_listening(&self.address, self.life);
    }
}

impl Network {
    /// Somebody begins to listen.
    pub(crate) fn listen(
        &mut self,
        address: &str,
        owner: Option<(usize, Token)>,
    ) -> io::Result<u64> {
        if self.listeners.contains_key(address) {
            return Err(ErrorKind::AddrInUse.into());
        }
        self.lives += 1;
        let listening = Listening {
            owner,
            backlog: Default::default(),
            limit: self.backlog,
            life: self.lives,
        };
        self.listeners.insert(address.to_owned(), listening);
        Ok(self.lives)
    }

    /// A listener is closed: those who still waited are reset.
    pub(crate) fn stop_listening(&mut self, address: &str, life: u64) {
        if self.listeners.get(address).map(|it| it.life) != Some(life) {
            return;
        }
        let waiting = self.listeners.remove(address).map(|it| it.backlog);
        for connection in waiting.unwrap_or_default() {
            let side = 1;
            let end = End { connection, side };
            self.half(end).reset_on_close = true;
            self.close(end);
        }
    }

    /// Now and then the socket file of one of an engine's listeners is gone.
    pub(crate) fn lose_path(&mut self, engine: usize) -> Option<Token> {
        let rate = self.faults.path_gone;
        if !self.chance(rate) {
            return None;
        }
        let files = self.listeners.iter().filter(|(address, listening)| {
            let ours = listening.owner.is_some_and(|(owner, _)| owner == engine);
            ours && address.starts_with("uds") && listening.backlog.is_empty()
        });
        let (address, token) = files
            .map(|(address, it)| (address.clone(), it.owner))
            .next()?;
        self.listeners.remove(&address);
        token.map(|(_, token)| token)
    }

    /// Takes a waiting connection.
    pub(crate) fn take_waiting(&mut self, address: &str) -> Option<End> {
        let listening = self.listeners.get_mut(address)?;
        let connection = listening.backlog.pop_front()?;
        let side = 1;
        self.moves += 1;
        Some(End { connection, side })
    }

    fn accept(&mut self, engine: usize, address: &str) -> io::Result<End> {
        let waits = self
            .listeners
            .get(address)
            .is_some_and(|it| !it.backlog.is_empty());
        if !waits {
            return Err(ErrorKind::WouldBlock.into());
        }
        let (lacking, aborted) = (self.faults.no_descriptors, self.faults.abort_accept);
        if self.drought[engine] <= self.now && self.chance(lacking) {
            let longest = self.faults.drought;
            self.drought[engine] = self.now + self.some_time(longest);
        }
        if self.drought[engine] > self.now {
            // "Too many open files", as Linux numbers it.
            return Err(io::Error::from_raw_os_error(24));
        }
        let end = self.take_waiting(address).ok_or(ErrorKind::WouldBlock)?;
        if self.chance(aborted) {
            self.half(end).reset_on_close = true;
            self.close(end);
            return Err(ErrorKind::ConnectionAborted.into());
        }
        self.half(end).taken = true;
        Ok(end)
    }

    /// Begins to connect. UDS-like addresses are answered at once, others in their time.
    pub(crate) fn connect(
        &mut self,
        address: &str,
        owner: Option<(usize, Token)>,
    ) -> io::Result<End> {
        let (refuse, silence) = (self.faults.refuse, self.faults.silence);
        if self.chance(refuse) {
            return Err(ErrorKind::ConnectionRefused.into());
        }
        let at_once = address.starts_with("uds");
        if at_once {
            match self.listeners.get(address) {
                None => return Err(ErrorKind::NotFound.into()),
                Some(it) if it.backlog.len() >= it.limit => {
                    return Err(ErrorKind::WouldBlock.into());
                }
                Some(_) => {}
            }
        }
        let (connection, side) = (self.new_connection(address), 0);
        let end = End { connection, side };
        self.half(end).owner = owner;
        self.moves += 1;
        if at_once {
            self.establish(connection);
            self.tell(end, false, true, false);
        } else if !self.chance(silence) {
            let at = self.arrival_time();
            self.send(at, Arrival::Attempt(connection));
        }
        Ok(end)
    }

    /// Registers an accepted end: whatever is ready by then is told at once.
    fn register(&mut self, end: End, engine: usize, token: Token) {
        let room = self.half(end.other()).room();
        let half = self.half(end);
        half.owner = Some((engine, token));
        let readiness = half.readiness(room);
        if readiness != Readiness::default() {
            self.raise(engine, token, readiness);
        }
        self.note_token(engine, token);
    }

    /// What a name stands for: the host of a name is `nameN`, and N says what becomes of it.
    fn look_up(&mut self, address: &str, engine: usize, token: Token) {
        let result = match self.random.below(4) {
            0 => Err(ErrorKind::NotFound),
            1 => Ok(vec!["tcp|nobody|1".to_owned(), address.replace("name", "")]),
            _ => Ok(vec![address.replace("name", "")]),
        };
        let delay = self.faults.delay * 4;
        let at = self.now + self.some_time(delay);
        self.send(at, Arrival::Resolved(engine, token, result));
    }
}

impl<const WHOLE: bool> Transport for SimTransport<WHOLE> {
    type Stream = SimStream<WHOLE>;
    type Listener = SimListener;
    type Target = String;
    const SHORT_READ_MEANS_DRAINED: bool = WHOLE;

    fn resolve(&mut self, address: &Address, token: Token) -> Resolution<String> {
        let target = address.endpoint().to_string();
        if target.starts_with("tcp|name") {
            let mut network = self.network.borrow_mut();
            if network.random.below(8) == 0 {
                return Resolution::Failed(ErrorKind::QuotaExceeded.into());
            }
            network.look_up(&target, self.engine, token);
            return Resolution::Pending;
        }
        if target.starts_with("tcp|nowhere") {
            return Resolution::Failed(ErrorKind::NotFound.into());
        }
        Resolution::Ready(vec![target])
    }

    fn connect(&mut self, target: &String, token: Token) -> io::Result<SimStream<WHOLE>> {
        let mut network = self.network.borrow_mut();
        let end = network.connect(target, Some((self.engine, token)))?;
        network.note_token(self.engine, token);
        Ok(self.stream(end))
    }

    fn listen(&mut self, target: &String, token: Token) -> io::Result<(SimListener, Endpoint)> {
        let endpoint: Endpoint = target.parse().map_err(|_| ErrorKind::InvalidInput)?;
        if target.starts_with("tcp|invalid") {
            return Err(ErrorKind::InvalidInput.into());
        }
        let mut network = self.network.borrow_mut();
        let life = network.listen(target, Some((self.engine, token)))?;
        network.note_token(self.engine, token);
        let listener = SimListener {
            network: Rc::clone(&self.network),
            address: target.clone(),
            life,
        };
        Ok((listener, endpoint))
    }

    fn accept(&mut self, listener: &mut SimListener) -> io::Result<SimStream<WHOLE>> {
        let mut network = self.network.borrow_mut();
        let end = network.accept(self.engine, &listener.address)?;
        drop(network);
        Ok(self.stream(end))
    }

    fn shed(&mut self, listener: &mut SimListener) -> bool {
        let mut network = self.network.borrow_mut();
        let Some(end) = network.take_waiting(&listener.address) else {
            return false;
        };
        network.close(end);
        true
    }

    fn register(&mut self, stream: &mut SimStream<WHOLE>, token: Token) -> io::Result<()> {
        let mut network = self.network.borrow_mut();
        let rate = network.faults.register;
        if network.chance(rate) {
            return Err(ErrorKind::OutOfMemory.into());
        }
        network.register(stream.end, self.engine, token);
        Ok(())
    }
}

impl<const WHOLE: bool> SimTransport<WHOLE> {
    fn stream(&self, end: End) -> SimStream<WHOLE> {
        SimStream {
            network: Rc::clone(&self.network),
            end,
        }
    }
}

/// The longest pause that a listener makes by itself before it accepts again, and more.
pub(crate) const RETRIES: Duration = Duration::from_millis(1500);
