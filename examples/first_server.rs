//! A first server: greets whoever says Hello, sends every Request back as its Response, and says
//! how each client left.
//!
//! ```text
//! $ cargo run --release --example first_server
//! listening on tcp|127.0.0.1|7099
//! channel 2: hello from tcp|127.0.0.1|50312
//! channel 2: question 1
//! channel 2: question 2
//! channel 2: question 3
//! channel 2: left in good order
//! ```
//!
//! Arguments: the address to listen on (`tcp|127.0.0.1|7099` if there is none), and `--once` to end
//! when the first client has left. Addresses are written `tcp|HOST|PORT`, with port 0 for any free
//! one, or `uds|/some/path`, or `uds|@name` for one of Linux's abstract names; in a shell they need
//! quotes. Kill a client with `kill -9`, and the last line becomes:
//!
//! ```text
//! channel 2: lost: peer_disconnected: the peer closed the connection
//! ```

use std::error::Error;
use std::process::ExitCode;
use std::time::Duration;

use tofu::prelude::*;

/// Where to listen unless told otherwise.
const ADDRESS: &str = "tcp|127.0.0.1|7099";

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("first_server: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (endpoint, once) = arguments()?;
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;

    // To listen is to post a WelcomeRequest. Whether it worked comes back as a message.
    let mut welcome = engine.message()?;
    Address::listen_on(endpoint).format(&mut welcome)?;
    group.post(welcome)?;

    serve(&mut group, once)?;

    // A goodbye that was just posted may still be on its way.
    engine.shutdown(Duration::from_secs(1));
    Ok(())
}

/// Takes one message after the other: from any number of clients, and from the engine.
fn serve(group: &mut ChannelGroup, once: bool) -> Result<(), Box<dyn Error>> {
    while let Some(message) = group.wait_receive(Duration::MAX)? {
        let channel = message.channel_number();
        match Incoming::from(message) {
            Incoming::Peer(message) => answer(group, message),
            Incoming::Engine(Notice::ListenerReady, message) => {
                println!("listening on {}", Address::parse(&message)?);
            }
            Incoming::Engine(Notice::ListenFailed, message) => return Err(why(&message).into()),
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                if info.cause.status().is_success() {
                    println!("channel {channel}: left in good order");
                } else {
                    println!("channel {channel}: lost: {}", info.cause);
                }
                if once {
                    return Ok(());
                }
            }
            Incoming::Engine(_, message) => println!("channel {channel}: {}", why(&message)),
            Incoming::Update(_) => {}
        }
    }
    Ok(())
}

/// Turns what a client sent into the answer: the same message, the other way round. Its channel
/// and its id are already those that the answer needs.
fn answer(group: &ChannelGroup, mut message: Msg) {
    let channel = message.channel_number();
    match (message.op_code(), message.peer()) {
        (OpCode::HelloRequest, Some(peer)) => {
            println!("channel {channel}: hello from {}", peer.endpoint);
        }
        (OpCode::Request, _) => println!("channel {channel}: {}", message.body().escape_ascii()),
        _ => {}
    }
    if message.make_reply().is_none() {
        return;
    }
    // Refused is no reason to stop: the client may be gone by now, and its last word tells.
    if let Err(refused) = group.post(message) {
        println!("channel {channel}: {refused}");
    }
}

/// What the engine says about a message that it sent.
fn why(message: &Msg) -> String {
    match message.cause() {
        Some(cause) => cause.to_string(),
        None => message.status().to_string(),
    }
}

/// The address and whether `--once` was given.
fn arguments() -> Result<(Endpoint, bool), AddressError> {
    let (mut address, mut once) = (ADDRESS.to_owned(), false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--once" => once = true,
            _ => address = argument,
        }
    }
    Ok((address.parse()?, once))
}
