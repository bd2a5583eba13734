//! The thread that does the input and output, and what it shares with the application's thread.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Result;
use mio::{Events, Poll, Token, Waker};
use parking_lot::Mutex;

use super::frame;
use super::inbox::{BATCH_LEN, Batch, Inbox};
use super::outbox::Outbox;
use super::sleep::Spinner;
use super::socket::{Listener, Socket};

const LISTENER: Token = Token(usize::MAX);
const WAKER: Token = Token(usize::MAX - 1);

/// Bytes read of one connection before the others have their turn.
const TURN: usize = BATCH_LEN;

pub(super) struct Shared {
    inbox: Inbox,
    outboxes: Mutex<Vec<Arc<Outbox>>>,
    /// Connections with something to be written.
    dirty: Mutex<Vec<usize>>,
    has_dirty: AtomicBool,
    /// Sockets that the application has opened, in the order of their numbers.
    opened: Mutex<Vec<Socket>>,
    is_asleep: AtomicBool,
    waker: Waker,
}

impl Shared {
    pub(super) fn inbox(&self) -> &Inbox {
        &self.inbox
    }

    pub(super) fn outboxes(&self) -> Vec<Arc<Outbox>> {
        self.outboxes.lock().clone()
    }

    pub(super) fn mark_dirty(&self, connection: usize) {
        self.dirty.lock().push(connection);
        self.has_dirty.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn add(&self, socket: Socket) {
        self.outboxes.lock().push(Arc::default());
        self.opened.lock().push(socket);
        self.has_dirty.store(true, Ordering::SeqCst);
        self.wake();
    }

    pub(super) fn wake(&self) {
        if self.is_asleep.swap(false, Ordering::SeqCst) {
            // It fails only when the counter is at its end, and then it is awake.
            let _ = self.waker.wake();
        }
    }
}

struct Connection {
    socket: Socket,
    outbox: Arc<Outbox>,
    /// What is being written, and how far it is.
    out: Vec<u8>,
    written: usize,
    /// The beginning of a frame that is not whole.
    cut: Vec<u8>,
    is_ready: bool,
}

pub(super) struct Driver {
    shared: Arc<Shared>,
    poll: Poll,
    listener: Option<Listener>,
    connections: Vec<Connection>,
    /// Connections that may have something to read.
    ready: Vec<usize>,
    batch: Batch,
    spinner: Spinner,
}

impl Driver {
    pub(super) fn new(listener: Option<Listener>, spins: bool) -> Result<(Driver, Arc<Shared>)> {
        let poll = Poll::new()?;
        let shared = Arc::new(Shared {
            inbox: Inbox::default(),
            outboxes: Mutex::default(),
            dirty: Mutex::default(),
            has_dirty: AtomicBool::new(false),
            opened: Mutex::default(),
            is_asleep: AtomicBool::new(false),
            waker: Waker::new(poll.registry(), WAKER)?,
        });
        let batch = shared.inbox.spare();
        let mut driver = Driver {
            shared: Arc::clone(&shared),
            poll,
            listener,
            connections: Vec::new(),
            ready: Vec::new(),
            batch,
            spinner: Spinner::new(spins),
        };
        if let Some(listener) = &mut driver.listener {
            listener.register(driver.poll.registry(), LISTENER)?;
        }
        Ok((driver, shared))
    }

    pub(super) fn run(mut self) {
        if let Err(error) = self.turns() {
            eprintln!("floor4: {error:#}");
            std::process::exit(1);
        }
    }

    fn turns(&mut self) -> Result<()> {
        let mut events = Events::with_capacity(1024);
        let mut dirty = Vec::new();
        loop {
            self.poll(&mut events)?;
            for event in &events {
                match event.token() {
                    WAKER => {}
                    LISTENER => self.accept()?,
                    Token(connection) => {
                        if event.is_readable() {
                            self.is_readable(connection);
                        }
                        if event.is_writable() {
                            self.write(connection)?;
                        }
                    }
                }
            }
            if self.shared.has_dirty.swap(false, Ordering::SeqCst) {
                self.add_opened()?;
                std::mem::swap(&mut *self.shared.dirty.lock(), &mut dirty);
                for connection in dirty.drain(..) {
                    self.write(connection)?;
                }
            }
            self.read_ready()?;
        }
    }

    /// Waits for events or for something to be done, first awake and then asleep.
    fn poll(&mut self, events: &mut Events) -> io::Result<()> {
        let now = Some(Duration::ZERO);
        if self.has_work() {
            return self.look(events, now).map(|_| ());
        }
        // Taken out, so that looking for work does not borrow it a second time.
        let mut spinner = std::mem::replace(&mut self.spinner, Spinner::new(false));
        let has_work = spinner.wait(|| {
            // A failure shows again below.
            self.look(events, now).unwrap_or(false) || self.has_work()
        });
        self.spinner = spinner;
        if has_work {
            return Ok(());
        }
        self.shared.is_asleep.store(true, Ordering::SeqCst);
        let timeout = self.has_work().then_some(Duration::ZERO);
        let result = self.look(events, timeout);
        self.shared.is_asleep.store(false, Ordering::SeqCst);
        self.spinner.woken();
        result.map(|_| ())
    }

