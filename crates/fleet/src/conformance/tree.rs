//! Trees that listers are shown.

use std::collections::BTreeMap;

use model::Kind;
use model::rel_path::is_component;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// An entry of a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    /// What it is.
    pub(crate) kind: Kind,
    /// Its length; of a symlink, that of its target; of everything that is no file or symlink, 0.
    pub(crate) bytes: u64,
    /// Files of one group are names of one file.
    pub(crate) group: Option<u8>,
}

impl Node {
    /// A directory.
    pub(crate) fn directory() -> Self {
        Self::of(Kind::Directory, 0)
    }

    /// A file of such a length.
    pub(crate) fn file(bytes: u64) -> Self {
        Self::of(Kind::File, bytes)
    }

    fn of(kind: Kind, bytes: u64) -> Self {
        Self { kind, bytes, group: None }
    }
}

/// What lies below a root, by its path: components with `/` between.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tree(BTreeMap<Vec<u8>, Node>);

impl Tree {
    /// Adds an entry and the directories above it. `false` where something else lies there.
    pub(crate) fn add(&mut self, path: &[u8], node: Node) -> bool {
        assert!(path.split(|&byte| byte == b'/').all(is_component));
        let above: Vec<&[u8]> = above(path).collect();
        let is_passable =
            |path: &&[u8]| self.get(path).is_none_or(|node| node.kind == Kind::Directory);
        if self.get(path).is_some() || !above.iter().all(is_passable) {
            return false;
        }
        for path in above {
            self.0.insert(path.to_vec(), Node::directory());
        }
        self.0.insert(path.to_vec(), node);
        true
    }

    /// The entry with this path.
    pub(crate) fn get(&self, path: &[u8]) -> Option<&Node> {
        self.0.get(path)
    }

    /// All entries, a directory before what lies in it.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], &Node)> {
        self.0.iter().map(|(path, node)| (&path[..], node))
    }

    /// How many names a group has.
    pub(crate) fn names_of(&self, group: u8) -> u64 {
        self.0.values().filter(|node| node.group == Some(group)).count() as u64
    }
}

/// Whether a path lies below another one, by components. All lies below the root.
pub(crate) fn is_below(path: &[u8], directory: &[u8]) -> bool {
    directory.is_empty()
        || path.strip_prefix(directory).is_some_and(|rest| rest.first() == Some(&b'/'))
}

/// The directories above, the highest first, but not the root.
fn above(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    slashes.map(|(index, _)| &path[..index])
}

/// Random trees of entries that may be in them.
pub(crate) fn any_tree(admits: fn(&[u8], &Node) -> bool) -> impl Strategy<Value = Tree> {
    vec((vec(any_name(), 1..5), any_node()), 0..40).prop_map(move |entries| {
        let mut tree = Tree::default();
        for (names, node) in entries {
            if let Some((name, above)) = names.split_last()
                && admits(name, &node)
                && above.iter().all(|name| admits(name, &Node::directory()))
            {
                // What finds something else in its place is left out.
                tree.add(&names.join(&b'/'), node);
            }
        }
        tree
    })
}

fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let odd: [&[u8]; 20] = [
        b" ",
        b" a",
        b"a ",
        b"a b",
        b"a\tb",
        b"\ta",
        b"a\nb",
        b"a\r",
        b"-rf",
        b"...",
        b".a",
        b"*",
        b"[a]",
        b"?",
        b"\\",
        b"'\"",
        b"12 a",
        b"12",
        b"\xff\xfe\x80",
        "\u{202e}".as_bytes(),
    ];
    let long = vec![b'x'; 255];
    prop_oneof![
        12 => "[a-c]{1,2}".prop_map(String::into_bytes),
        3 => select(odd.map(<[u8]>::to_vec).to_vec()),
        1 => vec(any::<u8>(), 1..20),
        1 => "\\PC{1,20}".prop_map(String::into_bytes),
        1 => Just(long),
    ]
    .prop_filter("names are components of at most 255 bytes", |name| {
        is_component(name) && name.len() <= 255
    })
}

fn any_node() -> impl Strategy<Value = Node> {
    let sizes = prop_oneof![Just(0_u64), 1..100_u64, 1..1_u64 << 20, 1..1_u64 << 32];
    prop_oneof![
        8 => sizes.prop_map(Node::file),
        3 => Just(Node::directory()),
        2 => (1..200_u64).prop_map(|bytes| Node::of(Kind::Symlink, bytes)),
        1 => Just(Node::of(Kind::Fifo, 0)),
        1 => Just(Node::of(Kind::Socket, 0)),
        2 => (0..3_u8).prop_map(|group| Node {
            group: Some(group),
            ..Node::file(1000 * u64::from(group))
        }),
    ]
}
