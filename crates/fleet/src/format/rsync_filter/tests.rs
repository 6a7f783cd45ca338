//! Which bucket has what, by the rules of `crates/filter`. What rsync makes of them: `tests/movers.rs`.

use std::collections::BTreeMap;
use std::sync::Arc;

use filter::{NodeKind, Perishable, RuleOptions, Rules, Scope, Side};
use proptest::prelude::*;

use super::FilterFiles;
use crate::format::FormatError;
use crate::format::testing::line;
use crate::line::Span::{self, Alone, Bare, Entry, Whole};

/// Lines by bucket, folder and name.
type Told<'a> = (u64, &'a [u8], &'a [u8], Span);

fn files(excludes: &[&[u8]], told: &[Told<'_>]) -> FilterFiles {
    let excludes = excludes.iter().map(|pattern| pattern.to_vec()).collect();
    let mut files = FilterFiles::new(excludes).unwrap();
    for &(bucket, folder, name, span) in told {
        files.add(bucket, &line(folder, name, span)).unwrap();
    }
    files
}

fn text(files: &FilterFiles, bucket: u64) -> String {
    let mut text = Vec::new();
    files.write(bucket, &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

/// The buckets that a path gets into, by way of all directories above it.
fn holders(files: &FilterFiles, buckets: u64, path: &[u8], kind: NodeKind) -> Vec<u64> {
    let lets_through = |bucket: &u64| {
        let mut text = Vec::new();
        files.write(*bucket, &mut text).unwrap();
        let mut rules = Rules::new(RuleOptions::default());
        rules.push(b"merge FILE", &mut |_| Ok(text.clone())).unwrap();
        let scope = Scope::root(Arc::new(rules), b"/source");
        let ends = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
        let mut above = ends.map(|end| (&path[..end], NodeKind::Directory));
        let is_let = |(path, kind): (&[u8], NodeKind)| {
            !scope.check(path, kind, Side::Sender, Perishable::Honoured).is_excluded()
        };
        above.all(is_let) && is_let((path, kind))
    };
    (1..=buckets).filter(lets_through).collect()
}

#[test]
fn one_bucket_says_what_others_have_and_the_others_what_they_have() {
    let files = files(
        &[b".snapshot*/"],
        &[
            (1, b"", b"", Alone),
            (1, b"", b"whole", Whole),
            (2, b"", b"file", Entry),
            (2, b"", b"cut", Alone),
            (2, b"cut", b"a", Entry),
            (1, b"cut", b"b*", Entry),
            (2, b"", b"bare", Bare),
        ],
    );
    assert_eq!(text(&files, 1), "- .snapshot*/\n- /file\n- /bare\n+ /cut/b\\*\n- /cut/*\n");
    assert_eq!(
        text(&files, 2),
        "- .snapshot*/\n+ /file\n+ /cut\n+ /bare\n- /*\n- /cut/b\\*\n- /bare/*\n"
    );
    assert_eq!(text(&files, 3), "- .snapshot*/\n- /*\n");
}

#[test]
fn what_is_new_goes_with_the_directory() {
    let files = files(
        &[],
        &[
            (1, b"", b"", Alone),
            (2, b"", b"a", Alone),
            (1, b"a", b"x", Entry),
            (3, b"a", b"d", Whole),
            (3, b"", b"e", Entry),
        ],
    );
    let holders = |path: &[u8]| holders(&files, 3, path, NodeKind::Other);
    for (path, bucket) in [("new", 1), ("a/new", 2), ("a/d/new", 3), ("e/new", 3), ("new/new", 1)] {
        assert_eq!(holders(path.as_bytes()), [bucket], "{path}");
    }
}

#[test]
fn a_tree_that_is_not_cut_is_in_one_bucket() {
    let files = files(&[], &[(2, b"", b"", Whole)]);
    assert_eq!([1, 2, 3].map(|bucket| text(&files, bucket)), ["- /*\n", "", "- /*\n"]);
}

#[test]
fn what_no_rule_can_tell_is_refused() {
    let mut files = FilterFiles::new(Vec::new()).unwrap();
    let long = vec![b'*'; 2100];
    for name in [b"a\nb", b"a\rb", &*long] {
        for span in [Entry, Whole, Alone, Bare] {
            let refused = files.add(1, &line(b"f", name, span));
            let Err(FormatError::Unfit { path, reason }) = refused else { panic!("{refused:?}") };
            assert_eq!(path, [b"f/", name].concat());
            assert!(reason.contains("--format=rsync0"), "{reason}");
        }
    }
    assert!(FilterFiles::new(vec![b"a\nb".to_vec()]).is_err());
}

#[test]
fn a_directory_that_no_rule_can_close_is_named() {
    // Twice as long where a wildcard follows.
    let folder = vec![vec![b'\\'; 250]; 9].join(&b'/');
    assert!((2000..3000).contains(&folder.len()));
    for (folder, name, span) in [
        (&folder[..], &b"x"[..], Entry),
        (&folder, b"x", Whole),
        (&folder[..folder.len() - 251], &[b'\\'; 250], Alone),
        (&folder[..folder.len() - 251], &[b'\\'; 250], Bare),
    ] {
        let line = line(folder, name, span);
        let refused = FilterFiles::default().add(1, &line);
        let Err(FormatError::Unfit { path, reason }) = refused else { panic!("{refused:?}") };
        assert_eq!(path, line.path());
        assert!(reason.contains("--format=rsync0"), "{reason}");
    }
    // As the last name of a path it is not closed.
    let last = line(&folder[..1500], &folder[..250], Entry);
    FilterFiles::default().add(1, &last).unwrap();
}

/// Names of which all have a meaning in rules, or are near to one.
fn name() -> impl Strategy<Value = Vec<u8>> {
    proptest::collection::vec(
        prop_oneof![
            Just(b'a'),
            proptest::sample::select(&b"*?[]\\-!^ #;+,/.:\t\xff\xc3"[..])
                .prop_filter("a component", |byte| *byte != b'/'),
        ],
        1..4,
    )
    .prop_filter("a component", |name| !matches!(&**name, b"." | b".."))
}

/// A directory by what is in it: `None` is a file; the number tells the bucket.
#[derive(Clone, Debug)]
struct Node(u64, Option<BTreeMap<Vec<u8>, Self>>);

const BUCKETS: u64 = 3;

fn tree() -> impl Strategy<Value = Node> {
    let bucket = || 1..=BUCKETS;
    let leaf = bucket().prop_map(|bucket| Node(bucket, None));
    let cut = move |inner| {
        (bucket(), proptest::collection::btree_map(name(), inner, 1..5))
            .prop_map(|(bucket, below)| Node(bucket, Some(below)))
    };
    cut(leaf.prop_recursive(3, 30, 5, cut).boxed())
}

/// Tells a tree, and collects what must be where.
fn tell(
    node: &Node,
    folder: &[u8],
    name: &[u8],
    files: &mut FilterFiles,
    expected: &mut Vec<(Vec<u8>, u64)>,
) {
    let path = line(folder, name, Entry).path();
    let span = if node.1.is_some() { Alone } else { Entry };
    files.add(node.0, &line(folder, name, span)).unwrap();
    match &node.1 {
        None => expected.push((path, node.0)),
        Some(below) => {
            for (name, node) in below {
                tell(node, &path, name, files, expected);
            }
            // What was not there when the tree was cut.
            let mut new = b"new".to_vec();
            while below.contains_key(&new) {
                new.push(b'*');
            }
            expected.push((line(&path, &new, Entry).path(), node.0));
        }
    }
}

proptest! {
    #[test]
    fn each_path_is_in_its_bucket_alone(tree in tree()) {
        let mut files = FilterFiles::new(Vec::new()).unwrap();
        let mut expected = Vec::new();
        tell(&tree, b"", b"", &mut files, &mut expected);
        for (path, bucket) in expected {
            let found = holders(&files, BUCKETS, &path, NodeKind::Other);
            prop_assert_eq!(found, [bucket], "{}", path.escape_ascii());
        }
    }
}
