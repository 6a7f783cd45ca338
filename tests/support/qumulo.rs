//! A Qumulo cluster of a test's own: `tests/qumulo_fake/qumulo_fake.py`, which serves a folder of this host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

/// Prints how many requests a cluster was sent before this one.
const COUNT: &str = "
import json, ssl, sys, urllib.request
anybody = ssl._create_unverified_context()
print(json.load(urllib.request.urlopen(sys.argv[1] + '/fake/stats', context=anybody))['requests'] - 1)
";

/// A running cluster, which ends with the test.
pub(crate) struct FakeCluster {
    folder: tempfile::TempDir,
    server: Child,
    url: String,
    /// How often it was asked for its counter.
    looks: AtomicU64,
}

impl FakeCluster {
    /// Serves `tree` by HTTPS with a certificate of its own, and options of the program besides. The user
    /// is `admin`, and so is the password.
    pub(crate) fn serve(tree: &Path, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let ready = folder.path().join("ready");
        let errors = fs::File::create(folder.path().join("errors")).unwrap();
        let mut server = Command::new("python3")
            .arg(program())
            .arg(tree)
            .args(["--port", "0", "--agg-ttl", "0", "--ready-file"])
            .arg(&ready)
            .arg("--cert-dir")
            .arg(folder.path())
            .args(options)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(errors)
            .spawn()
            .expect("python3 is there");
        let url = loop {
            if let Ok(url) = fs::read_to_string(&ready) {
                break url.trim().to_owned();
            }
            let errors = || fs::read_to_string(folder.path().join("errors")).unwrap_or_default();
            assert_eq!(server.try_wait().unwrap(), None, "it ended: {}", errors());
            thread::sleep(Duration::from_millis(10));
        };
        Self { folder, server, url, looks: AtomicU64::new(0) }
    }

    /// The port that it listens at, on 127.0.0.1.
    pub(crate) fn port(&self) -> u16 {
        self.url.rsplit_once(':').unwrap().1.parse().unwrap()
    }

    /// Its certificate, which it has signed itself.
    pub(crate) fn certificate(&self) -> PathBuf {
        self.folder.path().join("cert.pem")
    }

    /// How many requests it was sent so far, without those of this function. It must not be one that
    /// fails now and then.
    pub(crate) fn requests(&self) -> u64 {
        let asked = Command::new("python3").args(["-c", COUNT, &self.url]).output().unwrap();
        let text = String::from_utf8(asked.stdout).unwrap();
        let count: u64 = text
            .trim()
            .parse()
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&asked.stderr)));
        count - self.looks.fetch_add(1, Ordering::Relaxed)
    }

    /// Ends it in the middle of whatever it does.
    pub(crate) fn kill(&mut self) {
        self.server.kill().ok();
        self.server.wait().ok();
    }
}

impl Drop for FakeCluster {
    fn drop(&mut self) {
        self.kill();
    }
}

/// The program: it lies with the tests of the whole project.
fn program() -> PathBuf {
    const PLACE: &str = "tests/qumulo_fake/qumulo_fake.py";

    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut places = package.ancestors().map(|folder| folder.join(PLACE));
    places.find(|place| place.is_file()).expect(PLACE)
}
