//! What `staging` promises, held to it.

use super::*;
use crate::testing::{names_in, on_each_file_system, on_two_file_systems};
use model::DeviceNumber;
use proptest::prelude::*;

const NAMINGS: [Naming; 2] = [Naming::AnonymousIfPossible, Naming::Named];

fn staged(dir: &Dir, naming: Naming, bytes: &[u8]) -> Staging {
    let staging = Staging::create(dir, b"final", 0o640, naming).unwrap();
    staging.file().write_all_at(bytes, 0).unwrap();
    staging
}

fn random_name(final_name: &[u8]) -> Vec<u8> {
    staging_names(final_name).nth(1).unwrap()
}

fn read(dir: &Dir, name: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    let file = dir.open_file(name, AccessTime::Update).unwrap();
    let len = file.read_at(&mut bytes, 0).unwrap();
    bytes.truncate(len);
    bytes
}

#[test]
fn a_new_name_appears_whole_and_leaves_nothing_beside_it() {
    on_each_file_system(|_, dir| {
        for naming in NAMINGS {
            let mut staging = staged(dir, naming, b"new");
            assert_eq!(names_in(dir).len(), usize::from(!staging.is_anonymous()));
            assert!(names_in(dir).iter().all(|name| is_staging_name(name)));
            staging.publish_new(dir, b"final").unwrap();
            assert!(staging.publish_new(dir, b"again").is_err());
            assert!(staging.publish_replacing(dir, b"again").is_err());
            let file = staging.into_file();
            assert!(dir.stat(b"final").unwrap().is_same_inode(&file.metadata().unwrap()));
            assert_eq!(names_in(dir), [b"final"]);
            assert_eq!(read(dir, b"final"), b"new");
            dir.remove_file(b"final").unwrap();
        }
    });
}

#[test]
fn files_without_a_name_are_used_where_the_file_system_can() {
    on_each_file_system(|_, dir| {
        let can = sys::open_anonymous(dir.as_fd(), Mode::empty()).is_ok();
        let staging = staged(dir, Naming::AnonymousIfPossible, b"");
        assert_eq!(staging.is_anonymous(), can);
        assert!(!staged(dir, Naming::Named, b"").is_anonymous());
    });
}

#[test]
fn a_taken_name_is_refused_and_then_replaced() {
    on_each_file_system(|_, dir| {
        for naming in NAMINGS {
            dir.create_file(b"final", 0o600).unwrap().write_all_at(b"old", 0).unwrap();
            let mut staging = staged(dir, naming, b"new");
            let refused = staging.publish_new(dir, b"final").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(read(dir, b"final"), b"old");
            staging.publish_replacing(dir, b"final").unwrap();
            assert_eq!(read(dir, b"final"), b"new");
            assert_eq!(names_in(dir), [b"final"]);
            dir.remove_file(b"final").unwrap();
        }
    });
}

#[test]
fn dropped_unpublished_nothing_remains() {
    on_each_file_system(|_, dir| {
        for naming in NAMINGS {
            drop(staged(dir, naming, b"x"));
            drop(staged(dir, naming, b"x").into_file());
            dir.make_dir(b"final", 0o700).unwrap();
            let mut staging = staged(dir, naming, b"x");
            assert!(staging.publish_replacing(dir, b"final").is_err());
            drop(staging);
            dir.remove_dir(b"final").unwrap();
            assert!(names_in(dir).is_empty());
        }
    });
}

#[test]
fn the_mode_it_is_born_with_is_told_and_a_named_one_is_private() {
    on_each_file_system(|_, dir| {
        for mode in [0o644, 0o4777, 0o000] {
            for naming in NAMINGS {
                let staging = Staging::create(dir, b"final", mode, naming).unwrap();
                let found = staging.file().metadata().unwrap().mode;
                assert_eq!(found, staging.born_mode());
                assert_eq!(found & 0o7000, 0);
                assert!(staging.is_anonymous() || found == PRIVATE_MODE);
            }
        }
    });
}

