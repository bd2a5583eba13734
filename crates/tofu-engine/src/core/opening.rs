//! New sockets: listeners and connections that the application asked for, and those accepted.

use std::io;

use tofu_addr::Address;
use tofu_msg::{ChannelNumber, Status};

use crate::close::Cause;
use crate::core::census::{Admission, Census};
use crate::core::channel::{Channel, Ending, Manner, Progress};
use crate::core::conversation::Conversation;
use crate::core::deadlines::Timer;
use crate::core::engine::{Core, Socket};
use crate::core::listener::Listener;
use crate::core::outgoing::Outgoing;
use crate::core::transport::{Resolution, Stream, Token, Transport};
use crate::msg::{Msg, Report};
use crate::shared::Arc;
use crate::shared::group::GroupShared;
use crate::shared::outbox::Opening;
use crate::trace::{event, warning};

impl<T: Transport> Core<T> {
    /// Opens what was asked for under `number`; what was posted behind it goes along.
    pub(crate) fn open(
        &mut self,
        number: ChannelNumber,
        opening: Opening,
        outgoing: &mut Outgoing,
    ) {
        match opening {
            Opening::Listen {
                welcome,
                address,
                group,
            } => self.open_listener(number, welcome, address, &group),
            Opening::Connect { id, address, group } => {
                let token = self.insert_channel(&group, Conversation::initiator());
                self.desk
                    .shared
                    .registry
                    .with(number, |outbox| outbox.set_token(token));
                if let Some(Socket::Channel(channel)) = self.table.get_mut(token) {
                    channel.number = number;
                    channel.id = id;
                    channel.outgoing.append(outgoing);
                    let outcome = channel.begin_attempt(&self.desk, &mut self.transport, address);
                    self.conclude(token, outcome.map(|()| Progress::Again));
                }
            }
        }
    }

    fn insert_channel(&mut self, group: &Arc<GroupShared>, conversation: Conversation) -> Token {
        let (id, share) = (group.id, group.share);
        let token = self.table.insert(|token| {
            Socket::Channel(Box::new(Channel::new(token, id, share, conversation)))
        });
        self.desk.groups.enter(group).members.insert(token);
        token
    }

    fn open_listener(
        &mut self,
        number: ChannelNumber,
        welcome: Msg,
        address: Address,
        group: &Arc<GroupShared>,
    ) {
        let id = group.id;
        let resolved = address.clone();
        let token = self
            .table
            .insert(|token| Socket::Listener(Box::new(Listener::new(token, id, address, welcome))));
        self.desk.groups.enter(group).members.insert(token);
        self.desk
            .shared
            .registry
            .with(number, |outbox| outbox.set_token(token));
        match self.transport.resolve(&resolved, token) {
            Resolution::Pending => {}
            Resolution::Ready(targets) => self.bind_listener(token, Ok(targets)),
            Resolution::Failed(error) => self.bind_listener(token, Err(error)),
        }
    }

    /// The listener's targets have come: binds one, or closes the listener.
    pub(crate) fn bind_listener(&mut self, token: Token, targets: io::Result<Vec<T::Target>>) {
        let Some(Socket::Listener(listener)) = self.table.get_mut(token) else {
            return;
        };
        match listener.bind(&mut self.transport, targets) {
            Ok(Some(welcomed)) => {
                let group = listener.group;
                event!(channel = listener.number.value(), address = %listener.address, "listening");
                self.desk.groups.stage_message(group, welcomed);
            }
            Ok(None) => {}
            Err(cause) => self.close_listener(token, cause, None),
        }
    }

