//! What the derived encodings do not know: paths, and the bounds that values keep.
//!
//! Jobs, events and summaries travel between two processes as bytes (Borsh: fields one after another,
//! one form for each value). Names and paths are bytes and stay so. What is read may come from
//! somebody hostile, so each rule that the rest of the code relies on is checked here: a value that
//! has been decoded is one that a command line, or a run, could have made.

use std::ffi::OsString;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use borsh::io::{Error, ErrorKind, Read, Result, Write};
use borsh::{BorshDeserialize, BorshSerialize};

use crate::settings::WORKERS_MAX;

/// Offsets and sizes that files can have, bytes.
const SIZE_MAX: u64 = i64::MAX.unsigned_abs();

/// More entries than any tree has, and few enough that sums of all counts of a run fit.
const COUNT_MAX: u64 = 1 << 56;

/// A path that was typed: Linux gives a whole command line less for one argument.
const PATH_MAX_BYTES: usize = 128 * 1024;

/// `--fuzzy` given twice.
const FUZZY_MAX: u8 = 2;

const NANOS_PER_SEC: u32 = 1_000_000_000;

/// The error for bytes that are no such value.
pub(crate) fn malformed(what: &'static str) -> Error {
    Error::new(ErrorKind::InvalidData, what)
}

fn read_if<T: BorshDeserialize, R: Read>(
    reader: &mut R,
    what: &'static str,
    is_sound: impl FnOnce(&T) -> bool,
) -> Result<T> {
    let value = T::deserialize_reader(reader)?;
    if is_sound(&value) { Ok(value) } else { Err(malformed(what)) }
}

pub(crate) fn read_nanos<R: Read>(reader: &mut R) -> Result<u32> {
    read_if(reader, "more nanoseconds than a second has", |nanos| *nanos < NANOS_PER_SEC)
}

pub(crate) fn read_mode<R: Read>(reader: &mut R) -> Result<u32> {
    read_if(reader, "a mode of more than twelve bits", |mode: &u32| mode & !0o7777 == 0)
}

pub(crate) fn read_size<R: Read>(reader: &mut R) -> Result<u64> {
    read_if(reader, "a size that no file has", |size| *size <= SIZE_MAX)
}

pub(crate) fn read_size_limit<R: Read>(reader: &mut R) -> Result<Option<u64>> {
    read_if(reader, "a size that no file has", |limit: &Option<u64>| {
        limit.is_none_or(|size| size <= SIZE_MAX)
    })
}

pub(crate) fn read_count<R: Read>(reader: &mut R) -> Result<u64> {
    read_if(reader, "a count that no tree comes to", |count| *count <= COUNT_MAX)
}

pub(crate) fn read_counts<R: Read, const N: usize>(reader: &mut R) -> Result<[u64; N]> {
    read_if(reader, "a count that no tree comes to", |counts: &[u64; N]| {
        counts.iter().all(|count| *count <= COUNT_MAX)
    })
}

pub(crate) fn read_window<R: Read>(reader: &mut R) -> Result<i64> {
    let window = i32::try_from(i64::deserialize_reader(reader)?);
    window.map(i64::from).map_err(|_| malformed("a window that cannot be typed"))
}

pub(crate) fn read_fuzzy<R: Read>(reader: &mut R) -> Result<u8> {
    read_if(reader, "a degree of fuzziness that is not there", |degree| *degree <= FUZZY_MAX)
}

pub(crate) fn read_percent<R: Read>(reader: &mut R) -> Result<u8> {
    read_if(reader, "more than 100 percent", |percent| *percent <= 100)
}

pub(crate) fn read_workers<R: Read>(reader: &mut R) -> Result<NonZeroUsize> {
    read_if(reader, "too many workers", |count: &NonZeroUsize| count.get() <= WORKERS_MAX)
}

/// `--suffix`: the end of a name.
pub(crate) fn read_suffix<R: Read>(reader: &mut R) -> Result<Box<[u8]>> {
    let suffix = read_if(reader, "a suffix that is not part of a name", |suffix: &Vec<u8>| {
        !suffix.iter().any(|byte| matches!(byte, b'/' | 0))
    });
    suffix.map(Into::into)
}

/// `--files-from`: names that do not lead out of the source.
pub(crate) fn read_listed_names<R: Read>(reader: &mut R) -> Result<Option<Vec<Box<[u8]>>>> {
    read_if(
        reader,
        "a listed name that leads out of the source",
        |names: &Option<Vec<Box<[u8]>>>| names.iter().flatten().all(|name| is_listed_name(name)),
    )
}

fn is_listed_name(name: &[u8]) -> bool {
    let is_absolute = name.first().is_none_or(|byte| *byte == b'/');
    !is_absolute && !name.contains(&0) && name.split(|byte| *byte == b'/').all(|part| part != b"..")
}

/// `--block-size`.
pub(crate) fn read_block_bytes<R: Read>(reader: &mut R) -> Result<u32> {
    read_if(reader, "blocks without bytes", |bytes| *bytes > 0)
}

/// `--changed-ranges`.
pub(crate) fn read_ranges<R: Read>(reader: &mut R) -> Result<Option<Vec<Range<u64>>>> {
    let is_sound = |ranges: &Option<Vec<Range<u64>>>| {
        let mut ranges = ranges.iter().flatten();
        let mut end = None;
        ranges.all(|range| {
            let is_behind = end.is_none_or(|end| range.start > end);
            end = Some(range.end);
            is_behind && range.start < range.end
        })
    };
    read_if(reader, "ranges out of order", is_sound)
}

pub(crate) fn write_path<W: Write>(path: &Path, writer: &mut W) -> Result<()> {
    path.as_os_str().as_bytes().serialize(writer)
}

pub(crate) fn read_path<R: Read>(reader: &mut R) -> Result<PathBuf> {
    let bytes = read_if(reader, "a path that cannot be typed", |bytes: &Vec<u8>| {
        bytes.len() <= PATH_MAX_BYTES && !bytes.contains(&0)
    })?;
    Ok(OsString::from_vec(bytes).into())
}

/// A path that is read where there may be none.
#[derive(BorshDeserialize)]
struct ReadPath(#[borsh(deserialize_with = "read_path")] PathBuf);

#[expect(clippy::ref_option, reason = "the derive hands over the field as it is")]
pub(crate) fn write_path_or_none<W: Write>(path: &Option<PathBuf>, writer: &mut W) -> Result<()> {
    path.as_ref().map(|path| path.as_os_str().as_bytes()).serialize(writer)
}

pub(crate) fn read_path_or_none<R: Read>(reader: &mut R) -> Result<Option<PathBuf>> {
    let path = Option::<ReadPath>::deserialize_reader(reader)?;
    Ok(path.map(|ReadPath(path)| path))
}

pub(crate) fn write_paths<W: Write>(paths: &[PathBuf], writer: &mut W) -> Result<()> {
    let paths: Vec<&[u8]> = paths.iter().map(|path| path.as_os_str().as_bytes()).collect();
    paths.serialize(writer)
}

pub(crate) fn read_paths<R: Read>(reader: &mut R) -> Result<Vec<PathBuf>> {
    let paths = Vec::<ReadPath>::deserialize_reader(reader)?;
    Ok(paths.into_iter().map(|ReadPath(path)| path).collect())
}
