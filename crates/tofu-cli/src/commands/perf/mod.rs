//! `tofu perf`: how long a round trip takes, and how many of them there are in a second.
//!
//! Two runs over one connection, against a peer that answers each Request, such as
//! `tofu listen --echo`: with one request at a time, and with many in flight.

mod load;
mod report;

use std::io;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use self::load::{Limit, Load, Measured};
use crate::arguments::Connect;
use crate::failure::{ExitStatus, Failure, Outcome};
use crate::output::Output;
use crate::session::Session;
use crate::values;

const EXAMPLES: &str = "\
Latency is measured with one request at a time, throughput with --window of them in flight. A
progress bar is on standard error if that is a terminal. Ctrl-C ends it early, with the figures
so far.

Examples:
  tofu listen 'uds|perf.sock' --echo --raw >/dev/null & server=$!
  tofu perf 'uds|perf.sock' --wait 5s --duration 200ms
  tofu perf 'uds|perf.sock' --count 1000 --size 4096 --window 16 --json
  kill $server

Exit status: see tofu --help.";

/// Measure latency and throughput
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct Arguments {
    #[command(flatten)]
    connect: Connect,
    /// How long each of the two runs takes
    #[arg(long, short, value_name = "DURATION", default_value = "3s")]
    #[arg(value_parser = values::nonzero_duration)]
    duration: Duration,
    /// How many requests each of the two runs has, instead of a time
    #[arg(long, short, value_name = "N", conflicts_with = "duration")]
    #[arg(value_parser = clap::value_parser!(u64).range(1..))]
    count: Option<u64>,
    /// Bytes of body in each request, 0 to 65535
    #[arg(long, short, value_name = "BYTES", default_value_t = 64)]
    size: u16,
    /// How many requests are in flight while throughput is measured
    #[arg(long, short, value_name = "N", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u16).range(1..=8192))]
    window: u16,
    /// Print the figures as a line of JSON
    #[arg(long)]
    json: bool,
}

impl Arguments {
    fn limit(&self) -> Limit {
        match self.count {
            Some(count) => Limit::Count(count),
            None => Limit::Time(self.duration),
        }
    }
}

/// Both runs; the second is left out after an interrupt.
struct Results {
    latency: Measured,
    throughput: Option<Measured>,
}

pub(crate) fn run(arguments: &Arguments, output: &mut Output) -> Outcome {
    let mut session = Session::open(&arguments.connect)?;
    let mut load = Load {
        session: &mut session,
        body: vec![b'.'; usize::from(arguments.size)],
        timeout: arguments.connect.timeout,
    };
    let limit = arguments.limit();
    let latency = load.run(1, limit, &progress("latency", limit))?;
    let throughput = match load.session.is_interrupted() {
        true => None,
        false => Some(load.run(
            arguments.window.into(),
            limit,
            &progress("throughput", limit),
        )?),
    };
    session.leave();
    if latency.count() == 0 {
        return Err(Failure::new(
            ExitStatus::Interrupted,
            "interrupted before anything was measured",
        ));
    }
    let results = Results {
        latency,
        throughput,
    };
    match arguments.json {
        true => report::json(arguments, &results, output),
        false => report::text(arguments, &results, output),
    }
}

/// A bar on standard error, which is hidden where that is no terminal.
fn progress(what: &'static str, limit: Limit) -> ProgressBar {
    let target = match io::IsTerminal::is_terminal(&io::stderr()) {
        true => ProgressDrawTarget::stderr(),
        false => ProgressDrawTarget::hidden(),
    };
    let bar = ProgressBar::with_draw_target(Some(limit.length()), target);
    let style = ProgressStyle::with_template("{msg:<10} [{bar:40}] {percent}%");
    bar.set_style(
        style
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            .progress_chars("=> "),
    );
    bar.set_message(what);
    bar
}
