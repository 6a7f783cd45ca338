//! Control messages of an agent.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::fuzzing::to_controller(bytes).ok();
});
