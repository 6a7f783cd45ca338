//! What real movers make of buckets: all of them into one destination give what the whole gives.
//!
//! `PROPTEST_CASES` sets the number of cases. There is no way around a missing rsync or rclone: the tests
//! fail then.
#![expect(clippy::disallowed_methods, reason = "the tests put trees on disk for movers")]
#![expect(clippy::unwrap_used, reason = "a disk that fails the tests may end them")]

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use fleet::amount::Amount;
use fleet::format::{FilterFiles, Form, Header, Origin, Writing};
use fleet::line::Recursion;
use fleet::line::{Line, Span};
use fleet::output::{Batch, Failed, Folder, Template};
use model::Kind;
use proptest::prelude::*;

const BUCKETS: u64 = 3;

/// Some processes are started for each case, so there are few unless more are asked for.
fn config() -> ProptestConfig {
    let usual = ProptestConfig::default();
    let is_set = std::env::var_os("PROPTEST_CASES").is_some();
    ProptestConfig { cases: if is_set { usual.cases } else { 12 }, ..usual }
}

/// What lies in a tree, and the bucket that has it.
#[derive(Clone, Debug)]
enum Node {
    File(u64, u8),
    Link(u64),
    Pipe(u64),
    /// Goes whole.
    Whole(u64, BTreeMap<Vec<u8>, Self>),
    /// The bucket has the directory itself.
    Cut(u64, BTreeMap<Vec<u8>, Self>),
}