    /// Takes waiting connections, as many as a turn may.
    pub(crate) fn accept(&mut self, token: Token) {
        for _ in 0..self.desk.options().turn_accepts {
            let Some(Socket::Listener(listener)) = self.table.get_mut(token) else {
                return;
            };
            let Some(socket) = &mut listener.socket else {
                return;
            };
            if !listener.readable {
                return;
            }
            match self.transport.accept(socket) {
                Ok(stream) => self.accepted(token, stream),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    listener.readable = false;
                }
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {
                    mark!(self.desk, "accept: the connection was gone");
                }
                Err(error) => self.accept_failed(token, &error),
            }
        }
        self.enqueue(token);
    }

    /// A connection was accepted: if it may come in, it has until the handshake timeout to say
    /// Hello.
    fn accepted(&mut self, listener: Token, stream: T::Stream) {
        let Some(Socket::Listener(entry)) = self.table.get_mut(listener) else {
            return;
        };
        let Some(group) = self.desk.groups.get_mut(entry.group) else {
            return;
        };
        let group = Arc::clone(&group.shared);
        let options = self.desk.options();
        let peer = Census::asks_for_peer(options).then(|| stream.peer());
        self.desk.shared.counters.connections_accepted.add(1);
        match self.census.admit(listener, peer.as_ref(), options) {
            Err(why) => {
                drop(stream);
                self.desk.shared.counters.connections_refused.add(1);
                self.notify_accept_failed(listener, Cause::new(Status::CONNECTION_LIMIT, why));
            }
            Ok(admission) => {
                let token = self.insert_channel(&group, Conversation::acceptor());
                self.admitted(token, listener, stream, admission);
            }
        }
    }

    fn admitted(
        &mut self,
        token: Token,
        listener: Token,
        mut stream: T::Stream,
        admission: Admission,
    ) {
        let registered = self.transport.register(&mut stream, token);
        let limit = self.desk.options().pending_handshakes;
        let timeout = self.desk.options().handshake_timeout;
        let line = match self.table.get_mut(listener) {
            Some(Socket::Listener(entry)) => Some(entry.line_up(token, limit)),
            _ => None,
        };
        if let Some(Socket::Channel(channel)) = self.table.get_mut(token) {
            channel.stream = Some(stream);
            channel.admission = Some(admission);
            channel.arrival = self.desk.next_arrival();
            channel.listener = line.map(|(place, _)| (listener, place));
            channel
                .deadlines
                .start(Timer::Handshake, self.desk.now, timeout);
        }
        let outcome = registered
            .map(|()| Progress::Waiting)
            .map_err(|error| Ending {
                cause: Cause::system(Status::ACCEPT_FAILED, "registering a connection", &error),
                manner: Manner::Gone,
            });
        self.conclude(token, outcome);
        if let Some((_, Some(evicted))) = line {
            let text = "too many connections wait for their HelloRequest";
            let ending = Ending::new(Manner::Gone, Status::HANDSHAKE_EVICTED, text);
            self.close_channel(evicted, ending, None);
        }
    }

    /// Accepting has failed, not for the lack of connections: it is tried again by timer, and when
    /// that does not help for long, a waiting connection is shed so that its peer learns of it.
    fn accept_failed(&mut self, token: Token, error: &io::Error) {
        let patience = self.desk.options().handshake_timeout;
        let Some(Socket::Listener(listener)) = self.table.get_mut(token) else {
            return;
        };
        let counters = &self.desk.shared.counters;
        counters.accepts_failed.add(1);
        let failing_for = listener.back_off(self.desk.now);
        if !planted!(self.desk.options(), AcceptNotRetried) {
            self.desk
                .timers
                .arm(token, &mut listener.armed, listener.retry);
        }
        if let Some(socket) = listener.socket.as_mut().filter(|_| failing_for >= patience) {
            if self.transport.shed(socket) {
                counters.connections_shed.add(1);
            }
        }
        let cause = Cause::system(Status::ACCEPT_FAILED, "accepting", error);
        warning!(cause = %cause, "a listener cannot accept");
        self.notify_accept_failed(token, cause);
    }

    /// Tells the application, at most once a second, that a listener turns connections away.
    fn notify_accept_failed(&mut self, token: Token, cause: Cause) {
        let Some(Socket::Listener(listener)) = self.table.get_mut(token) else {
            return;
        };
        if listener.is_notice_due(self.desk.now) {
            let (group, number, id) = (listener.group, listener.number, listener.id);
            self.desk
                .notify(group, number, id, Report::AcceptFailed, cause);
        }
    }

    /// A connection is no longer waiting for its HelloRequest.
    pub(crate) fn leave_line(&mut self, listener: Token, place: u64) {
        if let Some(Socket::Listener(entry)) = self.table.get_mut(listener) {
            entry.leave_line(place);
        }
    }
}
