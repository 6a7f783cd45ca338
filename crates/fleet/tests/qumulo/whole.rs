//! What is told is what is there.

use std::fs;
use std::path::Path;
use std::process::Command;

use super::*;

/// Names that a URL, a shell or a line would take for something else.
const NAMES: [&str; 12] =
    ["a b", "%41", "what?", "no #1", "a\nb", "ü", "日本", "..a", "+", "a&b=c", "\"'\\", "-r"];

/// A tree with everything in it.
fn make_tree(folder: &Path) {
    for name in NAMES {
        let below = folder.join(name).join(name);
        fs::create_dir_all(&below).unwrap();
        fs::write(below.join(name), vec![0; 5_000]).unwrap();
        fs::write(folder.join(name).join("small"), b"x").unwrap();
    }
    fs::create_dir(folder.join("empty")).unwrap();
    fs::write(folder.join("nothing"), b"").unwrap();
    std::os::unix::fs::symlink("nowhere", folder.join("link")).unwrap();
    drop(std::os::unix::net::UnixListener::bind(folder.join("socket")).unwrap());
    assert!(Command::new("mkfifo").arg(folder.join("pipe")).status().unwrap().success());
    let device = ["c", "1", "3"];
    assert!(
        Command::new("mknod").arg(folder.join("null")).args(device).status().unwrap().success()
    );
}

#[test]
fn a_whole_tree_is_told_with_every_kind_of_entry_and_name() {
    let tree = tempfile::tempdir().unwrap();
    make_tree(tree.path());
    let fake = FakeCluster::serve(tree.path(), &[]);
    let lister = lister(&cluster(&fake, "/"));
    let (told, total) = tell_all(&lister).unwrap();
    assert_eq!((&told, total), (&on_disk(tree.path()).0, on_disk(tree.path()).1));
    // One login, and one request for each directory, the root included.
    let folders = told.values().filter(|(kind, _)| *kind == Kind::Directory).count() as u64;
    assert_eq!(lister.asked(), folders + 2);
    assert_eq!(fake.requests(), lister.asked());
}

#[test]
fn a_directory_of_any_name_can_be_the_root() {
    let tree = tempfile::tempdir().unwrap();
    make_tree(tree.path());
    let fake = FakeCluster::serve(tree.path(), &[]);
    for name in NAMES {
        let lister = lister(&cluster(&fake, &format!("/{name}/")));
        assert_eq!(tell_all(&lister).unwrap(), on_disk(&tree.path().join(name)), "{name:?}");
        assert_eq!(lister.full_path(b"a/b"), format!("/{name}/a/b").as_bytes());
    }
}
