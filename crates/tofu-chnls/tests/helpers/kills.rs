//! Servers that are killed under load and come back: every call ends once, answered or failed, and
//! what is said of its request is true.

use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use tofu_addr::{Address, Endpoint};
use tofu_chnls::helpers::{
    CallEvent, Caller, Calls, Connector, ConnectorEvent, ConnectorOptions, Heartbeat,
    HeartbeatEvent, time_to_next,
};
use tofu_chnls::{Ampe, ChannelGroup, Msg, Options, Reactor};
use tofu_msg::{ChannelNumber, Message, OpCode};
use tofu_testkit::{Random, TempUdsPath, free_tcp_port, run_named_tasks, seed};

use crate::ledger::Ledger;
use crate::server::{DEADLINE, Server, reply};

const KILLS: usize = 20;
/// All of a test's kills; one that takes so long hangs.
const WHOLE: Duration = Duration::from_secs(60);
/// How many calls are kept pending.
const LOAD: usize = 64;
/// Set in the process that is a server: where it listens.
const SERVE_AT: &str = "TOFU_HELPERS_SERVE_AT";

#[test]
fn a_server_on_tcp_is_killed_twenty_times() {
    let port = free_tcp_port().unwrap();
    kill_under_calls(&Address::tcp_client("127.0.0.1", port).into_endpoint());
}

#[test]
fn a_server_on_uds_is_killed_twenty_times() {
    let path = TempUdsPath::new().unwrap();
    kill_under_calls(&Address::uds_client(&path).into_endpoint());
}

fn kill_under_calls(endpoint: &Endpoint) {
    let seed = seed();
    let place = endpoint.clone();
    let ledger = call_while(endpoint, seed, move |ledger| {
        kill_repeatedly(&place, ledger, seed);
    });
    ledger.reconcile(true);
}

/// Keeps calls pending while `kills` goes on; what became of them.
fn call_while(
    endpoint: &Endpoint,
    seed: u64,
    kills: impl FnOnce(&Arc<Ledger>) + Send + 'static,
) -> Arc<Ledger> {
    let ledger = Arc::new(Ledger::default());
    let stop = Arc::new(AtomicBool::new(false));
    let client = Client::new(endpoint, &ledger, seed);
    let (stopping, of_killer) = (Arc::clone(&stop), Arc::clone(&ledger));
    let tasks = [
        task("client", move || client.run(&stopping)),
        task("killer", move || {
            kills(&of_killer);
            stop.store(true, Ordering::Relaxed);
        }),
    ];
    run_named_tasks(WHOLE, tasks).unwrap();
    ledger
}

#[test]
fn a_server_is_killed_twenty_times_under_threads_that_wait() {
    const CALLERS: usize = 4;
    let (seed, port) = (seed(), free_tcp_port().unwrap());
    let endpoint = Address::tcp_client("127.0.0.1", port).into_endpoint();
    let (ledger, stop) = (
        Arc::new(Ledger::default()),
        Arc::new(AtomicBool::new(false)),
    );
    let engine = Reactor::start(Options::default()).unwrap();
    let group = engine.create().unwrap();
    let (caller, dispatcher) = Caller::new(group.poster(), 100);
    let connection = Arc::new(Connection::default());
    let mut tasks = Vec::new();
    for number in 0..CALLERS {
        let (engine, caller, connection) =
            (engine.clone(), caller.clone(), Arc::clone(&connection));
        let (ledger, stop) = (Arc::clone(&ledger), Arc::clone(&stop));
        tasks.push(task(&format!("caller {number}"), move || {
            while let Some(channel) = connection.wait(&stop) {
                let (request, key) = ledger.request(&engine, channel, b"");
                match caller.call(request, DEADLINE) {
                    Ok(answer) => ledger.answered(key, &answer.message),
                    Err(failure) => {
                        ledger.failed(key, failure);
                        connection.lost(channel);
                    }
                }
            }
        }));
    }
    let connector = connector(&endpoint, seed);
    tasks.push(task("receiver", move || {
        keep_connected(group, connector, &connection, |message| {
            dispatcher.on_message(message);
        });
    }));
    let killer = Arc::clone(&ledger);
    tasks.push(task("killer", move || {
        kill_repeatedly(&endpoint, &killer, seed);
        stop.store(true, Ordering::Relaxed);
        // Whoever waits for an answer gets its failure; nobody calls again.
        engine.shutdown(Duration::ZERO);
    }));
    run_named_tasks(WHOLE, tasks).unwrap();
    assert_eq!((caller.pending(), caller.late()), (0, 0));
    ledger.reconcile(true);
}

