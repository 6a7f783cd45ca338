//! What `copy` promises, held to it.

use super::*;
use crate::dir::Dir;
use crate::testing::{on_each_file_system, on_two_file_systems};
use proptest::prelude::*;

const KIB: u64 = 1024;

fn filled(dir: &Dir, name: &str, bytes: &[u8]) -> File {
    let file = dir.create_file(name.as_bytes(), 0o600).unwrap();
    file.write_all_at(bytes, 0).unwrap();
    file
}

fn bytes_of(file: &File) -> Vec<u8> {
    let mut bytes = vec![0; usize::try_from(file.metadata().unwrap().size).unwrap()];
    assert_eq!(file.read_at(&mut bytes, 0).unwrap(), bytes.len());
    bytes
}

fn noise(len: u64) -> Vec<u8> {
    let mut state = 1_u64;
    (0..len)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state.to_be_bytes()[0] | 1
        })
        .collect()
}

/// A copier that only reads and writes.
fn plain_copier() -> Copier {
    let route = Route { lacks_clone: true, lacks_kernel_copy: true, is_local: true };
    Copier { untried: Some(route), ..Copier::new() }
}

/// A copier that lets the kernel copy, as where a server does the work.
fn kernel_copier() -> Copier {
    let route = Route { lacks_clone: true, lacks_kernel_copy: false, is_local: false };
    Copier { untried: Some(route), ..Copier::new() }
}

fn copiers() -> [Copier; 3] {
    [Copier::new(), plain_copier(), kernel_copier()]
}

/// Content that is no file of this host, with a hole where `data` does not reach.
struct Elsewhere {
    bytes: Vec<u8>,
    data: Range<u64>,
}

impl Content for Elsewhere {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let rest = self.bytes.get(usize::try_from(offset).unwrap()..).unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn first_extent(&self, range: Range<u64>) -> io::Result<Option<Range<u64>>> {
        let data = self.data.start.max(range.start)..self.data.end.min(range.end);
        Ok((!data.is_empty()).then_some(data))
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes.len() as u64)
    }

    fn local(&self) -> Option<&File> {
        None
    }
}

#[test]
fn content_from_elsewhere_is_brought_over_with_its_holes() {
    on_each_file_system(|_, dir| {
        let (data, len) = (200 * KIB..300 * KIB, 700 * KIB);
        let mut bytes = vec![0; 700 << 10];
        bytes[200 << 10..300 << 10].copy_from_slice(&noise(100 * KIB));
        let src = Elsewhere { bytes, data };
        for sparse in [Sparse::None, Sparse::KeepHoles, Sparse::FindZeros] {
            let dst = dir.create_file(b"dst", 0o600).unwrap();
            let mut copier = Copier::new();
            assert!(!copier.clone_whole(&src, &dst).unwrap());
            let copied = copier.copy_whole(&src, &dst, len, sparse, &mut |_| Ok(())).unwrap();
            let written = if sparse == Sparse::None { len } else { 100 * KIB };
            let expected = Copied { read_bytes: len, written_bytes: written, short: false };
            assert_eq!(copied, expected, "{sparse:?}");
            assert!(bytes_of(&dst) == src.bytes, "{sparse:?}");
            let past_its_end = 0..len + KIB;
            let copied = copier.copy_range(&src, &dst, past_its_end, sparse, &mut |_| Ok(()));
            assert!(copied.unwrap().short, "{sparse:?}");
            dir.remove_file(b"dst").unwrap();
        }
    });
}

#[test]
fn a_small_buffer_moves_the_same_bytes_in_smaller_pieces() {
    on_each_file_system(|_, dir| {
        let bytes = noise(600 * KIB);
        let src = filled(dir, "src", &bytes);
        let mut copier = plain_copier();
        for (limit, largest) in [(1 << 30, 64 * KIB), (40 * 1024, 40 * KIB), (1, 16 * KIB)] {
            copier.limit_buffer(limit);
            let dst = dir.create_file(b"dst", 0o600).unwrap();
            let mut piece = 0;
            let mut observer = |count| {
                piece = piece.max(count);
                Ok(())
            };
            let (len, none) = (600 * KIB, Sparse::None);
            copier.copy_whole(&src, &dst, len, none, &mut observer).unwrap();
            assert_eq!(piece, largest, "{limit}");
            assert!(bytes_of(&dst) == bytes, "{limit}");
            dir.remove_file(b"dst").unwrap();
        }
        dir.remove_file(b"src").unwrap();
    });
}

