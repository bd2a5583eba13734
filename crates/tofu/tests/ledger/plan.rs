//! What a round does, drawn from its seed: limits, connections, how each ends, and every message's
//! content, so that both ends can compute it.

use std::time::Duration;
use tofu::prelude::*;
use tofu_testkit::Random;

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// One side (0 initiator, 1 acceptor) says Bye behind its last message, the other answers.
    Bye(usize),
    /// Both say Bye.
    BothBye,
    /// One side aborts by a ByeSignal after so many messages of its own.
    Signal(usize, u64),
}

impl End {
    /// Whether this side says Bye.
    pub(crate) fn is_bye_of(self, side: usize) -> bool {
        self == End::BothBye || self == End::Bye(side)
    }
}

/// One connection of a round.
#[derive(Debug, Clone)]
pub(crate) struct Connection {
    /// Which client group opens it, and to which listener.
    pub(crate) client: usize,
    pub(crate) server: usize,
    /// Messages that each side posts: of the initiator, of the acceptor.
    pub(crate) messages: [u64; 2],
    pub(crate) end: End,
    /// No engine at the initiator's end.
    pub(crate) raw: Option<Raw>,
}

/// What a peer without an engine does when it has said Hello and all of its messages at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Raw {
    /// Ends its direction and reads to the end.
    HalfCloses,
    /// Closes at once; over a Unix domain socket that costs nothing of what it has sent.
    Closes,
}

/// How a client group's life ends before its connections have ended by themselves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Cut {
    Destroy(Duration),
    Drop,
    Shutdown(Duration),
}

/// One round.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) seed: u64,
    /// Client and server are two engines, not one.
    pub(crate) two_engines: bool,
    pub(crate) client: Options,
    pub(crate) server: Options,
    pub(crate) clients: usize,
    /// Which listeners are Unix domain sockets.
    pub(crate) servers: Vec<bool>,
    pub(crate) connections: Vec<Connection>,
    /// After how many received messages a client group is cut off, and how.
    pub(crate) cuts: Vec<Option<(u64, Cut)>>,
}

impl Plan {
    pub(crate) fn draw(seed: u64) -> Plan {
        let mut random = Random::new(seed);
        let clients = 1 + below(&mut random, 2);
        let servers: Vec<bool> = (0..=random.below(2))
            .map(|_| random.below(2) == 0)
            .collect();
        let count = 1 + below(&mut random, 8);
        let connections = (0..count)
            .map(|_| Connection::draw(&mut random, clients, &servers))
            .collect();
        let two_engines = random.below(4) > 0;
        let cuts = (0..clients)
            .map(|_| Some((random.below(200), cut(&mut random)?)))
            .map(|cut| cut.filter(|(_, cut)| two_engines || !matches!(cut, Cut::Shutdown(_))))
            .collect();
        Plan {
            seed,
            two_engines,
            client: options(&mut random),
            server: options(&mut random),
            clients,
            servers,
            connections,
            cuts,
        }
    }

    /// Whether a connection's end may cost messages: somebody aborts it or its group is cut off.
    pub(crate) fn is_lossy(&self, connection: usize) -> bool {
        let Connection {
            client, end, raw, ..
        } = &self.connections[connection];
        let shutdown = |cut: &Option<(u64, Cut)>| matches!(cut, Some((_, Cut::Shutdown(_))));
        matches!(end, End::Signal(..))
            || (raw.is_none() && (self.cuts[*client].is_some() || self.cuts.iter().any(shutdown)))
    }

    /// Whether nobody can say what came back of the initiator's messages.
    pub(crate) fn is_dropped(&self, connection: usize) -> bool {
        let cut = self.cuts[self.connections[connection].client];
        matches!(cut, Some((_, Cut::Drop)))
    }
}

impl Connection {
    fn draw(random: &mut Random, clients: usize, servers: &[bool]) -> Connection {
        let most = [3, 60, 400][below(random, 3)];
        let messages = [random.below(most), random.below(most)];
        let server = below(random, servers.len());
        let raw = match random.below(10) {
            0 if servers[server] => Some(Raw::Closes),
            0 | 1 => Some(Raw::HalfCloses),
            _ => None,
        };
        let end = match random.below(6) {
            _ if raw.is_some() => End::Bye(0),
            0 | 1 => End::Bye(0),
            2 => End::Bye(1),
            3 => End::BothBye,
            side => End::Signal(usize::from(side == 5), random.below(most)),
        };
        Connection {
            client: below(random, clients),
            server,
            messages,
            end,
            raw,
        }
    }
}

