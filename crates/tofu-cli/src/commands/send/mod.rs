//! `tofu send`: one Request or Signal, of any length, and its answer.
//!
//! A long body goes as several messages with `more`, read while they are sent, so that memory does
//! not grow with it; what comes back is written as it comes.

mod parts;

use std::time::{Duration, Instant};

use tofu::msg::TextHeaders;
use tofu::prelude::{MessageId, Msg, OpCode};

use self::parts::{Next, Parts};
use crate::arguments::Connect;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::render::{Format, View};
use crate::session::{Event, Session};
use crate::values::{self, Header, Source};

const EXAMPLES: &str = "\
A body of more than 65535 bytes is sent as several messages; so is an answer. The body is read
while it is sent.

Examples:
  tofu listen 'uds|echo.sock' --echo --count 3 >/dev/null &
  tofu send 'uds|echo.sock' --wait 5s --body 'how much?'
  echo 'from a pipe' | tofu send 'uds|echo.sock' --body - --header kind=note --json
  tofu send 'uds|echo.sock' --body hello --hex | tofu decode

Exit status: see tofu --help.";

/// Send a Request or a Signal, and print the answer
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// What to send: a text, @FILE for a file's content, or - for standard input
    #[arg(
        long,
        short,
        value_name = "TEXT|@FILE|-",
        default_value = "",
        hide_default_value = true
    )]
    #[arg(allow_hyphen_values = true, value_parser = values::source())]
    body: Source,
    /// A text header of the message (may be repeated)
    #[arg(long = "header", short = 'H', value_name = "NAME=VALUE", value_parser = values::header())]
    headers: Vec<Header>,
    /// What kind of message: one that asks for an answer, or one that tells
    #[arg(long, value_enum, default_value_t)]
    op: Op,
    /// Print each message of the answer as a line of JSON, instead of the bare body
    #[arg(long, conflicts_with = "hex")]
    json: bool,
    /// Print each message of the answer as a line of hexadecimal digits
    #[arg(long)]
    hex: bool,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Op {
    #[default]
    Request,
    Signal,
}

impl Arguments {
    fn format(&self) -> Format {
        match (self.json, self.hex) {
            (true, _) => Format::Json,
            (_, true) => Format::Hex,
            _ => Format::Raw,
        }
    }

    fn text_headers(&self) -> Outcome<TextHeaders> {
        let mut block = TextHeaders::new();
        for header in &self.headers {
            block
                .append(&header.name, &header.value)
                .map_err(|error| Failure::new(ExitStatus::Usage, error.to_string()))?;
        }
        Ok(block)
    }
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let text_headers = arguments.text_headers()?;
    let body = parts::open(&arguments.body)?;
    let session = Session::open(&arguments.connect)?;
    let mut exchange = Exchange {
        parts: Parts::read(body, session.poster())?,
        pending: None,
        session,
        output,
        format: arguments.format(),
        timeout: arguments.connect.timeout,
        op: arguments.op,
        text_headers,
        id: MessageId::UNASSIGNED,
        is_long: false,
        is_posted: false,
        is_answered: false,
    };
    match exchange.run() {
        Ok(()) => exchange.close(),
        Err(failure) => {
            if matches!(
                failure.status,
                ExitStatus::Interrupted | ExitStatus::OutputClosed
            ) {
                exchange.session.leave();
            }
            Err(failure)
        }
    }
}

/// A message on its way, and what has come back.
struct Exchange<'a> {
    session: Session,
    output: &'a mut Output,
    format: Format,
    timeout: Duration,
    op: Op,
    parts: Parts,
    /// A part that the queue had no room for.
    pending: Option<Msg>,
    /// Those of the first part; then empty.
    text_headers: TextHeaders,
    /// That of the first part, and so of all.
    id: MessageId,
    /// There is more than one part.
    is_long: bool,
    /// The last part has been posted.
    is_posted: bool,
    /// A Response has come behind which no more follow.
    is_answered: bool,
}

