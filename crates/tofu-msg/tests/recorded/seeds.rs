//! The seeds of the fuzz corpus are the recorded frames.
//!
//! With `WRITE_FUZZ_SEEDS=1` set the tests write them anew instead of comparing. What a fuzzer
//! found and somebody kept stays beside them.

use std::collections::HashSet;
use std::path::Path;
use std::{env, fs};

use crate::data;

/// Longer seeds slow the fuzzer more than they teach it.
const MAX_SEED_LEN: usize = 300;

/// The committed corpus of the target holds these seeds, but for those that are there already or
/// too long.
fn holds(target: &str, seeds: impl Iterator<Item = (String, Vec<u8>)>) {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(target);
    let write = env::var_os("WRITE_FUZZ_SEEDS").is_some();
    let mut seen = HashSet::new();
    for (name, bytes) in seeds.filter(|(_, bytes)| bytes.len() <= MAX_SEED_LEN) {
        if !seen.insert(bytes.clone()) {
            continue;
        }
        let path = corpus.join(name.replace('.', "_"));
        if write {
            fs::create_dir_all(&corpus).unwrap();
            fs::write(&path, &bytes).unwrap();
        }
        let committed = fs::read(&path).unwrap_or_else(|error| panic!("{path:?}: {error}"));
        assert!(committed == bytes, "{path:?} is not the recorded frame");
    }
    assert!(seen.len() > 10, "only {} seeds for {target}", seen.len());
}

/// What came over a Unix socket differs from what came over TCP in the channel number only.
fn frames() -> impl Iterator<Item = (String, Vec<u8>)> {
    let recorded = data::vectors()
        .into_iter()
        .map(|vector| (vector.name, vector.frame));
    let recorded = recorded.filter(|(name, _)| !name.contains("uds."));
    recorded.chain(
        data::malformed()
            .into_iter()
            .filter(|(name, _)| !name.ends_with("_uds")),
    )
}

#[test]
fn of_headers_one_frame_for_each_flags_byte() {
    let mut flags = HashSet::new();
    holds(
        "header",
        frames().filter(|(_, bytes)| flags.insert(bytes.get(2).copied())),
    );
}

#[test]
fn of_text_headers_every_block() {
    let blocks = data::vectors()
        .into_iter()
        .map(|vector| (vector.name, vector.text_headers));
    holds(
        "text_headers",
        blocks.filter(|(name, _)| !name.contains("uds.")),
    );
}

#[test]
fn of_streams_every_frame_cut_in_some_way() {
    let cuts: [&[u8]; 4] = [&[0], &[1, 0], &[1, 15], &[2, 6, 20]];
    let streams = frames().zip(cuts.into_iter().cycle());
    holds(
        "frame_decoder",
        streams.map(|((name, bytes), cuts)| (name, [cuts, &bytes].concat())),
    );
}
