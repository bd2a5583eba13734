//! Random conversations over real sockets under tiny limits, with a ledger: every message has
//! exactly one outcome, in order; every channel has one last word, whose counts are right; nothing
//! ever gets stuck.
//!
//! One seed draws the limits, the connections and how they end. A failure prints the seed of its
//! round, and `TOFU_SEED` repeats it; `TOFU_LEDGER_SECONDS` makes the test longer.

#![cfg(test)]

mod actor;
mod book;
mod channel;
mod plan;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tofu::prelude::*;
use tofu_testkit::{End, Random, RawPeer, Task, TempUdsPath, run_named_tasks, seed, wait_until};

use actor::Actor;
use book::Book;
use plan::{Cut, Plan, Raw};

/// A round that takes so long hangs.
const DEADLINE: Duration = Duration::from_secs(60);

#[test]
fn every_message_has_one_outcome() {
    let seconds = std::env::var("TOFU_LEDGER_SECONDS");
    let seconds = seconds.map_or(5, |seconds| seconds.parse().unwrap());
    let end = Instant::now() + Duration::from_secs(seconds);
    let repeats = std::env::var_os("TOFU_SEED").is_some();
    let mut seed = seed();
    let mut rounds = 0;
    while rounds == 0 || Instant::now() < end {
        println!("TOFU_SEED={seed}");
        Round::new(seed).play();
        rounds += 1;
        if !repeats {
            seed = Random::new(seed).next_u64();
        }
    }
    println!("{rounds} rounds");
}

/// One round: the engines, what runs in them, and the books.
struct Round {
    plan: Arc<Plan>,
    book: Arc<Book>,
    server: Reactor,
    client: Reactor,
    /// Where the servers listen, and the socket files of some.
    endpoints: Vec<Endpoint>,
    paths: Vec<TempUdsPath>,
    tasks: Vec<(String, Task)>,
    /// Clients and raw peers that still run.
    running: Arc<AtomicUsize>,
    /// Servers that have not yet seen all of their channels end.
    busy: Arc<AtomicUsize>,
    /// Servers that have.
    resting: Arc<Mutex<Vec<Actor>>>,
}

impl Round {
    fn new(seed: u64) -> Round {
        let plan = Arc::new(Plan::draw(seed));
        let server = Reactor::start(plan.server.clone()).unwrap();
        let client = match plan.two_engines {
            true => Reactor::start(plan.client.clone()).unwrap(),
            false => server.clone(),
        };
        Round {
            book: Arc::new(Book::new(plan.connections.len())),
            plan,
            server,
            client,
            endpoints: Vec::new(),
            paths: Vec::new(),
            tasks: Vec::new(),
            running: Arc::default(),
            busy: Arc::default(),
            resting: Arc::default(),
        }
    }

    fn play(mut self) {
        for index in 0..self.plan.servers.len() {
            self.add_server(index);
        }
        for index in 0..self.plan.clients {
            self.add_client(index);
        }
        for connection in 0..self.plan.connections.len() {
            if let Some(raw) = self.plan.connections[connection].raw {
                self.add_raw_peer(connection, raw);
            }
        }
        if let Err(error) = run_named_tasks(DEADLINE, std::mem::take(&mut self.tasks)) {
            panic!("{error}\n{:#?}", self.plan);
        }
        self.server.shutdown(Duration::from_millis(300));
        for mut actor in self.resting.lock().unwrap().drain(..) {
            actor.run(|| false);
        }
        assert_eq!(self.server.channel_count(), 0);
        // Nobody waits for the end of a group that was dropped.
        wait_until(DEADLINE, "no channel is left", || {
            self.client.channel_count() == 0
        });
        self.check_returned();
        self.book.settle(&self.plan);
    }

    /// Whatever an engine of clients has given back, somebody has got.
    fn check_returned(&self) {
        let dropped = self
            .plan
            .cuts
            .iter()
            .flatten()
            .any(|(_, cut)| *cut == Cut::Drop);
        if self.plan.two_engines && !dropped {
            let got = self.book.returned_to_clients.load(Ordering::Relaxed);
            assert_eq!(self.client.stats().messages_returned, got);
        }
    }