fn below(random: &mut Random, bound: usize) -> usize {
    usize::try_from(random.below(bound as u64)).expect("it is below a usize")
}

fn cut(random: &mut Random) -> Option<Cut> {
    let grace = Duration::from_millis([0, 5, 500][below(random, 3)]);
    match random.below(8) {
        0 | 1 => Some(Cut::Destroy(grace)),
        2 => Some(Cut::Drop),
        3 => Some(Cut::Shutdown(grace)),
        _ => None,
    }
}

/// Limits so small that everything waits for everything.
fn options(random: &mut Random) -> Options {
    let pool = 1 + below(random, 8);
    Options::default()
        .pool_initial(below(random, pool + 1))
        .pool_maximum(pool)
        .send_queue_messages(1 + below(random, 4))
        .send_queue_bytes([100, 2_000, 100_000][below(random, 3)])
        .inbox_messages(1 + below(random, 4))
        .inbox_bytes([1, 1_000, 1_000_000][below(random, 3)])
        .turn_messages(1 + below(random, 3))
        .turn_bytes([500, 5_000, 100_000][below(random, 3)])
        .turn_accepts(1 + below(random, 2))
        .send_budget([1, 10_000, 100_000_000][below(random, 3)])
        .receive_budget([1, 10_000, 100_000_000][below(random, 3)])
        .handshake_bytes([1, 1_000, 100_000_000][below(random, 3)])
        .large_message([1, 64, 8192][below(random, 3)])
}

/// The HelloRequest of a connection.
pub(crate) fn hello(connection: usize, endpoint: &Endpoint) -> Message {
    let mut hello = Message::default();
    let address = Address::connect_to(endpoint.clone());
    address.format(&mut hello).expect("it fits");
    hello.set_message_id(MessageId::new(u64::MAX));
    let key = u32::try_from(connection).expect("few connections");
    hello
        .body_mut()
        .append(&key.to_be_bytes())
        .expect("it fits");
    hello
}

/// Message `number` of one side of a connection. Channel and engine are the poster's business.
pub(crate) fn fill(message: &mut Message, connection: usize, side: usize, number: u64) {
    let mut random = content(connection, side, number);
    let op_codes = [OpCode::Request, OpCode::Response, OpCode::Signal];
    message.set_op_code(op_codes[below(&mut random, 3)]);
    message.set_more(random.below(2) == 0);
    message.set_message_id((number + 1).into());
    if random.below(4) == 0 {
        let name = format!("name-{number}");
        message
            .text_headers_mut()
            .append(name, "value")
            .expect("it fits");
    }
    let len = match random.below(40) {
        0 => random.below(60_000),
        1..4 => random.below(5_000),
        _ => random.below(200),
    };
    let key = u32::try_from(connection).expect("few connections");
    let body = message.body_mut();
    body.append(&key.to_be_bytes()).expect("it fits");
    body.append(&number.to_be_bytes()).expect("it fits");
    let byte = random.next_u64().to_be_bytes()[0];
    let filler = vec![byte; usize::try_from(len).expect("it is small")];
    body.append(&filler).expect("it fits");
}

fn content(connection: usize, side: usize, number: u64) -> Random {
    Random::new((connection as u64) << 40 ^ (side as u64) << 39 ^ number)
}

/// The number of a message of `fill`, whose content must be what that made.
pub(crate) fn number_of(message: &Message, connection: usize, side: usize) -> u64 {
    let body = message.body().as_bytes();
    let number = body[4..12].try_into().expect("eight bytes");
    let number = u64::from_be_bytes(number);
    let mut expected = Message::default();
    fill(&mut expected, connection, side, number);
    assert_eq!(message.op_code(), expected.op_code());
    assert_eq!(message.more(), expected.more());
    assert_eq!(message.message_id(), expected.message_id());
    assert_eq!(message.text_headers(), expected.text_headers());
    assert!(
        body == expected.body().as_bytes(),
        "message {number} is corrupt"
    );
    number
}
