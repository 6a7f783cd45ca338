//! A name replaced in one step by something that is no new file: a link, a pipe, a device, a further
//! name of a file.
//!
//! What is made here carries no lock, unlike a staging file. A later run sweeps what a killed one
//! left; should it sweep what a living one just made, that one makes it again.

use std::io;

use crate::dir::{self, Dir, Existing};
use crate::staging::{make_unless_taken, staging_names};

/// Makes something under a staging name by `make`, then renames it over `name`: whoever looks
/// sees the old entry or the new one. A directory is not replaced.
pub fn replace_with(
    dir: &Dir,
    name: &[u8],
    mut make: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    dir::component(name)?;
    let mut outcome = Err(io::ErrorKind::AlreadyExists.into());
    for staged in staging_names(name) {
        if make_unless_taken(dir, &staged, || make(&staged))?.is_none() {
            continue;
        }
        outcome = dir.rename(&staged, dir, name, Existing::Replace);
        match &outcome {
            // A further name of a file looks abandoned, and another run swept it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            _ => {
                // Renaming one hard link of an inode over another does nothing and leaves both
                // (rename(2)), so the staging name is removed in any case.
                drop(dir.remove_file(&staged));
                break;
            }
        }
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{names_in, on_each_file_system};

    #[test]
    fn replaces_in_one_step_and_leaves_no_staging_name() {
        on_each_file_system(|_, dir| {
            dir.create_file(b"file", 0o600).unwrap();
            for target in [b"one", b"two"] {
                replace_with(dir, b"final", |name| dir.make_symlink(target, name)).unwrap();
                assert_eq!(dir.read_link(b"final").unwrap(), target);
            }
            // The second time both names are the same file already.
            for _ in 0..2 {
                replace_with(dir, b"final", |name| dir.hard_link(b"file", dir, name)).unwrap();
            }
            assert_eq!(dir.stat(b"final").unwrap().nlink, 2);
            assert_eq!(names_in(dir), [&b"file"[..], b"final"]);
        });
    }

    #[test]
    fn a_failure_leaves_no_staging_name() {
        on_each_file_system(|_, dir| {
            let link = |name: &[u8]| dir.make_symlink(b"target", name);
            dir.make_dir(b"dir", 0o700).unwrap();
            assert!(replace_with(dir, b"dir", link).is_err());
            assert!(replace_with(dir, b"..", link).is_err());
            let mut calls = 0;
            let failed = replace_with(dir, b"final", |_| {
                calls += 1;
                Err(io::ErrorKind::StorageFull.into())
            });
            assert_eq!((failed.unwrap_err().kind(), calls), (io::ErrorKind::StorageFull, 1));
            assert_eq!(names_in(dir), [b"dir"]);
        });
    }

    #[test]
    fn what_another_run_swept_is_made_again() {
        on_each_file_system(|_, dir| {
            let mut calls = 0;
            replace_with(dir, b"final", |name| {
                calls += 1;
                dir.make_symlink(b"target", name)?;
                if calls == 1 { dir.remove_file(name) } else { Ok(()) }
            })
            .unwrap();
            assert_eq!((calls, names_in(dir)), (2, vec![b"final".to_vec()]));
        });
    }
}
