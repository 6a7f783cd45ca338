//! What the tests of manifests share: a run that makes buckets, and movers that take them.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::SystemTime;

use serde_json::Value;

use crate::lab::{Done, Lab};
use crate::support::records;
use crate::support::snapshot::{Also, Snapshot, Window};

/// A bucket, as the summary of a run tells of it.
#[derive(Debug)]
pub(crate) struct Bucket {
    pub(crate) file: PathBuf,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
    /// What a person is told to type.
    pub(crate) command: Option<String>,
}

/// Cuts `src` into buckets in `lists`, by words more.
#[track_caller]
pub(crate) fn cut(lab: &Lab, words: &str) -> Vec<Bucket> {
    buckets(lab, &lab.lanesync(&format!("manifest src -o lists --json {words}")).go().expect(0))
}

/// The buckets that a run with `--json` tells of: those that are there, and no others.
#[track_caller]
pub(crate) fn buckets(lab: &Lab, done: &Done) -> Vec<Bucket> {
    let records = records::parse(&done.stdout);
    let summary = records.last().unwrap();
    let told = summary["buckets"].as_array().unwrap_or_else(|| panic!("no buckets: {done}"));
    let number = |of: &Value, what: &str| of[what].as_u64().unwrap();
    let bucket = |(index, record): (usize, &Value)| {
        assert_eq!(number(record, "number"), index as u64 + 1, "{done}");
        Bucket {
            file: lab.path(record["path"].as_str().unwrap()),
            bytes: number(record, "bytes"),
            entries: number(record, "entries"),
            command: record["command"].as_str().map(str::to_owned),
        }
    };
    let buckets: Vec<Bucket> = told.iter().enumerate().map(bucket).collect();
    let folder = buckets.first().map(|bucket| bucket.file.parent().unwrap().to_owned());
    let mut there = folder.as_deref().map(files).unwrap_or_default();
    there.sort();
    let mut files: Vec<&Path> = buckets.iter().map(|bucket| &*bucket.file).collect();
    files.sort();
    assert_eq!(there, files, "{done}");
    buckets
}

/// What lies in a folder.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
}

impl Bucket {
    /// The command of a person who moves it from one directory to another, as the shell reads what is typed.
    /// `more` are options of rsync.
    fn mover(&self, lab: &Lab, from: &Path, to: &Path, more: &str) -> Command {
        let mut typed = self.command.clone().expect("there is a mover");
        let named = [("SOURCE", from), ("DEST", to), ("FILE", &self.file)];
        for (word, path) in named {
            typed = typed.replacen(word, path.to_str().unwrap(), 1);
        }
        let typed = typed.replacen("rsync -a", &format!("rsync -a {more}"), 1);
        let mut command = Command::new("sh");
        command.args(["-c", &format!("set -f; exec {typed}")]);
        command.env("RCLONE_CONFIG", lab.path("no configuration"));
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
}

/// Moves one bucket after the other from `src` into a directory.
#[track_caller]
pub(crate) fn move_in_turn(lab: &Lab, buckets: &[Bucket], to: &str, more: &str) {
    for bucket in buckets {
        let mut command = bucket.mover(lab, &lab.path("src"), &lab.path(to), more);
        succeeded(bucket, &command.output().unwrap());
    }
}

/// Moves all buckets at once from `src` into a directory.
#[track_caller]
pub(crate) fn move_at_once(lab: &Lab, buckets: &[Bucket], to: &str, more: &str) {
    // Each rsync would make it, and only the first one can.
    lab.dir(to);
    let start =
        |bucket: &Bucket| bucket.mover(lab, &lab.path("src"), &lab.path(to), more).spawn().unwrap();
    let running: Vec<_> = buckets.iter().map(start).collect();
    for (bucket, child) in buckets.iter().zip(running) {
        succeeded(bucket, &child.wait_with_output().unwrap());
    }
}

#[track_caller]
fn succeeded(bucket: &Bucket, output: &Output) {
    let list = String::from_utf8_lossy(&fs::read(&bucket.file).unwrap()).into_owned();
    assert!(output.status.success(), "{bucket:?}: {output:?}\n{list}");
}

/// Two trees are the same in all that `rsync -a` keeps, the directories at their tops too.
#[track_caller]
pub(crate) fn assert_same(lab: &Lab, ours: &str, theirs: &str, case: &str) {
    let now = SystemTime::now();
    let read = |name: &str| Snapshot::read(&lab.path(name), Window::since(now));
    let differences = read(ours).diff(&read(theirs), Also::default());
    assert!(differences.is_empty(), "{case}: {ours} and {theirs} differ: {differences:#?}");
    let top = |name: &str| {
        let of = lab.path(name).metadata().unwrap();
        (of.mode(), of.uid(), of.gid(), of.mtime(), of.mtime_nsec())
    };
    assert_eq!(top(ours), top(theirs), "{case}: {ours} and {theirs} themselves");
}

/// What is moved in turn, and at once, is what rsync makes of the whole. `whole` are options for that.
#[track_caller]
pub(crate) fn assert_moves_the_whole(lab: &Lab, words: &str, more: &str, whole: &str) {
    lab.rsync(&format!("-a {more} {whole} src/ whole/")).go().expect(0);
    let buckets = cut(lab, words);
    move_in_turn(lab, &buckets, "in-turn", more);
    assert_same(lab, "in-turn", "whole", words);
    move_at_once(lab, &buckets, "at-once", more);
    assert_same(lab, "at-once", "whole", words);
    for made in ["whole", "in-turn", "at-once", "lists"] {
        fs::remove_dir_all(lab.path(made)).unwrap();
    }
}

/// The lines of a bucket for rsync.
pub(crate) fn lines(bucket: &Bucket) -> Vec<Vec<u8>> {
    let text = fs::read(&bucket.file).unwrap();
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(<[u8]>::to_vec).collect()
}

/// All lines of all buckets for a mover, as paths below the source, in order.
pub(crate) fn all_paths(buckets: &[Bucket]) -> Vec<PathBuf> {
    let lines = buckets.iter().flat_map(lines);
    let paths = lines.map(|line| {
        let line = line.strip_prefix(b"./").unwrap_or(&line);
        PathBuf::from(OsStr::from_bytes(line))
    });
    let mut paths: Vec<PathBuf> = paths.collect();
    paths.sort();
    paths
}
