//! Any bytes as an address, and as the text headers that carry one.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tofu_addr::fuzzing::address(data));
