//! The bodies of the engine's fuzz targets over their committed corpus, on the stable toolchain.

#![cfg(test)]

use std::fs;
use std::path::Path;

use tofu_testkit::sim::fuzzing;

fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{folder:?}: {error}")) {
        let path = entry.unwrap().path();
        println!("{}", path.display());
        body(&fs::read(&path).unwrap());
        replayed += 1;
    }
    assert!(replayed > 0, "{folder:?} is empty");
}

#[test]
fn channel_machine() {
    replay("channel_machine", fuzzing::channel_machine);
}

#[test]
fn hostile_peer() {
    replay("hostile_peer", fuzzing::hostile_peer);
}

/// Any bytes are a story: some random ones, repeatable by their seed.
#[test]
fn random_inputs_find_nothing() {
    let mut random = tofu_testkit::Random::new(tofu_testkit::seed());
    for _ in 0..100 {
        let len = usize::try_from(random.below(600)).unwrap();
        let data = random.bytes(len);
        let seed = data.clone();
        for body in [fuzzing::channel_machine, fuzzing::hostile_peer] {
            let run = std::panic::catch_unwind(|| body(&data));
            assert!(run.is_ok(), "{seed:?}");
        }
    }
}