#[test]
fn copies_every_size_around_the_limits() {
    on_each_file_system(|_, dir| {
        let limit = SHORTCUT_MIN_BYTES;
        for len in [0, 1, 4096, limit - 1, limit, limit + 1, 256 * KIB + 1, 9 * 1024 * KIB] {
            let bytes = noise(len);
            for (mut copier, sparse) in copiers()
                .into_iter()
                .flat_map(|copier| [(copier, Sparse::None)])
                .chain([(Copier::new(), Sparse::KeepHoles), (Copier::new(), Sparse::FindZeros)])
            {
                let src = filled(dir, "src", &bytes);
                let dst = dir.create_file(b"dst", 0o600).unwrap();
                let mut heard = 0;
                let mut observer = |count| {
                    heard += count;
                    Ok(())
                };
                let copied = copier.copy_whole(&src, &dst, len, sparse, &mut observer).unwrap();
                // What is shared is not written.
                let is_shared = copied.written_bytes == 0 && copier.untried.is_none();
                let written_bytes = if is_shared { 0 } else { len };
                assert_eq!(copied, Copied { read_bytes: len, written_bytes, short: false });
                assert_eq!(heard, len);
                assert!(bytes_of(&dst) == bytes, "{len} {sparse:?}");
                dir.remove_file(b"src").unwrap();
                dir.remove_file(b"dst").unwrap();
            }
        }
    });
}

#[test]
fn falls_back_when_devices_cannot_share() {
    on_two_file_systems(|here, there| {
        let bytes = noise(3 * 1024 * KIB);
        let src = filled(here, "src", &bytes);
        let mut copier = Copier::new();
        for name in [b"one", b"two"] {
            let dst = there.create_file(name, 0o600).unwrap();
            assert!(!copier.clone_whole(&src, &dst).unwrap());
            let len = bytes.len() as u64;
            let mut observer = |_| Ok(());
            copier.copy_whole(&src, &dst, len, Sparse::None, &mut observer).unwrap();
            assert!(bytes_of(&dst) == bytes);
        }
        let route = copier.route(&src, &there.open_file(b"one", crate::AccessTime::Keep).unwrap());
        assert!(route.unwrap().lacks_clone);
    });
}

#[test]
fn a_clone_has_the_same_bytes_or_none() {
    on_each_file_system(|_, dir| {
        let bytes = noise(200 * KIB);
        let src = filled(dir, "src", &bytes);
        let dst = dir.create_file(b"dst", 0o600).unwrap();
        let is_cloned = Copier::new().clone_whole(&src, &dst).unwrap();
        assert!(bytes_of(&dst) == if is_cloned { bytes } else { Vec::new() });
        assert!(!plain_copier().clone_whole(&src, &dst).unwrap());
    });
}

#[test]
fn what_a_pair_of_devices_lacks_is_remembered() {
    on_two_file_systems(|here, there| {
        let (src, dst) = (filled(here, "f", b"x"), filled(there, "f", b"x"));
        let mut copier = Copier::new();
        copier.route(&src, &dst).unwrap().lacks_clone = true;
        assert!(!copier.route(&src, &src).unwrap().lacks_clone);
        assert!(copier.route(&src, &dst).unwrap().lacks_clone);
        assert!(!copier.clone_whole(&src, &dst).unwrap());
    });
}

#[test]
fn errors_about_devices_are_remembered_and_errors_about_files_are_not() {
    let mut lacks = false;
    for error in [Errno::INVAL, Errno::PERM, Errno::TXTBSY, Errno::NOSPC, Errno::IO, Errno::ROFS] {
        note_lack(error, &mut lacks);
        assert!(!lacks);
    }
    note_lack(Errno::XDEV, &mut lacks);
    assert!(lacks);
}

