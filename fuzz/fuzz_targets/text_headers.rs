//! Any bytes as a block of text headers.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tofu_msg::fuzzing::text_headers(data));
