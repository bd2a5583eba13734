//! One run of requests: so many in flight, for so long, each answer timed.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use tofu::prelude::{MessageId, Msg, OpCode};

use crate::failure::{ExitStatus, Failure, Outcome};
use crate::session::{Event, Session};

/// Digits of a latency that are kept.
const PRECISION: u8 = 3;

/// The longest latency that is told from longer ones, in nanoseconds: an hour.
const LONGEST: u64 = 3_600_000_000_000;

/// How long a run goes on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Limit {
    Time(Duration),
    Count(u64),
}

impl Limit {
    /// The length of a progress bar.
    pub(super) fn length(self) -> u64 {
        match self {
            Limit::Time(duration) => milliseconds(duration),
            Limit::Count(count) => count,
        }
    }
}

/// What a run has shown.
#[derive(Debug)]
pub(super) struct Measured {
    pub(super) window: usize,
    /// From the first post to the last answer.
    pub(super) elapsed: Duration,
    /// Round trips in nanoseconds.
    pub(super) histogram: Histogram<u64>,
}

impl Measured {
    /// How many answers came.
    pub(super) fn count(&self) -> u64 {
        self.histogram.len()
    }
}

/// What makes requests.
pub(super) struct Load<'a> {
    pub(super) session: &'a mut Session,
    pub(super) body: Vec<u8>,
    /// How long an answer may take.
    pub(super) timeout: Duration,
}

impl Load<'_> {
    pub(super) fn run(
        &mut self,
        window: usize,
        limit: Limit,
        progress: &ProgressBar,
    ) -> Outcome<Measured> {
        let histogram = Histogram::new_with_max(LONGEST, PRECISION)
            .map_err(|error| Failure::new(ExitStatus::Failure, error.to_string()))?;
        let mut run = Run {
            limit,
            window,
            started: Instant::now(),
            last_answer: Instant::now(),
            posted: 0,
            in_flight: HashMap::with_capacity(window),
            refused: None,
            histogram,
        };
        loop {
            self.fill(&mut run)?;
            if run.in_flight.is_empty() && (run.is_over() || self.session.is_interrupted()) {
                progress.finish_and_clear();
                return Ok(run.measured());
            }
            // Answers count, and not whatever else a peer may send.
            let left = self.timeout.saturating_sub(run.last_answer.elapsed());
            match self.session.next(left)? {
                None => return Err(self.session.unanswered("a request", self.timeout)),
                Some(Event::Message(message)) => run.take(&message),
                Some(Event::Closed(info)) => return Err(self.session.lost(&info)),
                Some(Event::Changed) => {}
            }
            progress.set_position(run.position());
        }
    }

    /// Posts until the window is full.
    fn fill(&mut self, run: &mut Run) -> Outcome {
        while run.wants_more() && !self.session.is_interrupted() {
            let request = match run.refused.take() {
                Some(request) => request,
                None => self.request()?,
            };
            let asked = Instant::now();
            match self.session.post(request)? {
                Ok(id) => run.note(id, asked),
                Err(request) => {
                    run.refused = Some(request);
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn request(&self) -> Outcome<Msg> {
        let mut request = self.session.message(OpCode::Request)?;
        // Any body of 16 bits' length fits.
        let _fits = request.body_mut().append(&self.body);
        Ok(request)
    }
}

/// A run as it stands.
struct Run {
    limit: Limit,
    window: usize,
    started: Instant,
    last_answer: Instant,
    posted: u64,
    /// When each request without an answer was posted.
    in_flight: HashMap<MessageId, Instant>,
    /// A request that the queue had no room for.
    refused: Option<Msg>,
    histogram: Histogram<u64>,
}

impl Run {
    /// Nothing more is to be posted.
    fn is_over(&self) -> bool {
        match self.limit {
            Limit::Time(duration) => self.started.elapsed() >= duration,
            Limit::Count(count) => self.posted >= count,
        }
    }

    fn wants_more(&self) -> bool {
        self.in_flight.len() < self.window && !self.is_over()
    }

    fn note(&mut self, id: MessageId, asked: Instant) {
        self.posted += 1;
        self.in_flight.insert(id, asked);
    }

    fn take(&mut self, message: &Msg) {
        let is_answer = message.op_code() == OpCode::Response;
        let asked = is_answer.then(|| self.in_flight.remove(&message.message_id()));
        if let Some(asked) = asked.flatten() {
            self.last_answer = Instant::now();
            let took = self.last_answer.duration_since(asked).as_nanos();
            self.histogram
                .saturating_record(u64::try_from(took).unwrap_or(u64::MAX));
        }
    }

    /// Where a progress bar stands.
    fn position(&self) -> u64 {
        match self.limit {
            Limit::Time(_) => milliseconds(self.started.elapsed()),
            Limit::Count(_) => self.histogram.len(),
        }
    }

    fn measured(self) -> Measured {
        Measured {
            window: self.window,
            elapsed: self.last_answer.duration_since(self.started),
            histogram: self.histogram,
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
