//! Requests that are answered late.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::fuzzing::to_late_responder(bytes).ok();
});
