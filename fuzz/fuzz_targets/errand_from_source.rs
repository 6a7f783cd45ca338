//! What an agent finds where the source lies.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    errand::fuzzing::from_source(bytes);
});
