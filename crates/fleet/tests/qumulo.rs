//! A tree on a cluster, told over HTTPS: against the stand-in of a cluster, and against answers that are made
//! up.

#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "tests work below their own scratch directory and stop at the first fault"
)]

#[path = "../../../tests/support/qumulo.rs"]
mod fake;

#[path = "qumulo/logins.rs"]
mod logins;

#[path = "qumulo/made_up.rs"]
mod made_up;

#[path = "qumulo/opened.rs"]
mod opened;

#[path = "qumulo/scripted.rs"]
mod scripted;

#[path = "qumulo/weather.rs"]
mod weather;

#[path = "qumulo/whole.rs"]
mod whole;

#[path = "qumulo/wide.rs"]
mod wide;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::Path;
use std::time::Duration;

use fake::FakeCluster;
use fleet::amount::Amount;
use fleet::lister::qumulo::{Cluster, Counted, Login, Part, Patience, Qumulo, Secret, Tls};
use fleet::lister::{Below, Lister, Refused, Root, TellError};
use model::Kind;
use sched::Cancel;

/// A cluster that is waited for, but not for long.
const PATIENCE: Patience = Patience {
    tries: 6,
    limit: Duration::from_secs(60),
    first_pause: Duration::from_millis(1),
    longest_pause: Duration::from_millis(50),
};

fn by_password(password: &str) -> Login {
    Login::Password { user: "admin".to_owned(), password: Secret::new(password) }
}

/// How the stand-in is reached.
fn cluster(fake: &FakeCluster, path: &str) -> Cluster {
    Cluster {
        host: "127.0.0.1".to_owned(),
        port: fake.port(),
        tls: Tls::Verified { ca: Some(fake.certificate()) },
        login: by_password("admin"),
        path: path.as_bytes().to_vec(),
        snapshot: None,
        counted: Counted::Data,
        in_flight: Cluster::IN_FLIGHT,
        patience: PATIENCE,
    }
}

fn lister(cluster: &Cluster) -> Qumulo {
    Qumulo::new(cluster, &Cancel::new()).unwrap()
}

/// What is told of the root, or why nothing is.
fn refusal(cluster: &Cluster) -> Refused {
    match Qumulo::new(cluster, &Cancel::new()).and_then(|lister| lister.root()) {
        Ok(_) => panic!("it was told"),
        Err(refused) => refused,
    }
}

/// An entry, with all below it.
type Told = BTreeMap<Vec<u8>, (Kind, Amount)>;

/// A name in a directory, and how it is asked for if it is one itself.
type One = (Vec<u8>, Kind, Amount, Option<Part>);

/// All that is told of a directory.
fn tell_one(lister: &Qumulo, part: Part) -> Result<Vec<One>, TellError> {
    let mut found = Vec::new();
    let mut parts = vec![part];
    while let Some(part) = parts.pop() {
        parts.extend(lister.tell(part, &mut |one| {
            let (amount, part) = match one.below {
                Below::Nothing => (Amount::of_one(one.bytes), None),
                Below::Known(amount, part) => (amount, Some(part)),
                Below::Unknown(_) | Below::LeftOut => panic!("a cluster knows its directories"),
            };
            found.push((one.name.to_vec(), one.kind, amount, part));
        })?);
    }
    Ok(found)
}

/// The whole tree below the root, and the sums of the root.
fn tell_all(lister: &Qumulo) -> Result<(Told, Amount), TellError> {
    let Root { part, total } = lister.root()?;
    let mut told = Told::new();
    let mut folders = vec![(Vec::new(), part)];
    while let Some((folder, part)) = folders.pop() {
        for (name, kind, amount, part) in tell_one(lister, part)? {
            let path = if folder.is_empty() { name } else { [&folder[..], b"/", &name].concat() };
            assert_eq!(told.insert(path.clone(), (kind, amount)), None, "told twice: {path:?}");
            folders.extend(part.map(|part| (path, part)));
        }
    }
    Ok((told, total.unwrap()))
}

/// The same of a folder on the disk.
fn on_disk(folder: &Path) -> (Told, Amount) {
    fn walk(top: &Path, folder: &Path, told: &mut Told) -> Amount {
        let mut all = Amount::of_one(0);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            let kind = Kind::from_st_mode(metadata.mode()).unwrap();
            assert_eq!(kind == Kind::Fifo, metadata.file_type().is_fifo());
            let amount = match kind {
                Kind::Directory => walk(top, &path, told),
                Kind::File => Amount::of_one(metadata.len().div_ceil(4096) * 4096),
                _ => Amount::of_one(0),
            };
            let name = path.strip_prefix(top).unwrap().as_os_str().as_bytes().to_vec();
            told.insert(name, (kind, amount));
            all += amount;
        }
        all
    }
    let mut told = Told::new();
    let all = walk(folder, folder, &mut told);
    (told, all)
}
