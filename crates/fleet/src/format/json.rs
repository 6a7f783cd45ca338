//! JSON: a header, a record for each line and an end, each a line, as docs/manifest.md tells them.
//!
//! Names of fields and their meaning are a promise: fields may be added, none is renamed or dropped
//! without a note to the users. Bytes that are not UTF-8 go to a field named `..._base64`.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use model::Kind;
use serde::Serialize;

use crate::amount::Amount;
use crate::format::{BucketFiles, Format, FormatError};
use crate::line::{Line, Span};

/// The form of the records. It grows when what an old reader takes from them is no longer true.
const FORM: u32 = 1;

/// What is said of a bucket before its lines.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a> {
    /// Of the program.
    pub version: &'a str,
    /// The directory that was cut, as a person would name it.
    pub root: &'a [u8],
    /// Where it was told from.
    pub origin: Origin,
    /// Which bucket it is; the first is 1.
    pub bucket: u64,
    /// How many there are, where that is known by now.
    pub buckets: Option<u64>,
}

/// Where a tree was told from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// A directory of this host, which was crawled.
    Tree,
    /// A list.
    List,
    /// A Qumulo cluster.
    Qumulo,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Record<'a> {
    Bucket {
        form: u32,
        version: &'a str,
        #[serde(flatten)]
        root: Root<'a>,
        source: Origin,
        bucket: u64,
        #[serde(skip_serializing_if = "Option::is_none")]
        buckets: Option<u64>,
    },
    Line {
        #[serde(flatten)]
        path: Path<'a>,
        kind: &'static str,
        span: &'static str,
        bytes: u64,
        entries: u64,
    },
    End {
        lines: u64,
        bytes: u64,
        entries: u64,
    },
}

#[derive(Serialize)]
enum Root<'a> {
    #[serde(rename = "root")]
    Text(&'a str),
    #[serde(rename = "root_base64")]
    Base64(String),
}

#[derive(Serialize)]
enum Path<'a> {
    #[serde(rename = "path")]
    Text(&'a str),
    #[serde(rename = "path_base64")]
    Base64(String),
}

/// A bucket that is being written.
pub(super) struct Json {
    files: Box<dyn BucketFiles>,
    lines: u64,
    amount: Amount,
}

impl Json {
    pub(super) fn begin(
        header: &Header<'_>,
        files: Box<dyn BucketFiles>,
    ) -> Result<Self, FormatError> {
        let mut json = Self { files, lines: 0, amount: Amount::default() };
        let root = match std::str::from_utf8(header.root) {
            Ok(text) => Root::Text(text),
            Err(_) => Root::Base64(BASE64_STANDARD.encode(header.root)),
        };
        let &Header { version, origin: source, bucket, buckets, .. } = header;
        json.write(&Record::Bucket { form: FORM, version, root, source, bucket, buckets })?;
        Ok(json)
    }

    fn write(&mut self, record: &Record<'_>) -> Result<(), FormatError> {
        let mut text = serde_json::to_vec(record)
            .expect("records have string keys only and no failing serializer");
        text.push(b'\n');
        Ok(self.files.list().write_all(&text)?)
    }
}

impl Format for Json {
    fn line(&mut self, line: &Line<'_>) -> Result<(), FormatError> {
        let path = line.path();
        let path = match std::str::from_utf8(&path) {
            Ok("") => Path::Text("."),
            Ok(text) => Path::Text(text),
            Err(_) => Path::Base64(BASE64_STANDARD.encode(&path)),
        };
        let Amount { bytes, entries } = line.amount;
        let (kind, span) = (word_of_kind(line.kind), word_of_span(line.span));
        self.write(&Record::Line { path, kind, span, bytes, entries })?;
        self.lines += 1;
        self.amount += line.amount;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), FormatError> {
        let Amount { bytes, entries } = self.amount;
        self.write(&Record::End { lines: self.lines, bytes, entries })
    }
}

fn word_of_kind(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::CharDevice => "char_device",
        Kind::BlockDevice => "block_device",
        Kind::Fifo => "fifo",
        Kind::Socket => "socket",
    }
}

fn word_of_span(span: Span) -> &'static str {
    match span {
        Span::Entry => "entry",
        Span::Whole => "whole",
        Span::Alone => "alone",
        Span::Bare => "bare",
    }
}

#[cfg(test)]
mod tests;