#[test]
fn a_default_acl_is_seen_in_the_mode_it_is_born_with() {
    use crate::acl::{self, Acl, Which};
    on_each_file_system(|_, dir| {
        process::clear_umask();
        acl::write(dir.into(), Which::Default, Some(&Acl::from_mode(0o700))).unwrap();
        let staging = staged(dir, Naming::AnonymousIfPossible, b"");
        assert_eq!(staging.born_mode(), 0o600);
        assert_eq!(staging.file().metadata().unwrap().mode, 0o600);
    });
}

#[test]
fn publishes_into_another_directory() {
    on_each_file_system(|_, dir| {
        dir.make_dir(b"staged", 0o700).unwrap();
        let other = dir.open_child(b"staged", AccessTime::Update).unwrap();
        for naming in NAMINGS {
            staged(&other, naming, b"one").publish_new(dir, b"final").unwrap();
            staged(&other, naming, b"two").publish_replacing(dir, b"final").unwrap();
            assert_eq!(read(dir, b"final"), b"two");
            assert!(names_in(&other).is_empty());
            dir.remove_file(b"final").unwrap();
        }
    });
}

#[test]
fn another_file_system_is_reported_and_nothing_remains() {
    on_two_file_systems(|here, there| {
        for naming in NAMINGS {
            let mut staging = staged(there, naming, b"x");
            let error = staging.publish_new(here, b"final").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
            let error = staging.publish_replacing(here, b"final").unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::CrossesDevices);
            drop(staging);
            assert!(names_in(here).is_empty() && names_in(there).is_empty());
        }
    });
}

#[test]
fn a_link_under_the_final_name_is_replaced_and_not_followed() {
    on_each_file_system(|_, dir| {
        for naming in NAMINGS {
            dir.make_symlink(b"target", b"final").unwrap();
            let mut staging = staged(dir, naming, b"x");
            assert!(staging.publish_new(dir, b"final").is_err());
            staging.publish_replacing(dir, b"final").unwrap();
            assert_eq!(dir.stat(b"final").unwrap().kind, Kind::File);
            assert_eq!(names_in(dir), [b"final"]);
            dir.remove_file(b"final").unwrap();
        }
    });
}

#[test]
fn hostile_names_are_refused() {
    on_each_file_system(|_, dir| {
        for name in [&b""[..], b".", b"..", b"a/b", b"../a", b"a\0"] {
            for naming in NAMINGS {
                assert!(Staging::create(dir, name, 0o600, naming).is_err());
                let mut staging = staged(dir, naming, b"");
                assert!(staging.publish_new(dir, name).is_err());
                assert!(staging.publish_replacing(dir, name).is_err());
            }
        }
        assert!(names_in(dir).is_empty());
    });
}

#[test]
fn is_removed_only_when_nobody_holds_it() {
    on_each_file_system(|_, dir| {
        let mut staging = staged(dir, Naming::Named, b"x");
        let name = names_in(dir).remove(0);
        assert!(!remove_if_abandoned(dir, &name).unwrap());
        staging.publish_replacing(dir, b"final").unwrap();
        assert!(!remove_if_abandoned(dir, &name).unwrap());
        assert!(!remove_if_abandoned(dir, b"final").unwrap());

        let abandoned = random_name(b"final");
        drop(dir.create_file(&abandoned, 0o600).unwrap());
        assert!(remove_if_abandoned(dir, &abandoned).unwrap());
        assert_eq!(names_in(dir), [b"final"]);
    });
}

#[test]
fn an_anonymous_file_that_takes_a_staging_name_is_held() {
    on_each_file_system(|_, dir| {
        let mut staging = staged(dir, Naming::AnonymousIfPossible, b"x");
        if staging.is_anonymous() {
            staging.take_name(dir, b"final").unwrap();
        }
        assert!(!remove_if_abandoned(dir, &names_in(dir)[0]).unwrap());
    });
}

