//! The promises of every lister, kept over HTTPS.

#[path = "../../../../../../tests/support/qumulo.rs"]
#[expect(dead_code, reason = "requests are counted elsewhere")]
mod fake;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use rustix::fs::{CWD, FileType, Mode, mknodat};

use super::*;
use crate::conformance::{Node, Spoil, Stage, Tree};

/// A tree on a cluster.
struct OnCluster {
    folder: tempfile::TempDir,
    _fake: fake::FakeCluster,
    lister: Qumulo,
}

impl OnCluster {
    fn path(&self, path: &[u8]) -> PathBuf {
        self.folder.path().join(OsStr::from_bytes(path))
    }
}

fn make(path: &std::path::Path, node: &Node) {
    let device = |kind, number| mknodat(CWD, path, kind, Mode::from(0o600), number).unwrap();
    match node.kind {
        Kind::Directory => std::fs::create_dir(path).unwrap(),
        Kind::File => std::fs::File::create(path).unwrap().set_len(node.bytes).unwrap(),
        Kind::Symlink => std::os::unix::fs::symlink("x", path).unwrap(),
        Kind::Fifo => device(FileType::Fifo, 0),
        Kind::CharDevice => device(FileType::CharacterDevice, rustix::fs::makedev(1, 3)),
        Kind::BlockDevice => device(FileType::BlockDevice, rustix::fs::makedev(7, 200)),
        Kind::Socket => device(FileType::Socket, 0),
    }
}

impl Stage for OnCluster {
    type Lister = Qumulo;

    const TELLS_LINKS: bool = false;
    // Each has a process of its own.
    const TREES: u32 = 6;

    fn set(tree: &Tree) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut groups: BTreeMap<u8, PathBuf> = BTreeMap::new();
        for (path, node) in tree.iter() {
            let path = folder.path().join(OsStr::from_bytes(path));
            match node.group.and_then(|group| groups.get(&group)) {
                Some(first) => std::fs::hard_link(first, &path).unwrap(),
                None => make(&path, node),
            }
            if let Some(group) = node.group {
                groups.entry(group).or_insert(path);
            }
        }
        let fake = fake::FakeCluster::serve(folder.path(), &[]);
        let cluster = Cluster {
            host: "localhost".to_owned(),
            port: fake.port(),
            tls: Tls::Verified { ca: Some(fake.certificate()) },
            login: Login::Password { user: "admin".to_owned(), password: Secret::new("admin") },
            path: b"/".to_vec(),
            snapshot: None,
            counted: Counted::Data,
            in_flight: Cluster::IN_FLIGHT,
            patience: Patience::default(),
        };
        let lister = Qumulo::new(&cluster, &Cancel::new()).unwrap();
        Self { folder, _fake: fake, lister }
    }

    fn lister(&self) -> &Qumulo {
        &self.lister
    }

    fn person_path(&self, path: &[u8]) -> Vec<u8> {
        [b"/", path].concat()
    }

    fn admits(name: &[u8], _: &Node) -> bool {
        names::fault_of(name).is_none() && std::str::from_utf8(name).is_ok()
    }

    fn expected(node: &Node) -> (Kind, u64) {
        let blocks = if node.kind == Kind::File { node.bytes.div_ceil(BLOCK_BYTES) } else { 0 };
        (node.kind, blocks * BLOCK_BYTES)
    }

    fn spoil(&self, path: &[u8], how: Spoil) -> bool {
        match how {
            Spoil::Remove => std::fs::remove_dir_all(self.path(path)).is_ok(),
            // The stand-in may run as root, who reads all directories.
            Spoil::Lock => false,
        }
    }
}

crate::conformance::conforms! { conformance, crate::lister::qumulo::tests::stage::OnCluster }
