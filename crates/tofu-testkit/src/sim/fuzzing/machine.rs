//! The target `channel_machine`: one engine under any sequence of events, against a naive model.
//!
//! The input draws limits and then events: peers that write any bytes in any pieces, an application
//! that posts, receives, holds and ends what it likes, time that passes. Then everything calms
//! down, and nothing may be left over.

use std::collections::BTreeMap;
use std::time::Duration;

use tofu_engine::driver::Handle;
use tofu_engine::{Destruction, Group, Msg, Options};

use crate::sim::faults::Faults;
use crate::sim::fuzzing::book::Channel;
use crate::sim::fuzzing::input::Input;
use crate::sim::fuzzing::planted;
use crate::sim::fuzzing::wire::Wire;
use crate::sim::simulation::{Simulation, Step};

/// More than a target of some seconds needs.
const MOST_EVENTS: usize = 300;
/// More steps than any input needs to come to rest.
const MOST_STEPS: usize = 100_000;
/// Longer than a listener or an attempt waits before it tries again.
pub(super) const RETRIES: Duration = Duration::from_millis(1500);
/// Beyond every timeout.
pub(super) const ALL_TIMEOUTS: Duration = Duration::from_secs(200);
/// Where raw listeners are.
pub(super) const RAW_PLACES: [&str; 2] = ["tcp|raw|1", "uds|/raw"];

/// A group of the application.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) group: Option<Group>,
    pub(super) destruction: Option<Destruction>,
    pub(super) updates: u64,
    pub(super) pool_told: bool,
    /// Something may be left of what the receiver took out of the inbox.
    pub(super) left_over: bool,
    /// The engine has ended, and everything before that was received.
    pub(super) ended: bool,
}

/// The engine, its application and its peers.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) sim: Simulation,
    pub(super) options: Options,
    pub(super) handle: Handle,
    pub(super) seats: Vec<Seat>,
    pub(super) wires: Vec<Wire>,
    pub(super) channels: BTreeMap<u16, Channel>,
    pub(super) held: Vec<Msg>,
    /// The last message that came from a peer: its group, and itself.
    pub(super) last: Option<(usize, Msg)>,
    pub(super) stopping: bool,
}

/// Plays an input against one engine and compares what the application sees with the model.
///
/// # Panics
/// If they disagree, or an invariant of the engine does not hold.
pub fn channel_machine(data: &[u8]) {
    let mut input = Input::new(data);
    let mut machine = Machine::new(&mut input);
    for _ in 0..MOST_EVENTS {
        if input.is_empty() {
            break;
        }
        machine.happen(&mut input);
    }
    machine.calm_down();
    machine.at_rest();
    machine.close();
}

/// Limits: all at their tightest, or one far from it.
fn draw_options(input: &mut Input<'_>) -> Options {
    let options = Options::default();
    let mut small = |most: usize, usual: usize| match input.below(16) {
        0 => usual,
        tight => tight.min(most),
    };
    let pool = small(8, 64);
    let options = options
        .pool_maximum(pool)
        .pool_initial(pool.min(2))
        .inbox_messages(small(8, 1000))
        .send_queue_messages(small(4, 64))
        .turn_messages(small(4, 1024));
    let options = options
        .inbox_bytes(input.one_of(&[1 << 20, 1, 100, 2000]))
        .send_queue_bytes(input.one_of(&[1 << 20, 1, 40, 300]))
        .send_budget(input.one_of(&[1 << 20, 1, 60, 500]))
        .turn_bytes(input.one_of(&[1 << 18, 1, 20, 200]))
        .large_message(input.one_of(&[8192, 1, 30, 100]))
        .header_lines(input.one_of(&[usize::MAX, 1, 2, 3]))
        .pending_handshakes(input.one_of(&[64, 1, 2]))
        .channels(input.one_of(&[100, 2, 4]))
        .linger_drain(input.one_of(&[1 << 20, 10, 1000]));
    let ahead = (options.send_budget == 500).then_some(100);
    let mut options = options;
    options.send_budget_ahead = ahead;
    let mut timeout = |usual: Duration| input.one_of(&[usual, Duration::from_millis(1500)]);
    let usual = Options::default();
    options
        .handshake_timeout(timeout(usual.handshake_timeout))
        .frame_timeout(timeout(usual.frame_timeout))
        .bye_timeout(timeout(usual.bye_timeout))
        .write_stall_timeout(timeout(usual.write_stall_timeout))
        .hello_response_timeout(timeout(Duration::MAX))
        .idle_timeout(timeout(Duration::MAX))
}