#[test]
fn a_server_process_is_killed_by_a_signal() {
    if let Ok(endpoint) = std::env::var(SERVE_AT) {
        return serve_until_killed(&endpoint.parse().unwrap());
    }
    let seed = seed();
    let path = TempUdsPath::new().unwrap();
    let endpoint = Address::uds_client(&path).into_endpoint();
    let place = endpoint.clone();
    let ledger = call_while(&endpoint, seed, move |ledger| {
        let mut random = Random::new(seed);
        for _ in 0..5 {
            let mut server = Process::start(&place);
            ledger.wait_answered(ledger.answers() + draw(&mut random, 200));
            server.kill();
        }
    });
    ledger.reconcile(false);
}

/// Starts a server, lets it work for a while, and kills it, again and again.
fn kill_repeatedly(endpoint: &Endpoint, ledger: &Arc<Ledger>, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..KILLS {
        let server = serve(endpoint, ledger, random.next_u64());
        ledger.wait_answered(ledger.answers() + draw(&mut random, 100));
        server.kill();
    }
}

/// From 1 up to `limit`.
fn draw(random: &mut Random, limit: u64) -> usize {
    usize::try_from(random.below(limit)).unwrap() + 1
}

fn task(name: &str, work: impl FnOnce() + Send + 'static) -> (String, tofu_testkit::Task) {
    (name.to_owned(), Box::new(work))
}

fn connector(endpoint: &Endpoint, seed: u64) -> Connector {
    let options = ConnectorOptions::default()
        .first_delay(Duration::from_millis(1))
        .longest_delay(Duration::from_millis(20))
        .seed(seed);
    Connector::new(endpoint.clone(), options, Instant::now())
}

fn keep_connected(
    mut group: ChannelGroup,
    mut connector: Connector,
    connection: &Connection,
    mut take: impl FnMut(Msg),
) {
    loop {
        connector.on_time(&group, Instant::now());
        while let Some(event) = connector.next_event() {
            match event {
                ConnectorEvent::Connected { channel } => connection.made(channel),
                ConnectorEvent::Lost { channel, .. } => connection.lost(channel),
                _ => {}
            }
        }
        let wait = time_to_next(Instant::now(), [connector.next_deadline()]);
        match group.wait_receive(wait) {
            Ok(Some(message)) => {
                connector.on_message(&message, Instant::now());
                take(message);
            }
            Ok(None) => {}
            Err(_) => return connection.wake(),
        }
    }
}

/// The channel that the calling threads are to use.
#[derive(Default)]
struct Connection {
    channel: Mutex<Option<ChannelNumber>>,
    changed: Condvar,
}

impl Connection {
    fn made(&self, channel: ChannelNumber) {
        *self.channel.lock().unwrap() = Some(channel);
        self.changed.notify_all();
    }

    fn lost(&self, channel: ChannelNumber) {
        let mut current = self.channel.lock().unwrap();
        *current = current.filter(|current| *current != channel);
    }

    fn wake(&self) {
        self.changed.notify_all();
    }

    /// Waits for a channel; none comes once the test is to stop.
    fn wait(&self, stop: &AtomicBool) -> Option<ChannelNumber> {
        let mut channel = self.channel.lock().unwrap();
        while !stop.load(Ordering::Relaxed) {
            if channel.is_some() {
                return *channel;
            }
            let step = Duration::from_millis(20);
            channel = self.changed.wait_timeout(channel, step).unwrap().0;
        }
        None
    }
}

/// Keeps calls pending, whatever becomes of the server: all helpers in one loop.
struct Client {
    engine: Reactor,
    group: ChannelGroup,
    connector: Connector,
    heartbeat: Heartbeat,
    calls: Calls<u64>,
    ledger: Arc<Ledger>,
    random: Random,
    padding: Vec<u8>,
}

impl Client {
    fn new(endpoint: &Endpoint, ledger: &Arc<Ledger>, seed: u64) -> Client {
        let engine = Reactor::start(Options::default()).unwrap();
        let mut random = Random::new(seed);
        Client {
            group: engine.create().unwrap(),
            engine,
            connector: connector(endpoint, random.next_u64()),
            heartbeat: Heartbeat::new(Duration::from_millis(5), DEADLINE),
            calls: Calls::new(LOAD),
            ledger: Arc::clone(ledger),
            padding: random.bytes(60_000),
            random,
        }
    }

