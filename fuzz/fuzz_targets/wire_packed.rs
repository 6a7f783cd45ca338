//! Compressed bodies.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    wire::fuzzing::packed(bytes).ok();
    wire::fuzzing::packed_and_unpacked(bytes).expect("it is sound");
});
