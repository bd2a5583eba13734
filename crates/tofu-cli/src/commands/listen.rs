//! `tofu listen`: a peer that prints what it is sent, and answers if it is told to.
//!
//! It greets and says goodbye like any program of tofu. Only messages go to standard output;
//! the address that it is bound to, and with `--verbose` who comes and goes, to standard error.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use tofu::addr::Endpoint;
use tofu::chnls::{Cause, CloseInfo};
use tofu::prelude::*;

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::interrupt::Interrupt;
use crate::output::{Output, say};
use crate::render::{Format, View};
use crate::values;

const EXAMPLES: &str = "\
The first line on standard error is \"listening on ADDRESS\", with the port that the system chose
if the one given was 0. Standard output has the messages alone; without --json, --hex or --raw
they are for people, and at most 1024 bytes of a body are shown. Hello and Bye are always answered,
and not counted by --count. A peer that does not take the answers of --echo keeps the others
waiting, for a minute at most; then its connection is closed.

Examples:
  tofu listen 'uds|jobs.sock' --json --count 2 &
  tofu send 'uds|jobs.sock' --wait 5s --op signal --body 'first'
  tofu send 'uds|jobs.sock' --op signal --body 'second'

Exit status: see tofu --help.";

/// How long the peers may take to answer the goodbye when the command ends.
const FAREWELL: Duration = Duration::from_secs(5);

/// How long what was sent last may take to leave.
const LINGER: Duration = Duration::from_secs(1);

/// While waiting for room to answer, how often to look whether the user wants to end.
const PATIENCE: Duration = Duration::from_millis(100);

/// Listen, and print each message
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Where to listen: 'tcp|HOST|PORT' (port 0: any free one), 'uds|PATH' or 'uds|@NAME'
    #[arg(value_name = "ADDRESS", value_parser = values::to_listen())]
    address: Endpoint,
    /// Answer each Request with its own text headers and body
    #[arg(long)]
    echo: bool,
    /// End after N messages; the parts of a long one count as one
    #[arg(long, short = 'n', value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Print each message as a line of JSON
    #[arg(long, group = "format")]
    json: bool,
    /// Print each message as a line of hexadecimal digits, for tofu decode
    #[arg(long, group = "format")]
    hex: bool,
    /// Print the bodies alone, as they are, with nothing between them
    #[arg(long, group = "format")]
    raw: bool,
    /// Print Hello and Bye too
    #[arg(long)]
    all: bool,
    /// Tell on standard error who comes and goes
    #[arg(long, short)]
    verbose: bool,
}

impl Arguments {
    fn format(&self) -> Format {
        match (self.json, self.hex, self.raw) {
            (true, ..) => Format::Json,
            (_, true, _) => Format::Hex,
            (.., true) => Format::Raw,
            _ => Format::Text,
        }
    }
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let engine = Reactor::start(Options::default())?;
    let group = engine.create()?;
    let mut listener = Listener {
        interrupt: Interrupt::install(group.poster())?,
        group,
        arguments,
        output,
        channel: ChannelNumber::UNASSIGNED,
        peers: BTreeSet::new(),
        left: arguments.count,
    };
    listener.bind(engine.message()?)?;
    let outcome = listener.serve();
    let farewell = listener.farewell(&engine);
    engine.shutdown(LINGER);
    outcome.and(farewell)
}

/// The listener and whoever is connected.
struct Listener<'a> {
    arguments: &'a Arguments,
    output: &'a mut Output,
    group: ChannelGroup,
    interrupt: Interrupt,
    /// The listener's own channel.
    channel: ChannelNumber,
    /// The channels of those that have said Hello and are still there.
    peers: BTreeSet<ChannelNumber>,
    /// How many messages are still to come.
    left: Option<u64>,
}

