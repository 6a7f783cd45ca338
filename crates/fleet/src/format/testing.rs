//! What the tests of formats share: files that lie in memory.

use std::io::{self, Write};
use std::sync::Arc;

use model::Kind;
use parking_lot::Mutex;

use crate::amount::Amount;
use crate::format::{BucketFiles, Form, Format, FormatError, Header, Origin, Writing};
use crate::line::{Line, Span};

/// A name, and what was written.
pub(super) type Written = (String, Vec<u8>);

/// The files of a bucket, list first, by their names.
#[derive(Clone, Default)]
pub(super) struct InMemory {
    files: Arc<Mutex<Vec<Written>>>,
}

/// The file of a certain number.
struct File {
    files: InMemory,
    at: usize,
}

struct Bucket {
    files: InMemory,
    list: File,
}

impl InMemory {
    pub(super) fn new() -> Self {
        let files = Self::default();
        files.files.lock().push(("bucket1.txt".to_owned(), Vec::new()));
        files
    }

    pub(super) fn bucket(&self) -> Box<dyn BucketFiles> {
        Box::new(Bucket { files: self.clone(), list: File { files: self.clone(), at: 0 } })
    }

    /// All files, list first.
    pub(super) fn all(&self) -> Vec<Written> {
        self.files.lock().clone()
    }

    /// What was written to the list.
    pub(super) fn list(&self) -> Vec<u8> {
        self.files.lock()[0].1.clone()
    }
}

impl Write for File {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.files.files.lock()[self.at].1.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl BucketFiles for Bucket {
    fn list(&mut self) -> &mut dyn Write {
        &mut self.list
    }

    fn beside(
        &mut self,
        number: u64,
        extension: &str,
    ) -> io::Result<(String, Box<dyn Write + Send>)> {
        let mut files = self.files.files.lock();
        let name = format!("bucket1_{number}.{extension}");
        files.push((name.clone(), Vec::new()));
        let file = File { files: self.files.clone(), at: files.len() - 1 };
        Ok((name, Box::new(file)))
    }
}

pub(super) const HEADER: Header<'_> =
    Header { version: "1.2.3", root: b"/data", origin: Origin::Tree, bucket: 1, buckets: Some(4) };

/// Begins a bucket.
pub(super) fn begun(
    form: Form,
    header: &Header<'_>,
    files: &InMemory,
) -> Result<Box<dyn Format>, FormatError> {
    match form.writing() {
        Writing::Streamed(streamed) => streamed.begin(header, files.bucket()),
        Writing::Together => panic!("not for itself"),
    }
}

/// Lets a format write lines, and gives the format with its files.
pub(super) fn written(
    form: Form,
    lines: &[Line<'_>],
) -> Result<(Box<dyn Format>, InMemory), FormatError> {
    let files = InMemory::new();
    let mut format = begun(form, &HEADER, &files)?;
    for line in lines {
        format.line(line)?;
    }
    format.finish()?;
    Ok((format, files))
}

/// The path and the reason of what is refused.
pub(super) fn refusal(form: Form, lines: &[Line<'_>]) -> (Vec<u8>, String) {
    match written(form, lines).map(|_| ()) {
        Err(FormatError::Unfit { path, reason }) => (path, reason),
        other => panic!("{other:?}"),
    }
}

/// A line; a directory, if that is what it means.
pub(super) fn line<'a>(folder: &'a [u8], name: &'a [u8], span: Span) -> Line<'a> {
    let kind = if span == Span::Entry { Kind::File } else { Kind::Directory };
    Line { folder, name, kind, span, amount: Amount::of_one(5) }
}
