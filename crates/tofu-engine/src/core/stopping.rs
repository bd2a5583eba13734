//! Endings of a group and of the engine: each of their sockets is let end by itself for a while, then
//! ended; what comes of it is reported.

use std::time::Duration;

use tofu_msg::Status;

use crate::close::Cause;
use crate::core::channel::{Ending, Manner};
use crate::core::closing::finish_channel;
use crate::core::engine::{Core, Socket};
use crate::core::table::Table;
use crate::core::time::Time;
use crate::core::transport::{Token, Transport};
use crate::shared::group::{DestroyReport, GroupId, GroupShared};
use crate::shared::{Arc, Shared};

/// A shutdown under way.
#[derive(Debug)]
pub(crate) struct Shutdown {
    pub(crate) deadline: Time,
    pub(crate) report: ShutdownReport,
    /// All sockets are gone.
    pub(crate) finished: bool,
}

/// What became of an engine's messages when it was shut down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShutdownReport {
    /// Channels that were still open.
    pub channels: usize,
    /// Messages that were posted and not wholly handed to the kernel; they lie, marked with why,
    /// in the inboxes of their groups.
    pub unsent: usize,
    /// Everything was sent, and every peer had taken the end, within the time given.
    pub complete: bool,
}

impl<T: Transport> Core<T> {
    /// The application destroys a group: nothing more is delivered to it.
    pub(crate) fn begin_destroy(&mut self, shared: &Arc<GroupShared>) {
        let engine = Arc::clone(&self.desk.shared);
        self.desk.groups.flush(&engine);
        let deadline = self.desk.now.after(shared.grace());
        let group = self.desk.groups.enter(shared);
        if group.destruction.is_some() {
            return;
        }
        let members: Vec<Token> = group.members.iter().copied().collect();
        let known = members
            .iter()
            .filter(|&&token| is_known(&mut self.table, token))
            .count();
        let report = DestroyReport {
            channels: known,
            ..DestroyReport::default()
        };
        group.destruction = Some((deadline, report));
        self.unpark(shared.id);
        let cause = Cause::new(Status::CHANNEL_CLOSED, "the channel group was destroyed");
        for token in members {
            self.end_socket(token, &cause, deadline);
        }
        self.finish_destroy_if_done(shared.id);
    }

    pub(crate) fn finish_destroy_if_done(&mut self, id: GroupId) {
        let done = self
            .desk
            .groups
            .get_mut(id)
            .is_some_and(|group| group.destruction.is_some() && group.members.is_empty());
        if !done {
            return;
        }
        let Some(group) = self.desk.groups.remove(id) else {
            return;
        };
        let Some((deadline, mut report)) = group.destruction else {
            return;
        };
        report.take_in(self.desk.shared.forget_group(&group.shared));
        report.complete = report.unsent.is_empty() && self.desk.now <= deadline;
        if !report.complete {
            mark!(self.desk, "a group was destroyed before all was sent");
        }
        group.shared.finish(report);
    }

    /// Lets a socket end by itself until `deadline`, or ends it now if that has come.
    fn end_socket(&mut self, token: Token, cause: &Cause, deadline: Time) {
        let now = self.desk.now;
        match self.table.get_mut(token) {
            None | Some(Socket::Lingering(_)) => {}
            Some(Socket::Listener(_)) => self.close_listener(token, cause.clone(), None),
            Some(Socket::Channel(channel)) => {
                if !channel.number.is_assigned() || deadline <= now {
                    let ending = Ending {
                        cause: cause.clone(),
                        manner: Manner::Linger,
                    };
                    self.close_channel(token, ending, None);
                } else {
                    finish_channel(channel, &mut self.desk, cause.clone(), deadline);
                    let earliest = channel.deadlines.earliest();
                    self.desk
                        .timers
                        .arm(token, &mut channel.deadlines.armed, earliest);
                    self.enqueue(token);
                }
            }
        }
    }

    /// The engine is to stop within `grace`.
    pub(crate) fn begin_shutdown(&mut self, grace: Duration) {
        if self.shutdown.is_some() {
            return;
        }
        self.desk.shared.registry.close();
        let deadline = self.desk.now.after(grace);
        let report = ShutdownReport::default();
        self.shutdown = Some(Shutdown {
            deadline,
            report,
            finished: false,
        });
        let cause = Cause::new(Status::SHUTDOWN_STARTED, "the engine is shut down");
        let tokens = self.table.tokens();
        let known = tokens
            .iter()
            .filter(|&&token| is_known(&mut self.table, token))
            .count();
        for token in tokens {
            self.end_socket(token, &cause, deadline);
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.report.channels = known;
        }
    }

    /// When every socket is gone, or the time is up, the shutdown is finished.
    pub(crate) fn finish_shutdown_if_due(&mut self) {
        let Some(shutdown) = &mut self.shutdown else {
            return;
        };
        let late = self.desk.now >= shutdown.deadline;
        if shutdown.finished || !(late || self.table.is_empty()) {
            return;
        }
        shutdown.finished = true;
        shutdown.report.complete = self.table.is_empty();
        if !shutdown.report.complete {
            mark!(self.desk, "the engine was shut down before all was sent");
        }
        let cause = Cause::new(Status::SHUTDOWN_STARTED, "the engine is shut down");
        for token in self.table.tokens() {
            self.end_socket(token, &cause, Time::START);
            self.drop_lingering(token);
        }
        if let Some(shutdown) = &mut self.shutdown {
            shutdown.report.complete &= shutdown.report.unsent == 0;
        }
        for id in self.desk.groups.ids() {
            self.finish_destroy_if_done(id);
        }
        let engine: Arc<Shared> = Arc::clone(&self.desk.shared);
        self.desk.groups.flush(&engine);
    }
}

/// Whether the application knows this socket: a listener, or a connection with a number.
fn is_known<T: Transport>(table: &mut Table<Socket<T>>, token: Token) -> bool {
    match table.get_mut(token) {
        Some(Socket::Listener(_)) => true,
        Some(Socket::Channel(channel)) => channel.number.is_assigned(),
        None | Some(Socket::Lingering(_)) => false,
    }
}
