//! The processes of the soak: starts them, tells each where the others are, listens to what they
//! say, begins a new life where one has ended, and brings all to a calm end.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use tofu::prelude::Endpoint;
use tofu_testkit::{Random, TempUdsPath, resident_bytes};

use super::Arguments;
use super::member::{Holdings, Node, RESIDENTS};
use super::reconcile::{self, Books, Closing};
use crate::children::node::Plant;
use crate::kit::LIMIT;
use crate::kit::child::Child;

/// Processes, two of which are never killed.
const NODES: usize = 5;

/// How long the farewells may take.
const CALM_BY: Duration = Duration::from_secs(60);

/// How long the last descriptors may take: the linger timeout and some more.
const CLOSED_BY: Duration = Duration::from_secs(6);

/// More findings than these say nothing new.
const FINDINGS: usize = 20;

/// All processes, and what they have said.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) nodes: Vec<Node>,
    folder: PathBuf,
    template: Vec<String>,
    plant: Option<Plant>,
    random: Random,
    lives: u32,
    killed: BTreeSet<u32>,
    closings: BTreeMap<u32, Closing>,
    /// How often each cause ended a channel.
    pub(super) causes: BTreeMap<String, u64>,
    pub(super) findings: Vec<String>,
    /// Notices that nothing can be accepted.
    pub(super) starved: u64,
    /// The channels that were open, second by second.
    pub(super) beats: Vec<usize>,
    next_beat: Instant,
}

impl Fleet {
    /// Starts all processes; none of them does anything yet.
    pub(super) fn start(
        arguments: &Arguments,
        limit: Duration,
        folder: &TempUdsPath,
        random: &mut Random,
    ) -> Result<Fleet> {
        let folder = folder.parent().context("a path without folder")?;
        let now = Instant::now();
        let count = NODES as u64;
        let mut fleet = Fleet {
            nodes: Vec::new(),
            folder: folder.to_path_buf(),
            template: vec![
                "node".to_owned(),
                format!("--books={}", folder.display()),
                format!("--channels={}", arguments.channels / NODES),
                format!("--rate={}", arguments.rate / count),
                format!("--limit={}", limit.as_secs()),
            ],
            plant: arguments.plant,
            random: Random::new(random.next_u64()),
            lives: 0,
            killed: BTreeSet::new(),
            closings: BTreeMap::new(),
            causes: BTreeMap::new(),
            findings: Vec::new(),
            starved: 0,
            beats: Vec::new(),
            next_beat: now,
        };
        for index in 0..NODES {
            fleet.nodes.push(Node::new(index));
            fleet.bear(index)?;
        }
        Ok(fleet)
    }

    /// Begins a life at this place and waits until it listens.
    fn bear(&mut self, index: usize) -> Result<()> {
        self.lives += 1;
        let mut arguments = self.template.clone();
        let path = self.folder.join(format!("node-{index}"));
        arguments.push(format!("--path={}", path.display()));
        arguments.push(format!("--life={}", self.lives));
        arguments.push(format!("--seed={}", self.random.next_u64()));
        // One of those who stay, and one of the others, have small limits.
        if index % 2 == 1 {
            arguments.push("--small".to_owned());
        }
        if let Some(plant) = self.plant.filter(|_| self.lives == 1) {
            arguments.push(format!("--plant={}", format!("{plant:?}").to_lowercase()));
        }
        let child = Child::start_by(member_command()?, &arguments)?;
        let places = child.expect("ready", LIMIT)?;
        let node = &mut self.nodes[index];
        node.life = self.lives;
        node.endpoints = places
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        node.before = Holdings::at_rest(child.pid())?;
        node.channels = 0;
        node.child = Some(child);
        Ok(())
    }

    /// Lets everybody begin.
    pub(super) fn go(&mut self) -> Result<()> {
        (0..self.nodes.len()).for_each(|index| self.introduce(index));
        Ok(())
    }

    /// Tells the new life at this place where the others are, and them where it is.
    fn introduce(&mut self, newcomer: usize) {
        let line = |node: &Node| {
            let places: Vec<_> = node.endpoints.iter().map(Endpoint::to_string).collect();
            format!("peer {} {}", node.index, places.join(" "))
        };
        let lines: Vec<_> = self.nodes.iter().map(line).collect();
        for index in 0..self.nodes.len() {
            if index != newcomer {
                self.nodes[newcomer].tell(&lines[index]);
                self.nodes[index].tell(&lines[newcomer]);
            }
        }
        self.nodes[newcomer].tell("go");
    }

    /// Kills whoever lives here; a new life begins after a while.
    pub(super) fn kill(&mut self, index: usize, pause: Duration) -> Result<()> {
        let Some(child) = self.nodes[index].child.take() else {
            return Ok(());
        };
        child.signal(Signal::SIGKILL)?;
        self.bury(index, &child)?;
        self.nodes[index].born_at = Instant::now() + pause;
        Ok(())
    }

    /// Hears the last lines of a process that has died or is dying.
    fn bury(&mut self, index: usize, child: &Child) -> Result<()> {
        self.killed.insert(self.nodes[index].life);
        while let Some(line) = child.line(LIMIT)? {
            self.hear(index, &line);
        }
        Ok(())
    }

