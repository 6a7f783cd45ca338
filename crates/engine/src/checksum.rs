//! Checksums of file content, by rsync's names (`--checksum-choice`).

use std::hash::Hasher;
use std::io;
use std::ops::Range;

use blake3::Hasher as Blake3;
use fs::{Copier, File};
use md4::Md4;
use md5::{Digest, Md5};
use model::settings::Checksum;
use sha1::Sha1;
use twox_hash::{XxHash3_64, XxHash3_128, XxHash64};

/// Read at once: many workers may be at it, and readahead does the rest.
const READ_BYTES: usize = 32 << 10;

/// A checksum in the making.
enum State {
    Xxh3(XxHash3_64),
    Xxh128(XxHash3_128),
    Xxh64(XxHash64),
    Md5(Md5),
    Md4(Md4),
    Sha1(Sha1),
    Blake3(Box<Blake3>),
    None,
}

impl State {
    fn new(algorithm: Checksum) -> Self {
        match algorithm {
            Checksum::Xxh128 => Self::Xxh128(XxHash3_128::new()),
            Checksum::Xxh3 => Self::Xxh3(XxHash3_64::new()),
            Checksum::Xxh64 => Self::Xxh64(XxHash64::with_seed(0)),
            Checksum::Md5 => Self::Md5(Md5::new()),
            Checksum::Md4 => Self::Md4(Md4::new()),
            Checksum::Sha1 => Self::Sha1(Sha1::new()),
            Checksum::Blake3 => Self::Blake3(Box::default()),
            Checksum::None => Self::None,
        }
    }

    fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Xxh3(state) => state.write(bytes),
            Self::Xxh128(state) => state.write(bytes),
            Self::Xxh64(state) => state.write(bytes),
            Self::Md5(state) => state.update(bytes),
            Self::Md4(state) => state.update(bytes),
            Self::Sha1(state) => state.update(bytes),
            Self::Blake3(state) => drop(state.update(bytes)),
            Self::None => {}
        }
    }

    /// The digest in the byte order in which rsync prints it.
    fn finish(self) -> Vec<u8> {
        match self {
            Self::Xxh3(state) => state.finish().to_be_bytes().to_vec(),
            Self::Xxh128(state) => state.finish_128().to_be_bytes().to_vec(),
            Self::Xxh64(state) => state.finish().to_be_bytes().to_vec(),
            Self::Md5(state) => state.finalize().to_vec(),
            Self::Md4(state) => state.finalize().to_vec(),
            Self::Sha1(state) => state.finalize().to_vec(),
            Self::Blake3(state) => state.finalize().as_bytes().to_vec(),
            Self::None => Vec::new(),
        }
    }
}

/// A digest as it is printed.
pub(crate) fn hex(digest: &[u8]) -> String {
    use std::fmt::Write;
    digest.iter().fold(String::with_capacity(digest.len() * 2), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// The checksum of a range of a file, or of what of it there is. `go_on` is asked before each piece
/// and ends it by failing.
pub(crate) fn of_range(
    algorithm: Checksum,
    file: &File,
    range: Range<u64>,
    go_on: impl Fn() -> io::Result<()>,
) -> io::Result<Vec<u8>> {
    let mut state = State::new(algorithm);
    read_range(file, range, go_on, |bytes| state.update(bytes))?;
    Ok(state.finish())
}

fn read_range(
    file: &File,
    range: Range<u64>,
    go_on: impl Fn() -> io::Result<()>,
    mut take: impl FnMut(&[u8]),
) -> io::Result<()> {
    let mut reader = Copier::new();
    reader.limit_buffer(READ_BYTES);
    go_on()?;
    reader.read_range(file, range, &mut |bytes| {
        take(bytes);
        go_on()
    })?;
    Ok(())
}

/// The BLAKE3 of a range of a file, as [`of_range`] makes it.
pub(crate) fn blake3_of_range(
    file: &File,
    range: Range<u64>,
    go_on: impl Fn() -> io::Result<()>,
) -> io::Result<[u8; 32]> {
    let mut hasher = Blake3::new();
    read_range(file, range, go_on, |bytes| {
        hasher.update(bytes);
    })?;
    Ok(*hasher.finalize().as_bytes())
}

/// The checksum of no content.
pub(crate) fn of_nothing(algorithm: Checksum) -> Vec<u8> {
    State::new(algorithm).finish()
}

#[cfg(test)]
mod tests {
    use model::settings::Checksum;

    use super::{State, hex};

    #[test]
    fn digests_are_those_of_the_published_test_vectors() {
        for (algorithm, expected) in [
            (Checksum::Md5, "900150983cd24fb0d6963f7d28e17f72"),
            (Checksum::Md4, "a448017aaf21d8525fc10ae87aa6729d"),
            (Checksum::Sha1, "a9993e364706816aba3e25717850c26c9cd0d89d"),
            (Checksum::Blake3, "6437b3ac38465133ffb63b75273a8db548c558465d79db03fd359c6cd5bd9d85"),
        ] {
            let mut state = State::new(algorithm);
            state.update(b"a");
            state.update(b"bc");
            assert_eq!(hex(&state.finish()), expected, "{algorithm:?}");
        }
    }
}
