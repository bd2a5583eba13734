//! Any bytes as spoilt traffic of peers beside an honest one.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tofu_testkit::sim::fuzzing::hostile_peer(data));
