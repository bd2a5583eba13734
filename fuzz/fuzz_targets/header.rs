//! Any bytes as a binary header.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tofu_msg::fuzzing::header(data));
