//! The seeds of the fuzz corpus, from the recorded frames.
//!
//! `cargo test -p tofu-msg --test recorded -- --ignored` writes them anew; what a fuzzer found and
//! somebody kept stays beside them.

use std::collections::HashSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::data;

fn corpus(target: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target)
}

/// Longer seeds slow the fuzzer more than they teach it.
const MAX_SEED_LEN: usize = 300;

fn write_seeds(target: &str, seeds: impl Iterator<Item = (String, Vec<u8>)>) {
    fs::create_dir_all(corpus(target)).unwrap();
    let mut seen = HashSet::new();
    for (name, bytes) in seeds {
        if bytes.len() <= MAX_SEED_LEN && seen.insert(bytes.clone()) {
            fs::write(corpus(target).join(name), bytes).unwrap();
        }
    }
}

#[test]
#[ignore = "writes into the source tree"]
fn write_all_seeds() {
    // What came over a Unix socket differs from what came over TCP in the channel number only.
    let vectors: Vec<_> = data::vectors()
        .into_iter()
        .filter(|vector| !vector.name.contains("uds."))
        .collect();
    let malformed: Vec<_> = data::malformed()
        .into_iter()
        .filter(|(name, _)| !name.ends_with("_uds"))
        .collect();
    let named = |name: &str| name.replace('.', "_");
    let frames = || {
        let recorded = vectors
            .iter()
            .map(|vector| (named(&vector.name), vector.frame.clone()));
        recorded.chain(
            malformed
                .iter()
                .map(|(name, bytes)| (named(name), bytes.clone())),
        )
    };
    let mut flags = HashSet::new();
    write_seeds(
        "header",
        frames().filter(|(_, bytes)| bytes.get(2).is_none_or(|byte| flags.insert(*byte))),
    );
    write_seeds(
        "text_headers",
        vectors
            .iter()
            .map(|vector| (named(&vector.name), vector.text_headers.clone())),
    );
    let cuts: [&[u8]; 4] = [&[0], &[1, 0], &[1, 15], &[2, 6, 20]];
    write_seeds(
        "frame_decoder",
        frames()
            .zip(cuts.into_iter().cycle())
            .map(|((name, bytes), cut)| (name, [cut, &bytes].concat())),
    );
}
