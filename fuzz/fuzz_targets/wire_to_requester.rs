//! Responses.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::fuzzing::to_requester(bytes).ok();
});
