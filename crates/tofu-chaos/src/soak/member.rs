//! A place in the fleet: the process that lives there now, and what is known of it.

use std::time::Instant;

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tofu::prelude::Endpoint;

use super::memory::Memory;
use crate::kit::child::Child;

/// So many of the first places are never emptied by a kill.
pub(super) const RESIDENTS: usize = 2;

/// A place in the fleet, and who lives there.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) index: usize,
    pub(super) life: u32,
    /// Nobody between two lives.
    pub(super) child: Option<Child>,
    pub(super) endpoints: Vec<Endpoint>,
    /// When somebody shall live here, if nobody does.
    pub(super) born_at: Instant,
    /// Channels that it has opened itself, by its last word on that.
    pub(super) channels: usize,
    pub(super) is_calm: bool,
    /// Descriptors and threads before the first channel, and behind the last.
    pub(super) before: Holdings,
    pub(super) after: Holdings,
    /// What the process holds, and the part of it that is in use, and not kept for reuse.
    pub(super) resident: Memory,
    pub(super) heap: Memory,
    /// Bytes in use by its last word on that.
    pub(super) in_use: Option<u64>,
}

/// What a process holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Holdings {
    pub(super) descriptors: usize,
    pub(super) threads: usize,
}

impl Holdings {
    pub(super) fn of(pid: u32) -> Result<Holdings> {
        let count = |what: &str| -> Result<usize> {
            Ok(std::fs::read_dir(format!("/proc/{pid}/{what}"))?.count())
        };
        Ok(Holdings {
            descriptors: count("fd")?,
            threads: count("task")?,
        })
    }

    /// The same once it has stopped changing: a listener that is ready may not be quite furnished.
    pub(super) fn at_rest(pid: u32) -> Result<Holdings> {
        let mut before = Holdings::of(pid)?;
        loop {
            std::thread::sleep(super::TICK);
            let now = Holdings::of(pid)?;
            if now == before {
                return Ok(now);
            }
            before = now;
        }
    }
}

impl Node {
    /// A place where nobody lives yet.
    pub(super) fn new(index: usize) -> Node {
        Node {
            index,
            life: 0,
            child: None,
            endpoints: Vec::new(),
            born_at: Instant::now(),
            channels: 0,
            is_calm: false,
            before: Holdings::default(),
            after: Holdings::default(),
            resident: Memory::new(),
            heap: Memory::new(),
            in_use: None,
        }
    }

    /// Its channels, those of both sides, and the bytes that it has in use beside those kept for reuse.
    pub(super) fn hear_beat(&mut self, rest: &str) -> Result<()> {
        let mut words = rest.split(' ');
        let mut next = || words.next().context("a beat with too few words");
        self.channels = next()?.parse()?;
        next()?;
        self.in_use = Some(next()?.parse()?);
        Ok(())
    }

    /// It lives from the beginning to the end.
    pub(super) fn is_resident(&self) -> bool {
        self.index < RESIDENTS
    }

    pub(super) fn pid(&self) -> Option<u32> {
        self.child.as_ref().map(Child::pid)
    }

    /// Tells the node something; one that has just died hears nothing, and is noticed elsewhere.
    pub(super) fn tell(&mut self, line: &str) {
        if let Some(child) = &mut self.child {
            let _ = child.tell(line);
        }
    }

    /// Sends a signal to whoever lives here.
    pub(super) fn signal(&self, signal: Signal) -> Result<()> {
        self.child
            .as_ref()
            .map_or(Ok(()), |child| child.signal(signal))
    }
}
