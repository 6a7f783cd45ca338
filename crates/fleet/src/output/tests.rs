//! What lies in the folder, and when.
#![expect(clippy::disallowed_methods, reason = "the tests look at the folder from outside")]

use std::collections::BTreeMap;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use model::Fault;

use super::{Batch, Failed, Folder, Template};

struct Scratch(tempfile::TempDir);

impl Scratch {
    /// On a file system with files without names, and on one without where there is one.
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn batch(&self, template: &str, failed: Failed) -> Batch {
        let time = "2024-01-02T03:04:05Z[UTC]".parse().unwrap();
        let names = Template::new(template.as_bytes(), &time).unwrap();
        Batch::new(Folder::open(self.path(), 0o022).unwrap(), names, failed)
    }

    /// All that lies there, by name.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let entries = std::fs::read_dir(self.path()).unwrap().map(|entry| entry.unwrap().path());
        let name = |path: &Path| path.file_name().unwrap().to_str().unwrap().to_owned();
        entries.map(|path| (name(&path), std::fs::read(&path).unwrap())).collect()
    }

    fn names(&self) -> Vec<String> {
        self.files().into_keys().collect()
    }
}

fn said(fault: &Fault) -> String {
    String::from_utf8(fault.text()).unwrap()
}

/// Writes a bucket of one word and as many further files.
fn put(batch: &Batch, number: u64, word: &str, further: u64) -> Result<(), Fault> {
    let (draft, mut files) = batch.begin(number)?;
    files.list().write_all(word.as_bytes()).unwrap();
    for one in 0..further {
        let (name, mut file) = files.beside(one, "RCJ").unwrap();
        write!(file, "{one}").unwrap();
        writeln!(files.list(), "{name}").unwrap();
    }
    drop(files);
    batch.publish(draft).map(drop)
}

#[test]
fn a_bucket_has_a_name_when_it_is_whole() {
    let scratch = Scratch::new();
    let batch = scratch.batch("b[n].txt", Failed::Withdraw);
    let (draft, mut files) = batch.begin(3).unwrap();
    let long = vec![b'x'; 300_000];
    files.list().write_all(&long).unwrap();
    let (name, mut further) = files.beside(1, "RCJ").unwrap();
    assert_eq!(name, "b3_1.RCJ");
    further.write_all(b"far").unwrap();
    files.list().write_all(b"end").unwrap();
    drop((files, further));
    assert_eq!(scratch.names(), [""; 0]);
    let path = batch.publish(draft).unwrap();
    assert_eq!(path, scratch.path().join("b3.txt"));
    batch.keep();
    let expected = [("b3.txt", [&long[..], b"end"].concat()), ("b3_1.RCJ", b"far".to_vec())];
    assert_eq!(scratch.files(), expected.map(|(name, text)| (name.to_owned(), text)).into());
    let mode = path.metadata().unwrap().permissions().mode();
    assert_eq!(mode & 0o7777, 0o644);
}

#[test]
fn a_draft_that_is_dropped_leaves_nothing() {
    let scratch = Scratch::new();
    let batch = scratch.batch("b[n]", Failed::Keep);
    let (draft, mut files) = batch.begin(1).unwrap();
    for number in 0..100 {
        files.beside(number, "RCJ").unwrap().1.write_all(b"x").unwrap();
    }
    drop((draft, files));
    assert_eq!(scratch.names(), [""; 0]);
}

#[test]
fn many_further_files_take_few_open_ones() {
    let scratch = Scratch::new();
    let batch = scratch.batch("b[n]", Failed::Withdraw);
    put(&batch, 1, "", 200).unwrap();
    batch.keep();
    let files = scratch.files();
    assert_eq!(files.len(), 201);
    let list = String::from_utf8(files["b1"].clone()).unwrap();
    for (number, name) in list.lines().enumerate() {
        assert_eq!(files[name], number.to_string().as_bytes());
    }
}

