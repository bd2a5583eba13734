//! The engine core: one turn takes what the application left to do, the timers that have come and
//! the sockets that are ready, and hands out what they delivered.
//!
//! Work per turn is proportional to what is ready, never to what exists. The driver calls `event`
//! and `resolved` for what the world reports, then `turn`, then sleeps until `next_deadline`.

use std::io;

use tofu_msg::{ChannelNumber, Status};

use crate::close::Cause;
use crate::core::census::Census;
use crate::core::channel::{Channel, Ending, Progress};
use crate::core::desk::Desk;
use crate::core::lingering::Lingering;
use crate::core::listener::Listener;
use crate::core::outgoing::Outgoing;
use crate::core::stopping::{Shutdown, ShutdownReport};
use crate::core::table::Table;
use crate::core::time::Time;
use crate::core::transport::{Token, Transport};
use crate::core::waiting::PoolLook;
use crate::msg::Report;
use crate::shared::outbox::{Opening, Outbox, Taken};
use crate::shared::worklist::Work;
use crate::shared::{Arc, Shared};

/// A socket of the engine.
pub(crate) enum Socket<T: Transport> {
    Listener(Box<Listener<T>>),
    Channel(Box<Channel<T>>),
    Lingering(Box<Lingering<T>>),
}

/// What the poller reports about a socket.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Readiness {
    /// There may be something to read, or to accept.
    pub readable: bool,
    /// Something may be written, or a connection attempt has ended.
    pub writable: bool,
    /// The peer has ended its direction, or the connection broke.
    pub hung_up: bool,
}

/// The core of one engine.
pub(crate) struct Core<T: Transport> {
    pub(crate) transport: T,
    pub(crate) table: Table<Socket<T>>,
    pub(crate) desk: Desk,
    pub(crate) shutdown: Option<Shutdown>,
    pub(crate) census: Census,
    work: Work,
    /// Emptied after each use; it keeps its capacity.
    posted: Vec<ChannelNumber>,
    /// Which group is first when the pool has room again.
    pub(super) rotation: usize,
    pub(super) pool_look: PoolLook,
}

impl<T: Transport> Core<T> {
    pub(crate) fn new(shared: Arc<Shared>, transport: T) -> Core<T> {
        Core {
            transport,
            table: Table::default().blind(planted!(shared.options, StaleToken)),
            desk: Desk::new(shared),
            shutdown: None,
            census: Census::default(),
            work: Work::default(),
            posted: Vec::new(),
            rotation: 0,
            pool_look: PoolLook::default(),
        }
    }

    /// Whether a socket has more to do at once.
    pub(crate) fn has_ready(&self) -> bool {
        !self.desk.ready.is_empty()
    }

    /// When the core wants its next turn at the latest.
    pub(crate) fn next_deadline(&self) -> Option<Time> {
        let shutdown = self.shutdown.as_ref().map(|shutdown| shutdown.deadline);
        [self.desk.timers.next(), shutdown, self.next_pool_look()]
            .into_iter()
            .flatten()
            .min()
    }

    /// The report of a shutdown that is finished: the driver may stop.
    pub(crate) fn finished_report(&self) -> Option<ShutdownReport> {
        let shutdown = self.shutdown.as_ref()?;
        shutdown.finished.then(|| shutdown.report.clone())
    }

    /// One turn.
    pub(crate) fn turn(&mut self, now: Time) {
        self.desk.now = now;
        self.desk.shared.counters.turns.add(1);
        self.look_at_pool();
        self.take_work();
        // What has arrived is looked at before a deadline for it is judged.
        self.serve_ready();
        self.run_timers();
        self.resume_waiting();
        self.desk.groups.flush(&self.desk.shared);
        self.finish_shutdown_if_due();
    }

    /// The poller reports a socket. A stale token is ignored.
    pub(crate) fn event(&mut self, token: Token, readiness: Readiness) {
        let readable = readiness.readable || readiness.hung_up;
        match self.table.get_mut(token) {
            None => {
                mark!(self.desk, "an event for a socket that is gone");
                return;
            }
            Some(Socket::Listener(listener)) => listener.readable |= readable,
            Some(Socket::Lingering(lingering)) => lingering.readable |= readable,
            Some(Socket::Channel(channel)) => {
                if !readable && channel.is_writable_and_idle() {
                    // Nothing to do for anybody.
                    return channel.room_was_known();
                }
                channel.readable |= readable;
                channel.writable |= readiness.writable || readiness.hung_up;
                channel.hung_up |= readiness.hung_up;
            }
        }
        self.enqueue(token);
    }

