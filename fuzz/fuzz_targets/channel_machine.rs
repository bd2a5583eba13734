//! Any bytes as what peers and an application do to one engine.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tofu_testkit::sim::fuzzing::channel_machine(data));
