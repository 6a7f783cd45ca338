//! The number of requests grows with the directories that must be opened, and not with the tree.

use std::fs;
use std::num::NonZeroUsize;
use std::sync::Arc;

use super::*;
use filter::{RuleOptions, Rules};
use fleet::amount::By;
use fleet::folder::{Detail, Folder};
use fleet::survey::{KeepAll, Settings, survey};
use sched::Workers;

/// Thirty directories with twenty in each and three in each of these: 1,800 files.
fn tree() -> tempfile::TempDir {
    let tree = tempfile::tempdir().unwrap();
    for number in 0..1_800 {
        let (high, middle, low) = (number / 60, number / 3 % 20, number % 3);
        let folder = tree.path().join(format!("{high}/{middle}/{low}"));
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join("file"), b"x").unwrap();
    }
    tree
}

/// A survey that opens what has more entries.
pub(crate) fn settings(opened_above: u64) -> Settings {
    Settings {
        workers: Workers::Fixed(NonZeroUsize::new(4).unwrap()),
        rules: Arc::new(Rules::new(RuleOptions::default())),
        root: b"/".to_vec(),
        leaves_out_snapshots: true,
        depth: None,
        needs_leaves: false,
        by: By::Files,
        opened: fleet::survey::Opened::Above(fleet::amount::Caps {
            bytes: u64::MAX,
            entries: opened_above,
        }),
    }
}

/// Directories that were opened, and those that were not.
fn count(folder: &Folder) -> (u64, u64) {
    if folder.detail == Detail::Closed {
        return (0, 1);
    }
    let below = folder.folders.iter().map(count);
    below.fold((1, 0), |(opened, closed), below| (opened + below.0, closed + below.1))
}

#[test]
fn only_what_is_too_much_for_one_is_opened() {
    let tree = tree();
    let fake = FakeCluster::serve(tree.path(), &[]);
    let (_, all) = on_disk(tree.path());
    // One of the thirty counts 141 entries, and one of those in it 7.
    for (opened_above, opened, closed) in
        [(141, 1, 30), (140, 31, 600), (7, 31, 600), (6, 631, 1_800)]
    {
        let lister = Arc::new(lister(&cluster(&fake, "/")));
        let before = fake.requests();
        let keep = Arc::new(KeepAll);
        let hear = Arc::new(|fault| panic!("{fault}"));
        let surveyed = survey(&lister, settings(opened_above), keep, hear, &Cancel::new()).unwrap();
        assert_eq!(count(&surveyed.root), (opened, closed), "{opened_above}");
        assert_eq!(surveyed.root.total, all);
        // A login, and one for each that was opened.
        assert_eq!(lister.asked(), opened + 1);
        assert_eq!(fake.requests() - before, lister.asked());
    }
}