    /// A name lookup has ended. A stale token is ignored.
    pub(crate) fn resolved(&mut self, token: Token, result: io::Result<Vec<T::Target>>) {
        match self.table.get_mut(token) {
            Some(Socket::Channel(channel)) => {
                let outcome = channel.resolved(&self.desk, &mut self.transport, result);
                self.conclude(token, outcome.map(|()| Progress::Again));
            }
            Some(Socket::Listener(_)) => self.bind_listener(token, result),
            _ => mark!(self.desk, "a lookup has ended for a channel that is gone"),
        }
    }

    /// The socket file of a listener is gone or has been replaced: nobody can connect any more. The
    /// driver reports it once per loss.
    pub(crate) fn path_gone(&mut self, token: Token) {
        if let Some(Socket::Listener(listener)) = self.table.get_mut(token) {
            let text = format!("the socket file of {} is gone", listener.address);
            let cause = Cause::new(Status::UDS_PATH_GONE, text);
            let (group, number, id) = (listener.group, listener.number, listener.id);
            self.desk
                .notify(group, number, id, Report::UdsPathGone, cause);
        }
    }

    /// Takes what the application's threads have left to do, the urgent first.
    fn take_work(&mut self) {
        let mut work = std::mem::take(&mut self.work);
        self.desk.shared.worklist.take(&mut work);
        #[cfg(feature = "fault-injection")]
        fail_if_asked(&work);
        for &number in work.urgent.iter().chain(&work.dirty) {
            self.serve_number(number);
        }
        for &token in &work.read_to_end {
            self.read_to_end(token);
        }
        for &group in &work.inbox_room {
            self.unpark(group);
        }
        if work.pool_room && !planted!(self.desk.options(), ForgottenRoom) {
            self.unpark_all();
        }
        for group in work.destroy.drain(..) {
            self.begin_destroy(&group);
        }
        if let Some(grace) = work.shutdown {
            self.begin_shutdown(grace);
        }
        work.clear();
        self.work = work;
    }

    /// Takes what has been posted to a channel.
    fn serve_number(&mut self, number: ChannelNumber) {
        let taken = self.desk.shared.registry.with(number, Outbox::take);
        let Some(mut taken) = taken else { return };
        if let Some(opening) = taken.opening.take() {
            self.open_taken(number, *opening, taken);
            return;
        }
        let Some(token) = taken.token else { return };
        if let Some(signal) = taken.abort {
            self.abort(token, signal, taken.outgoing);
            return;
        }
        self.queue(token, taken.outgoing);
    }

    /// Opens a channel. A ByeSignal posted behind the opening stays in the outbox meanwhile: the
    /// opening may fail at once, and then everything that was posted comes back from there.
    fn open_taken(&mut self, number: ChannelNumber, opening: Opening, mut taken: Taken) {
        let shared = Arc::clone(&self.desk.shared);
        if let Some(signal) = taken.abort.take() {
            shared
                .registry
                .with(number, |outbox| outbox.set_abort(signal));
        }
        self.open(number, opening, &mut taken.outgoing);
        let since = shared
            .registry
            .with(number, Outbox::take)
            .unwrap_or_default();
        if let (Some(token), Some(signal)) = (since.token, since.abort) {
            self.abort(token, signal, since.outgoing);
        } else if let Some(token) = since.token {
            self.queue(token, since.outgoing);
        }
    }

    /// Queues what has been posted to a connection.
    fn queue(&mut self, token: Token, mut outgoing: Outgoing) {
        if let Some(Socket::Channel(channel)) = self.table.get_mut(token) {
            channel.outgoing.append(&mut outgoing);
            self.enqueue(token);
        }
    }

    /// Puts a socket on the ready list, once.
    pub(crate) fn enqueue(&mut self, token: Token) {
        let queued = match self.table.get_mut(token) {
            None => return,
            Some(Socket::Listener(listener)) => &mut listener.queued,
            Some(Socket::Channel(channel)) => &mut channel.queued,
            Some(Socket::Lingering(lingering)) => &mut lingering.queued,
        };
        if !std::mem::replace(queued, true) {
            self.desk.ready.push_back(token);
        }
    }

