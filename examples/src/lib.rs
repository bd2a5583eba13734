//! What the examples share: opening and closing a channel when one waits for each step.
//!
//! `first_server` and `first_client` do the same by hand, and are the place to learn it. Every wait
//! here has a limit, and whatever the engine reports instead of what was expected is an error.

use std::error::Error;
use std::thread::JoinHandle;
use std::time::Duration;

use tofu::engine::Report;
use tofu::prelude::*;

/// What a step returns; the error can cross threads.
pub type Outcome<T = ()> = Result<T, Box<dyn Error + Send + Sync>>;

/// How long any single step may take.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Any free port of this machine.
#[must_use]
pub fn any_port() -> Endpoint {
    Address::tcp_server("127.0.0.1", 0).into_endpoint()
}

/// A Unix domain socket in the folder for temporary files that no other process uses.
#[must_use]
pub fn temporary_socket(name: &str) -> Endpoint {
    let name = format!("tofu-{name}-{}.sock", std::process::id());
    Address::uds_server(std::env::temp_dir().join(name)).into_endpoint()
}

/// Waits for a thread and hands out what it returned.
///
/// # Errors
/// The thread's own, or that it panicked.
pub fn joined<T>(thread: JoinHandle<Outcome<T>>) -> Outcome<T> {
    thread.join().map_err(|_| "a thread panicked")?
}

/// Listens, and returns the address with the port that the system chose.
///
/// # Errors
/// Why the engine could not listen there.
pub fn listen(
    engine: &dyn Ampe,
    group: &mut ChannelGroup,
    endpoint: Endpoint,
) -> Outcome<Endpoint> {
    let mut welcome = engine.message()?;
    Address::listen_on(endpoint).format(&mut welcome)?;
    group.post(welcome)?;
    match Incoming::from(next(group)?) {
        Incoming::Engine(Notice::ListenerReady, message) => {
            Ok(Address::parse(&message)?.into_endpoint())
        }
        other => Err(unexpected(&other)),
    }
}

/// Connects, waits for the server's answer, and returns the new channel.
///
/// # Errors
/// Why there is no connection.
pub fn connect(
    engine: &dyn Ampe,
    group: &mut ChannelGroup,
    endpoint: Endpoint,
) -> Outcome<ChannelNumber> {
    connect_saying(engine, group, endpoint, [])
}

/// The same with text headers in the HelloRequest.
///
/// # Errors
/// Why there is no connection.
pub fn connect_saying<'a>(
    engine: &dyn Ampe,
    group: &mut ChannelGroup,
    endpoint: Endpoint,
    headers: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Outcome<ChannelNumber> {
    let mut hello = engine.message()?;
    Address::connect_to(endpoint).format(&mut hello)?;
    for (name, value) in headers {
        hello.text_headers_mut().append(name, value)?;
    }
    let channel = group.post(hello)?.channel_number;
    next_of_peer(group)?;
    Ok(channel)
}

/// An empty message for a channel.
///
/// # Errors
/// When the engine has ended.
pub fn message_to(engine: &dyn Ampe, channel: ChannelNumber, op_code: OpCode) -> Outcome<Msg> {
    let mut message = engine.message()?;
    message.set_op_code(op_code);
    message.set_channel_number(channel);
    Ok(message)
}

/// The number that a body begins with.
///
/// # Errors
/// If it is too short for one.
pub fn number_in(message: &Message) -> Outcome<u64> {
    let bytes = message.body().first_chunk().ok_or("a number is missing")?;
    Ok(u64::from_be_bytes(*bytes))
}

/// Closes a channel and waits until the peer has confirmed that it took everything.
///
/// # Errors
/// If the channel ended in another way.
pub fn close(engine: &dyn Ampe, group: &mut ChannelGroup, channel: ChannelNumber) -> Outcome {
    group.post(message_to(engine, channel, OpCode::ByeRequest)?)?;
    next_of_peer(group)?;
    match Incoming::from(next(group)?) {
        Incoming::Engine(Notice::ChannelClosed(info), _) if info.confirmed => Ok(()),
        other => Err(unexpected(&other)),
    }
}

/// The next message, whoever sent it; but for notices of a pause, out of which the engine finds by
/// itself. They come when this program is slower than its peers, and there is nothing to do about them.
///
/// # Errors
/// If none comes in time.
pub fn next(group: &mut ChannelGroup) -> Outcome<Msg> {
    while let Some(message) = group.wait_receive(PATIENCE)? {
        match message.report() {
            Some(Report::PoolEmpty | Report::AcceptFailed) => {}
            _ => return Ok(message),
        }
    }
    Err(format!("nothing was received within {PATIENCE:?}").into())
}

/// The next message, which has to be the peer's.
///
/// # Errors
/// What the engine said instead.
pub fn next_of_peer(group: &mut ChannelGroup) -> Outcome<Msg> {
    match Incoming::from(next(group)?) {
        Incoming::Peer(message) => Ok(message),
        other => Err(unexpected(&other)),
    }
}

/// Something that does not belong to the conversation as an error that says what and why.
#[must_use]
pub fn unexpected(incoming: &Incoming) -> Box<dyn Error + Send + Sync> {
    match incoming {
        Incoming::Engine(_, message) => match message.cause() {
            Some(cause) => cause.to_string().into(),
            None => message.status().to_string().into(),
        },
        Incoming::Peer(message) => format!("the peer sent a {}", message.op_code()).into(),
        Incoming::Update(_) => "a message of this program itself".into(),
    }
}