#[test]
fn links_are_swept_and_directories_are_not() {
    on_each_file_system(|_, dir| {
        let names: Vec<_> = staging_names(b"x").take(3).collect();
        dir.create_file(b"precious", 0o600).unwrap();
        dir.make_symlink(b"precious", &names[0]).unwrap();
        dir.make_node(&names[1], Kind::Fifo, 0o600, DeviceNumber::default()).unwrap();
        dir.make_dir(&names[2], 0o700).unwrap();
        for (name, is_swept) in names.iter().zip([true, true, false]) {
            assert_eq!(remove_if_abandoned(dir, name).unwrap(), is_swept);
        }
        // What a swept link points to is not touched.
        assert_eq!(names_in(dir).len(), 2);
        assert!(dir.stat(b"precious").is_ok());
    });
}

#[test]
fn survives_a_sweep_at_any_moment() {
    on_each_file_system(|_, dir| {
        let done = std::sync::atomic::AtomicBool::new(false);
        std::thread::scope(|scope| {
            scope.spawn(|| {
                while !done.load(std::sync::atomic::Ordering::Relaxed) {
                    for name in names_in(dir) {
                        remove_if_abandoned(dir, &name).unwrap();
                    }
                }
            });
            for _ in 0..300 {
                for naming in NAMINGS {
                    staged(dir, naming, b"x").publish_replacing(dir, b"final").unwrap();
                }
            }
            done.store(true, std::sync::atomic::Ordering::Relaxed);
        });
        assert_eq!(names_in(dir), [b"final"]);
    });
}

#[test]
fn the_format_of_staging_names_does_not_change() {
    let proof = proof_of(b".report.txt.Abc123");
    assert_eq!(proof.escape_ascii().to_string(), "YaPXJK");
    assert!(is_staging_name(b".report.txt.Abc123YaPXJK"));
    for other in [&b".report.txt.Abc123"[..], b".a.0123456789ab", b"", b".", b"..............."] {
        assert!(!is_staging_name(other));
    }
}

#[test]
fn long_names_are_cut_between_characters() {
    let name = "ä".repeat(127);
    let staged = random_name(name.as_bytes());
    assert!(staged.len() <= 255 && std::str::from_utf8(&staged).is_ok());
    assert_eq!(random_name(&[0x80; 255]).len(), 255);
}

proptest! {
    #[test]
    fn every_staging_name_proves_itself_and_no_other(
        name in proptest::collection::vec(any::<u8>(), 1..=255),
        flip in any::<proptest::sample::Index>(),
    ) {
        prop_assume!(model::rel_path::is_component(&name));
        let mut staged = random_name(&name);
        prop_assert!(model::rel_path::is_component(&staged) && staged.len() <= 255);
        prop_assert!(is_staging_name(&staged));
        let at = flip.index(staged.len());
        staged[at] = staged[at].wrapping_add(1);
        prop_assert!(!is_staging_name(&staged));
        prop_assert!(!is_staging_name(&name));
    }
}

#[test]
fn what_a_dead_run_left_of_the_same_file_is_met_and_goes() {
    on_each_file_system(|_, dir| {
        dir.create_file(b"final", 0o600).unwrap();
        let left = staging_names(b"final").next().unwrap();
        drop(dir.create_file(&left, 0o600).unwrap());
        staged(dir, Naming::Named, b"new").publish_replacing(dir, b"final").unwrap();
        assert_eq!((names_in(dir), &*read(dir, b"final")), (vec![b"final".to_vec()], &b"new"[..]));
        // Another run is at work on it, or something is there that is not swept.
        let held = staged(dir, Naming::Named, b"held");
        dir.make_dir(&staging_names(b"other").next().unwrap(), 0o700).unwrap();
        staged(dir, Naming::Named, b"newer").publish_replacing(dir, b"final").unwrap();
        drop(Staging::create(dir, b"other", 0o600, Naming::Named).unwrap());
        assert_eq!((names_in(dir).len(), &*read(dir, b"final")), (3, &b"newer"[..]));
        assert_eq!(held.file().metadata().unwrap().nlink, 1);
    });
}
