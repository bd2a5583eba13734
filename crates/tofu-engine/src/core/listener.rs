//! A listening socket: from a WelcomeRequest to accepted connections.
//!
//! ```text
//!  Resolving --targets--> Listening --ByeSignal, destroy, shutdown--> closed
//!      +------- no target could be bound ---------------------------> closed
//! ```
//!
//! Accepted connections live their own lives; the listener only keeps the line of those whose
//! HelloRequest has not come, to evict the oldest when it grows too long.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use tofu_addr::{Address, Endpoint, LISTEN_ON};
use tofu_msg::{ChannelNumber, MessageId, OpCode, Status};

use crate::close::Cause;
use crate::core::time::Time;
use crate::core::transport::{Token, Transport};
use crate::msg::{Msg, Report};
use crate::shared::group::GroupId;

/// After a failed accept (out of descriptors, say) the next try is this far away at first ...
const FIRST_BACKOFF: Duration = Duration::from_millis(10);
/// ... and twice as far each time, up to this.
const LAST_BACKOFF: Duration = Duration::from_secs(1);
/// A notice that accepting fails is given at most so often.
const NOTICE_INTERVAL: Duration = Duration::from_secs(1);

/// A listener.
///
/// Invariant: `welcome` is there until the WelcomeResponse has been delivered.
pub(crate) struct Listener<T: Transport> {
    pub(crate) token: Token,
    pub(crate) number: ChannelNumber,
    pub(crate) group: GroupId,
    pub(crate) id: MessageId,
    pub(crate) address: Address,
    pub(crate) welcome: Option<Msg>,
    pub(crate) socket: Option<T::Listener>,
    pub(crate) readable: bool,
    pub(crate) queued: bool,
    pub(crate) armed: Option<Time>,
    /// When to try accepting again after a failure.
    pub(crate) retry: Option<Time>,
    backoff: Duration,
    noticed: Option<Time>,
    failing_since: Option<Time>,
    /// Accepted connections that have not said Hello, oldest first.
    pending: BTreeMap<u64, Token>,
    accepted: u64,
}

impl<T: Transport> Listener<T> {
    pub(crate) fn new(token: Token, group: GroupId, address: Address, welcome: Msg) -> Listener<T> {
        Listener {
            token,
            number: welcome.channel_number(),
            group,
            id: welcome.message_id(),
            address,
            welcome: Some(welcome),
            socket: None,
            readable: false,
            queued: false,
            armed: None,
            retry: None,
            backoff: FIRST_BACKOFF,
            noticed: None,
            failing_since: None,
            pending: BTreeMap::new(),
            accepted: 0,
        }
    }

    /// Binds the first target that can be bound; the WelcomeResponse, or why none could.
    pub(crate) fn bind(
        &mut self,
        transport: &mut T,
        targets: io::Result<Vec<T::Target>>,
    ) -> Result<Option<Msg>, Cause> {
        let mut error = io::Error::from(io::ErrorKind::AddrNotAvailable);
        match targets {
            Err(why) => error = why,
            Ok(targets) => {
                for target in &targets {
                    match transport.listen(target, self.token) {
                        Ok((socket, bound)) => {
                            self.socket = Some(socket);
                            return Ok(self.welcome.take().map(|msg| self.welcomed(msg, &bound)));
                        }
                        Err(why) => error = why,
                    }
                }
            }
        }
        let doing = format!("listening on {}", self.address);
        Err(Cause::system(listen_status(&error), &doing, &error))
    }

    /// The answer: the WelcomeRequest turned round, with the real address where the system chose it.
    fn welcomed(&self, mut msg: Msg, bound: &Endpoint) -> Msg {
        if matches!(self.address.endpoint(), Endpoint::Tcp { port: 0, .. }) {
            let headers = msg.text_headers_mut();
            headers.remove_all(LISTEN_ON);
            // A port in place of 0 is at most four bytes longer; a block so full keeps the 0.
            if headers.insert_first(LISTEN_ON, bound.to_bytes()).is_err() {
                let asked = self.address.endpoint().to_bytes();
                let _restored = headers.insert_first(LISTEN_ON, asked);
            }
        }
        msg.set_op_code(OpCode::WelcomeResponse);
        msg.mark_reported(Report::ListenerReady, Status::SUCCESS, None);
        msg
    }

    /// Notes an accepted connection; returns its place in line, and the one to be evicted for it.
    pub(crate) fn line_up(&mut self, connection: Token, limit: usize) -> (u64, Option<Token>) {
        self.backoff = FIRST_BACKOFF;
        self.failing_since = None;
        self.accepted += 1;
        self.pending.insert(self.accepted, connection);
        let evicted = if self.pending.len() > limit {
            self.pending.pop_first().map(|(_, token)| token)
        } else {
            None
        };
        (self.accepted, evicted)
    }

    /// A connection has left the line.
    pub(crate) fn leave_line(&mut self, place: u64) {
        self.pending.remove(&place);
    }

    /// Accepting has failed: sets when to try again, and returns for how long it has been failing.
    pub(crate) fn back_off(&mut self, now: Time) -> Duration {
        self.readable = false;
        self.retry = Some(now.after(self.backoff));
        self.backoff = (self.backoff * 2).min(LAST_BACKOFF);
        now.since(*self.failing_since.get_or_insert(now))
    }

    /// Whether the application may be told again that connections are turned away.
    pub(crate) fn is_notice_due(&mut self, now: Time) -> bool {
        let due = self
            .noticed
            .is_none_or(|at| now.since(at) >= NOTICE_INTERVAL);
        if due {
            self.noticed = Some(now);
        }
        due
    }
}

fn listen_status(error: &io::Error) -> Status {
    match error.kind() {
        io::ErrorKind::AddrInUse => Status::ADDRESS_IN_USE,
        io::ErrorKind::InvalidInput => Status::INVALID_ADDRESS,
        _ => Status::LISTEN_FAILED,
    }
}
