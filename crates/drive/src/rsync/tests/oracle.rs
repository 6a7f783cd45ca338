//! What many movers make of a tree, then directories and deletions, is what one rsync makes of it.

use std::collections::BTreeMap;
use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::process::Command;
use std::time::{Duration, SystemTime};

use fleet::line::Span;
use model::Kind;
use proptest::prelude::*;

use super::*;
use crate::bucket::Class;
use crate::lines::ListLine;
use crate::mover::conformance::done;
use crate::rsync::options::Words;

/// An entry of a tree to be made.
#[derive(Clone, Debug)]
enum Node {
    File { len: usize, age: u64, mode: u32 },
    Link(String),
    Directory { below: BTreeMap<String, Self>, age: u64, mode: u32, is_whole: bool },
}

fn any_node() -> impl Strategy<Value = Node> {
    let leaf = prop_oneof![
        3 => (0_usize..3000, 0_u64..9, prop::sample::select(&[0o644_u32, 0o600, 0o755][..]))
            .prop_map(|(len, age, mode)| Node::File { len, age, mode }),
        1 => prop::sample::select(&["a", "../b", "/nowhere"][..]).prop_map(|to| Node::Link(to.into())),
    ];
    leaf.prop_recursive(3, 24, 5, |node| {
        let modes = prop::sample::select(&[0o755_u32, 0o700, 0o555, 0o2770][..]);
        (any_names(node), 0_u64..9, modes, any::<bool>())
            .prop_map(|(below, age, mode, is_whole)| Node::Directory { below, age, mode, is_whole })
    })
}

/// Few names, so that those of two trees meet.
fn any_names(node: impl Strategy<Value = Node>) -> impl Strategy<Value = BTreeMap<String, Node>> {
    let name =
        prop::sample::select(&["a", "b", "c c", "d\n", "-e", "é"][..]).prop_map(str::to_owned);
    prop::collection::btree_map(name, node, 0..5)
}

fn make(folder: &Path, nodes: &BTreeMap<String, Node>) {
    for (name, node) in nodes {
        let path = folder.join(name);
        match node {
            Node::Link(to) => symlink(to, &path).unwrap(),
            Node::File { len, age, mode } => {
                fs::write(&path, vec![b'x'; *len]).unwrap();
                settle(&path, *age, *mode);
            }
            Node::Directory { below, age, mode, .. } => {
                fs::create_dir(&path).unwrap();
                make(&path, below);
                settle(&path, *age, *mode);
            }
        }
    }
}

fn settle(path: &Path, age: u64, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + age * 1000);
    File::open(path).unwrap().set_times(FileTimes::new().set_modified(time)).unwrap();
}

/// Each entry with what rsync brings over.
fn snapshot(root: &Path, below: &Path, into: &mut BTreeMap<PathBuf, String>) {
    let path = root.join(below);
    let metadata = fs::symlink_metadata(&path).unwrap();
    let content = if metadata.is_symlink() {
        fs::read_link(&path).unwrap().display().to_string()
    } else if metadata.is_dir() {
        for entry in fs::read_dir(&path).unwrap() {
            snapshot(root, &below.join(entry.unwrap().file_name()), into);
        }
        "directory".to_owned()
    } else {
        fs::read(&path).unwrap().len().to_string()
    };
    let (mode, time) = (metadata.mode(), metadata.mtime());
    into.insert(below.to_owned(), format!("{mode:o} {time} {content}"));
}

fn lines_of(nodes: &BTreeMap<String, Node>, above: &str, into: &mut Vec<(Span, Kind, String)>) {
    for (name, node) in nodes {
        let path = if above.is_empty() { name.clone() } else { format!("{above}/{name}") };
        match node {
            Node::File { .. } => into.push((Span::Entry, Kind::File, path)),
            Node::Link(_) => into.push((Span::Entry, Kind::Symlink, path)),
            Node::Directory { below, is_whole: false, .. } if !below.is_empty() => {
                into.push((Span::Alone, Kind::Directory, path.clone()));
                lines_of(below, &path, into);
            }
            Node::Directory { below, .. } => {
                let span = if below.is_empty() { Span::Entry } else { Span::Whole };
                into.push((span, Kind::Directory, path));
            }
        }
    }
}

