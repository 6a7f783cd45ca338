//! Signatures and operations of a delta.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    delta::fuzzing::from_peer(bytes);
});
