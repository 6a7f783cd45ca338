//! What `listing` promises, held to it.

use super::*;
use crate::dir::Dir;
use crate::testing::{names_in, on_each_file_system};
use std::path::Path;

fn listing_of(names: &[(&[u8], Option<Kind>)]) -> Listing {
    let mut listing = Listing::default();
    for (name, kind) in names {
        listing.push(name, *kind).unwrap();
    }
    listing
}

#[test]
fn an_entry_takes_eight_bytes_beside_its_name() {
    assert_eq!(size_of::<Entry>(), 8);
}

#[test]
fn offsets_beyond_four_gigabytes_are_kept() {
    for number in [0, 1, u64::from(u32::MAX), 1 << 39, u64::MAX] {
        let (low, high) = halves(number);
        assert_eq!(whole(low, high), number);
    }
}

#[test]
fn keeps_kinds_and_names_of_any_length() {
    let long = [b'x'; 1000];
    let listing = listing_of(&[
        (b"a", Some(Kind::File)),
        (&long, Some(Kind::Socket)),
        (b".", Some(Kind::Directory)),
        (b"..", Some(Kind::Directory)),
        (b"\xff\n", None),
    ]);
    assert_eq!(listing.len(), 3);
    assert_eq!(listing.name(1), long);
    assert_eq!(listing.kind_hint(1), Some(Kind::Socket));
    assert_eq!((listing.name(2), listing.kind_hint(2)), (&b"\xff\n"[..], None));
}

#[test]
fn every_kind_survives_its_code() {
    for kind in KINDS {
        assert_eq!(kind_from_code(kind_code(kind)), Some(kind));
    }
    assert_eq!(kind_from_code(0), None);
    assert_eq!(kind_from_code(8), None);
}

#[test]
fn a_name_that_could_leave_the_directory_ends_the_listing() {
    let mut listing = Listing::default();
    assert!(listing.push(b"a/b", None).is_err());
    assert!(listing.push(b"", None).is_err());
    assert!(listing.is_empty());
}

#[test]
fn finds_names_sorted_or_not() {
    let names: Vec<Vec<u8>> = (0..500_u32).map(|n| (n * 7919 % 1000).to_string().into()).collect();
    let pairs: Vec<_> = names.iter().map(|name| (&name[..], Some(Kind::File))).collect();
    let mut listing = listing_of(&pairs);
    for _ in 0..2 {
        for (name, _) in &pairs {
            assert_eq!(listing.name(listing.find(name).unwrap()), *name);
        }
        assert_eq!(listing.find(b"1000"), None);
        listing.sort_by_name();
    }
}

#[test]
fn lists_twice_and_from_many_threads() {
    on_each_file_system(|_, dir| {
        for n in 0..3000 {
            dir.make_symlink(b"x", format!("a name that is not short {n}").as_bytes()).unwrap();
        }
        assert_eq!(names_in(dir).len(), 3000);
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| assert_eq!(names_in(dir).len(), 3000));
            }
        });
        let listing = dir.list().unwrap();
        assert!(listing.iter().all(|(_, kind)| kind.is_none_or(|kind| kind == Kind::Symlink)));
        assert!(dir.stat(listing.name(0)).is_ok());
    });
}

#[test]
fn a_removed_directory_cannot_be_listed() {
    on_each_file_system(|_, dir| {
        dir.make_dir(b"gone", 0o700).unwrap();
        let gone = dir.open_child(b"gone", crate::AccessTime::Keep).unwrap();
        dir.remove_dir(b"gone").unwrap();
        assert!(gone.list().is_err());
    });
}

#[test]
fn lists_directories_of_the_kernel() {
    let proc = Dir::open_operator(Path::new("/proc/self")).unwrap();
    assert!(proc.list().unwrap().find(b"fd").is_some());
}