fn is_done_by_one(words: &[String]) -> bool {
    let output = Command::new("rsync").args(words).output();
    output.expect("rsync has to be installed: it is the reference").status.success()
}

fn check(
    source: &BTreeMap<String, Node>,
    before: &BTreeMap<String, Node>,
    order: &[u8],
    (deletes, is_root, is_named): (bool, bool, bool),
) {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name);
    for name in ["src", "one", "many"] {
        fs::create_dir(path(name)).unwrap();
    }
    make(&path("src"), source);
    settle(&path("src"), 7, 0o751);
    for name in ["one", "many"] {
        let folder = if is_named { path(name).join("src") } else { path(name) };
        fs::create_dir_all(&folder).unwrap();
        make(&folder, before);
        settle(&folder, 3, 0o755);
        settle(&path(name), 3, 0o755);
    }
    let from = format!("{}{}", path("src").display(), if is_named { "" } else { "/" });
    let words = |to: &str| {
        let option = if deletes { "--delete" } else { "--force" };
        ["-a".to_owned(), option.to_owned(), from.clone(), path(to).display().to_string()]
    };
    let is_root_here = rustix::process::geteuid().is_root();
    if !is_done_by_one(&words("one")) {
        // Others cannot remove what lies in directories that are closed to them.
        assert!(!is_root_here, "{:?}", words("one"));
        return;
    }

    let typed = Words::read(words("many").into_iter().map(Into::into)).unwrap();
    let job = RsyncJob::new(vec!["rsync".into()], typed, is_root && is_root_here).unwrap();
    let mover = RsyncMover::new(job, Path::new("/"));
    let mut all = vec![(Span::Alone, Kind::Directory, String::new())];
    lines_of(source, "", &mut all);
    let mut buckets: [Vec<u8>; 3] = Default::default();
    let mut alone = Vec::new();
    for (at, (span, kind, path)) in all.iter().enumerate() {
        let line = ListLine { span: *span, kind: *kind, bytes: 0, path: path.as_bytes() };
        line.put(&mut buckets[usize::from(order[at % order.len()]) % 3]);
        if *span == Span::Alone {
            line.put(&mut alone);
        }
    }
    buckets.rotate_left(usize::from(order[0]) % 3);
    let cancel = Cancel::new();
    let ends_well = |work| {
        let (outcome, _) = done(&mover, work, &cancel);
        assert_eq!(outcome.end, End::Done, "{outcome:?}");
    };
    std::thread::scope(|scope| {
        for lines in &buckets {
            let (amount, class) = (Amount::default(), Class::Deep);
            scope.spawn(move || ends_well(Work::Bucket { lines, class, amount }));
        }
    });
    if deletes {
        ends_well(Work::Delete);
    } else {
        ends_well(Work::Directories { lines: &alone });
    }
    let mut trees = [BTreeMap::new(), BTreeMap::new()];
    snapshot(&path("one"), Path::new(""), &mut trees[0]);
    snapshot(&path("many"), Path::new(""), &mut trees[1]);
    // That above the source is no part of it.
    if is_named {
        for tree in &mut trees {
            tree.remove(Path::new(""));
        }
    }
    assert_eq!(trees[1], trees[0]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn many_movers_make_of_a_tree_what_one_rsync_makes(
        source in any_names(any_node()),
        before in any_names(any_node()),
        order in prop::collection::vec(any::<u8>(), 1..12),
        how in any::<(bool, bool, bool)>(),
    ) {
        check(&source, &before, &order, how);
    }
}
