//! A first client: says Hello, asks three questions, says Bye. For use with `first_server`.
//!
//! ```text
//! $ cargo run --release --example first_client
//! connected to tcp|127.0.0.1|7099 by channel 1
//! question 1 -> question 1 (117.4 us)
//! question 2 -> question 2 (98.2 us)
//! question 3 -> question 3 (101.9 us)
//! closed in good order: the server has taken everything
//! ```
//!
//! Arguments: the address to connect to (`tcp|127.0.0.1|7099` if there is none; see `first_server`
//! for the other forms), and `--keep-asking` to ask every 200 ms until either side is killed. When
//! something goes wrong it says what, in one line, and ends with failure:
//!
//! ```text
//! first_client: no connection: connect_failed: connecting: Connection refused (os error 111)
//! first_client: the server is lost: peer_disconnected: the peer closed the connection
//! ```

use std::error::Error;
use std::io::Write;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use tofu::prelude::*;

/// Where to connect unless told otherwise.
const ADDRESS: &str = "tcp|127.0.0.1|7099";

/// How long to wait for an answer. To connect has its own limit, in the engine's options.
const PATIENCE: Duration = Duration::from_secs(15);

/// Between two questions with `--keep-asking`.
const PAUSE: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("first_client: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let (endpoint, keep_asking) = arguments()?;
    let engine = Reactor::start(Options::default())?;
    let mut group = engine.create()?;

    let address = Address::connect_to(endpoint);
    let mut hello = engine.message()?;
    address.format(&mut hello)?;
    let channel = group.post(hello)?.channel_number();
    receive(&mut group)?;
    println!("connected to {address} by channel {channel}");

    for number in 1_u64.. {
        let mut request = engine.message()?;
        request.set_channel_number(channel);
        write!(request.body_mut(), "question {number}")?;
        ask(&mut group, request)?;
        if number == 3 && !keep_asking {
            break;
        }
        // Not a sleep: if the server dies meanwhile, the engine's message ends the wait.
        if keep_asking {
            receive_within(&mut group, PAUSE)?;
        }
    }

    let mut bye = engine.message()?;
    bye.set_op_code(OpCode::ByeRequest);
    bye.set_channel_number(channel);
    group.post(bye)?;
    wait_for_the_end(&mut group)?;
    println!("closed in good order: the server has taken everything");
    Ok(())
}

/// Posts a question, waits for the answer of the same id, and prints both.
fn ask(group: &mut ChannelGroup, request: Msg) -> Result<(), Box<dyn Error>> {
    let question = request.body().escape_ascii().to_string();
    let asked = Instant::now();
    let id = match group.post(request) {
        Ok(header) => header.message_id,
        // It closed behind our back: its last word, with the cause, waits to be received.
        Err(refused) if refused.kind() == PostErrorKind::ChannelClosed => MessageId::UNASSIGNED,
        Err(refused) => return Err(refused.into()),
    };
    let answer = receive(group)?;
    let microseconds = asked.elapsed().as_secs_f64() * 1e6;
    if answer.message_id() != id {
        return Err(format!("{question} got the answer to something else").into());
    }
    let answer = answer.body().escape_ascii();
    println!("{question} -> {answer} ({microseconds:.1} us)");
    Ok(())
}

/// The next message of the server.
fn receive(group: &mut ChannelGroup) -> Result<Msg, Box<dyn Error>> {
    let message = receive_within(group, PATIENCE)?;
    message.ok_or_else(|| format!("no answer within {PATIENCE:?}").into())
}

/// The next message of the server, if one comes in time. That there is no server (any more) is an
/// error.
fn receive_within(
    group: &mut ChannelGroup,
    timeout: Duration,
) -> Result<Option<Msg>, Box<dyn Error>> {
    while let Some(message) = group.wait_receive(timeout)? {
        match Incoming::from(message) {
            Incoming::Peer(message) => return Ok(Some(message)),
            Incoming::Engine(Notice::ConnectFailed, message) => {
                return Err(format!("no connection: {}", why(&message)).into());
            }
            Incoming::Engine(Notice::ChannelClosed(info), _) => {
                return Err(format!("the server is lost: {}", info.cause).into());
            }
            // A question that comes back unsent, say. The channel's last word follows.
            Incoming::Engine(..) | Incoming::Update(_) => {}
        }
    }
    Ok(None)
}

/// Waits for the channel's last word and takes a confirmed end for a good one.
fn wait_for_the_end(group: &mut ChannelGroup) -> Result<(), Box<dyn Error>> {
    while let Some(message) = group.wait_receive(PATIENCE)? {
        if let Incoming::Engine(Notice::ChannelClosed(info), _) = Incoming::from(message) {
            return match info.confirmed {
                true => Ok(()),
                false => Err(format!("the goodbye was not answered: {}", info.cause).into()),
            };
        }
    }
    Err(format!("the goodbye was not answered within {PATIENCE:?}").into())
}

/// What the engine says about a message that it sent.
fn why(message: &Msg) -> String {
    match message.cause() {
        Some(cause) => cause.to_string(),
        None => message.status().to_string(),
    }
}

/// The address and whether `--keep-asking` was given.
fn arguments() -> Result<(Endpoint, bool), AddressError> {
    let (mut address, mut keep_asking) = (ADDRESS.to_owned(), false);
    for argument in std::env::args().skip(1) {
        match argument.as_str() {
            "--keep-asking" => keep_asking = true,
            _ => address = argument,
        }
    }
    Ok((address.parse()?, keep_asking))
}
