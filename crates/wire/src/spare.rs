//! Memory of large bodies that is used again. An allocator gives it back to the kernel each time, and to
//! get it anew costs a fault for each page of it: of a large file a sixteenth of all work.

use parking_lot::Mutex;

use crate::limits::BODY_BYTES;

/// Less than this an allocator keeps itself.
const LEAST_BYTES: usize = 64 * 1024;

/// What is kept: 8 MiB of the largest.
const KEPT: usize = 32;

static SPARE: Mutex<Vec<Vec<u8>>> = Mutex::new(Vec::new());

/// An empty vector with room for so much.
pub fn with_capacity(bytes: usize) -> Vec<u8> {
    if bytes >= LEAST_BYTES {
        let mut spare = SPARE.lock();
        if let Some(place) = spare.iter().rposition(|it| it.capacity() >= bytes) {
            return spare.swap_remove(place);
        }
    }
    Vec::with_capacity(bytes)
}

/// Takes what is not needed any more.
pub(crate) fn keep(mut bytes: Vec<u8>) {
    if (LEAST_BYTES..=BODY_BYTES).contains(&bytes.capacity()) {
        bytes.clear();
        let mut spare = SPARE.lock();
        if spare.len() < KEPT {
            spare.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_given_empty_and_has_room() {
        let content = vec![7; LEAST_BYTES + 1];
        keep(content);
        for _ in 0..2 {
            let given = with_capacity(LEAST_BYTES);
            assert!(given.is_empty() && given.capacity() >= LEAST_BYTES);
        }
    }

    #[test]
    fn neither_much_nor_what_is_larger_than_a_body_is_kept() {
        for _ in 0..2 * KEPT {
            keep(Vec::with_capacity(LEAST_BYTES));
            keep(Vec::with_capacity(BODY_BYTES + 1));
            keep(Vec::new());
        }
        let spare = SPARE.lock();
        assert!(spare.len() <= KEPT);
        assert!(spare.iter().all(|it| (LEAST_BYTES..=BODY_BYTES).contains(&it.capacity())));
    }
}
