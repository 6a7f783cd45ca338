//! What `dir` promises, held to it.

use super::*;
use crate::process;
use crate::testing::{names_in, on_each_file_system};
use proptest::prelude::*;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

/// Every name that is not one component.
const HOSTILE: [&[u8]; 9] =
    [b"", b".", b"..", b"/", b"a/b", b"../a", b"/etc/passwd", b"a\0b", b"a/"];

#[test]
fn refuses_everything_that_is_not_one_component() {
    on_each_file_system(|path, dir| {
        std::fs::create_dir(path.join("a")).unwrap();
        std::fs::write(path.join("a/b"), b"").unwrap();
        std::fs::write(path.join("good"), b"").unwrap();
        for bad in HOSTILE {
            for (what, kind) in outcomes(dir, bad) {
                let name = bad.escape_ascii();
                assert_eq!(kind, Some(io::ErrorKind::InvalidInput), "{what} {name}");
            }
        }
        assert_eq!(names_in(dir), [&b"a"[..], b"good"]);
    });
}

/// How every operation ends when it is given this name in every place where it takes one.
fn outcomes(dir: &Dir, bad: &[u8]) -> Vec<(&'static str, Option<io::ErrorKind>)> {
    fn kind<T>(result: io::Result<T>) -> Option<io::ErrorKind> {
        result.err().map(|error| error.kind())
    }
    let (good, new) = (&b"good"[..], &b"new"[..]);
    let replace = Existing::Replace;
    let now = Times { mtime: Some(Timestamp::default()), atime: None };
    let none = DeviceNumber::default();
    vec![
        ("open_child", kind(dir.open_child(bad, AccessTime::Keep))),
        ("open_child_following", kind(dir.open_child_following(bad))),
        ("stat", kind(dir.stat(bad))),
        ("stat_following", kind(dir.stat_following(bad))),
        ("read_link", kind(dir.read_link(bad))),
        ("make_dir", kind(dir.make_dir(bad, 0o700))),
        ("make_symlink", kind(dir.make_symlink(b"x", bad))),
        ("make_node", kind(dir.make_node(bad, Kind::Fifo, 0o600, none))),
        ("hard_link from", kind(dir.hard_link(bad, dir, new))),
        ("hard_link to", kind(dir.hard_link(good, dir, bad))),
        ("rename from", kind(dir.rename(bad, dir, new, replace))),
        ("rename to", kind(dir.rename(good, dir, bad, replace))),
        ("rename refusing", kind(dir.rename(good, dir, bad, Existing::Refuse))),
        ("remove_file", kind(dir.remove_file(bad))),
        ("remove_dir", kind(dir.remove_dir(bad))),
        ("set_times", kind(dir.set_times(bad, now))),
        ("set_times of nothing", kind(dir.set_times(bad, Times::default()))),
        ("set_owner", kind(dir.set_owner(bad, None, None))),
        ("set_mode", kind(dir.set_mode(bad, 0o600))),
        ("open_file", kind(dir.open_file(bad, AccessTime::Update))),
        ("open_file_following", kind(dir.open_file_following(bad, AccessTime::Update))),
        ("open_for_update", kind(dir.open_for_update(bad))),
        ("open_for_writing", kind(dir.open_for_writing(bad))),
        ("create_file", kind(dir.create_file(bad, 0o600))),
        ("is_mount_root", kind(dir.is_mount_root(bad))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn any_bytes_make_a_name(names in proptest::collection::btree_set(
        proptest::collection::vec(any::<u8>(), 1..=255), 1..8,
    )) {
        let names: Vec<Vec<u8>> =
            names.into_iter().filter(|name| model::rel_path::is_component(name)).collect();
        on_each_file_system(|_, dir| {
            for name in &names {
                dir.create_file(name, 0o600).unwrap().write_all_at(name, 0).unwrap();
            }
            assert_eq!(names_in(dir), names);
            for name in &names {
                assert_eq!(dir.stat(name).unwrap().size, name.len() as u64);
                dir.rename(name, dir, b"other-name", Existing::Refuse).unwrap();
                dir.rename(b"other-name", dir, name, Existing::Refuse).unwrap();
                dir.remove_file(name).unwrap();
            }
        });
    }
}

#[test]
fn a_name_that_is_too_long_is_an_error() {
    on_each_file_system(|_, dir| {
        let error = dir.create_file(&[b'x'; 256], 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidFilename);
    });
}

/// `secret/file` lies beside the links: what must never be reached through them.
fn plant(path: &Path) {
    std::fs::create_dir(path.join("secret")).unwrap();
    std::fs::write(path.join("secret/file"), b"secret").unwrap();
    std::fs::set_permissions(path.join("secret/file"), PermissionsExt::from_mode(0o640)).unwrap();
    symlink("secret", path.join("to_dir")).unwrap();
    symlink("secret/file", path.join("to_file")).unwrap();
    symlink("secret/new", path.join("dangling")).unwrap();
}

/// Everything about the secret that an operation could change, but for its link count.
fn fingerprint(path: &Path) -> impl PartialEq + std::fmt::Debug {
    let [dir, file] = [path.join("secret"), path.join("secret/file")];
    let of = |path: &Path| {
        let found = std::fs::symlink_metadata(path).unwrap();
        (found.mode(), found.uid(), found.mtime_nsec(), found.ctime_nsec())
    };
    let names = std::fs::read_dir(&dir).unwrap().count();
    (of(&dir), of(&file), names, std::fs::read(&file).unwrap())
}

#[test]
fn a_link_swapped_in_is_never_followed() {
    on_each_file_system(|path, dir| {
        plant(path);
        let before = fingerprint(path);
        links_are_not_opened(dir);
        links_take_attributes_themselves(dir);
        links_are_not_written_through(dir);
        links_are_renamed_and_removed_themselves(dir);
        assert_eq!(fingerprint(path), before);
    });
}

fn links_are_not_opened(dir: &Dir) {
    for atime in [AccessTime::Update, AccessTime::Keep] {
        assert!(dir.open_child(b"to_dir", atime).is_err());
        assert!(dir.open_file(b"to_file", atime).is_err());
        assert!(dir.open_file(b"to_dir", atime).is_err());
    }
    assert!(dir.open_for_update(b"to_file").is_err());
    assert!(dir.open_for_writing(b"to_file").is_err());
    assert_eq!(dir.stat(b"to_file").unwrap().kind, Kind::Symlink);
    assert!(!dir.is_mount_root(b"to_dir").unwrap());
    assert_eq!(dir.read_link(b"to_file").unwrap(), b"secret/file");
}

fn links_take_attributes_themselves(dir: &Dir) {
    let then = Timestamp { secs: -5, nanos: 7 };
    dir.set_times(b"to_file", Times { mtime: Some(then), atime: Some(then) }).unwrap();
    assert_eq!(dir.stat(b"to_file").unwrap().mtime, then);
    let (uid, gid) = if process::is_root() {
        (4242, 4243)
    } else {
        (process::effective_uid(), process::effective_gid())
    };
    dir.set_owner(b"to_file", Some(uid), Some(gid)).unwrap();
    let found = dir.stat(b"to_file").unwrap();
    assert_eq!((found.uid, found.gid), (uid, gid));
    assert!(dir.set_mode(b"to_file", 0o777).is_err());
    assert!(dir.set_mode(b"to_dir", 0o777).is_err());
}

fn links_are_not_written_through(dir: &Dir) {
    let none = DeviceNumber::default();
    for name in [&b"to_file"[..], b"to_dir", b"dangling"] {
        for error in [
            dir.create_file(name, 0o600).unwrap_err(),
            dir.make_dir(name, 0o700).unwrap_err(),
            dir.make_symlink(b"x", name).unwrap_err(),
            dir.make_node(name, Kind::Fifo, 0o600, none).unwrap_err(),
            dir.hard_link(b"to_file", dir, name).unwrap_err(),
            dir.rename(b"secret", dir, name, Existing::Refuse).unwrap_err(),
            dir.rename_refusing_by_hand(b"secret", dir, name).unwrap_err(),
        ] {
            assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        }
    }
}

fn links_are_renamed_and_removed_themselves(dir: &Dir) {
    dir.hard_link(b"to_file", dir, b"second").unwrap();
    assert_eq!(dir.stat(b"second").unwrap().kind, Kind::Symlink);
    dir.rename(b"second", dir, b"to_dir", Existing::Replace).unwrap();
    // A rename between two names of one inode does nothing, by POSIX.
    dir.create_file(b"plain", 0o600).unwrap();
    exchange(dir, b"plain", b"to_dir");
    assert_eq!(dir.stat(b"plain").unwrap().kind, Kind::Symlink);
    dir.rename(b"to_dir", dir, b"dangling", Existing::Replace).unwrap();
    assert_eq!(dir.stat(b"dangling").unwrap().kind, Kind::File);
    assert!(dir.remove_dir(b"plain").is_err());
    dir.remove_file(b"plain").unwrap();
    dir.remove_file(b"to_file").unwrap();
}

/// Swaps two names in one step.
fn exchange(dir: &Dir, one: &[u8], other: &[u8]) {
    rustix::fs::renameat_with(dir, one, dir, other, RenameFlags::EXCHANGE).unwrap();
}

#[test]
fn operations_that_follow_say_so() {
    on_each_file_system(|path, dir| {
        plant(path);
        let secret = dir.open_child_following(b"to_dir").unwrap();
        assert_eq!(names_in(&secret), [b"file"]);
        assert_eq!(dir.stat_following(b"to_file").unwrap().size, 6);
        let file = dir.open_file_following(b"to_file", AccessTime::Keep).unwrap();
        assert_eq!(file.metadata().unwrap().size, 6);
    });
}

#[test]
fn a_directory_swapped_for_a_link_all_the_time_is_entered_only_as_itself() {
    on_each_file_system(|path, dir| {
        plant(path);
        std::fs::create_dir(path.join("real")).unwrap();
        std::fs::write(path.join("real/file"), b"real").unwrap();
        let real = dir.stat(b"real").unwrap();
        let swaps = dir.clone();
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for _ in 0..4000 {
                    exchange(&swaps, b"real", b"to_dir");
                }
            });
            for _ in 0..2000 {
                if let Ok(entered) = dir.open_child(b"real", AccessTime::Update) {
                    assert!(entered.metadata().unwrap().is_same_inode(&real));
                    assert_eq!(entered.stat(b"file").unwrap().size, 4);
                }
            }
        });
    });
}

