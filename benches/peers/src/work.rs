//! What is to be done, as words of the command line; client and server are given the same ones.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

/// What the client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// One message at a time, there and back, on the first of the connections.
    Latency,
    /// As many as go, one way, on one connection.
    Throughput,
    /// Echo with `WINDOW` messages in flight on every connection.
    Window,
    /// Connections one after the other, each up to its first answer; then what they hold.
    Connections,
    /// Nothing, on connections that are open: for counting what happens meanwhile.
    Idle,
    /// Bursts of posts by several threads (tofu alone).
    Post,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Transport {
    Tcp,
    Uds,
}

#[derive(Debug, Clone)]
pub(crate) struct Work {
    pub(crate) peer: String,
    pub(crate) shape: Shape,
    pub(crate) transport: Transport,
    /// Bytes of a body.
    pub(crate) size: usize,
    pub(crate) connections: usize,
    /// How long it goes on.
    pub(crate) time: Duration,
    /// Before each round trip.
    pub(crate) pause: Duration,
    pub(crate) spin: Spin,
    pub(crate) threads: usize,
    /// Busy processes beside the two of the work.
    pub(crate) hogs: usize,
    /// How many times the work is done at once, each time by two processes.
    pub(crate) pairs: usize,
    /// All threads of both processes on the same core, so that the scheduler has no choice.
    pub(crate) is_on_one_core: bool,
    /// Whether the client says when its measured part begins and ends.
    pub(crate) has_marks: bool,
}

/// Whether threads may look for work for a while before they sleep, where a library leaves it open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Spin {
    Default,
    Off,
}

impl Work {
    pub(crate) fn parse(words: &[String]) -> Result<Work> {
        let [peer, shape, settings @ ..] = words else {
            bail!("a peer and a shape are expected");
        };
        let mut work = Work {
            peer: peer.clone(),
            shape: Shape::parse(shape)?,
            transport: Transport::Tcp,
            size: 64,
            connections: 1,
            time: Duration::from_secs(1),
            pause: Duration::ZERO,
            spin: Spin::Default,
            threads: 1,
            hogs: 0,
            pairs: 1,
            is_on_one_core: false,
            has_marks: false,
        };
        for setting in settings {
            work.set(setting)
                .with_context(|| format!("cannot use `{setting}`"))?;
        }
        Ok(work)
    }

    fn set(&mut self, setting: &str) -> Result<()> {
        let (key, value) = setting.split_once('=').context("key=value is expected")?;
        match (key, value) {
            ("transport", "tcp") => self.transport = Transport::Tcp,
            ("transport", "uds") => self.transport = Transport::Uds,
            ("size", _) => self.size = value.parse()?,
            ("connections", _) => self.connections = value.parse()?,
            ("milliseconds", _) => self.time = Duration::from_millis(value.parse()?),
            ("pause", _) => self.pause = Duration::from_micros(value.parse()?),
            ("spin", "default") => self.spin = Spin::Default,
            ("spin", "off") => self.spin = Spin::Off,
            ("cores", "1") => self.is_on_one_core = true,
            ("marks", "on") => self.has_marks = true,
            ("threads", _) => self.threads = value.parse()?,
            ("hogs", _) => self.hogs = value.parse()?,
            ("pairs", _) => self.pairs = value.parse()?,
            _ => bail!("no such setting"),
        }
        Ok(())
    }

    /// Whether at most one message is under way at a time.
    #[cfg(any(feature = "libzmq", feature = "nng"))]
    pub(crate) fn is_lockstep(&self) -> bool {
        matches!(
            self.shape,
            Shape::Latency | Shape::Connections | Shape::Idle
        )
    }

    /// A path for a socket of this process, in the folder for temporary files.
    pub(crate) fn socket_path() -> PathBuf {
        std::env::temp_dir().join(format!("peers-{}.sock", std::process::id()))
    }
}

impl Shape {
    fn parse(word: &str) -> Result<Shape> {
        Ok(match word {
            "lat" => Shape::Latency,
            "thr" => Shape::Throughput,
            "win" => Shape::Window,
            "conns" => Shape::Connections,
            "idle" => Shape::Idle,
            "post" => Shape::Post,
            _ => bail!("{word}: no such shape"),
        })
    }
}
