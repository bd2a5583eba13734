//! A simulated network under real engines: virtual time, one seed, and every fault that a network
//! or a kernel may show.
//!
//! [`Simulation`] is for whoever wants to test a protocol of their own; [`check`] is tofu's own
//! test, which draws applications, limits and faults from a seed and watches what must hold.
//!
//! # A protocol of your own
//!
//! What runs here are real engines; only sockets and time are simulated. So whatever is built from
//! posting and receiving can be tested, over hours of simulated time in a moment of real time:
//!
//! 1. Write each application as a value with a [`Group`](tofu_engine::Group) and a function that takes
//!    what has come (`receive` with a timeout of zero, for nobody may wait) and posts what follows.
//! 2. Make a [`Simulation`] from a seed, [add engines](Simulation::add_engine) and set the
//!    [`Faults`]: delays, resets, refused connections, pauses, whatever the protocol is to survive.
//! 3. In a loop, [`step`](Simulation::step), then let every application act. Time passes by itself
//!    when there is nothing to do; [`now`](Simulation::now) is the clock for timeouts of your own, and
//!    `step` goes no further than the limit that it is given.
//! 4. Say what must hold: after each step, and at the end when [`Faults::none`] have been set and
//!    everything has come to rest.
//! 5. Run many seeds. The same seed gives the same run, [`history`](Simulation::history) proves it, so
//!    a seed that fails is a test; [`Tracing::Print`] shows what happened, and
//!    [`note`](Simulation::note) adds what the applications did. Randomness of the applications
//!    belongs to the seed as well: [`random`](Simulation::random).
//!
//! `examples/own_protocol.rs` is all of that: orders that must be taken exactly once although
//! connections break.
//!
//! # Example
//!
//! ```
//! use std::time::Duration;
//! use tofu_addr::Address;
//! use tofu_engine::{Msg, Options};
//! use tofu_msg::{Message, OpCode, Origin};
//! use tofu_testkit::sim::{Faults, Simulation};
//!
//! let mut simulation = Simulation::new(tofu_testkit::seed());
//! let [server, client] = [(); 2].map(|()| simulation.add_engine(Options::default()));
//! simulation.set_faults(Faults::harmless(Duration::from_millis(30)));
//! let mut servers = simulation.handle(server).create_group()?;
//! let mut clients = simulation.handle(client).create_group()?;
//!
//! let mut welcome = Message::default();
//! Address::tcp_server("anywhere", 7).format(&mut welcome)?;
//! servers.sender().post(Msg::from(welcome))?;
//! simulation.run_for(Duration::from_secs(1))?;
//! let ready = servers.receive(Duration::ZERO)?.map(|msg| msg.op_code());
//! assert_eq!(ready, Some(OpCode::WelcomeResponse));
//!
//! let mut hello = Message::default();
//! Address::tcp_client("anywhere", 7).format(&mut hello)?;
//! clients.sender().post(Msg::from(hello))?;
//! simulation.run_for(Duration::from_secs(1))?;
//! let hello = servers.receive(Duration::ZERO)?.ok_or("the connection was not made")?;
//! assert_eq!((hello.op_code(), hello.origin()), (OpCode::HelloRequest, Origin::Peer));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod check;
mod connection;
mod engine;
mod faults;
#[doc(hidden)]
pub mod fuzzing;
mod network;
mod simulation;
mod trace;
mod traffic;
mod transport;

pub use check::{Failed, Marks, Passed, check, check_with};
pub use connection::End;
pub use faults::Faults;
pub use simulation::{Simulation, Step, Violation};
pub use trace::Tracing;