    fn run(mut self, stop: &AtomicBool) {
        while !stop.load(Ordering::Relaxed) || self.calls.pending() > 0 {
            let now = Instant::now();
            self.connector.on_time(&self.group, now);
            self.heartbeat.on_time(&self.group, now);
            self.calls.on_time(now);
            self.take_events(now);
            if !stop.load(Ordering::Relaxed) {
                self.load(now);
            }
            let due = [
                self.connector.next_deadline(),
                self.heartbeat.next_deadline(),
                self.calls.next_deadline(),
            ];
            let wait = time_to_next(Instant::now(), due);
            if let Some(message) = self.group.wait_receive(wait).unwrap() {
                let now = Instant::now();
                self.connector.on_message(&message, now);
                self.heartbeat.on_message(&message, now);
                self.calls.on_message(message);
            }
        }
        self.take_events(Instant::now());
        assert_eq!(self.calls.late(), 0, "nothing comes behind a last word");
    }

    fn take_events(&mut self, now: Instant) {
        while let Some(event) = self.connector.next_event() {
            if let ConnectorEvent::Connected { channel } = event {
                self.heartbeat.watch(channel, now);
            }
        }
        while let Some(event) = self.heartbeat.next_event() {
            let silent = matches!(event, HeartbeatEvent::Silent { .. });
            assert!(!silent, "{event:?}");
        }
        while let Some(event) = self.calls.next_event() {
            match event {
                CallEvent::Answered { value, answer, .. } => self.ledger.answered(value, &answer),
                CallEvent::Failed { value, failure, .. } => self.ledger.failed(value, failure),
                CallEvent::Progress { .. } => {}
                other => panic!("{other:?}"),
            }
        }
    }

    /// Calls until as many are pending as may be.
    fn load(&mut self, now: Instant) {
        let Some(channel) = self.connector.channel() else {
            return;
        };
        while self.calls.pending() < LOAD {
            let padding = match self.random.below(8) {
                0 => usize::try_from(self.random.below(60_000)).unwrap(),
                _ => 0,
            };
            let padding = &self.padding[..padding];
            let (request, key) = self.ledger.request(&self.engine, channel, padding);
            let call = self.calls.call(&self.group, request, key, now + DEADLINE);
            if let Err(refused) = call {
                // The channel's last word is on its way.
                return self.ledger.failed(key, refused.into());
            }
        }
    }
}

/// A server that notes every request and answers in an order of its own, some with a Signal of
/// progress and in two parts.
fn serve(endpoint: &Endpoint, ledger: &Arc<Ledger>, seed: u64) -> Server {
    let ledger = Arc::clone(ledger);
    let mut random = Random::new(seed);
    let mut held: Vec<Msg> = Vec::new();
    Server::start(endpoint, move |group, message| {
        let hold = match message {
            Some(request) if request.op_code() == OpCode::Request => {
                ledger.served(&request);
                held.push(request);
                usize::try_from(random.below(32)).unwrap()
            }
            Some(other) => return reply(group, other),
            None => 0,
        };
        while held.len() > hold {
            let index = random.below(held.len().try_into().unwrap());
            let request = held.swap_remove(index.try_into().unwrap());
            if random.below(4) == 0 {
                show_progress(group, &request);
            }
            reply(group, request);
        }
    })
}

fn show_progress(group: &ChannelGroup, request: &Msg) {
    for (op_code, more) in [(OpCode::Signal, false), (OpCode::Response, true)] {
        let mut message = Msg::from(Message::new(op_code));
        message.set_channel_number(request.channel_number());
        message.set_message_id(request.message_id());
        message.set_more(more);
        group.post(message).ok();
    }
}

/// This program again, as a server.
struct Process {
    child: Child,
}

impl Process {
    fn start(endpoint: &Endpoint) -> Process {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["kills::a_server_process_is_killed_by_a_signal", "--exact"])
            .env(SERVE_AT, endpoint.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        Process { child }
    }

    /// By SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Serves, up to the end of the process that started this one at the latest.
fn serve_until_killed(endpoint: &Endpoint) {
    let server = serve(endpoint, &Arc::default(), 0);
    let mut parent = Vec::new();
    std::io::stdin().read_to_end(&mut parent).unwrap();
    server.kill();
}
