//! Replays the fuzz corpus of the target `address` on stable.

use std::fs;
use std::path::Path;

#[test]
fn the_corpus_keeps_the_fuzzed_properties() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus/address");
    let mut replayed = 0;
    for entry in fs::read_dir(&folder).expect("the corpus is part of the repository") {
        let path = entry.unwrap().path();
        println!("replaying {}", path.display());
        tofu_addr::fuzzing::address(&fs::read(&path).unwrap());
        replayed += 1;
    }
    assert!(replayed >= 20, "only {replayed} seeds found");
}
