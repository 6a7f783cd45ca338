//! A crawl keeps what every lister promises, and what is its own.

#![expect(clippy::disallowed_methods, reason = "tests make their trees themselves")]

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tempfile::TempDir;

use super::*;
use crate::conformance::{Node, Spoil, Stage, Tree};

/// A tree on a disk.
struct OnDisk {
    folder: TempDir,
    crawl: Crawl,
}

fn path_in(folder: &TempDir, path: &[u8]) -> PathBuf {
    folder.path().join(OsStr::from_bytes(path))
}

fn make(folder: &TempDir, tree: &Tree) {
    let mut groups: BTreeMap<u8, PathBuf> = BTreeMap::new();
    for (path, node) in tree.iter() {
        let path = path_in(folder, path);
        if let Some(first) = node.group.and_then(|group| groups.get(&group)) {
            std::fs::hard_link(first, &path).unwrap();
            continue;
        }
        make_node(&path, node);
        if let Some(group) = node.group {
            groups.insert(group, path);
        }
    }
}

fn make_node(path: &Path, node: &Node) {
    let length = usize::try_from(node.bytes).unwrap();
    let device = |kind, number| mknodat(CWD, path, kind, Mode::from(0o600), number).unwrap();
    match node.kind {
        Kind::Directory => std::fs::create_dir(path).unwrap(),
        Kind::File => std::fs::File::create(path).unwrap().set_len(node.bytes).unwrap(),
        Kind::Symlink => std::os::unix::fs::symlink("x".repeat(length), path).unwrap(),
        Kind::Fifo => device(FileType::Fifo, 0),
        Kind::CharDevice => device(FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        Kind::BlockDevice => device(FileType::BlockDevice, rustix::fs::makedev(7, 200)),
        Kind::Socket => device(FileType::Socket, 0),
    }
}

impl Stage for OnDisk {
    type Lister = Crawl;

    fn set(tree: &Tree) -> Self {
        let folder = tempfile::tempdir().unwrap();
        make(&folder, tree);
        let crawl = Crawl::open(folder.path().to_owned(), Settings::default()).unwrap();
        Self { folder, crawl }
    }

    fn lister(&self) -> &Crawl {
        &self.crawl
    }

    fn person_path(&self, path: &[u8]) -> Vec<u8> {
        if path.is_empty() {
            return self.folder.path().as_os_str().as_bytes().to_vec();
        }
        path_in(&self.folder, path).into_os_string().into_encoded_bytes()
    }

    fn admits(_: &[u8], node: &Node) -> bool {
        node.kind != Kind::Symlink || (1..4000).contains(&node.bytes)
    }

    fn spoil(&self, path: &[u8], how: Spoil) -> bool {
        match how {
            Spoil::Remove => std::fs::remove_dir_all(path_in(&self.folder, path)).is_ok(),
            // Root reads all directories.
            Spoil::Lock => false,
        }
    }
}

crate::conformance::conforms! { conformance, crate::lister::crawl::tests::OnDisk }

#[test]
fn no_link_leads_anywhere() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    std::fs::write(outside.path().join("secret"), "x").unwrap();
    std::fs::create_dir_all(folder.path().join("a/b")).unwrap();
    let crawl = Crawl::open(folder.path().to_owned(), Settings::default()).unwrap();
    // What was listed as a directory is a link when it is opened.
    std::fs::remove_dir(folder.path().join("a/b")).unwrap();
    std::os::unix::fs::symlink(outside.path(), folder.path().join("a/b")).unwrap();
    for path in [&b"a/b"[..], b"a/b/c"] {
        let told = crawl.tell(Part::Directory(path.into()), &mut |found| {
            panic!("{} was told", found.name.escape_ascii());
        });
        assert!(matches!(told, Err(TellError::Fault(_))), "{told:?}");
    }
}

#[test]
fn a_source_that_is_no_directory_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("file"), "x").unwrap();
    for (name, why) in [("none", "No such file"), ("file", "Not a directory")] {
        let path = folder.path().join(name);
        let refused = Crawl::open(path.clone(), Settings::default()).unwrap_err();
        assert_eq!(refused.why, Why::Source);
        let sentence = format!("source: open directory \"{}\": {why}", path.display());
        assert!(refused.sentence.starts_with(&sentence), "{refused}");
    }
}

#[test]
fn what_a_file_takes_is_not_its_length() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::File::create(folder.path().join("sparse")).unwrap().set_len(1 << 30).unwrap();
    let told = |measure| {
        let settings = Settings { measure, ..Settings::default() };
        let crawl = Crawl::open(folder.path().to_owned(), settings).unwrap();
        let mut bytes = Vec::new();
        let rest = crawl.tell(crawl.root().unwrap().part, &mut |found| bytes.push(found.bytes));
        assert!(rest.unwrap().is_empty());
        bytes
    };
    assert_eq!(told(Measure::Content), [1 << 30]);
    assert!(told(Measure::Allocated)[0] < 1 << 20);
}

#[test]
fn a_socket_in_use_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let _socket = UnixListener::bind(folder.path().join("socket")).unwrap();
    let crawl = Crawl::open(folder.path().to_owned(), Settings::default()).unwrap();
    let mut kinds = Vec::new();
    crawl.tell(crawl.root().unwrap().part, &mut |found| kinds.push(found.kind)).unwrap();
    assert_eq!(kinds, [Kind::Socket]);
}