#[test]
fn rename_refuses_or_replaces() {
    on_each_file_system(|_, dir| {
        for by_hand in [false, true] {
            let refuse = |from: &[u8], to: &[u8]| {
                if by_hand {
                    dir.rename_refusing_by_hand(from, dir, to)
                } else {
                    dir.rename(from, dir, to, Existing::Refuse)
                }
            };
            dir.create_file(b"a", 0o600).unwrap();
            dir.create_file(b"b", 0o600).unwrap();
            dir.make_dir(b"d", 0o700).unwrap();
            for (from, to) in [(b"a", b"b"), (b"a", b"d"), (b"d", b"a")] {
                assert_eq!(refuse(from, to).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
            }
            refuse(b"a", b"c").unwrap();
            refuse(b"d", b"e").unwrap();
            assert_eq!(names_in(dir), [b"b", b"c", b"e"]);
            dir.rename(b"b", dir, b"c", Existing::Replace).unwrap();
            dir.remove_file(b"c").unwrap();
            dir.remove_dir(b"e").unwrap();
        }
    });
}

#[test]
fn makes_every_kind_that_the_user_may_make() {
    on_each_file_system(|_, dir| {
        let rdev = DeviceNumber { major: 259, minor: 70_000 };
        for kind in [Kind::Fifo, Kind::Socket, Kind::CharDevice, Kind::BlockDevice] {
            match dir.make_node(b"node", kind, 0o600, rdev) {
                Ok(()) => {
                    let found = dir.stat(b"node").unwrap();
                    assert_eq!(found.kind, kind);
                    assert_eq!(names_and_kinds(dir), [(b"node".to_vec(), Some(kind))]);
                    if kind.is_device() {
                        assert_eq!(found.rdev, rdev);
                    }
                    dir.remove_file(b"node").unwrap();
                }
                // Devices need a capability that even root may lack in a container.
                Err(error) => {
                    assert!(kind.is_device());
                    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
                }
            }
        }
        for kind in [Kind::File, Kind::Directory, Kind::Symlink] {
            assert!(dir.make_node(b"node", kind, 0o600, rdev).is_err());
        }
    });
}

fn names_and_kinds(dir: &Dir) -> Vec<(Vec<u8>, Option<Kind>)> {
    dir.list().unwrap().iter().map(|(name, kind)| (name.to_vec(), kind)).collect()
}

#[test]
fn sets_modes_of_files_and_directories_both_ways() {
    on_each_file_system(|_, dir| {
        drop(dir.create_file(b"f", 0o600).unwrap());
        dir.make_dir(b"d", 0o700).unwrap();
        for name in [b"f", b"d"] {
            for mode in [0o4755, 0o1711, 0o000] {
                dir.set_mode(name, mode).unwrap();
                assert_eq!(dir.stat(name).unwrap().mode, mode);
                sys::set_mode_by_handle(dir.as_fd(), name, Mode::from_bits_truncate(0o640))
                    .unwrap();
                assert_eq!(dir.stat(name).unwrap().mode, 0o640);
            }
        }
        dir.make_symlink(b"f", b"link").unwrap();
        let refused = sys::set_mode_by_handle(dir.as_fd(), b"link", Mode::empty()).unwrap_err();
        assert_eq!(refused.kind(), io::ErrorKind::Unsupported);
        assert_eq!(dir.stat(b"f").unwrap().mode, 0o640);
    });
}

#[test]
fn times_are_set_apart_and_to_the_nanosecond() {
    on_each_file_system(|_, dir| {
        drop(dir.create_file(b"f", 0o600).unwrap());
        let early = Timestamp { secs: -1_000_000_000, nanos: 999_999_999 };
        let late = Timestamp { secs: 4_000_000_000, nanos: 1 };
        dir.set_times(b"f", Times { mtime: Some(early), atime: Some(late) }).unwrap();
        dir.set_times(b"f", Times { mtime: Some(late), atime: None }).unwrap();
        let found = dir.stat(b"f").unwrap();
        assert_eq!((found.mtime, found.atime), (late, late));
        // These two numbers mean "now" and "leave it" to the kernel.
        for nanos in [1_000_000_000, 0x3fff_ffff, 0x3fff_fffe, u32::MAX] {
            let mtime = Some(Timestamp { secs: 0, nanos });
            assert!(dir.set_times(b"f", Times { mtime, atime: None }).is_err());
            assert!(dir.set_own_times(Times { mtime: None, atime: mtime }).is_err());
        }
        assert_eq!(dir.stat(b"f").unwrap().mtime, late);
        dir.set_own_times(Times { mtime: Some(early), atime: None }).unwrap();
        dir.set_own_mode(0o711).unwrap();
        let own = dir.metadata().unwrap();
        assert_eq!((own.mtime, own.mode), (early, 0o711));
    });
}

#[test]
fn no_id_is_no_owner() {
    on_each_file_system(|_, dir| {
        assert!(dir.set_own_owner(Some(u32::MAX), None).is_err());
        assert!(dir.set_own_owner(None, Some(u32::MAX)).is_err());
        let (uid, gid) = (process::effective_uid(), process::effective_gid());
        dir.set_own_owner(Some(uid), Some(gid)).unwrap();
    });
}

#[test]
fn mount_roots_are_told_from_directories() {
    let root = Dir::open_operator(Path::new("/")).unwrap();
    assert!(root.is_mount_root(b"proc").unwrap());
    on_each_file_system(|_, dir| {
        dir.make_dir(b"d", 0o700).unwrap();
        assert!(!dir.is_mount_root(b"d").unwrap());
    });
}

#[test]
fn a_file_system_is_waited_for() {
    on_each_file_system(|_, dir| dir.sync_filesystem().unwrap());
}

#[test]
fn reading_a_pipe_does_not_wait() {
    on_each_file_system(|_, dir| {
        dir.make_node(b"pipe", Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
        let pipe = dir.open_file(b"pipe", AccessTime::Keep).unwrap();
        assert_eq!(pipe.metadata().unwrap().kind, Kind::Fifo);
    });
}

#[test]
fn the_parent_is_the_one_that_a_directory_lies_in_now() {
    on_each_file_system(|path, dir| {
        std::fs::create_dir_all(path.join("from/child")).unwrap();
        std::fs::create_dir(path.join("to")).unwrap();
        let from = dir.open_child(b"from", AccessTime::Update).unwrap();
        let child = from.open_child(b"child", AccessTime::Update).unwrap();
        let parent = |child: &Dir| child.open_parent().unwrap().metadata().unwrap();
        assert!(parent(&child).is_same_inode(&from.metadata().unwrap()));
        std::fs::rename(path.join("from/child"), path.join("to/child")).unwrap();
        assert!(parent(&child).is_same_inode(&dir.stat(b"to").unwrap()));
    });
}