    /// Listens, measures, and begins the lives that are due.
    pub(super) fn look(&mut self) -> Result<()> {
        for index in 0..self.nodes.len() {
            self.listen(index)?;
            let node = &mut self.nodes[index];
            if node.child.is_none() && Instant::now() >= node.born_at {
                self.bear(index)?;
                self.introduce(index);
            }
            let node = &mut self.nodes[index];
            if let Some(pid) = node.pid() {
                node.resident.sample(|| resident_bytes(pid).ok());
                node.heap.sample(|| node.in_use);
            }
        }
        if Instant::now() >= self.next_beat {
            self.next_beat = Instant::now() + Duration::from_secs(1);
            let open = self.nodes.iter().map(|node| node.channels).sum();
            self.beats.push(open);
        }
        Ok(())
    }

    /// Takes in what one process says, and notices when it has ended without being killed.
    fn listen(&mut self, index: usize) -> Result<()> {
        let Some(child) = &self.nodes[index].child else {
            return Ok(());
        };
        let has_ended = child.ended_at().is_some();
        for line in child.lines_so_far() {
            self.hear(index, &line);
        }
        if has_ended {
            let life = self.nodes[index].life;
            self.find(format!("the process of life {life} has ended by itself"));
            if let Some(child) = self.nodes[index].child.take() {
                self.bury(index, &child)?;
            }
        }
        Ok(())
    }

    fn hear(&mut self, index: usize, line: &str) {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let outcome = match word {
            "closed" => self.hear_end(rest),
            "beat" => self.nodes[index].hear_beat(rest),
            "calm" => {
                self.nodes[index].is_calm = true;
                Ok(())
            }
            "starved" => {
                self.starved += 1;
                Ok(())
            }
            "ended" => Ok(()),
            _ => Err(anyhow::anyhow!("{line}")),
        };
        if let Err(error) = outcome {
            let life = self.nodes[index].life;
            self.find(format!("life {life}: {error:#}"));
        }
    }

    fn hear_end(&mut self, line: &str) -> Result<()> {
        let (stream, closing, cause) = Closing::parse(line)?;
        *self.causes.entry(cause).or_default() += 1;
        if self.closings.insert(stream, closing).is_some() {
            anyhow::bail!("stream {stream} ended twice");
        }
        Ok(())
    }

    pub(super) fn find(&mut self, text: String) {
        if self.findings.len() < FINDINGS {
            println!("FINDING {text}");
            self.findings.push(text);
        }
    }

    /// Lets all channels end in good order and all processes after them; what they hold between.
    pub(super) fn calm(&mut self) -> Result<()> {
        for index in 0..self.nodes.len() {
            if self.nodes[index].child.is_none() {
                self.bear(index)?;
                self.introduce(index);
            }
        }
        self.nodes.iter_mut().for_each(|node| node.tell("calm"));
        self.wait(CALM_BY, "still has channels", |node| node.is_calm)?;
        self.wait(
            CLOSED_BY,
            "does not let go of descriptors or threads",
            |node| {
                let now = node.pid().and_then(|pid| Holdings::of(pid).ok());
                node.after = now.unwrap_or_default();
                node.after.descriptors <= node.before.descriptors
                    && node.after.threads <= node.before.threads
            },
        )?;
        self.nodes.iter_mut().for_each(|node| node.tell("end"));
        for index in 0..self.nodes.len() {
            if let Some(mut child) = self.nodes[index].child.take() {
                while let Some(line) = child.line(LIMIT)? {
                    self.hear(index, &line);
                }
                let status = child.wait(LIMIT)?;
                if !status.success() {
                    self.find(format!("the process at {index} ended with {status}"));
                }
            }
        }
        Ok(())
    }

    /// Waits until this holds for every process that lives; a finding for each for which it does not.
    fn wait(
        &mut self,
        limit: Duration,
        complaint: &str,
        mut holds: impl FnMut(&mut Node) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            for index in 0..self.nodes.len() {
                self.listen(index)?;
            }
            let living = self.nodes.iter_mut().filter(|node| node.child.is_some());
            let late: Vec<_> = living
                .filter_map(|node| (!holds(node)).then_some(node.life))
                .collect();
            if late.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                for life in late {
                    self.find(format!("life {life} {complaint} after {limit:?}"));
                }
                return Ok(());
            }
            std::thread::sleep(super::TICK);
        }
    }

    /// Everything that was written down; a process that ended with an error cannot be asked.
    pub(super) fn books(&self) -> Result<Books> {
        let mut books = reconcile::read(&self.folder, 1..=self.lives)?;
        books.closings.clone_from(&self.closings);
        books.killed.clone_from(&self.killed);
        Ok(books)
    }

    /// How many processes there were.
    pub(super) fn lives(&self) -> u32 {
        self.lives
    }

    /// One who lives, at random; of those who may be killed, if it is to be one of them.
    pub(super) fn any(&self, random: &mut Random, is_mortal: bool) -> usize {
        let first = if is_mortal { RESIDENTS } else { 0 };
        let count = self.nodes.len() - first;
        first + usize::try_from(random.below(count as u64)).unwrap_or_default()
    }
}

/// This program, with one arena for all of its threads: as it comes, glibc's allocator gives each its
/// own, and what one thread frees is of no use to another. That looks like a slow leak.
fn member_command() -> Result<Command> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.env("MALLOC_ARENA_MAX", "1");
    Ok(command)
}
