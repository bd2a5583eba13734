//! Operations of any length: parts of one message id, all but the last with `more`. Up, down, and both
//! at once.
//!
//! - *up*: the client sends a Request of many parts, the server answers the last one with a Response.
//! - *down*: the client asks with one Request, the Response has many parts.
//! - *both at once*: each part of the Request is answered, while further parts are on their way.
//!
//! All three run at the same time over one channel, and are told apart by their ids. The client sends
//! each in a thread of its own, with `post_timeout`, so that its receiving thread never waits for room:
//! two sides that both do would wait for each other.
//!
//! ```text
//! $ cargo run --release --example streaming
//! up:   answered by "32000000 bytes in 1000 parts"
//! down: 32000000 bytes in 1000 parts
//! both: 32000000 bytes in 1000 parts, in capitals
//! ```

use std::collections::HashMap;
use std::thread::{self, JoinHandle};

use tofu::prelude::*;
use tofu_examples::{
    Outcome, PATIENCE, any_port, close, connect, joined, listen, message_to, next, next_of_peer,
    unexpected,
};

const PARTS: u64 = 1000;
static PART: [u8; 32_000] = [b'x'; 32_000];

/// The text header of each part of a Request that says what to do with it.
const TASK: &str = "Task";

fn main() -> Outcome {
    let server = Reactor::start(Options::default())?;
    let mut group = server.create()?;
    let endpoint = listen(&server, &mut group, any_port())?;
    let service = Service {
        engine: server,
        group,
        streams: HashMap::new(),
        senders: Vec::new(),
    };
    let service = thread::spawn(|| service.run());

    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;
    let channel = connect(&engine, &mut group, endpoint)?;
    let mut names = HashMap::new();
    let mut senders = Vec::new();
    for (id, name, parts) in [(101, "up", PARTS), (102, "down", 1), (103, "both", PARTS)] {
        let mut first = message_to(&engine, channel, OpCode::Request)?;
        first.set_message_id(MessageId::new(id));
        first.text_headers_mut().append(TASK, name)?;
        names.insert(first.message_id(), name);
        let (engine, poster) = (engine.clone(), group.poster());
        senders.push(thread::spawn(move || send(&engine, &poster, &first, parts)));
    }
    receive(&mut group, names)?;
    senders.into_iter().try_for_each(joined)?;
    close(&engine, &mut group, channel)?;
    joined(service)
}

/// Posts `parts` parts that are like the first, with more behind each but the last.
fn send(engine: &Reactor, poster: &Poster, first: &Message, parts: u64) -> Outcome {
    for left in (0..parts).rev() {
        let mut part = engine.message()?;
        part.clone_from(first);
        part.set_more(left > 0);
        part.body_mut().append(&PART)?;
        poster.post_timeout(part, PATIENCE)?;
    }
    Ok(())
}

/// What has come of an operation.
#[derive(Default)]
struct Stream {
    bytes: usize,
    parts: u64,
}

impl Stream {
    /// Takes the next part. The operation as a whole when it was the last.
    fn take(&mut self, part: &Message) -> Option<String> {
        self.bytes += part.body().len();
        self.parts += 1;
        let Stream { bytes, parts } = *self;
        (!part.more()).then(|| format!("{bytes} bytes in {parts} parts"))
    }
}

/// Takes the Responses until every operation has come to its end.
fn receive(group: &mut ChannelGroup, mut names: HashMap<MessageId, &str>) -> Outcome {
    let mut streams: HashMap<MessageId, Stream> = HashMap::new();
    while !names.is_empty() {
        let part = next_of_peer(group)?;
        let id = part.message_id();
        let name = *names.get(&id).ok_or("a part of nothing")?;
        let done = streams.entry(id).or_default().take(&part);
        if name == "both" && !part.body().iter().all(|&byte| byte == b'X') {
            return Err("a part is not in capitals".into());
        }
        if let Some(done) = done {
            match name {
                "up" => println!("up:   answered by \"{}\"", part.body().escape_ascii()),
                "down" => println!("down: {done}"),
                _ => println!("both: {done}, in capitals"),
            }
            names.remove(&id);
        }
    }
    Ok(())
}

/// The service for one client.
struct Service {
    engine: Reactor,
    group: ChannelGroup,
    /// Requests of which parts have come.
    streams: HashMap<MessageId, Stream>,
    /// Threads that send long Responses.
    senders: Vec<JoinHandle<Outcome>>,
}

impl Service {
    fn run(mut self) -> Outcome {
        loop {
            match Incoming::from(next(&mut self.group)?) {
                Incoming::Peer(part) if part.op_code() == OpCode::Request => self.answer(part)?,
                Incoming::Peer(mut message) => {
                    message.make_reply();
                    self.group.post(message)?;
                }
                Incoming::Engine(Notice::ChannelClosed(_), _) => {
                    return self.senders.into_iter().try_for_each(joined);
                }
                other => return Err(unexpected(&other)),
            }
        }
    }

    /// Makes of a part of a Request what there is to say to it.
    fn answer(&mut self, mut part: Msg) -> Outcome {
        let task = part.text_headers().get(TASK).map(<[u8]>::to_vec);
        let more = part.more();
        part.make_reply();
        part.set_more(more);
        part.text_headers_mut().clear();
        match task.as_deref() {
            Some(b"up") => {
                let stream = self.streams.entry(part.message_id()).or_default();
                if let Some(done) = stream.take(&part) {
                    part.body_mut().replace(done.as_bytes())?;
                    self.group.post(part)?;
                }
            }
            Some(b"down") => {
                part.body_mut().clear();
                let (engine, poster) = (self.engine.clone(), self.group.poster());
                let sender = thread::spawn(move || send(&engine, &poster, &part, PARTS));
                self.senders.push(sender);
            }
            _ => {
                part.body_mut().as_mut_bytes().make_ascii_uppercase();
                self.group.post_timeout(part, PATIENCE)?;
            }
        }
        Ok(())
    }
}