#[test]
fn a_source_that_shrank_is_reported() {
    on_each_file_system(|_, dir| {
        for sparse in [Sparse::None, Sparse::KeepHoles, Sparse::FindZeros] {
            for (mut copier, real) in copiers().into_iter().zip([3, 300 * KIB, 300 * KIB]) {
                let bytes = noise(real);
                let src = filled(dir, "src", &bytes);
                let dst = dir.create_file(b"dst", 0o600).unwrap();
                // Cloning takes a file as it is, so it is the range that is asked for here.
                let range = 0..20 * 1024 * KIB;
                let mut observer = |_| Ok(());
                let copied = copier.copy_range(&src, &dst, range, sparse, &mut observer).unwrap();
                assert!(copied.short);
                assert_eq!(copied.read_bytes, real);
                assert!(bytes_of(&dst) == bytes);
                dir.remove_file(b"src").unwrap();
                dir.remove_file(b"dst").unwrap();
            }
        }
    });
}

#[test]
fn a_source_cut_into_its_hole_is_reported_with_its_length() {
    on_each_file_system(|_, dir| {
        let src = filled(dir, "src", &noise(100 * KIB));
        src.set_len(300 * KIB).unwrap();
        let dst = dir.create_file(b"dst", 0o600).unwrap();
        let mut copier = plain_copier();
        let copied =
            copier.copy_whole(&src, &dst, 500 * KIB, Sparse::KeepHoles, &mut |_| Ok(())).unwrap();
        assert!(copied.short);
        assert_eq!(copied.read_bytes, 300 * KIB);
        assert!(bytes_of(&dst) == bytes_of(&src));
    });
}

#[test]
fn holes_are_kept_and_found() {
    on_each_file_system(|_, dir| {
        let len = 64 * 1024 * KIB;
        let src = dir.create_file(b"src", 0o600).unwrap();
        src.write_all_at(&noise(8 * KIB), 16 * 1024 * KIB).unwrap();
        src.write_all_at(&[0; 8192], 32 * 1024 * KIB).unwrap();
        src.set_len(len).unwrap();
        for (name, sparse) in [(b"kept", Sparse::KeepHoles), (b"sunk", Sparse::FindZeros)] {
            let dst = dir.create_file(name, 0o600).unwrap();
            let mut copier = plain_copier();
            let copied = copier.copy_whole(&src, &dst, len, sparse, &mut |_| Ok(())).unwrap();
            assert_eq!((copied.read_bytes, copied.short), (len, false));
            assert!(copied.written_bytes <= 1024 * KIB);
            let found = dst.metadata().unwrap();
            assert_eq!(found.size, len);
            assert!(found.allocated_blocks * 512 <= 1024 * KIB, "{sparse:?}: {found:?}");
            assert!(bytes_of(&dst) == bytes_of(&src));
        }
    });
}

