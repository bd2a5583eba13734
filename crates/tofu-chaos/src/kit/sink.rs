//! A row's view of a child that listens, answers requests and keeps the book of what it received.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use tofu::prelude::Endpoint;
use tofu_testkit::TempUdsPath;

use super::LIMIT;
use super::child::Child;
use super::ledger::Delivered;
use super::side::Transport;

/// A child that listens.
#[derive(Debug)]
pub(crate) struct Sink {
    pub(crate) child: Child,
    pub(crate) endpoint: Endpoint,
    /// What it has received, as far as its lines were read.
    pub(crate) delivered: Delivered,
    /// The statuses with which its channels closed, and those of its notices.
    pub(crate) closed: Vec<String>,
    pub(crate) notices: Vec<String>,
    _path: Option<TempUdsPath>,
}

impl Sink {
    /// Starts one, with further arguments.
    pub(crate) fn start(transport: Transport, further: &[&str]) -> Result<Sink> {
        let mut arguments = vec!["sink".to_owned(), format!("--transport={transport}")];
        let path = match transport {
            Transport::Tcp => None,
            Transport::Uds => {
                let path = TempUdsPath::new()?;
                arguments.push(format!("--path={}", path.display()));
                Some(path)
            }
        };
        arguments.extend(further.iter().map(|&argument| argument.to_owned()));
        let child = Child::start(&arguments)?;
        let endpoint = child.expect("ready", LIMIT)?.parse()?;
        Ok(Sink {
            child,
            endpoint,
            delivered: Delivered::default(),
            closed: Vec::new(),
            notices: Vec::new(),
            _path: path,
        })
    }

    /// Takes in the lines that have come.
    pub(crate) fn read(&mut self) -> Result<()> {
        for line in self.child.lines_so_far() {
            self.take(&line)?;
        }
        Ok(())
    }

    /// Takes in all lines until the child's end.
    pub(crate) fn read_to_end(&mut self) -> Result<()> {
        while let Some(line) = self.child.line(LIMIT)? {
            self.take(&line)?;
        }
        Ok(())
    }

    /// Waits until it has received so many messages of streams.
    pub(crate) fn await_delivered(&mut self, total: u64, limit: Duration) -> Result<()> {
        self.await_that(limit, |sink| sink.delivered.total() >= total)
            .with_context(|| {
                format!(
                    "{} of {total} delivered, closed: {:?}",
                    self.delivered.total(),
                    self.closed
                )
            })
    }

    /// Waits until what it has told so far is enough.
    pub(crate) fn await_that(
        &mut self,
        limit: Duration,
        mut enough: impl FnMut(&Sink) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        while !enough(self) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.child.line(left)? {
                Some(line) => self.take(&line)?,
                None => bail!("the listening child has ended"),
            }
        }
        Ok(())
    }

    fn take(&mut self, line: &str) -> Result<()> {
        let mut words = line.split(' ');
        match (words.next(), words.next(), words.next()) {
            (Some("d"), Some(stream), Some(number)) => {
                self.delivered.note(stream.parse()?, number.parse()?)?;
            }
            (Some("closed"), Some(status), _) => self.closed.push(status.to_owned()),
            (Some("notice"), Some(status), _) => self.notices.push(status.to_owned()),
            _ => bail!("the listening child says: {line}"),
        }
        Ok(())
    }
}
