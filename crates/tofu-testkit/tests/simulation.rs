//! A few hundred seeds of the simulated network; `cargo xtask sim` runs as many as one likes.

use std::time::{Duration, Instant};

use tofu_addr::Address;
use tofu_engine::{Group, Msg, Options};
use tofu_msg::{Message, OpCode, Status};
use tofu_testkit::sim::{Faults, Marks, Simulation, Tracing, check};

/// As long as the seeds are run at most, on however slow a machine.
const LIMIT: Duration = Duration::from_secs(5);

#[test]
fn no_seed_finds_anything() {
    let started = Instant::now();
    let mut marks = Marks::default();
    for seed in 1..400 {
        match check(seed, Tracing::Hash) {
            Ok(passed) => marks.add(&passed.marks),
            Err(failed) => panic!("{failed}; replay: cargo xtask sim --seed {seed}"),
        }
        if started.elapsed() > LIMIT {
            break;
        }
    }
    assert!(marks.count("closed: success") > 0, "{marks}");
}

#[test]
fn the_same_seed_gives_the_same_history() {
    let [one, two] = [(); 2].map(|()| check(7, Tracing::Hash).unwrap());
    assert_eq!((one.hash, one.events), (two.hash, two.events));
    let other = check(8, Tracing::Hash).unwrap();
    assert_ne!(one.hash, other.hash);
}

fn post(group: &Group, address: &Address) -> Result<(), Box<dyn std::error::Error>> {
    let mut message = Message::default();
    address.format(&mut message)?;
    group.sender().post(Msg::from(message))?;
    Ok(())
}

#[test]
fn virtual_time_passes_a_timeout_in_no_time() {
    let mut simulation = Simulation::new(1);
    let engine = simulation.add_engine(Options::default());
    let mut group = simulation.handle(engine).create_group().unwrap();
    simulation.set_faults(Faults {
        silence: 1000,
        ..Faults::none()
    });
    post(&group, &Address::tcp_client("nobody", 1)).unwrap();
    simulation.run_for(Duration::from_secs(9)).unwrap();
    assert!(group.receive(Duration::ZERO).unwrap().is_none());
    simulation.run_for(Duration::from_secs(2)).unwrap();
    let answer = group.receive(Duration::ZERO).unwrap().unwrap();
    assert_eq!(answer.op_code(), OpCode::HelloResponse);
    assert_eq!(answer.status(), Status::CONNECT_TIMEOUT);
}

#[test]
fn a_refused_connection_is_told() {
    let mut simulation = Simulation::new(1);
    let engine = simulation.add_engine(Options::default());
    let mut group = simulation.handle(engine).create_group().unwrap();
    post(&group, &Address::uds_client("/nobody")).unwrap();
    simulation.run_for(Duration::from_secs(1)).unwrap();
    let answer = group.receive(Duration::ZERO).unwrap().unwrap();
    assert_eq!(answer.status(), Status::UDS_PATH_NOT_FOUND);
}