impl Machine {
    fn new(input: &mut Input<'_>) -> Machine {
        let options = planted(draw_options(input));
        let mut sim = Simulation::new(u64::from(input.byte()));
        let rate = input.one_of(&[0, 100, 400]);
        sim.set_faults(Faults {
            partial: rate,
            would_block: rate / 2,
            spurious: rate / 2,
            no_descriptors: rate / 2,
            drought: Duration::from_millis(300),
            ..Faults::none()
        });
        sim.set_room(input.one_of(&[100_000, 1, 50, 1000]), 8);
        let engine = sim.add_engine(options.clone());
        for address in RAW_PLACES {
            let listening = sim.network().listen(address, None);
            assert!(listening.is_ok(), "nobody listens at {address} yet");
        }
        let mut machine = Machine {
            handle: sim.handle(engine),
            sim,
            options,
            seats: Vec::new(),
            wires: Vec::new(),
            channels: BTreeMap::new(),
            held: Vec::new(),
            last: None,
            stopping: false,
        };
        machine.create();
        machine.listen(0, 0);
        machine
    }

    /// One more group.
    pub(super) fn create(&mut self) {
        if let Ok(group) = self.handle.create_group() {
            self.seats.push(Seat {
                group: Some(group),
                destruction: None,
                updates: 0,
                pool_told: false,
                left_over: false,
                ended: false,
            });
        }
    }

    /// At most so many steps of the simulation, no time passing.
    pub(super) fn step(&mut self, count: usize) {
        for _ in 0..count {
            let now = self.sim.now();
            let step = self.sim.step(now);
            assert!(step.is_ok(), "{step:?}");
        }
    }

    pub(super) fn pass(&mut self, time: Duration) {
        let passed = self.sim.run_for(time);
        assert_eq!(passed, Ok(()));
    }

    /// Runs until nothing happens for so long; everybody reads, writes and receives all there is.
    fn drain(&mut self, idle: Duration) {
        for _ in 0..MOST_STEPS {
            self.serve();
            let limit = self.sim.now() + idle;
            let step = self.sim.step(limit);
            assert!(step.is_ok(), "{step:?}");
            if step == Ok(Step::Idle) {
                self.serve();
                if !self.sim.is_busy() {
                    return;
                }
            }
        }
        assert!(!self.sim.is_busy(), "it does not come to rest");
    }

    fn serve(&mut self) {
        for wire in &mut self.wires {
            wire.write(&self.sim, usize::MAX);
            wire.read(&self.sim, usize::MAX);
            if wire.is_refused(&self.sim) {
                wire.close(&self.sim, false);
            }
        }
        self.held.clear();
        self.last = None;
        for seat in 0..self.seats.len() {
            self.receive(seat, usize::MAX);
        }
        self.poll_destructions();
    }

    fn calm_down(&mut self) {
        self.sim.set_faults(Faults::none());
        self.accept_all();
        self.drain(RETRIES);
    }

    /// Everybody takes leave, and everything ends.
    fn close(&mut self) {
        for wire in &mut self.wires {
            wire.close(&self.sim, false);
        }
        self.drain(RETRIES);
        self.end_channels();
        self.drain(ALL_TIMEOUTS);
        self.nothing_left();
        self.stop(Duration::from_secs(1));
        self.drain(ALL_TIMEOUTS);
        self.all_ended();
    }
}