impl Exchange<'_> {
    /// Until everything is sent, and answered if it was a Request.
    fn run(&mut self) -> Outcome {
        let mut deadline = None;
        loop {
            self.post_parts()?;
            if self.is_posted && (self.is_answered || self.op == Op::Signal) {
                return Ok(());
            }
            if self.is_posted && deadline.is_none() {
                deadline = Instant::now().checked_add(self.timeout);
            }
            self.output.flush()?;
            let left = |deadline: Instant| deadline.saturating_duration_since(Instant::now());
            match self.session.next(deadline.map_or(Duration::MAX, left))? {
                None => return Err(self.session.unanswered("the Request", self.timeout)),
                Some(Event::Message(message)) => {
                    if self.take(&message)? {
                        deadline = None;
                    }
                }
                Some(Event::Closed(info)) => return Err(self.session.lost(&info)),
                Some(Event::Changed) => {}
            }
            if self.session.is_interrupted() {
                return Err(Failure::interrupted());
            }
        }
    }

    /// Posts what has been read, as far as there is room.
    fn post_parts(&mut self) -> Outcome {
        while !self.is_posted {
            let message = match self.pending.take() {
                Some(message) => message,
                None => match self.next_part()? {
                    Some(message) => message,
                    None => return Ok(()),
                },
            };
            let is_last = !message.more();
            match self.session.post(message)? {
                Ok(id) => {
                    self.id = id;
                    self.is_posted = is_last;
                    self.is_long |= !is_last;
                }
                Err(message) => {
                    self.pending = Some(message);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// The next part as a message, if one has been read.
    fn next_part(&mut self) -> Outcome<Option<Msg>> {
        let Some(Next { content, more }) = self.parts.next()? else {
            return Ok(None);
        };
        let mut message = self.session.message(match self.op {
            Op::Request => OpCode::Request,
            Op::Signal => OpCode::Signal,
        })?;
        message.set_message_id(self.id);
        message.set_more(more);
        let too_long = |text: String| Failure::new(ExitStatus::Failure, text);
        let text_headers = std::mem::take(&mut self.text_headers);
        let added = message
            .text_headers_mut()
            .replace_raw(text_headers.as_bytes());
        added.map_err(|error| too_long(error.to_string()))?;
        let added = message.body_mut().append(&content);
        added.map_err(|error| too_long(error.to_string()))?;
        Ok(Some(message))
    }

    /// Prints what belongs to the answer: the bare body of Responses, and in the other formats
    /// whatever comes. Says whether it was a Response.
    fn take(&mut self, message: &Msg) -> Outcome<bool> {
        let is_response = is_response(message, self.id);
        if is_response && !message.more() {
            self.is_answered = true;
        }
        let is_regular = matches!(
            message.op_code(),
            OpCode::Request | OpCode::Response | OpCode::Signal
        );
        if is_response || (is_regular && self.format != Format::Raw) {
            View::from(&**message).show(self.format, self.output)?;
        }
        Ok(is_response)
    }

    /// Says goodbye. A peer that answers every part by itself may still have some to say.
    fn close(mut self) -> Outcome {
        let (format, id) = (self.format, self.id);
        let output = &mut *self.output;
        let info = self.session.close(self.timeout, |message| {
            if is_response(message, id) {
                View::from(&**message).show(format, output)?;
            }
            Ok(())
        })?;
        self.output.finish()?;
        match (self.op, info) {
            // The peer may have answered the first of several parts before it was lost.
            (Op::Request, Some(info)) if self.is_long && !info.cause.status().is_success() => {
                Err(self.session.lost(&info))
            }
            (Op::Request, _) => Ok(()),
            (Op::Signal, Some(info)) if info.confirmed => Ok(()),
            (Op::Signal, Some(info)) => Err(self.session.lost(&info)),
            (Op::Signal, None) => Err(self.session.unanswered("the goodbye", self.timeout)),
        }
    }
}

fn is_response(message: &Msg, id: MessageId) -> bool {
    message.op_code() == OpCode::Response && message.message_id() == id
}
