//! A small tree in memory that can be put on disk and read back.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use filter::NodeKind;

/// A path below the root of a tree, without a leading slash; the root itself is empty.
pub(crate) type RelPath = Vec<u8>;

#[derive(Clone, Default, PartialEq, Eq)]
pub(crate) struct Tree {
    nodes: BTreeMap<RelPath, Node>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Node {
    Directory,
    File(Vec<u8>),
}

impl fmt::Debug for Tree {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let nodes = self.nodes.iter().map(|(path, node)| match node {
            Node::Directory => format!("{}/", path.escape_ascii()),
            Node::File(text) => format!("{} = {}", path.escape_ascii(), text.escape_ascii()),
        });
        out.debug_list().entries(nodes).finish()
    }
}

impl Tree {
    /// Adds a file and the directories above it, unless something of another kind is in the way.
    pub(crate) fn add_file(&mut self, path: &[u8], contents: &[u8]) {
        let parent = parent(path);
        if self.add_directory(parent) && self.nodes.get(path) != Some(&Node::Directory) {
            self.nodes.insert(path.to_vec(), Node::File(contents.to_vec()));
        }
    }

    /// Adds a directory and those above it; false when a file is in the way.
    pub(crate) fn add_directory(&mut self, path: &[u8]) -> bool {
        if path.is_empty() {
            return true;
        }
        if !self.add_directory(parent(path)) {
            return false;
        }
        *self.nodes.entry(path.to_vec()).or_insert(Node::Directory) == Node::Directory
    }

    /// The same tree as the only directory in another one.
    pub(crate) fn moved_into(&self, name: &[u8]) -> Self {
        let moved = self.nodes.iter().map(|(path, node)| ([name, path].join(&b'/'), node.clone()));
        let mut tree = Self { nodes: moved.collect() };
        tree.add_directory(name);
        tree
    }

    pub(crate) fn children(&self, dir: &[u8]) -> Vec<(RelPath, NodeKind)> {
        let below = self.nodes.iter().filter(|(path, _)| parent(path) == dir);
        below.map(|(path, node)| (path.clone(), node.kind())).collect()
    }

    pub(crate) fn read(&self, path: &[u8]) -> Option<Vec<u8>> {
        match self.nodes.get(path)? {
            Node::Directory => None,
            Node::File(contents) => Some(contents.clone()),
        }
    }

    /// Changes the contents of all files.
    pub(crate) fn edit_contents(&mut self, edit: impl Fn(&mut Vec<u8>)) {
        for node in self.nodes.values_mut() {
            if let Node::File(contents) = node {
                edit(contents);
            }
        }
    }

    pub(crate) fn remove(&mut self, path: &[u8]) {
        self.nodes.remove(path);
    }

    pub(crate) fn paths(&self) -> impl Iterator<Item = &RelPath> {
        self.nodes.keys()
    }

    pub(crate) fn write_to(&self, root: &Path) {
        std::fs::create_dir_all(root).unwrap();
        for (path, node) in &self.nodes {
            let path = root.join(OsStr::from_bytes(path));
            match node {
                Node::Directory => std::fs::create_dir(path).unwrap(),
                Node::File(contents) => std::fs::write(path, contents).unwrap(),
            }
        }
    }

    /// The paths that lie on disk below a root.
    pub(crate) fn paths_on_disk(root: &Path) -> Vec<RelPath> {
        let mut found = Vec::new();
        let mut open = vec![PathBuf::new()];
        while let Some(dir) = open.pop() {
            for entry in std::fs::read_dir(root.join(&dir)).unwrap() {
                let entry = entry.unwrap();
                let path = dir.join(entry.file_name());
                if entry.file_type().unwrap().is_dir() {
                    open.push(path.clone());
                }
                found.push(path.into_os_string().into_vec());
            }
        }
        found.sort();
        found
    }
}

impl Node {
    fn kind(&self) -> NodeKind {
        match self {
            Self::Directory => NodeKind::Directory,
            Self::File(_) => NodeKind::Other,
        }
    }
}

fn parent(path: &[u8]) -> &[u8] {
    let end = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
    &path[..end]
}