    fn has_work(&self) -> bool {
        let is_readable = !self.ready.is_empty() && !self.shared.inbox.is_full();
        self.shared.has_dirty.load(Ordering::SeqCst) || is_readable
    }

    /// Returns whether there are events.
    fn look(&mut self, events: &mut Events, timeout: Option<Duration>) -> io::Result<bool> {
        match self.poll.poll(events, timeout) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => Err(error),
            _ => Ok(!events.is_empty()),
        }
    }

    fn accept(&mut self) -> Result<()> {
        while let Some(listener) = &self.listener {
            match listener.accept() {
                Ok(socket) => {
                    self.shared.outboxes.lock().push(Arc::default());
                    self.add(socket)?;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn add_opened(&mut self) -> Result<()> {
        let opened = std::mem::take(&mut *self.shared.opened.lock());
        opened.into_iter().try_for_each(|socket| self.add(socket))
    }

    fn add(&mut self, mut socket: Socket) -> Result<()> {
        let connection = self.connections.len();
        socket.register(self.poll.registry(), Token(connection))?;
        self.connections.push(Connection {
            socket,
            outbox: Arc::clone(&self.shared.outboxes.lock()[connection]),
            out: Vec::new(),
            written: 0,
            cut: Vec::new(),
            is_ready: false,
        });
        Ok(())
    }

    fn is_readable(&mut self, connection: usize) {
        if !std::mem::replace(&mut self.connections[connection].is_ready, true) {
            self.ready.push(connection);
        }
    }

    fn write(&mut self, connection: usize) -> Result<()> {
        let connection = &mut self.connections[connection];
        if connection.write()? {
            self.spinner.sent();
        }
        Ok(())
    }

    /// Reads what is ready, as long as the receiver keeps up, and hands it over.
    fn read_ready(&mut self) -> Result<()> {
        for connection in std::mem::take(&mut self.ready) {
            if self.shared.inbox.is_full() {
                self.ready.push(connection);
                continue;
            }
            self.connections[connection].is_ready = false;
            if self.read(connection)? {
                self.is_readable(connection);
            }
        }
        if !self.batch.runs.is_empty() {
            self.hand_over();
        }
        Ok(())
    }

    fn hand_over(&mut self) {
        let spare = self.shared.inbox.spare();
        let full = std::mem::replace(&mut self.batch, spare);
        self.shared.inbox.push(full);
        self.spinner.received();
    }

    /// Returns whether there may be more.
    fn read(&mut self, number: usize) -> Result<bool> {
        let mut turn = 0;
        while turn < TURN {
            if BATCH_LEN - self.batch.filled < 2 * frame::MAX_LEN {
                self.hand_over();
            }
            let connection = &mut self.connections[number];
            match connection.read(number, &mut self.batch) {
                Ok((read, is_short)) => {
                    turn += read;
                    if is_short {
                        return Ok(false);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }
}

impl Connection {
    /// Writes as much as goes. Returns whether there was anything.
    fn write(&mut self) -> io::Result<bool> {
        let mut has_written = false;
        loop {
            if self.written == self.out.len() {
                self.out.clear();
                self.written = 0;
                self.outbox.take(&mut self.out);
                if self.out.is_empty() {
                    return Ok(has_written);
                }
            }
            match self.socket.write(&self.out[self.written..]) {
                Ok(written) => self.written += written,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(has_written),
                // The other end has left; nobody waits for this any more.
                Err(_) => self.written = self.out.len(),
            }
            has_written = true;
        }
    }

    /// Reads once. Returns how much that was, and whether the socket is empty now.
    fn read(&mut self, number: usize, batch: &mut Batch) -> io::Result<(usize, bool)> {
        let start = batch.filled;
        let begin = start + self.cut.len();
        let read = match self.socket.read(&mut batch.bytes[begin..]) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            result => result?,
        };
        let is_short = begin + read < batch.bytes.len();
        batch.bytes[start..begin].copy_from_slice(&self.cut);
        let bytes = &batch.bytes[start..begin + read];
        let mut whole = 0;
        while let Some(len) = frame::len(&bytes[whole..]) {
            if len > bytes.len() - whole {
                break;
            }
            whole += len;
        }
        self.cut.clear();
        self.cut.extend_from_slice(&bytes[whole..]);
        if whole > 0 {
            batch.runs.push((number, start..start + whole));
            batch.filled = start + whole;
        }
        Ok((read, is_short))
    }
}
