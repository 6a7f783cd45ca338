//! What `corpus` promises, held to it.

use std::collections::BTreeMap;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};

use super::*;

/// What can be seen of each entry: kind and mode, size, time, links, owner.
type Row = (u32, u64, i64, i64, u64, u32);
type Seen = BTreeMap<PathBuf, Row>;

fn see(root: &Path) -> Seen {
    let mut seen = Seen::new();
    let mut dirs = vec![root.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(&dir).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            if meta.is_dir() {
                dirs.push(path.clone());
            }
            let size = if meta.is_dir() { 0 } else { meta.len() };
            let row =
                (meta.mode(), size, meta.mtime(), meta.mtime_nsec(), meta.nlink(), meta.uid());
            seen.insert(path.strip_prefix(root).unwrap().to_owned(), row);
        }
    }
    seen
}

fn made(kind: Kind, scale: f64) -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let root = dir.path().join("tree");
    kind.generate(&root, scale).unwrap();
    (dir, root)
}

#[test]
fn the_same_tree_comes_out_each_time() {
    for kind in Kind::ALL {
        let (_dir, one) = made(kind, 0.001);
        let (_other_dir, two) = made(kind, 0.001);
        assert_eq!(see(&one), see(&two), "{kind:?}");
    }
}

#[test]
fn counts_are_as_promised() {
    for (kind, scale, files) in [
        (Kind::Small, 0.005, 500),
        (Kind::Spread, 0.005, 500),
        (Kind::Even, 0.01, 200),
        (Kind::Flat, 0.001, 200),
        (Kind::Million, 0.001, 1000),
        (Kind::Big, 0.001, 1),
    ] {
        let (_dir, root) = made(kind, scale);
        let seen = see(&root);
        let regular = seen.values().filter(|row| row.0 & 0o170_000 == 0o100_000).count();
        assert_eq!(regular, files, "{kind:?}");
        assert!(seen.len() as u64 <= kind.inodes(scale), "{kind:?}");
    }
}

#[test]
fn mixed_has_one_of_everything() {
    let (_dir, root) = made(Kind::Mixed, 0.01);
    let seen = see(&root);
    let has = |test: &dyn Fn(&Row) -> bool| seen.values().any(test);
    assert!(has(&|row| row.0 & 0o170_000 == 0o120_000), "a symbolic link");
    assert!(has(&|row| row.0 & 0o170_000 == 0o100_000 && row.4 > 1), "a hard link");
    let fifo = fs::symlink_metadata(root.join("odd/fifo")).unwrap();
    assert!(fifo.file_type().is_fifo());
    let total: u64 = seen.values().map(|row| row.1).sum();
    assert!((18_000_000..24_000_000).contains(&total), "{total}");
}

#[test]
fn changes_are_of_the_promised_size() {
    for (change, least, most) in [(Change::Touched, 0, 12), (Change::Halved, 95, 115)] {
        let (_dir, root) = made(Kind::Mixed, 0.01);
        let before = see(&root);
        change.apply(&root).unwrap();
        let after = see(&root);
        let gone = before.keys().filter(|path| !after.contains_key(*path)).count();
        assert!((least..=most).contains(&gone), "{change:?}: {gone} gone of {}", before.len());
        assert_ne!(before, after);
    }
}