#[test]
fn an_observer_stops_the_copy() {
    on_each_file_system(|_, dir| {
        let src = filled(dir, "src", &noise(30 * 1024 * KIB));
        for (mut copier, name) in copiers().into_iter().zip([b"a", b"b"]) {
            let dst = dir.create_file(name, 0o600).unwrap();
            let mut pieces = 0;
            let mut observer = |_| {
                pieces += 1;
                if pieces == 2 { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
            };
            let range = 0..30 * 1024 * KIB;
            let stopped = copier.copy_range(&src, &dst, range, Sparse::None, &mut observer);
            assert_eq!(stopped.unwrap_err().kind(), io::ErrorKind::Interrupted);
            assert!(dst.metadata().unwrap().size <= 2 * KERNEL_PIECE_BYTES);
        }
    });
}

#[test]
fn what_was_written_before_does_not_shine_through_a_hole() {
    on_each_file_system(|_, dir| {
        let len = 300 * KIB;
        let src = dir.create_file(b"src", 0o600).unwrap();
        src.set_len(len).unwrap();
        for sparse in [Sparse::KeepHoles, Sparse::FindZeros] {
            // A second attempt into the same file, and a file that was there before.
            let again = filled(dir, "again", &noise(len));
            filled(dir, "old", &noise(len + 5));
            let old = dir.open_for_update(b"old").unwrap();
            for dst in [again, old] {
                let mut copier = plain_copier();
                copier.copy_whole(&src, &dst, len, sparse, &mut |_| Ok(())).unwrap();
                assert!(bytes_of(&dst) == bytes_of(&src), "{sparse:?}");
            }
            dir.remove_file(b"again").unwrap();
            dir.remove_file(b"old").unwrap();
        }
    });
}

#[test]
fn a_file_of_the_kernel_that_claims_to_be_empty_is_read() {
    on_each_file_system(|_, dir| {
        let proc = Dir::open_operator(std::path::Path::new("/proc/self")).unwrap();
        let src = proc.open_file(b"status", crate::AccessTime::Update).unwrap();
        let dst = dir.create_file(b"dst", 0o600).unwrap();
        let range = 0..1024 * KIB;
        let copied =
            Copier::new().copy_range(&src, &dst, range, Sparse::None, &mut |_| Ok(())).unwrap();
        assert!(copied.short && copied.read_bytes > 0);
    });
}

/// A stretch of a file: data, zeros or a hole.
#[derive(Clone, Copy, Debug)]
enum Stretch {
    Data(u64),
    Zeros(u64),
    Hole(u64),
}

fn stretches() -> impl Strategy<Value = Vec<Stretch>> {
    let len = prop_oneof![1..5000_u64, (1..40_u64).prop_map(|pages| pages * 4096)];
    let stretch = (0..3, len).prop_map(|(kind, len)| match kind {
        0 => Stretch::Data(len),
        1 => Stretch::Zeros(len),
        _ => Stretch::Hole(len),
    });
    proptest::collection::vec(stretch, 0..8)
}

fn build(dir: &Dir, name: &[u8], stretches: &[Stretch]) -> File {
    let file = dir.create_file(name, 0o600).unwrap();
    let mut at = 0;
    for stretch in stretches {
        at += match *stretch {
            Stretch::Data(len) => {
                file.write_all_at(&noise(len), at).unwrap();
                len
            }
            Stretch::Zeros(len) => {
                file.write_all_at(&vec![0; usize::try_from(len).unwrap()], at).unwrap();
                len
            }
            Stretch::Hole(len) => len,
        };
    }
    file.set_len(at).unwrap();
    file
}

fn part(bytes: &[u8], range: &Range<u64>) -> Vec<u8> {
    let clip = |at: u64| usize::try_from(at).unwrap().min(bytes.len());
    bytes[clip(range.start)..clip(range.end)].to_vec()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn ranges_in_any_order_make_the_whole(
        layout in stretches(),
        before in stretches(),
        cut in 0..300_000_u64,
        sparse in prop_oneof![
            Just(Sparse::None), Just(Sparse::KeepHoles), Just(Sparse::FindZeros)
        ],
        shortcuts in any::<bool>(),
    ) {
        on_each_file_system(|_, dir| {
            let src = build(dir, b"src", &layout);
            let dst = build(dir, b"dst", &before);
            let expected = bytes_of(&src);
            let len = expected.len() as u64;
            dst.set_len(len).unwrap();
            let cut = cut.min(len);
            for range in [cut..len, 0..cut] {
                let mut copier = if shortcuts { Copier::new() } else { plain_copier() };
                let mut heard = 0;
                let copied = copier.copy_range(&src, &dst, range.clone(), sparse, &mut |count| {
                    heard += count;
                    Ok(())
                });
                let copied = copied.unwrap();
                assert_eq!((copied.read_bytes, copied.short), (range.end - range.start, false));
                assert_eq!(heard, copied.read_bytes);
            }
            assert!(bytes_of(&dst) == expected);
            let mut read = Vec::new();
            let count = Copier::new().read_range(&src, cut..len + 9, &mut |bytes| {
                read.extend_from_slice(bytes);
                Ok(())
            });
            assert!(count.unwrap() == len - cut && read == part(&expected, &(cut..len)));
        });
    }
}
