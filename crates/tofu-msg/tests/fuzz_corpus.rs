//! The fuzz targets' bodies over their committed corpus, on the stable toolchain.

#![cfg(test)]

use std::fs;
use std::path::Path;

use tofu_msg::fuzzing;

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
fn header() {
    replay("header", fuzzing::header);
}

#[test]
fn text_headers() {
    replay("text_headers", fuzzing::text_headers);
}

#[test]
fn frame_decoder() {
    replay("frame_decoder", fuzzing::frame_decoder);
}
