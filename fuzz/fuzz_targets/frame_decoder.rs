//! Any bytes as a stream of frames, cut anywhere.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tofu_msg::fuzzing::frame_decoder(data));