    /// Serves everything that is ready now, in its order. Whenever a good part has been read it is handed
    /// over, and what has been posted meanwhile goes out before more is read: so the answers to what was
    /// read are sent while all that belongs to their connections is still in the caches.
    fn serve_ready(&mut self) {
        let ready = self.desk.ready.len();
        let mut extra = ready;
        for _ in 0..ready {
            let Some(token) = self.desk.ready.pop_front() else {
                return;
            };
            self.serve(token);
            if self.flush_if_due() {
                self.serve_posted(&mut extra);
            }
        }
    }

    /// In the middle of a turn: takes what was posted since it began, and serves those to whom it was,
    /// unless they stand in the line for this turn anyway; at most `extra` of them, so that the turn comes
    /// to its end. Whatever else is to be done waits for the next turn.
    fn serve_posted(&mut self, extra: &mut usize) {
        let mut posted = std::mem::take(&mut self.posted);
        self.desk.shared.worklist.take_posted(&mut posted);
        let line = std::mem::take(&mut self.desk.ready);
        for number in posted.drain(..) {
            self.serve_number(number);
        }
        self.posted = posted;
        for token in std::mem::replace(&mut self.desk.ready, line) {
            if *extra == 0 {
                mark!(self.desk, "a turn has served enough of what is posted");
                self.desk.ready.push_back(token);
                continue;
            }
            *extra -= 1;
            if planted!(self.desk.options(), MidwayPostForgotten) {
                continue;
            }
            mark!(self.desk, "what was posted in a turn is served in it");
            self.serve(token);
            self.flush_if_due();
        }
    }

    /// Hands over what has been read, if that is much. Whether it was.
    fn flush_if_due(&mut self) -> bool {
        let due = self.desk.groups.is_flush_due(self.desk.options());
        if due {
            self.desk.groups.flush(&self.desk.shared);
        }
        due
    }

    fn serve(&mut self, token: Token) {
        match self.table.get_mut(token) {
            None => {}
            Some(Socket::Listener(listener)) => {
                listener.queued = false;
                self.accept(token);
            }
            Some(Socket::Channel(channel)) => {
                channel.queued = false;
                let outcome = channel.serve(&mut self.desk, &mut self.transport);
                self.conclude(token, outcome);
            }
            Some(Socket::Lingering(lingering)) => {
                lingering.queued = false;
                if lingering.drain(&mut self.desk) {
                    self.drop_lingering(token);
                }
            }
        }
    }

    /// What follows from a channel's turn.
    pub(crate) fn conclude(&mut self, token: Token, outcome: Result<Progress, Ending>) {
        match outcome {
            Err(ending) => self.close_channel(token, ending, None),
            Ok(progress) => {
                let Some(Socket::Channel(channel)) = self.table.get_mut(token) else {
                    return;
                };
                let earliest = channel.deadlines.earliest();
                self.desk
                    .timers
                    .arm(token, &mut channel.deadlines.armed, earliest);
                if channel.number.is_assigned() {
                    if let Some((listener, place)) = channel.listener.take() {
                        self.leave_line(listener, place);
                    }
                }
                if progress == Progress::Again {
                    self.enqueue(token);
                }
            }
        }
    }

    /// Looks at every socket whose moment has come.
    fn run_timers(&mut self) {
        let now = self.desk.now;
        while let Some(token) = self.desk.timers.pop_due(now) {
            match self.table.get_mut(token) {
                None => {}
                Some(Socket::Listener(listener)) => {
                    listener.armed = None;
                    listener.retry = None;
                    listener.readable = true;
                    self.enqueue(token);
                }
                Some(Socket::Lingering(lingering)) => {
                    lingering.armed = None;
                    mark!(self.desk, "linger: the time is over");
                    self.drop_lingering(token);
                }
                Some(Socket::Channel(channel)) => {
                    channel.deadlines.armed = None;
                    let outcome = channel.timer(&mut self.desk, &mut self.transport);
                    self.conclude(token, outcome);
                }
            }
        }
    }
}

/// The planted panic of a test.
#[cfg(feature = "fault-injection")]
#[expect(clippy::panic, reason = "this is what was asked for")]
fn fail_if_asked(work: &Work) {
    if work.panic {
        std::panic::panic_any("a planted panic");
    }
}
