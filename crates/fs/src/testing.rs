//! What the tests of this crate share.

use std::path::Path;

use crate::dir::Dir;

/// Runs a test on the file system of temporary files and on the one in memory.
pub(crate) fn on_each_file_system(mut test: impl FnMut(&Path, &Dir)) {
    let places = [std::env::temp_dir(), "/dev/shm".into()];
    for place in places.iter().filter(|place| place.is_dir()) {
        let scratch = tempfile::tempdir_in(place).unwrap();
        test(scratch.path(), &Dir::open_operator(scratch.path()).unwrap());
    }
}

/// Two directories on different file systems, if there are two.
pub(crate) fn on_two_file_systems(test: impl FnOnce(&Dir, &Dir)) {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let here = Dir::open_operator(here.path()).unwrap();
    let there = Dir::open_operator(there.path()).unwrap();
    if here.device().unwrap() != there.device().unwrap() {
        test(&here, &there);
    }
}

/// All names in a directory, sorted.
pub(crate) fn names_in(dir: &Dir) -> Vec<Vec<u8>> {
    let mut listing = dir.list().unwrap();
    listing.sort_by_name();
    assert!(listing.error().is_none());
    listing.iter().map(|(name, _)| name.to_vec()).collect()
}
