//! Everything that decodes, in one call: whatever the bytes are, it returns.

use crate::chunks::{Bounds, ChunkSums};
use crate::{Decoder, Signature};

/// Bytes of a peer, taken for a signature, for sums of chunks and for operations.
///
/// # Panics
///
/// If what they say as a signature has other bytes, too: there is one form for each.
pub fn from_peer(bytes: &[u8]) {
    if let Ok(signature) = Signature::decode(bytes) {
        let mut again = Vec::new();
        signature.encode(&mut again);
        assert_eq!(again, bytes);
    }
    let (told, sums) = bytes.split_at(bytes.len().min(4));
    let file_bytes = told.iter().fold(0, |number, byte| number << 8 | u64::from(*byte));
    if let Ok(read) = ChunkSums::decode(Bounds::of(file_bytes), file_bytes, sums) {
        let mut again = Vec::new();
        read.encode(&mut again);
        assert_eq!(again, sums);
    }
    let mut decoder = Decoder::new(0);
    for operation in decoder.decode(bytes) {
        if operation.is_err() {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn whatever_a_peer_sends_it_is_read_or_refused(bytes in vec(any::<u8>(), 0..400)) {
            super::from_peer(&bytes);
        }
    }
}