#[test]
fn a_run_that_fails_takes_back_what_it_published() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("c9"), "other").unwrap();
    let batch = scratch.batch("b[n]", Failed::Withdraw);
    put(&batch, 1, "one", 3).unwrap();
    put(&batch, 2, "two", 0).unwrap();
    assert_eq!(scratch.names().len(), 6);
    batch.end().unwrap();
    assert_eq!(scratch.names(), ["c9"]);

    let batch = scratch.batch("b[n]", Failed::Withdraw);
    put(&batch, 1, "one", 1).unwrap();
    drop(batch);
    assert_eq!(scratch.names(), ["c9"]);
}

#[test]
fn what_somebody_works_by_stays() {
    let scratch = Scratch::new();
    let batch = scratch.batch("b[n]", Failed::Keep);
    put(&batch, 1, "one", 1).unwrap();
    batch.end().unwrap();
    assert_eq!(scratch.names(), ["b1", "b1_0.RCJ"]);
}

#[test]
fn only_own_files_are_taken_back() {
    let scratch = Scratch::new();
    let batch = scratch.batch("b[n]", Failed::Withdraw);
    for number in 1..=3 {
        put(&batch, number, "ours", 0).unwrap();
    }
    std::fs::remove_file(scratch.path().join("b1")).unwrap();
    std::fs::write(scratch.path().join("new"), "theirs").unwrap();
    std::fs::rename(scratch.path().join("new"), scratch.path().join("b2")).unwrap();
    batch.end().unwrap();
    assert_eq!(scratch.files(), [("b2".to_owned(), b"theirs".to_vec())].into());
}

#[test]
fn no_file_is_written_over() {
    for further in [0, 1] {
        let scratch = Scratch::new();
        let taken = scratch.path().join(if further == 0 { "b1.txt" } else { "b1_0.RCJ" });
        let batch = scratch.batch("b[n].txt", Failed::Withdraw);
        symlink("nowhere", &taken).unwrap();
        let fault = put(&batch, 1, "one", further).unwrap_err();
        let text = said(&fault);
        assert!(text.contains(taken.to_str().unwrap()), "{text}");
        assert!(text.contains("--name-template") && text.contains("--output"), "{text}");
        batch.end().unwrap();
        assert_eq!(std::fs::read_link(&taken).unwrap(), Path::new("nowhere"));
        assert_eq!(std::fs::read_dir(scratch.path()).unwrap().count(), 1);
    }
}

#[test]
fn a_list_that_is_not_published_leaves_no_further_files() {
    let scratch = Scratch::new();
    std::fs::write(scratch.path().join("b1"), "theirs").unwrap();
    let batch = scratch.batch("b[n]", Failed::Keep);
    put(&batch, 1, "one", 70).unwrap_err();
    assert_eq!(scratch.files(), [("b1".to_owned(), b"theirs".to_vec())].into());
}

#[test]
fn names_that_are_taken_are_known_before() {
    let scratch = Scratch::new();
    let batch = scratch.batch("b[n].txt", Failed::Withdraw);
    batch.check_free(None).unwrap();
    std::fs::write(scratch.path().join("b0.txt"), "").unwrap();
    std::fs::write(scratch.path().join("b5.txt"), "").unwrap();
    batch.check_free(Some(4)).unwrap();
    for buckets in [Some(5), None] {
        let text = said(&batch.check_free(buckets).unwrap_err());
        assert!(text.contains("b5.txt"), "{text}");
    }
    std::fs::write(scratch.path().join("b2_8.RCJ"), "").unwrap();
    assert!(batch.check_free(Some(4)).is_err());
    batch.check_free(Some(1)).unwrap();
}

#[test]
fn a_folder_is_made_with_those_above_it() {
    let scratch = Scratch::new();
    let deep = scratch.path().join("a/b/c");
    let folder = Folder::open(&deep, 0).unwrap();
    Folder::open(&deep, 0).unwrap();
    assert!(deep.metadata().unwrap().is_dir());
    assert_eq!(folder.path_of("x"), deep.join("x"));
    std::fs::write(scratch.path().join("file"), "").unwrap();
    let text = said(&Folder::open(&scratch.path().join("file/d"), 0).unwrap_err());
    assert!(text.contains("file/d"), "{text}");
}
