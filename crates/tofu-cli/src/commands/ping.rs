//! `tofu ping`: is the peer's program there, and how long does an answer take?
//!
//! One Request at a time, which the peer has to answer with a Response of the same id, as
//! `tofu listen --echo` and most servers do. The figures are printed however it ends.

use std::time::{Duration, Instant};

use tofu::prelude::{MessageId, Msg, OpCode};

use crate::arguments::Connect;
use crate::failure::{ExitStatus, Outcome};
use crate::output::Output;
use crate::session::{Event, Session};
use crate::values;

const EXAMPLES: &str = "\
Without --count it goes on until Ctrl-C. It succeeds if any answer came.

Examples:
  tofu listen 'uds|echo.sock' --echo --count 3 >/dev/null &
  tofu ping 'uds|echo.sock' --wait 5s -c 3 -i 0.01

Exit status: 0 if any answer came, 4 if none; for others see tofu --help.";

const NANOSECONDS_PER_MILLISECOND: f64 = 1e6;

/// Measure round trips, one at a time
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// End after so many requests
    #[arg(long, short, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// From one request to the next
    #[arg(long, short, value_name = "DURATION", default_value = "1s")]
    #[arg(value_parser = values::duration)]
    interval: Duration,
    /// Bytes of body in each request, 0 to 65535
    #[arg(long, short, value_name = "BYTES", default_value_t = 56)]
    size: u16,
    /// Print the figures at the end only
    #[arg(long, short)]
    quiet: bool,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let mut pinger = Pinger {
        session: Session::open(&arguments.connect)?,
        arguments,
        output,
        sent: 0,
        figures: Figures::default(),
    };
    let address = &arguments.connect.address;
    let size = arguments.size;
    pinger
        .output
        .line(format_args!("PING {address} with {size} bytes of body"))?;
    let started = Instant::now();
    let outcome = pinger.ping();
    if outcome
        .as_ref()
        .is_err_and(|failure| failure.status == ExitStatus::OutputClosed)
    {
        pinger.session.leave();
        return outcome;
    }
    pinger.sum_up(started.elapsed())?;
    outcome?;
    if pinger.figures.count == 0 {
        return Err(pinger
            .session
            .unanswered("any request", arguments.connect.timeout));
    }
    pinger.session.leave();
    Ok(())
}

struct Pinger<'a> {
    session: Session,
    arguments: &'a Arguments,
    output: &'a mut Output,
    sent: u64,
    figures: Figures,
}

impl Pinger<'_> {
    /// One request after the other, until there were enough or the user wants to end.
    fn ping(&mut self) -> Outcome {
        while self.arguments.count != Some(self.sent) && !self.session.is_interrupted() {
            let next = Instant::now() + self.arguments.interval;
            self.ask()?;
            self.output.flush()?;
            if self.arguments.count != Some(self.sent) {
                self.pause(next)?;
            }
        }
        Ok(())
    }

    fn ask(&mut self) -> Outcome {
        let mut request = self.session.message(OpCode::Request)?;
        let (headers, body) = request.parts_mut();
        headers.clear();
        // Any body of 16 bits' length fits.
        let _fits = body.append(&vec![b'.'; usize::from(self.arguments.size)]);
        let asked = Instant::now();
        // Where it is refused the connection has ended, which the wait below tells.
        let id = self.session.post(request)?.unwrap_or(MessageId::UNASSIGNED);
        self.sent += 1;
        let deadline = asked + self.arguments.connect.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.session.next(left)? {
                None => return self.take_silence(),
                Some(Event::Message(message)) if is_answer(&message, id) => {
                    return self.take_answer(&message, asked.elapsed());
                }
                Some(Event::Closed(info)) => return Err(self.session.lost(&info)),
                Some(_) if self.session.is_interrupted() => return Ok(()),
                Some(_) => {}
            }
        }
    }

    fn take_answer(&mut self, answer: &Msg, took: Duration) -> Outcome {
        self.figures.add(took);
        if self.arguments.quiet {
            return Ok(());
        }
        let (len, address, sequence) = (answer.body().len(), self.session.address(), self.sent);
        let time = milliseconds(took);
        self.output.line(format_args!(
            "{len} bytes from {address}: seq={sequence} time={time:.3} ms"
        ))
    }

    fn take_silence(&mut self) -> Outcome {
        if self.arguments.quiet {
            return Ok(());
        }
        let (address, sequence) = (self.session.address(), self.sent);
        let timeout = self.arguments.connect.timeout;
        self.output.line(format_args!(
            "no answer from {address}: seq={sequence} within {timeout:?}"
        ))
    }

    /// Waits for the time of the next request; an end of the connection is noticed at once.
    fn pause(&mut self, until: Instant) -> Outcome {
        loop {
            let left = until.saturating_duration_since(Instant::now());
            match self.session.next(left)? {
                None => return Ok(()),
                Some(Event::Closed(info)) => return Err(self.session.lost(&info)),
                Some(_) if self.session.is_interrupted() => return Ok(()),
                Some(_) => {}
            }
        }
    }

    fn sum_up(&mut self, took: Duration) -> Outcome {
        let (sent, answered) = (self.sent, self.figures.count);
        let lost = (sent - answered) * 100 / sent.max(1);
        let address = self.session.address();
        self.output
            .line(format_args!("\n--- {address} ping statistics ---"))?;
        let time = took.as_millis();
        self.output.line(format_args!(
            "{sent} sent, {answered} answered, {lost}% lost, time {time} ms"
        ))?;
        if answered > 0 {
            let figures = &self.figures;
            let (min, max) = (milliseconds(figures.min), milliseconds(figures.max));
            let (mean, deviation) = (figures.mean, figures.deviation());
            self.output.line(format_args!(
                "round trip min/avg/max/mdev = {min:.3}/{mean:.3}/{max:.3}/{deviation:.3} ms"
            ))?;
        }
        self.output.flush()
    }
}

fn is_answer(message: &Msg, id: MessageId) -> bool {
    message.op_code() == OpCode::Response && message.message_id() == id
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e9 / NANOSECONDS_PER_MILLISECOND
}

/// What ping prints, gathered one round trip at a time (Welford's method).
#[derive(Debug, Default)]
struct Figures {
    count: u64,
    min: Duration,
    max: Duration,
    /// In milliseconds, as all below.
    mean: f64,
    /// The sum of the squares of the differences from the mean.
    squares: f64,
}

impl Figures {
    fn add(&mut self, took: Duration) {
        self.min = match self.count {
            0 => took,
            _ => self.min.min(took),
        };
        self.max = self.max.max(took);
        self.count += 1;
        let time = milliseconds(took);
        let difference = time - self.mean;
        self.mean += difference / self.as_float();
        self.squares += difference * (time - self.mean);
    }

    fn deviation(&self) -> f64 {
        (self.squares / self.as_float().max(1.0)).sqrt()
    }

    #[expect(clippy::cast_precision_loss, reason = "nobody pings 2^52 times")]
    fn as_float(&self) -> f64 {
        self.count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_figures_are_those_of_the_definition() {
        let mut figures = Figures::default();
        for time in [2, 4, 4, 4, 5, 5, 7, 9] {
            figures.add(Duration::from_millis(time));
        }
        assert_eq!((figures.count, figures.min), (8, Duration::from_millis(2)));
        assert_eq!(figures.max, Duration::from_millis(9));
        assert!((figures.mean - 5.0).abs() < 1e-9);
        assert!((figures.deviation() - 2.0).abs() < 1e-9);
    }
}
