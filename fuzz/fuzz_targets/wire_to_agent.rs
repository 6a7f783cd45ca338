//! Control messages of a controller.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::fuzzing::to_agent(bytes).ok();
});
