//! A protocol of one's own, tested over the simulated network: orders that must be taken exactly once,
//! although connections break.
//!
//! The client repeats every order that was not answered, over a new connection; the server answers
//! each, and knows repeated ones by their number. A few hundred runs, hours of simulated time, take a
//! second. Run it with
//!
//! ```text
//! cargo run --release -p tofu-testkit --features sim --example own_protocol [SEED]
//! ```
//!
//! which prints all that happens if a seed is given. Try it with `REPEAT` set to false.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use tofu_addr::Address;
use tofu_engine::{Group, Msg, Options, Report};
use tofu_msg::{ChannelNumber, Message, MessageId, OpCode, Origin};
use tofu_testkit::sim::{Faults, Simulation, Tracing};

/// The heart of the protocol: what was not answered is said again.
const REPEAT: bool = true;

const SEEDS: u64 = 300;
const ORDERS: u64 = 20;
/// By then, of simulated time, all must be done.
const LIMIT: Duration = Duration::from_secs(600);

type Outcome<T = ()> = Result<T, Box<dyn Error>>;

fn main() -> Outcome {
    if let Some(seed) = std::env::args().nth(1) {
        let took = play(seed.parse()?, Tracing::Print)?;
        println!("all orders were taken within {took:?}");
        return Ok(());
    }
    let mut simulated = Duration::ZERO;
    for seed in 1..=SEEDS {
        match play(seed, Tracing::Hash) {
            Ok(took) => simulated += took,
            Err(error) => return Err(format!("seed {seed}: {error}").into()),
        }
    }
    println!(
        "{SEEDS} runs passed, {} s of simulated time",
        simulated.as_secs()
    );
    Ok(())
}

/// One run; how long it took by the simulation's clock.
fn play(seed: u64, tracing: Tracing) -> Outcome<Duration> {
    let mut simulation = Simulation::traced(seed, tracing);
    let [servers, clients] = [(); 2].map(|()| simulation.add_engine(Options::default()));
    // What may go wrong, per mille of the occasions.
    simulation.set_faults(Faults {
        delay: Duration::from_millis(50),
        partial: 300,
        reset: 20,
        refuse: 200,
        silence: 50,
        pause: 10,
        pause_time: Duration::from_secs(3),
        ..Faults::none()
    });
    let mut server = Server::listen(simulation.handle(servers).create_group()?)?;
    let mut client = Client::new(simulation.handle(clients).create_group()?);
    while !client.open.is_empty() {
        // Between two steps the applications do what they would do on threads of their own: they
        // take what has come, with a timeout of zero, and post.
        server.serve()?;
        client.go_on()?;
        simulation.step(LIMIT)?;
        if simulation.now() >= LIMIT {
            let (open, taken) = (client.open.len(), server.taken.len());
            return Err(format!("{open} orders are open, {taken} were taken").into());
        }
    }
    if server.taken.len() as u64 != ORDERS {
        return Err(format!("orders were taken: {:?}", server.taken).into());
    }
    Ok(simulation.now())
}

/// Takes orders, each once.
struct Server {
    group: Group,
    taken: BTreeSet<u64>,
}

impl Server {
    fn listen(group: Group) -> Outcome<Server> {
        let mut welcome = Message::default();
        Address::tcp_server("shop", 7).format(&mut welcome)?;
        group.sender().post(Msg::from(welcome))?;
        let taken = BTreeSet::new();
        Ok(Server { group, taken })
    }

    fn serve(&mut self) -> Outcome {
        while let Some(mut msg) = self.group.receive(Duration::ZERO)? {
            if msg.origin() != Origin::Peer || msg.make_reply().is_none() {
                continue;
            }
            if msg.op_code() == OpCode::Response {
                self.taken.insert(msg.message_id().value());
            }
            // If the channel has ended meanwhile, the client will ask again.
            let _gone = self.group.sender().post(msg);
        }
        Ok(())
    }
}

/// Places its orders until each is answered.
struct Client {
    group: Group,
    channel: Option<ChannelNumber>,
    /// Orders without an answer.
    open: BTreeSet<u64>,
    connected_once: bool,
}

impl Client {
    fn new(group: Group) -> Client {
        Client {
            group,
            channel: None,
            open: (1..=ORDERS).collect(),
            connected_once: false,
        }
    }

    fn go_on(&mut self) -> Outcome {
        while let Some(msg) = self.group.receive(Duration::ZERO)? {
            match (msg.origin(), msg.op_code(), msg.report()) {
                (Origin::Peer, OpCode::Response, _) => {
                    self.open.remove(&msg.message_id().value());
                }
                (_, _, Some(Report::ChannelClosed)) => self.channel = None,
                _ => {}
            }
        }
        match self.channel {
            Some(_) => Ok(()),
            None => self.connect(),
        }
    }

    /// A new connection, and every order that is open.
    fn connect(&mut self) -> Outcome {
        let mut hello = Message::default();
        Address::tcp_client("shop", 7).format(&mut hello)?;
        let number = self.group.sender().post(Msg::from(hello))?.channel_number;
        self.channel = Some(number);
        if self.connected_once && !REPEAT {
            return Ok(());
        }
        self.connected_once = true;
        for &order in &self.open {
            let mut request = Message::new(OpCode::Request);
            request.set_channel_number(number);
            request.set_message_id(MessageId::new(order));
            request.body_mut().append(b"one of these, please")?;
            self.group.sender().post(Msg::from(request))?;
        }
        Ok(())
    }
}