impl Listener<'_> {
    /// Listens, and tells where.
    fn bind(&mut self, mut welcome: Msg) -> Outcome {
        let failed = |text: String| Failure::new(ExitStatus::NoConnection, text);
        Address::listen_on(self.arguments.address.clone())
            .format(&mut welcome)
            .map_err(|error| failed(error.to_string()))?;
        let posted = self.group.post(welcome);
        self.channel = posted
            .map_err(|error| failed(error.to_string()))?
            .channel_number;
        while let Some(message) = self.group.wait_receive(Duration::MAX)? {
            match Incoming::from(message) {
                Incoming::Engine(Notice::ListenerReady, message) => {
                    let bound =
                        Address::parse(&message).map_err(|error| failed(error.to_string()))?;
                    say(format_args!("listening on {bound}"));
                    return Ok(());
                }
                Incoming::Engine(_, message) => {
                    let address = &self.arguments.address;
                    let why = message.cause().map_or("", Cause::text);
                    // The cause says it too.
                    let doing = format!("listening on {address}: ");
                    let why = why.strip_prefix(&doing).unwrap_or(why);
                    return Err(failed(format!("cannot listen on {address}: {why}")));
                }
                Incoming::Peer(_) | Incoming::Update(_) => {}
            }
        }
        Ok(())
    }

    /// Until enough has come, or the user wants to end.
    fn serve(&mut self) -> Outcome {
        while self.left != Some(0) && !self.interrupt.is_set() {
            let message = match self.group.wait_receive(Duration::ZERO)? {
                Some(message) => message,
                None => {
                    self.output.flush()?;
                    match self.group.wait_receive(Duration::MAX)? {
                        Some(message) => message,
                        None => continue,
                    }
                }
            };
            self.take(message)?;
        }
        self.output.flush()
    }

    fn take(&mut self, message: Msg) -> Outcome {
        let channel = message.channel_number();
        match Incoming::from(message) {
            Incoming::Peer(message) => self.take_of_peer(message),
            Incoming::Engine(Notice::ChannelClosed(info), _) => self.take_end(channel, &info),
            Incoming::Engine(Notice::UdsPathGone, _) => {
                let address = &self.arguments.address;
                say(format_args!(
                    "the socket at {address} is gone: nobody can connect any more"
                ));
                Ok(())
            }
            Incoming::Engine(Notice::AcceptFailed, message) => {
                let why = message.cause().map(ToString::to_string).unwrap_or_default();
                say(format_args!("a connection was not accepted: {why}"));
                Ok(())
            }
            Incoming::Engine(..) | Incoming::Update(_) => Ok(()),
        }
    }

    fn take_of_peer(&mut self, message: Msg) -> Outcome {
        let channel = message.channel_number();
        let is_regular = match message.op_code() {
            OpCode::Request | OpCode::Response | OpCode::Signal => true,
            OpCode::HelloRequest => {
                self.peers.insert(channel);
                let from = message.peer().map(|peer| peer.endpoint.to_string());
                self.tell(channel, &format!("hello from {}", from.unwrap_or_default()));
                false
            }
            _ => false,
        };
        if is_regular || self.arguments.all {
            View::from(&*message).show(self.arguments.format(), self.output)?;
        }
        if let (true, false, Some(left)) = (is_regular, message.more(), self.left) {
            self.left = Some(left.saturating_sub(1));
        }
        self.answer(message);
        Ok(())
    }

    /// Answers Hello and Bye, and Requests if that is wanted. A part of a long Request becomes a
    /// part of a long Response.
    fn answer(&self, mut message: Msg) {
        let more = message.more();
        let is_wanted = match message.op_code() {
            OpCode::HelloRequest | OpCode::ByeRequest => true,
            OpCode::Request => self.arguments.echo,
            _ => false,
        };
        if !is_wanted || message.make_reply().is_none() {
            return;
        }
        message.set_more(more);
        let channel = message.channel_number();
        while let Err(refused) = self.group.post_timeout(message, PATIENCE) {
            if refused.kind() != PostErrorKind::QueueFull || self.interrupt.is_set() {
                self.tell(channel, &refused.to_string());
                return;
            }
            message = refused.into_message();
        }
    }

    fn take_end(&mut self, channel: ChannelNumber, info: &CloseInfo) -> Outcome {
        if channel == self.channel {
            let text = format!("no longer listening: {}", info.cause);
            return Err(Failure::new(ExitStatus::ConnectionLost, text));
        }
        self.peers.remove(&channel);
        match info.cause.status().is_success() {
            true => self.tell(channel, "left in good order"),
            false => self.tell(channel, &format!("lost: {}", info.cause)),
        }
        Ok(())
    }

    fn tell(&self, channel: ChannelNumber, what: &str) {
        if self.arguments.verbose {
            say(format_args!("channel {channel}: {what}"));
        }
    }

    /// Stops listening, says goodbye to everybody, and waits for their answers.
    fn farewell(&mut self, engine: &Reactor) -> Outcome {
        self.post_last(engine, OpCode::ByeSignal, self.channel)?;
        for peer in self.peers.clone() {
            self.post_last(engine, OpCode::ByeRequest, peer)?;
        }
        let deadline = Instant::now() + FAREWELL;
        while !self.peers.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            let Some(message) = self.group.wait_receive(left)? else {
                break;
            };
            let channel = message.channel_number();
            match Incoming::from(message) {
                Incoming::Peer(message) if message.op_code() == OpCode::ByeRequest => {
                    self.answer(message);
                }
                Incoming::Engine(Notice::ChannelClosed(info), _) if channel != self.channel => {
                    self.take_end(channel, &info)?;
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn post_last(&self, engine: &Reactor, op_code: OpCode, channel: ChannelNumber) -> Outcome {
        let mut message = engine.message()?;
        message.set_op_code(op_code);
        message.set_channel_number(channel);
        // Refused only where the goodbye has been said, or the channel has ended.
        let _refused = self.group.post(message);
        Ok(())
    }
}