    fn add_task(&mut self, name: String, work: impl FnOnce() + Send + 'static) {
        self.tasks.push((name, Box::new(work)));
    }

    fn add_writer(&mut self, actor: &Actor, name: &str) {
        let (desk, engine) = (Arc::clone(&actor.desk), actor.engine.clone());
        let (poster, book) = (actor.group.poster(), Arc::clone(&actor.book));
        self.add_task(format!("{name} writer"), move || {
            desk.write(&engine, &poster, &book);
        });
    }

    fn add_server(&mut self, index: usize) {
        let mut actor = Actor::new(&self.server, &self.book, &self.plan, 100 + index as u64);
        let path = TempUdsPath::new().unwrap();
        self.endpoints
            .push(actor.listen(&match self.plan.servers[index] {
                true => Address::uds_server(path.as_path()),
                false => Address::tcp_server("127.0.0.1", 0),
            }));
        self.paths.push(path);
        let name = format!("server {index}");
        self.add_writer(&actor, &name);
        let (running, busy) = (Arc::clone(&self.running), Arc::clone(&self.busy));
        busy.fetch_add(1, Ordering::SeqCst);
        let resting = Arc::clone(&self.resting);
        self.add_task(name, move || {
            actor.run(|| running.load(Ordering::SeqCst) == 0);
            busy.fetch_sub(1, Ordering::SeqCst);
            // A connection may still come in late, and what it says takes of the common pool.
            actor.run(|| busy.load(Ordering::SeqCst) == 0);
            actor.desk.end();
            resting.lock().unwrap().push(actor);
        });
    }

    fn add_client(&mut self, index: usize) {
        let mut actor = Actor::new(&self.client, &self.book, &self.plan, index as u64);
        let name = format!("client {index}");
        self.add_writer(&actor, &name);
        let (endpoints, running) = (self.endpoints.clone(), Arc::clone(&self.running));
        running.fetch_add(1, Ordering::SeqCst);
        self.add_task(name, move || {
            let plan = Arc::clone(&actor.plan);
            for (connection, entry) in plan.connections.iter().enumerate() {
                if entry.client == index && entry.raw.is_none() {
                    actor.dial(connection, &endpoints[entry.server]);
                }
            }
            let desk = Arc::clone(&actor.desk);
            match actor.run_until_cut(|| true, index) {
                None => {}
                Some(Cut::Destroy(grace)) => actor.destroy(grace),
                Some(Cut::Drop) => drop(actor),
                Some(Cut::Shutdown(grace)) => {
                    actor.engine.shutdown(grace);
                    actor.run(|| false);
                }
            }
            desk.end();
            running.fetch_sub(1, Ordering::SeqCst);
        });
    }

    /// A peer without an engine.
    fn add_raw_peer(&mut self, connection: usize, raw: Raw) {
        let entry = &self.plan.connections[connection];
        let (endpoint, messages) = (self.endpoints[entry.server].clone(), entry.messages[0]);
        let (book, running) = (Arc::clone(&self.book), Arc::clone(&self.running));
        running.fetch_add(1, Ordering::SeqCst);
        self.add_task(format!("raw peer {connection}"), move || {
            let mut bytes = Vec::new();
            plan::hello(connection, &endpoint).encode_into(&mut bytes);
            for number in 0..messages {
                let mut message = Message::default();
                plan::fill(&mut message, connection, 0, number);
                message.encode_into(&mut bytes);
                book.posted(connection, 0);
            }
            let mut peer = RawPeer::connect(&endpoint).unwrap();
            peer.set_send_deadline(DEADLINE);
            peer.send(&bytes).unwrap();
            if raw == Raw::HalfCloses {
                peer.shutdown_write().unwrap();
                let (frames, end) = peer.receive_all(DEADLINE);
                assert_eq!(end, End::Eof, "{frames:?}");
                let said = |frame: &&Message| frame.op_code() != OpCode::HelloResponse;
                for frame in frames.iter().filter(said) {
                    let number = plan::number_of(frame, connection, 1);
                    book.delivered(connection, 1, number);
                }
            }
            running.fetch_sub(1, Ordering::SeqCst);
        });
    }
}
