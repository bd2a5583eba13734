//! New sockets: listeners and connections that the application asked for, and those accepted.

use std::io;

use tofu_addr::Address;
use tofu_msg::{ChannelNumber, Status};

use crate::close::Cause;
use crate::core::channel::{Channel, Ending, Manner, Progress};
use crate::core::conversation::Conversation;
use crate::core::deadlines::Timer;
use crate::core::engine::{Core, Socket};
use crate::core::listener::Listener;
use crate::core::outgoing::Outgoing;
use crate::core::transport::{Resolution, Token, Transport};
use crate::msg::{Msg, Report};
use crate::shared::Arc;
use crate::shared::group::GroupShared;
use crate::shared::outbox::Opening;

impl<T: Transport> Core<T> {
    /// Opens what was asked for under `number`; what was posted behind it goes along.
    pub(crate) fn open(
        &mut self,
        number: ChannelNumber,
        opening: Opening,
        outgoing: &mut Outgoing,
    ) -> Token {
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
                token
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
    ) -> Token {
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
        token
    }

    /// The listener's targets have come: binds one, or closes the listener.
    pub(crate) fn bind_listener(&mut self, token: Token, targets: io::Result<Vec<T::Target>>) {
        let Some(Socket::Listener(listener)) = self.table.get_mut(token) else {
            return;
        };
        match listener.bind(&mut self.transport, targets) {
            Ok(Some(welcomed)) => {
                let group = listener.group;
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
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(error) => {
                    let told = listener.back_off(self.desk.now);
                    let (retry, armed) = (listener.retry, &mut listener.armed);
                    self.desk.timers.arm(token, armed, retry);
                    if told {
                        let cause = Cause::system(Status::ACCEPT_FAILED, "accepting", &error);
                        let (group, number, id) = (listener.group, listener.number, listener.id);
                        self.desk
                            .notify(group, number, id, Report::AcceptFailed, cause);
                    }
                }
            }
        }
        self.enqueue(token);
    }

    /// A connection was accepted: it has until the handshake timeout to say Hello.
    fn accepted(&mut self, listener: Token, mut stream: T::Stream) {
        let Some(Socket::Listener(entry)) = self.table.get_mut(listener) else {
            return;
        };
        let Some(group) = self.desk.groups.get_mut(entry.group) else {
            return;
        };
        let group = Arc::clone(&group.shared);
        let token = self.insert_channel(&group, Conversation::acceptor());
        let registered = self.transport.register(&mut stream, token);
        let limit = self.desk.options().pending_handshakes;
        if let Some(Socket::Channel(channel)) = self.table.get_mut(token) {
            channel.stream = Some(stream);
            let timeout = self.desk.options().handshake_timeout;
            channel
                .deadlines
                .start(Timer::Handshake, self.desk.now, timeout);
        }
        let Some(Socket::Listener(entry)) = self.table.get_mut(listener) else {
            return;
        };
        let (place, evicted) = entry.line_up(token, limit);
        if let Some(Socket::Channel(channel)) = self.table.get_mut(token) {
            channel.listener = Some((listener, place));
        }
        let outcome = registered
            .map(|()| Progress::Waiting)
            .map_err(|error| Ending {
                cause: Cause::system(Status::ACCEPT_FAILED, "registering a connection", &error),
                manner: Manner::Gone,
            });
        self.conclude(token, outcome);
        if let Some(evicted) = evicted {
            let text = "too many connections wait for their HelloRequest";
            let ending = Ending::new(Manner::Gone, Status::HANDSHAKE_EVICTED, text);
            self.close_channel(evicted, ending, None);
        }
    }

    /// A connection is no longer waiting for its HelloRequest.
    pub(crate) fn leave_line(&mut self, listener: Token, place: u64) {
        if let Some(Socket::Listener(entry)) = self.table.get_mut(listener) {
            entry.leave_line(place);
        }
    }
}
