//! A few hundred seeds of the simulated network; `cargo xtask sim` runs as many as one likes.

#![cfg(test)]

use std::fs;
use std::path::Path;
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
    let name = "closed: success: closed by ByeRequest and ByeResponse";
    assert!(marks.count(name) > 0, "{marks}");
}

/// The names of the engine's marks, as they stand in its sources below `folder`.
fn marks_below(folder: &Path, names: &mut Vec<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            marks_below(&path, names);
            continue;
        }
        let text = fs::read_to_string(&path).unwrap();
        for call in text.split("mark!(").skip(1) {
            names.extend(call.split('"').nth(1).map(|name| format!("path: {name}")));
        }
    }
}

#[test]
fn every_mark_of_the_engine_is_expected_of_the_simulator() {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tofu-engine/src/core");
    let mut names = Vec::new();
    marks_below(&sources, &mut names);
    names.sort();
    let expected = Marks::expected().iter().copied();
    let expected: Vec<&str> = expected.filter(|it| it.starts_with("path: ")).collect();
    assert_eq!(names, expected);
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
