//! The server as seen by the client's process: started, asked, ended.

use std::env;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

#[derive(Debug)]
pub(crate) struct ServerProcess {
    child: Child,
    /// Closing it ends the server.
    questions: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    address: String,
}

/// What the server's process has taken so far.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) processor_time: Duration,
    pub(crate) memory: u64,
}

impl ServerProcess {
    /// Starts this program again, as the server, and waits until it listens.
    pub(crate) fn start(words: &[String]) -> Result<ServerProcess> {
        let mut child = Command::new(env::current_exe()?)
            .arg("serve")
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("cannot start the server")?;
        let questions = child.stdin.take();
        let answers = child.stdout.take().context("no output of the server")?;
        let mut server = ServerProcess {
            child,
            questions,
            answers: BufReader::new(answers),
            address: String::new(),
        };
        server.address = server.answer("address")?;
        Ok(server)
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn usage(&mut self) -> Result<Usage> {
        let questions = self.questions.as_mut().context("the server has ended")?;
        questions.write_all(b"usage\n")?;
        let [nanoseconds, memory] = self.numbers("usage")?;
        Ok(Usage {
            processor_time: Duration::from_nanos(nanoseconds),
            memory,
        })
    }

    /// Waits until the server has received the last message: how many in all, and the time from
    /// the first to the last.
    pub(crate) fn received(&mut self) -> Result<(u64, Duration)> {
        let [count, nanoseconds] = self.numbers("received")?;
        Ok((count, Duration::from_nanos(nanoseconds)))
    }

    fn numbers(&mut self, name: &str) -> Result<[u64; 2]> {
        let answer = self.answer(name)?;
        let (first, second) = answer.split_once(' ').context("two numbers are missing")?;
        Ok([first.parse()?, second.parse()?])
    }

    fn answer(&mut self, name: &str) -> Result<String> {
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        ensure!(!line.is_empty(), "the server has ended");
        match line.trim_end().split_once(' ') {
            Some((word, answer)) if word == name => Ok(answer.to_owned()),
            _ => bail!("`{line}` instead of {name}"),
        }
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        self.questions = None;
        // It ends by itself now; should it not, whoever started us ends both.
        let _ = self.child.wait();
    }
}