/// Components with bytes that mean something to one mover or another, and with `more` of them.
fn name(more: &'static [u8]) -> impl Strategy<Value = Vec<u8>> {
    let plain: &'static [u8] = b"ab01 #;-+!*?[]{}\\^~\"'%&$`.:,<>|=@\xff\xc3\xa9";
    let byte = prop_oneof![
        3 => proptest::sample::select(plain),
        1 => proptest::sample::select([plain, more].concat()),
    ];
    proptest::collection::vec(byte, 1..5)
        .prop_filter("a component", |name| !matches!(&**name, b"." | b".."))
}

/// Trees with names of one kind.
fn tree(more: &'static [u8]) -> impl Strategy<Value = Node> {
    let bucket = || 1..=BUCKETS;
    let leaf = prop_oneof![
        4 => (bucket(), any::<u8>()).prop_map(|(bucket, length)| Node::File(bucket, length)),
        1 => bucket().prop_map(Node::Link),
        1 => bucket().prop_map(Node::Pipe),
        1 => bucket().prop_map(|bucket| Node::Whole(bucket, BTreeMap::new())),
    ];
    let inner = move |inner: BoxedStrategy<Node>| {
        let below = proptest::collection::btree_map(name(more), inner, 1..5);
        (bucket(), any::<bool>(), below).prop_map(|(bucket, is_cut, below)| {
            if is_cut { Node::Cut(bucket, below) } else { Node::Whole(bucket, below) }
        })
    };
    let leaf = leaf.prop_recursive(3, 30, 5, move |below| inner(below.boxed()));
    let root = proptest::collection::btree_map(name(more), leaf, 1..6);
    (bucket(), root).prop_map(|(bucket, below)| Node::Cut(bucket, below))
}

/// No line end among the names.
const WITHOUT_LINE_ENDS: &[u8] = b"\t\x01\x7f";

const ANY: &[u8] = b"\n\r\t\x01\x1f\x7f";

fn join(path: &Path, name: &[u8]) -> PathBuf {
    path.join(OsStr::from_bytes(name))
}

/// Puts a node on the disk. Times are told by the path, and long past.
fn make(node: &Node, path: &Path) {
    match node {
        Node::File(_, length) => std::fs::write(path, vec![b'x'; usize::from(*length)]).unwrap(),
        Node::Link(_) => return symlink("nowhere", path).unwrap(),
        Node::Pipe(_) => {
            let made = Command::new("mkfifo").arg("--").arg(path).status().unwrap();
            assert!(made.success());
            return;
        }
        Node::Whole(_, below) | Node::Cut(_, below) => {
            std::fs::create_dir(path).unwrap();
            for (name, node) in below {
                make(node, &join(path, name));
            }
            let mode = 0o700 | u32::try_from(below.len()).unwrap();
            std::fs::set_permissions(path, PermissionsExt::from_mode(mode)).unwrap();
        }
    }
    let seconds: u64 = path.as_os_str().as_bytes().iter().map(|byte| u64::from(*byte)).sum();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000 + seconds);
    File::open(path).unwrap().set_modified(time).unwrap();
}

/// Tells the lines of a node, with their buckets.
fn tell(
    node: &Node,
    folder: &[u8],
    name: &[u8],
    needs_leaves: bool,
    hear: &mut dyn FnMut(u64, &Line<'_>),
) {
    let mut say = |bucket, kind, span| {
        hear(bucket, &Line { folder, name, kind, span, amount: Amount::of_one(1) });
    };
    match node {
        Node::File(bucket, _) => say(*bucket, Kind::File, Span::Entry),
        Node::Link(bucket) => say(*bucket, Kind::Symlink, Span::Entry),
        Node::Pipe(bucket) => say(*bucket, Kind::Fifo, Span::Entry),
        Node::Whole(bucket, below) | Node::Cut(bucket, below) if below.is_empty() => {
            say(*bucket, Kind::Directory, Span::Entry);
        }
        Node::Whole(bucket, _) if !needs_leaves => say(*bucket, Kind::Directory, Span::Whole),
        Node::Whole(bucket, below) | Node::Cut(bucket, below) => {
            say(*bucket, Kind::Directory, Span::Alone);
            let path = match (folder, name) {
                (b"", name) => name.to_vec(),
                (folder, name) => [folder, b"/", name].concat(),
            };
            for (name, node) in below {
                tell(node, &path, name, needs_leaves, hear);
            }
        }
    }
}

/// A tree on the disk, and a folder for all else.
struct Scratch {
    folder: tempfile::TempDir,
    tree: Node,
}

impl Scratch {
    fn new(tree: Node) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make(&tree, &folder.path().join("source"));
        Self { folder, tree }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn batch(&self) -> Batch {
        let time = "2024-01-02T03:04:05Z[UTC]".parse().unwrap();
        let names = Template::new(b"b[n].txt", &time).unwrap();
        Batch::new(Folder::open(&self.path("buckets"), 0o022).unwrap(), names, Failed::Withdraw)
    }

    /// Writes all buckets; gives their lists, and what is asked of a mover.
    fn write(&self, form: Form) -> Vec<(PathBuf, Recursion)> {
        let batch = self.batch();
        let Writing::Streamed(streamed) = form.writing() else { return self.write_together(batch) };
        let mut lists = Vec::new();
        for bucket in 1..=BUCKETS {
            let origin = Origin::Tree;
            let header = Header { version: "1", root: b"/", origin, bucket, buckets: None };
            let (draft, files) = batch.begin(bucket).unwrap();
            let mut format = streamed.begin(&header, files).unwrap();
            let mut recursion = Recursion::default();
            tell(&self.tree, b"", b"", form.needs_leaves(), &mut |holder, line| {
                if holder == bucket {
                    recursion = recursion.and(Recursion::of(line));
                    format.line(line).unwrap();
                }
            });
            format.finish().unwrap();
            drop(format);
            lists.push((batch.publish(draft).unwrap(), recursion));
        }
        batch.keep();
        lists
    }

    fn write_together(&self, batch: Batch) -> Vec<(PathBuf, Recursion)> {
        let mut all = FilterFiles::new(Vec::new()).unwrap();
        tell(&self.tree, b"", b"", false, &mut |bucket, line| all.add(bucket, line).unwrap());
        let lists = (1..=BUCKETS).map(|bucket| {
            let (draft, mut files) = batch.begin(bucket).unwrap();
            all.write(bucket, files.list()).unwrap();
            drop(files);
            (batch.publish(draft).unwrap(), Recursion::default())
        });
        let lists = lists.collect();
        batch.keep();
        lists
    }

    /// Runs what a person is told to type.
    fn run(&self, command: &str, list: &Path, destination: &Path) {
        let fill = |word: &str| -> OsString {
            let text = word.replace('\'', "").replace("FILE", list.to_str().unwrap());
            let text = text.replace("SOURCE", self.path("source").to_str().unwrap());
            text.replace("DEST", destination.to_str().unwrap()).into()
        };
        // The one word with a blank in it.
        let command = command.replace("merge FILE", "merge\u{a0}FILE");
        let mut words = command.split(' ').map(|word| fill(&word.replace('\u{a0}', " ")));
        let mut command = Command::new(words.next().unwrap());
        let command = command.args(words).env("RCLONE_CONFIG", self.path("no configuration"));
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
    }

    /// Moves all buckets into one destination, and gives what lies there.
    fn moved(&self, form: Form) -> BTreeMap<Vec<u8>, Seen> {
        let lists = self.write(form);
        let destination = self.path("destination");
        std::fs::create_dir(&destination).unwrap();
        for (list, recursion) in &lists {
            self.run(form.command(*recursion).unwrap(), list, &destination);
        }
        seen(&destination)
    }

    /// Moves all at once, and gives what lies there.
    fn moved_whole(&self) -> BTreeMap<Vec<u8>, Seen> {
        let whole = self.path("whole");
        self.run("rsync -a SOURCE/ DEST/", Path::new("/"), &whole);
        seen(&whole)
    }
}

/// What can be seen of an entry: kind and mode, content or target, time.
type Seen = (u32, Vec<u8>, i64);

/// All that lies in a directory, itself as the empty path.
fn seen(root: &Path) -> BTreeMap<Vec<u8>, Seen> {
    let mut found = BTreeMap::new();
    let mut left = vec![root.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let content = if metadata.is_dir() {
            left.extend(std::fs::read_dir(&path).unwrap().map(|entry| entry.unwrap().path()));
            Vec::new()
        } else if metadata.is_symlink() {
            path.read_link().unwrap().as_os_str().as_bytes().to_vec()
        } else if metadata.is_file() {
            std::fs::read(&path).unwrap()
        } else {
            Vec::new()
        };
        let below = path.strip_prefix(root).unwrap().as_os_str().as_bytes().to_vec();
        found.insert(below, (metadata.mode(), content, metadata.mtime()));
    }
    found
}

/// Without what rclone does not move, and without what it does not keep.
fn files(seen: BTreeMap<Vec<u8>, Seen>) -> BTreeMap<Vec<u8>, (Vec<u8>, i64)> {
    let is_file = |mode: u32| mode & 0o170_000 == 0o100_000;
    let files = seen.into_iter().filter(|(_, (mode, ..))| is_file(*mode));
    files.map(|(path, (_, content, time))| (path, (content, time))).collect()
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn lists_of_lines_bring_rsync_to_move_the_whole(tree in tree(WITHOUT_LINE_ENDS)) {
        let scratch = Scratch::new(tree);
        prop_assert_eq!(scratch.moved(Form::Rsync), scratch.moved_whole());
    }

    #[test]
    fn lists_with_nul_bring_rsync_to_move_the_whole(tree in tree(ANY)) {
        let scratch = Scratch::new(tree);
        prop_assert_eq!(scratch.moved(Form::Rsync0), scratch.moved_whole());
    }

    #[test]
    fn filter_files_bring_rsync_to_move_the_whole(tree in tree(WITHOUT_LINE_ENDS)) {
        let scratch = Scratch::new(tree);
        prop_assert_eq!(scratch.moved(Form::RsyncFilter), scratch.moved_whole());
    }

    #[test]
    fn with_filter_files_each_entry_goes_once_and_so_does_what_is_new(
        tree in tree(WITHOUT_LINE_ENDS),
    ) {
        let scratch = Scratch::new(tree);
        let lists = scratch.write(Form::RsyncFilter);
        let old = seen(&scratch.path("source"));
        for (path, _) in old.iter().filter(|(_, (mode, ..))| mode & 0o170_000 == 0o040_000) {
            let folder = join(&scratch.path("source"), path);
            std::fs::write(folder.join("made since"), b"new").unwrap();
            std::fs::create_dir(folder.join("folder made since")).unwrap();
            std::fs::write(folder.join("folder made since/*"), b"new").unwrap();
        }
        let mut arrived = BTreeMap::new();
        for (number, (list, _)) in lists.iter().enumerate() {
            let destination = scratch.path(&number.to_string());
            scratch.run(Form::RsyncFilter.command(Recursion::Either).unwrap(), list, &destination);
            for path in seen(&destination).into_keys() {
                *arrived.entry(path).or_insert(0) += 1;
            }
        }
        for (path, (mode, ..)) in seen(&scratch.path("source")) {
            let times = arrived.get(&path).copied().unwrap_or(0);
            // A directory that is cut is on the way to what each bucket has of it.
            let is_right = if mode & 0o170_000 == 0o040_000 { times > 0 } else { times == 1 };
            prop_assert!(is_right, "{times}: {}", path.escape_ascii());
        }
    }

    #[test]
    fn lists_for_rclone_bring_it_to_move_all_files(tree in tree(ANY)) {
        let scratch = Scratch::new(tree);
        prop_assert_eq!(files(scratch.moved(Form::Rclone)), files(scratch.moved_whole()));
    }
}

#[test]
fn a_directory_from_which_all_is_left_out_goes_without_it() {
    let below = |name: &[u8]| BTreeMap::from([(name.to_vec(), Node::File(1, 1))]);
    let bare = BTreeMap::from([(b"bare".to_vec(), Node::Whole(1, below(b"x.o")))]);
    for form in [Form::Rsync, Form::RsyncFilter] {
        let scratch = Scratch::new(Node::Cut(1, bare.clone()));
        let line = |name, span| {
            let (folder, kind): (&[u8], _) = (b"", Kind::Directory);
            Line { folder, name, kind, span, amount: Amount::of_one(1) }
        };
        let lines = [line(b"" as &[u8], Span::Alone), line(b"bare", Span::Bare)];
        let batch = scratch.batch();
        let (draft, mut files) = batch.begin(1).unwrap();
        match form.writing() {
            Writing::Streamed(streamed) => {
                let origin = Origin::Tree;
                let header = Header { version: "1", root: b"/", origin, bucket: 1, buckets: None };
                let mut format = streamed.begin(&header, files).unwrap();
                for line in &lines {
                    format.line(line).unwrap();
                }
                format.finish().unwrap();
            }
            Writing::Together => {
                let mut all = FilterFiles::new(vec![b"*.o".to_vec()]).unwrap();
                for line in &lines {
                    all.add(1, line).unwrap();
                }
                all.write(1, files.list()).unwrap();
            }
        }
        let list = batch.publish(draft).unwrap();
        let recursion = lines.iter().map(Recursion::of).fold(Recursion::default(), Recursion::and);
        assert_eq!(recursion, Recursion::Forbidden);
        scratch.run(form.command(recursion).unwrap(), &list, &scratch.path("destination"));
        let arrived = seen(&scratch.path("destination"));
        let expected = seen(&scratch.path("source"));
        assert_eq!(arrived.keys().collect::<Vec<_>>(), [b"" as &[u8], b"bare"]);
        for (path, found) in &arrived {
            assert_eq!(Some(found), expected.get(path), "{form:?}");
        }
    }
}
