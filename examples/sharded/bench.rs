//! `--bench`: what several engines answer beside what one does, the same clients asking.
//!
//! The runs take turns, so that what disturbs the machine for a while disturbs both alike.

use std::thread;
use std::time::Duration;

use tofu_examples::{Outcome, joined};

use crate::client::{Load, SIZE, WINDOW};
use crate::server::{Server, Work};

/// Connections of each client.
const CONNECTIONS: usize = 16;

pub(crate) struct Bench {
    engines: usize,
    runs: usize,
    time: Duration,
}

impl Bench {
    pub(crate) fn new(engines: usize, runs: usize, milliseconds: usize) -> Bench {
        Bench {
            engines,
            runs: runs.max(1),
            time: Duration::from_millis(milliseconds as u64),
        }
    }

    pub(crate) fn run(&self) -> Outcome {
        let Bench {
            engines,
            runs,
            time,
        } = self;
        println!(
            "{engines} clients with {CONNECTIONS} connections each, {WINDOW} questions of {SIZE} bytes in \
             flight on each; {runs} runs of {time:?}",
        );
        for (name, work) in [("little", Work::LITTLE), ("much", Work::MUCH)] {
            self.compare(name, work)?;
        }
        Ok(())
    }

    fn compare(&self, name: &str, work: Work) -> Outcome {
        let (mut of_one, mut of_all) = (Vec::new(), Vec::new());
        for _ in 0..self.runs {
            of_one.push(self.rate(1, work)?);
            of_all.push(self.rate(self.engines, work)?);
        }
        let (one, all) = (Spread::of(of_one), Spread::of(of_all));
        println!("{name} work, 1 engine:  {one}");
        println!("{name} work, {} engines: {all}", self.engines);
        let ratio = all.median / one.median;
        println!(
            "{name} work: {} engines answer {ratio:.2} times as many as 1",
            self.engines
        );
        Ok(())
    }

    /// Answers per second of so many engines. There are as many clients as engines at most, so that
    /// these are not what is measured.
    fn rate(&self, engines: usize, work: Work) -> Outcome<f64> {
        let server = Server::start(engines, work)?;
        let clients = (0..self.engines).map(|_| Load::connect(server.directory(), CONNECTIONS));
        let clients = clients.collect::<Outcome<Vec<_>>>()?;
        let time = self.time;
        let clients: Vec<_> = clients
            .into_iter()
            .map(|client| thread::spawn(move || client.run(time)))
            .collect();
        let mut rate = 0.0;
        for client in clients {
            rate += joined(client)?;
        }
        server.stop()?;
        Ok(rate)
    }
}

/// Median, least and most.
struct Spread {
    median: f64,
    least: f64,
    most: f64,
}

impl Spread {
    /// Of at least one value.
    fn of(mut values: Vec<f64>) -> Spread {
        values.sort_by(f64::total_cmp);
        Spread {
            median: values[values.len() / 2],
            least: values[0],
            most: values[values.len() - 1],
        }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Spread {
            median,
            least,
            most,
        } = self;
        write!(
            formatter,
            "{median:>9.0} answers per second ({least:.0} to {most:.0})"
        )
    }
}
